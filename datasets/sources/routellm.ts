/**
 * RouteLLM's own test answers: MMLU, GSM8K and MT-Bench by GPT-4 and Mixtral 8x7B.
 *
 * Verified on stored copies of the repository: the folders, the columns of the CSV files (`prompt`, one of True or
 * False for each model, in GSM8K also `<model>_response`), `judgements.jsonl` (`question_id`, `model`, `score`,
 * `turn`) and `contaminated_prompts.jsonl` (`eval_prompt`). Not verified: the bytes of the archive.
 */
import { z } from 'zod';
import type { Bytes } from '../formats/bytes.ts';
import { csvRows } from '../formats/csv.ts';
import { jsonLines } from '../formats/json-lines.ts';
import { tarMembers } from '../formats/tar.ts';
import { listPrice } from './list-prices.ts';
import { modelIdOf } from './model-id.ts';
import { type Answer, checked, gitArchive, type MapContext, type Source, type SourceRow } from './source.ts';

const REVISION = '0b64fdafe049e596a3f5657c219329f24af24198';
const ARCHIVE = gitArchive('lm-sys/RouteLLM', REVISION);

const Truth = z.enum(['True', 'False']).transform((text) => text === 'True');
/** The columns beside `prompt` are named after the models. */
const Row = z.object({ prompt: z.string().min(1) }).catchall(z.string());
const Question = z.object({ question_id: z.number(), category: z.string(), turns: z.array(z.string()).min(1) });
const Judgement = z.object({ question_id: z.number(), model: z.string(), score: z.number().min(0).max(10) });
const Contaminated = z.object({ eval_prompt: z.string() });

export const routellm: Source = {
  name: 'routellm',
  holds: 'MMLU, GSM8K and MT-Bench answered by GPT-4 and Mixtral 8x7B: the test set of the RouteLLM paper',
  notes: [
    'MMLU and GSM8K: right or wrong, as the repository says; MT-Bench: the mean of GPT-4’s marks for both turns, a tenth of it (rawScore: the mean itself).',
    'Prompts that RouteLLM leaves out before it reports (near-copies of its training prompts) are marked contaminated.',
    'Two models only; no tokens and no costs. The questions are public.',
  ],
  homepage: 'https://github.com/lm-sys/RouteLLM',
  licence: 'Apache-2.0 (repository); questions: MMLU MIT, GSM8K MIT, MT-Bench Apache-2.0',
  citation: 'Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", ICLR 2025, arXiv:2406.18665',
  revision: REVISION,
  evaluationOnly: null,
  models: 2,
  prompts: 15_441,
  size: null,
  files: [ARCHIVE],
  row: Row,
  async *rows(context) {
    // The lists that other files need come first, whatever their order in the archive.
    const contaminated = new Set<string>();
    const questions: z.infer<typeof Question>[] = [];
    for await (const { file, bytes, label } of members(context)) {
      if (file.endsWith('/contaminated_prompts.jsonl')) {
        for await (const { value, row } of jsonLines(label, bytes)) {
          contaminated.add(checked(Contaminated, value, label, row).eval_prompt);
        }
      } else if (file === 'mt_bench/question.jsonl') {
        for await (const { value, row } of jsonLines(label, bytes)) {
          questions.push(checked(Question, value, label, row));
        }
      }
    }
    for await (const { file, bytes, label } of members(context)) {
      const subject = /^mmlu\/responses\/mmlu_(\w+)\.csv$/.exec(file)?.[1];
      if (subject !== undefined) yield* answers(label, bytes, `mmlu/${subject}`, contaminated);
      else if (file === 'gsm8k/gsm8k_responses.csv') yield* answers(label, bytes, 'gsm8k', contaminated);
      else if (file === 'mt_bench/judgements.jsonl') yield* marks(label, bytes, questions, contaminated);
    }
  },
};

async function* members(context: MapContext) {
  const path = context.path(ARCHIVE.name);
  for await (const { name, bytes } of tarMembers(path, context.revision)) {
    const file = /^[^/]+\/routellm\/evals\/(.+)$/.exec(name)?.[1];
    if (file !== undefined) yield { file, bytes, label: `${path}!${name}` };
  }
}

async function* answers(
  label: string,
  bytes: Bytes,
  benchmark: string,
  contaminated: ReadonlySet<string>,
): AsyncGenerator<SourceRow> {
  for await (const { value, row } of csvRows(label, bytes, ['prompt'])) {
    const { prompt, ...columns } = checked(Row, value, label, row);
    const names = Object.keys(columns).filter((name) => !name.endsWith('_response'));
    checked(z.array(z.string()).min(1, 'no column of a model beside prompt'), names, label, row);
    yield {
      prompt: promptOf(`${benchmark}/${row - 1}`, benchmark, prompt, contaminated.has(prompt)),
      answers: names.map((name): Answer => {
        const right = checked(Truth, columns[name], `${label}: column ${name}`, row);
        const response = columns[`${name}_response`];
        return {
          ...modelOf(name),
          quality: right ? 1 : 0,
          ...(response !== undefined && { outputChars: response.length }),
        };
      }),
    };
  }
}

/** Both turns of a question are marked, in rows of their own. */
async function* marks(
  label: string,
  bytes: Bytes,
  questions: readonly z.infer<typeof Question>[],
  contaminated: ReadonlySet<string>,
): AsyncGenerator<SourceRow> {
  const scores = new Map<string, Map<number, number[]>>();
  for await (const { value, row } of jsonLines(label, bytes)) {
    const { question_id, model, score } = checked(Judgement, value, label, row);
    const ofModel = scores.get(model) ?? new Map<number, number[]>();
    scores.set(model, ofModel);
    ofModel.set(question_id, [...(ofModel.get(question_id) ?? []), score]);
  }
  for (const { question_id, turns } of questions) {
    const spoilt = turns.some((turn) => contaminated.has(turn));
    const answersOf = [...scores].flatMap(([name, ofModel]): Answer[] => {
      const found = ofModel.get(question_id);
      if (found === undefined) return [];
      const rawScore = found.reduce((a, b) => a + b) / found.length;
      return [{ ...modelOf(name), quality: rawScore / 10, rawScore }];
    });
    // RouteLLM routes on the first turn only.
    yield { prompt: promptOf(`mt_bench/${question_id}`, 'mt_bench', turns[0]!, spoilt), answers: answersOf };
  }
}

const promptOf = (id: string, benchmark: string, text: string, contaminated: boolean): SourceRow['prompt'] => ({
  id: `routellm:${id}`,
  source: 'routellm',
  benchmark,
  text: text.replace(/\nAnswer:\s*$/, ''),
  split: 'test',
  ...(contaminated && { contaminated }),
});

function modelOf(name: string): Pick<Answer, 'modelId' | 'info'> {
  const modelId = modelIdOf(name);
  return { modelId, info: { sourceName: name, ...listPrice(modelId) } };
}
