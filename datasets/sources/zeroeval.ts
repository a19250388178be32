/**
 * ZeroEval: zero-shot runs of dozens of chat models on GSM8K, CRUXEval and hard MATH, answers asked for in JSON.
 *
 * Verified on stored copies of the repository: `result_dirs/{gsm,crux,math-l5}/<model>.json`, arrays of `id`,
 * `question`, `answer`, `output`, and the scripts that judge them. Not verified: the archive's bytes, ids of MATH.
 * One shortcut beside the scripts: a fraction is worked out where it is `a/b`, not any Python expression.
 */
import { z } from 'zod';
import { jsonArray } from '../formats/json-array.ts';
import { tarMembers } from '../formats/tar.ts';
import { listPrice } from './list-prices.ts';
import { modelIdOf } from './model-id.ts';
import { checked, gitArchive, type Source } from './source.ts';

const REVISION = '8c1485edf12c6efb5f69135a562927c5ad484059';
const ARCHIVE = gitArchive('WildEval/ZeroEval', REVISION);

const BENCHMARKS: Record<string, string> = { gsm: 'gsm8k', crux: 'cruxeval-o', 'math-l5': 'math-level-5' };

/** Names that say less than what the repository or the host knows of them. */
const IDS: Record<string, string> = {
  'DeepSeek-Coder-V2-0724': 'deepseek/deepseek-coder-v2-0724',
  'deepseek-v2-coder-0724': 'deepseek/deepseek-coder-v2-0724',
  'deepseek-chat': 'deepseek/deepseek-v2-chat-0628',
  'Llama-3.1-405B-Inst@sambanova': 'meta-llama/llama-3.1-405b-instruct',
  'Llama-3.1-405B-Inst-SN': 'meta-llama/llama-3.1-405b-instruct',
  'Mistral-Large-2': 'mistralai/mistral-large-2407',
  'gemma-2-27b-it@together': 'google/gemma-2-27b-it',
};

const Row = z.object({
  id: z.string().min(1),
  question: z.string().min(1),
  answer: z.union([z.string(), z.number()]).transform(String),
  output: z.array(z.string()).min(1),
});

export const zeroeval: Source = {
  name: 'zeroeval',
  holds: 'dozens of chat models of 2023 to 2025 on GSM8K, CRUXEval-O and level-5 MATH, greedy, zero-shot',
  notes: [
    'Quality is 1 or 0 by the repository’s rule: the answer of the first complete JSON object, else of a looser search; GSM8K and MATH compare the first number, CRUXEval strings. No answer is 0, so a 0 can be a failure of form.',
    'Not every model was run on every benchmark. Characters of o1 models leave out hidden reasoning.',
    'A run that names another host than the model’s main one stands under an id with the host at its end.',
  ],
  homepage: 'https://github.com/WildEval/ZeroEval',
  licence: 'Apache-2.0 (repository); questions: GSM8K MIT, CRUXEval MIT, MATH MIT',
  citation: 'Lin, "ZeroEval: A Unified Framework for Evaluating Language Models", 2024, github.com/WildEval/ZeroEval',
  revision: REVISION,
  evaluationOnly: null,
  models: null,
  prompts: 2_840,
  size: null,
  files: [ARCHIVE],
  row: Row,
  async *rows({ path, revision }) {
    const file = path(ARCHIVE.name);
    for await (const { name, bytes } of tarMembers(file, revision)) {
      const [, folder, model] = /^[^/]+\/result_dirs\/(gsm|crux|math-l5)\/([^/]+)\.json$/.exec(name) ?? [];
      if (folder === undefined || model === undefined) continue;
      const benchmark = BENCHMARKS[folder]!;
      const label = `${file}!${name}`;
      const modelId = IDS[model] ?? modelIdOf(model.replace('@', '-'));
      const info = { sourceName: model, ...listPrice(modelId) };
      for await (const { value, row } of jsonArray(label, bytes)) {
        const { id, question, answer, output } = checked(Row, value, label, row);
        const said = answerOf(output[0]!, model);
        const right = said !== undefined && (folder === 'crux' ? sameLiteral(said, answer) : sameNumber(said, answer));
        yield {
          prompt: {
            id: `zeroeval/${benchmark}/${/#(\d+)$/.exec(id)?.[1] ?? id}`,
            source: 'zeroeval',
            benchmark,
            text: question,
          },
          answers: [{ modelId, info, quality: right ? 1 : 0, outputChars: output[0]!.length }],
        };
      }
    }
  },
};

/** The answer as the repository's scripts find it: text, or whatever JSON value stands there. */
export function answerOf(output: string, model: string): unknown {
  const first = firstObject(output);
  if (first !== undefined && Object.hasOwn(first, 'answer')) return first.answer;
  const loose =
    /"answer"\s*:\s*"([^"]*?)"/.exec(output) ??
    /"answer"\s*:\s*"(.*?)"/s.exec(output) ??
    /"answer"\s*:\s*([^,\s]*)/.exec(output) ??
    /answer\s*:\s*([^,\s]*)/.exec(output);
  if (loose !== null) return loose[1]!;
  return model.includes('Llama-3.1') ? /\\boxed\{(\w+)\}/.exec(output)?.[1] : undefined;
}

/** The first text in balanced braces, where it is JSON once its line breaks are gone. */
function firstObject(text: string): Record<string, unknown> | undefined {
  let depth = 0;
  let start = -1;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '{') {
      if (depth++ === 0) start = at;
    } else if (text[at] === '}' && depth > 0 && --depth === 0) {
      try {
        return JSON.parse(text.slice(start, at + 1).replaceAll('\n', '')) as Record<string, unknown>;
      } catch {
        return undefined;
      }
    }
  }
  return undefined;
}

const sameNumber = (said: unknown, key: string): boolean => {
  const [a, b] = [pythonText(said), key.replaceAll('#', '')].map(firstNumber);
  return a !== undefined && b !== undefined && a === b;
};

function firstNumber(text: string): number | undefined {
  let clean = text.replaceAll('$', '').trim().replaceAll(',', '');
  const fraction = /^(-?\d+(?:\.\d+)?)\s*\/\s*(\d+(?:\.\d+)?)$/.exec(clean);
  if (fraction !== null && Number(fraction[2]) !== 0) clean = String(Number(fraction[1]) / Number(fraction[2]));
  const number = /-?\d+(\.\d+)?/.exec(clean)?.[0];
  return number === undefined ? undefined : Number(number);
}

/** A word that is no number, no truth and has no brackets is a string literal whose quotes were left off. */
function sameLiteral(said: unknown, key: string): boolean {
  const bare =
    typeof said === 'string' &&
    !/[({[\]})]/.test(said) &&
    !/^\d+$/.test(said.replace('.', '')) &&
    !/^(true|false)$/i.test(said);
  return (bare ? `'${said}'` : pythonText(said)) === key;
}

/** A JSON value as Python's `str` writes it. */
function pythonText(value: unknown, nested = false): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') {
    if (!nested) return value;
    const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
    return quote + value.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`).replaceAll('\n', '\\n') + quote;
  }
  if (Array.isArray(value)) return `[${value.map((part) => pythonText(part, true)).join(', ')}]`;
  if (typeof value === 'object') {
    const pairs = Object.entries(value).map(([key, part]) => `${pythonText(key, true)}: ${pythonText(part, true)}`);
    return `{${pairs.join(', ')}}`;
  }
  return String(value);
}
