/** What LiteLLM calls a provider, and what it is called here. */
import { textOf } from './source.ts';

export interface Host {
  /** A known host here; null: any OpenAI-compatible one, at the address given. */
  readonly kind: string | null;
  /** Environment variable that LiteLLM takes the key from where the file names none. */
  readonly keyEnv?: string;
  /** Where it is when the file does not say; for those that are no known hosts here. */
  readonly baseUrl?: string;
  /** What a provider without a known host is called here, where its address says nothing. */
  readonly name?: string;
}

/** By the word before the first slash of `litellm_params.model`. */
const HOSTS: Readonly<Record<string, Host>> = {
  openai: { kind: 'openai', keyEnv: 'OPENAI_API_KEY' },
  anthropic: { kind: 'anthropic', keyEnv: 'ANTHROPIC_API_KEY' },
  gemini: { kind: 'google', keyEnv: 'GEMINI_API_KEY' },
  azure: { kind: 'azure', keyEnv: 'AZURE_API_KEY' },
  bedrock: { kind: 'amazon-bedrock' },
  bedrock_converse: { kind: 'amazon-bedrock' },
  vertex_ai: { kind: 'google-vertex' },
  vertex_ai_beta: { kind: 'google-vertex' },
  openrouter: { kind: 'openrouter', keyEnv: 'OPENROUTER_API_KEY' },
  mistral: { kind: 'mistral', keyEnv: 'MISTRAL_API_KEY' },
  deepseek: { kind: 'deepseek', keyEnv: 'DEEPSEEK_API_KEY' },
  xai: { kind: 'xai', keyEnv: 'XAI_API_KEY' },
  moonshot: { kind: 'moonshotai', keyEnv: 'MOONSHOT_API_KEY' },
  minimax: { kind: 'minimax', keyEnv: 'MINIMAX_API_KEY' },
  zai: { kind: 'zai', keyEnv: 'ZAI_API_KEY' },
  dashscope: { kind: 'alibaba', keyEnv: 'DASHSCOPE_API_KEY' },
  groq: { kind: 'groq', keyEnv: 'GROQ_API_KEY' },
  together_ai: { kind: 'together', keyEnv: 'TOGETHERAI_API_KEY' },
  fireworks_ai: { kind: 'fireworks', keyEnv: 'FIREWORKS_AI_API_KEY' },
  cerebras: { kind: 'cerebras', keyEnv: 'CEREBRAS_API_KEY' },
  cohere: { kind: 'cohere', keyEnv: 'COHERE_API_KEY' },
  cohere_chat: { kind: 'cohere', keyEnv: 'COHERE_API_KEY' },
  ollama: { kind: 'ollama' },
  ollama_chat: { kind: 'ollama' },
  lm_studio: { kind: 'lmstudio' },
  hosted_vllm: { kind: null, name: 'vllm' },
  vllm: { kind: null, name: 'vllm' },
  custom_openai: { kind: null },
  openai_like: { kind: null },
  litellm_proxy: { kind: null, name: 'litellm' },
  llamafile: { kind: null, name: 'llamafile' },
  xinference: { kind: null, name: 'xinference' },
  perplexity: { kind: null, name: 'perplexity', keyEnv: 'PERPLEXITYAI_API_KEY', baseUrl: 'https://api.perplexity.ai' },
  deepinfra: {
    kind: null,
    name: 'deepinfra',
    keyEnv: 'DEEPINFRA_API_KEY',
    baseUrl: 'https://api.deepinfra.com/v1/openai',
  },
  nvidia_nim: {
    kind: null,
    name: 'nvidia',
    keyEnv: 'NVIDIA_NIM_API_KEY',
    baseUrl: 'https://integrate.api.nvidia.com/v1',
  },
  sambanova: { kind: null, name: 'sambanova', keyEnv: 'SAMBANOVA_API_KEY', baseUrl: 'https://api.sambanova.ai/v1' },
};

/** Model names that LiteLLM knows the provider of without being told. */
const BARE: readonly (readonly [RegExp, string])[] = [
  [/^(gpt-|chatgpt-|o\d|text-embedding-|dall-e|whisper|tts-|omni-moderation)/, 'openai'],
  [/^claude-/, 'anthropic'],
  [/^command/, 'cohere_chat'],
  [/^gemini-/, 'vertex_ai'],
];

/** Words that LiteLLM puts between a provider and its model to choose one of its APIs. */
const API_WORDS: Readonly<Record<string, RegExp>> = {
  'amazon-bedrock': /^(converse|invoke|converse_like)\//,
  azure: /^(responses|o_series|gpt5_series)\//,
  openai: /^responses\//,
};

export interface Named {
  /** As LiteLLM calls it. */
  readonly provider: string;
  /** Undefined where there is nothing like it here. */
  readonly host: Host | undefined;
  /** As the provider's API names it. */
  readonly model: string;
}

/** Who is called, by `litellm_params`: `custom_llm_provider`, else the model's prefix, else its name. */
export function hostOf(params: Readonly<Record<string, unknown>>): Named {
  const full = String(params.model);
  const slash = full.indexOf('/');
  const prefix = slash < 0 ? undefined : full.slice(0, slash);
  const stated = textOf(params.custom_llm_provider);
  const isKnown = prefix !== undefined && Object.hasOwn(HOSTS, prefix);
  const bare = BARE.find(([pattern]) => pattern.test(full))?.[1];
  const provider = stated ?? (isKnown ? prefix : (bare ?? prefix)) ?? 'of that name';
  const host = Object.hasOwn(HOSTS, provider) ? HOSTS[provider] : undefined;
  const model = prefix === provider ? full.slice(slash + 1) : full;
  return { provider, host, model: model.replace(API_WORDS[host?.kind ?? ''] ?? NOTHING, '') };
}

const NOTHING = /(?!)/;
