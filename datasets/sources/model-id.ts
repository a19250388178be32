/** Names of models as the sources write them → ids as the catalog writes them: `provider/model`, in lower case. */

/** By the first letters of a model's own name; the longest that fits counts. */
const OWNERS: readonly (readonly [prefix: string, owner: string])[] = [
  ['athene', 'nexusflow'],
  ['c4ai-command', 'cohere'],
  ['chatgpt', 'openai'],
  ['claude', 'anthropic'],
  ['codegemma', 'google'],
  ['codeqwen', 'qwen'],
  ['codestral', 'mistralai'],
  ['cogito', 'deepcogito'],
  ['command', 'cohere'],
  ['dbrx', 'databricks'],
  ['deephermes', 'nousresearch'],
  ['deepseek', 'deepseek'],
  ['fin-r1', 'sufe-aiflm-lab'],
  ['gemini', 'google'],
  ['gemma', 'google'],
  ['glm', 'z-ai'],
  ['gpt', 'openai'],
  ['granite', 'ibm-granite'],
  ['grok', 'x-ai'],
  ['intern', 'internlm'],
  ['jamba', 'ai21'],
  ['kimi', 'moonshotai'],
  ['llama', 'meta-llama'],
  ['mathstral', 'mistralai'],
  ['mimo', 'xiaomi'],
  ['minicpm', 'openbmb'],
  ['ministral', 'mistralai'],
  ['mistral', 'mistralai'],
  ['mixtral', 'mistralai'],
  ['nvidia', 'nvidia'],
  ['o1', 'openai'],
  ['o3', 'openai'],
  ['o4', 'openai'],
  ['openthinker', 'open-thoughts'],
  ['phi', 'microsoft'],
  ['qwen', 'qwen'],
  ['qwq', 'qwen'],
  ['reka', 'rekaai'],
  ['titan', 'amazon'],
  ['wizardlm', 'wizardlm'],
  ['yi-', '01-ai'],
];

/** Owners under other names elsewhere. */
const SAME_OWNER: Record<string, string> = {
  'deepseek-ai': 'deepseek',
  meta: 'meta-llama',
  mistral: 'mistralai',
  'mistral-ai': 'mistralai',
  'zero-one-ai': '01-ai',
};

/**
 * `Meta-Llama-3-8B-Instruct` → `meta-llama/llama-3-8b-instruct`, `deepseek-ai/DeepSeek-V3` → `deepseek/deepseek-v3`.
 * A name whose owner is not known stays alone, in lower case.
 */
export function modelIdOf(name: string): string {
  const lower = name.trim().toLowerCase().replaceAll(/\s+/g, '-');
  const slash = lower.indexOf('/');
  if (slash > 0) {
    const owner = lower.slice(0, slash);
    return `${SAME_OWNER[owner] ?? owner}/${withoutMeta(lower.slice(slash + 1))}`;
  }
  const model = withoutMeta(lower);
  const owner = OWNERS.filter(([prefix]) => model.startsWith(prefix)).sort(([a], [b]) => b.length - a.length)[0]?.[1];
  return owner === undefined ? model : `${owner}/${model}`;
}

const withoutMeta = (model: string): string => model.replace(/^meta-(?=llama)/, '');
