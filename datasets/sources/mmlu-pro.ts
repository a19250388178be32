/**
 * The answers of 31 models to MMLU-Pro, as its authors publish them.
 *
 * Verified on stored copies and public code: 29 archives `eval_results/model_outputs_<model>_5shots.zip` at the commit,
 * each with JSON arrays of `question_id`, `question`, `options`, `answer`, `category` and the output under
 * `model_outputs`; from the history `eval_results/{gpt4o,deepseek}/<subject>_result.json` with the output under
 * `response`; the rule that takes a letter from an output. Not verified: the archives' bytes and inner file names (every
 * `.json` member is read).
 */
import { z } from 'zod';
import { type Bytes, fileBytes } from '../formats/bytes.ts';
import { jsonArray } from '../formats/json-array.ts';
import { zipMembers } from '../formats/zip.ts';
import { listPrice } from './list-prices.ts';
import { checked, gitFile, type MapContext, type Source, type SourceRow } from './source.ts';

const REPOSITORY = 'TIGER-AI-Lab/MMLU-Pro';
const REVISION = 'f418b116db00b065c2aea046518d8fcf74d39872';
/** Results of 2024-05-20 that later commits no longer hold. */
const HISTORY = 'bfa90e1c730dd30cb6244fb5f8d93472bc5e2c5d';

/** What an archive’s name says → id; `-base` marks models that were not tuned to answer. */
const ARCHIVES: Record<string, string> = {
  'DeepSeek-Coder-V2': 'deepseek/deepseek-coder-v2',
  'Llama-2-13b-hf': 'meta-llama/llama-2-13b-base',
  'Llama-2-70b-hf': 'meta-llama/llama-2-70b-base',
  'Llama-2-7b-hf': 'meta-llama/llama-2-7b-base',
  'Meta-Llama-3-70B': 'meta-llama/llama-3-70b-base',
  'Meta-Llama-3-8B': 'meta-llama/llama-3-8b-base',
  'Meta-Llama-3_1-70B-Instruct': 'meta-llama/llama-3.1-70b-instruct',
  'Meta-Llama-3_1-70B': 'meta-llama/llama-3.1-70b-base',
  'Meta-Llama-3_1-8B-Instruct': 'meta-llama/llama-3.1-8b-instruct',
  'Meta-Llama-3_1-8B': 'meta-llama/llama-3.1-8b-base',
  'Mistral-7B-Instruct-v0.1': 'mistralai/mistral-7b-instruct-v0.1',
  'Mistral-7B-Instruct-v0.2': 'mistralai/mistral-7b-instruct-v0.2',
  'Mistral-7B-v0.1': 'mistralai/mistral-7b-v0.1-base',
  'Mistral-7B-v0.2-hf': 'mistralai/mistral-7b-v0.2-base',
  'Mixtral-8x7B-Instruct-v0.1': 'mistralai/mixtral-8x7b-instruct-v0.1',
  'Mixtral-8x7B-v0.1': 'mistralai/mixtral-8x7b-v0.1-base',
  'Phi-3-mini-4k-instruct': 'microsoft/phi-3-mini-4k-instruct',
  'Qwen1.5-110B': 'qwen/qwen1.5-110b-base',
  'Qwen1.5-72B-Chat': 'qwen/qwen1.5-72b-chat',
  'Qwen1.5-7B-Chat': 'qwen/qwen1.5-7b-chat',
  'Yi-34B': '01-ai/yi-34b-base',
  'Yi-6B': '01-ai/yi-6b-base',
  'Yi-6b-Chat': '01-ai/yi-6b-chat',
  'c4ai-command-r-v01': 'cohere/command-r-v01',
  'gemini-1.5-flash-002': 'google/gemini-1.5-flash-002',
  'gemini-1.5-pro-002': 'google/gemini-1.5-pro-002',
  'gemma-7b': 'google/gemma-7b-base',
  'jamba-1.5-large': 'ai21/jamba-1.5-large',
  'mathstral-7B': 'mistralai/mathstral-7b-v0.1',
};
const FOLDERS: Record<string, string> = {
  gpt4o: 'openai/gpt-4o-2024-05-13',
  deepseek: 'deepseek/deepseek-v2-chat-2024-05',
};
const SUBJECTS = [
  'biology',
  'business',
  'chemistry',
  'computer science',
  'economics',
  'engineering',
  'health',
  'history',
  'law',
  'math',
  'other',
  'philosophy',
  'physics',
  'psychology',
];

/** Every file with the model that wrote it. */
const RUNS = [
  ...Object.entries(ARCHIVES).map(([model, modelId]) => {
    const name = `model_outputs_${model}_5shots.zip`;
    return { modelId, model, file: gitFile(REPOSITORY, REVISION, `eval_results/${name}`, name, 'zip') };
  }),
  ...Object.entries(FOLDERS).flatMap(([folder, modelId]) =>
    SUBJECTS.map((subject) => ({
      modelId,
      model: folder,
      file: gitFile(
        REPOSITORY,
        HISTORY,
        `eval_results/${folder}/${subject}_result.json`,
        `${folder}_${subject.replace(' ', '_')}_result.json`,
        'json',
      ),
    })),
  ),
];

const Output = z.union([z.string(), z.array(z.string()).transform((parts) => parts.join('\n'))]).nullish();
const Row = z.object({
  question_id: z.union([z.number(), z.string().min(1)]),
  question: z.string().min(1),
  options: z.array(z.string()).min(1).max(10),
  answer: z.string().regex(/^[A-J]$/, 'is no letter from A to J'),
  category: z.string().min(1),
  model_outputs: Output,
  response: Output,
});

export const mmluPro: Source = {
  name: 'mmlu-pro',
  holds: '31 models, 5-shot with chain of thought, on 12 000 questions of 14 subjects with up to ten options',
  notes: [
    'Quality is 1 or 0: the letter that the repository’s second rule takes from the output, against the key; no letter is 0. Stored predictions are not used: some are random guesses.',
    'text is the question with its lettered options, without the five worked examples that stood before it.',
    'Ids that end in -base are base models, asked 5-shot like the others. No token counts, only characters.',
    'Where a file has another question, other options or another key under the same id than the first, its row is left out.',
  ],
  homepage: 'https://github.com/TIGER-AI-Lab/MMLU-Pro',
  licence: 'Apache-2.0 (repository); the data set’s own page says MIT',
  citation:
    'Wang et al., "MMLU-Pro: A More Robust and Challenging Multi-Task Language Understanding Benchmark", NeurIPS 2024, arXiv:2406.01574',
  revision: REVISION,
  evaluationOnly: null,
  models: RUNS.length - Object.keys(FOLDERS).length * (SUBJECTS.length - 1),
  prompts: 12_032,
  size: null,
  files: RUNS.map(({ file }) => file),
  row: Row,
  async *rows(context) {
    const keys = new Map<string, string>();
    for (const { modelId, model, file } of RUNS) {
      const path = context.path(file.name);
      const about = { modelId, info: { sourceName: model, ...listPrice(modelId) } };
      if (file.format === 'json') yield* results(path, fileBytes(path), about, keys, context);
      else {
        for await (const { name, bytes } of zipMembers(path)) {
          // Finders leave folders of their own behind.
          if (!name.endsWith('.json') || name.startsWith('__MACOSX/')) continue;
          yield* results(`${path}!${name}`, bytes, about, keys, context);
        }
      }
    }
  },
};

async function* results(
  label: string,
  bytes: Bytes,
  about: { readonly modelId: string; readonly info: object },
  keys: Map<string, string>,
  { leaveOut }: MapContext,
): AsyncGenerator<SourceRow> {
  for await (const { value, row } of jsonArray(label, bytes)) {
    const { question_id, question, options, answer, category, model_outputs, response } = checked(
      Row,
      value,
      label,
      row,
    );
    const output = model_outputs ?? response ?? '';
    const key = keys.get(String(question_id));
    if (key === undefined) keys.set(String(question_id), answer);
    else if (key !== answer) {
      leaveOut('another key under the same id');
      continue;
    }
    yield {
      prompt: {
        id: `mmlu-pro/${question_id}`,
        source: 'mmlu-pro',
        benchmark: `mmlu-pro/${category.replaceAll(' ', '-')}`,
        text: [question, ...options.map((option, i) => `${'ABCDEFGHIJ'[i]}. ${option}`)].join('\n'),
      },
      answers: [{ ...about, quality: letterOf(output) === answer ? 1 : 0, outputChars: output.length }],
    };
  }
}

/**
 * The repository's level-2 rule: "answer is (X)", else "answer: X", else the last letter that stands alone.
 * @returns undefined where none stands there
 */
export function letterOf(output: string): string | undefined {
  return (
    /answer is \(?([A-J])\)?/.exec(output)?.[1] ??
    /.*[aA]nswer:\s*([A-J])/.exec(output)?.[1] ??
    [...output.matchAll(/\b[A-J]\b/g)].at(-1)?.[0]
  );
}
