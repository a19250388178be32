/**
 * LiveCodeBench: pass@1 of models on contest problems, from the data behind the site's leader board.
 *
 * Verified on stored copies: `src/mocks/performances_generation.json` at two of the three commits, with `performances`
 * (`question_id`, `model`, `difficulty`, `pass@1` in percent, `platform`) and `models` (`model_name`, `model_repr`,
 * `model_style`); submissions as arrays of `question_id`, `question_content`, `starter_code`. Not verified: the third
 * commit's file beyond its description, and which submissions the pinned archive holds (every `.json` is read for the
 * statements, and for nothing else).
 */
import { z } from 'zod';
import { fileBytes } from '../formats/bytes.ts';
import { jsonArray } from '../formats/json-array.ts';
import { tarMembers } from '../formats/tar.ts';
import type { ModelInfo } from '../schema.ts';
import { listPrice } from './list-prices.ts';
import { modelIdOf } from './model-id.ts';
import { checked, gitArchive, gitFile, type Source } from './source.ts';

const REVISION = '33505c076467ba6e4acaa8fad8a29dcc75ec65ce';
const SUBMISSIONS = gitArchive('LiveCodeBench/submissions', '4d04b02a01c81b0a7207bafdcda35efad9e39b8c');
/** Newest data first for models that stand in several. */
const PERFORMANCES = (
  [
    [REVISION, 'performances_2025-01-15.json'],
    ['83b6481b4890c4951730f53bdde815b25e0f7f3a', 'performances_2025-04-22.json'],
    ['8ed5690cdc26265076a803380e84f5c5848a0ce1', 'performances_2024-04-17.json'],
  ] as const
).map(([commit, name]) =>
  gitFile('LiveCodeBench/livecodebench.github.io', commit, 'src/mocks/performances_generation.json', name, 'json'),
);

/** Names that say less than the site's label of the model. */
const IDS: Record<string, string> = {
  'DeepSeek-V3': 'deepseek/deepseek-v3-1226',
  'O4-Mini (High)': 'openai/o4-mini-2025-04-16-high',
  'O4-Mini (Medium)': 'openai/o4-mini-2025-04-16-medium',
  'O4-Mini (Low)': 'openai/o4-mini-2025-04-16-low',
};

const Problem = z.object({
  question_id: z.union([z.string().min(1), z.number()]).transform(String),
  question_content: z.string().min(1),
  starter_code: z.string().nullish(),
});
const Model = z.object({
  model_name: z.string().min(1),
  model_repr: z.string().min(1),
  model_style: z.string().nullish(),
});
const Row = z.object({
  question_id: z.union([z.string().min(1), z.number()]).transform(String),
  model: z.string().min(1),
  difficulty: z.string().min(1),
  platform: z.string().min(1),
  'pass@1': z.number().min(0).max(100),
});

export const livecodebench: Source = {
  name: 'livecodebench',
  holds: 'pass@1 of dozens of models on up to 880 contest problems of May 2023 to January 2025',
  notes: [
    'Quality is pass@1: the mean over ten samples, one sample for most reasoning models; the site’s own figures.',
    'The models of April 2024 have the oldest 400 problems only, which are easier: compare on those only.',
    'Ids that end in -base are base models. Hidden tokens of reasoning models are not known. Newer problems are harder for older models.',
    'Whoever passes on these outcomes has to name the source and keep the licence; the statements belong to the contest sites.',
  ],
  homepage: 'https://github.com/LiveCodeBench/livecodebench.github.io',
  licence: 'CC-BY-SA-4.0 (outcomes), MIT (problem texts as submitted)',
  citation:
    'Jain et al., "LiveCodeBench: Holistic and Contamination Free Evaluation of Large Language Models for Code", ICLR 2025, arXiv:2403.07974',
  revision: REVISION,
  evaluationOnly: null,
  models: null,
  prompts: 880,
  size: null,
  files: [...PERFORMANCES, SUBMISSIONS],
  row: Row,
  async *rows({ path, leaveOut }) {
    const texts = await statements(path(SUBMISSIONS.name));
    for (const { name } of PERFORMANCES) {
      const file = path(name);
      const models = new Map<string, { modelId: string; info: ModelInfo }>();
      for await (const { value, row } of jsonArray(file, fileBytes(file), 'models')) {
        const model = checked(Model, value, `${file}: models`, row);
        models.set(model.model_repr, modelOf(model));
      }
      for await (const { value, row } of jsonArray(file, fileBytes(file), 'performances')) {
        const { question_id, model, difficulty, platform, 'pass@1': percent } = checked(Row, value, file, row);
        const text = texts.get(question_id);
        const about = models.get(model);
        if (text === undefined) leaveOut('no submission has the problem’s statement');
        else if (about === undefined) leaveOut('a model that the file does not list');
        else {
          yield {
            prompt: {
              id: `livecodebench/${question_id}`,
              source: 'livecodebench',
              benchmark: `livecodebench/${platform}-${difficulty}`,
              text,
            },
            answers: [{ ...about, quality: percent / 100 }],
          };
        }
      }
    }
  },
};

/** Statements by question id, with the starter code where there is one. */
async function statements(path: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for await (const { name, bytes } of tarMembers(path)) {
    if (!/^[^/]+\/[^/]+\/[^/]+\.json$/.test(name)) continue;
    const label = `${path}!${name}`;
    for await (const { value, row } of jsonArray(label, bytes)) {
      const { question_id, question_content, starter_code } = checked(Problem, value, label, row);
      const starter = starter_code?.trim() ? `\n\nStarter code:\n${starter_code.trim()}` : '';
      if (!texts.has(question_id)) texts.set(question_id, question_content.trim() + starter);
    }
  }
  return texts;
}

function modelOf({ model_name, model_repr, model_style }: z.infer<typeof Model>) {
  const base = model_style?.endsWith('Base') ?? false;
  const plain = modelIdOf(model_name.replace('__', '-')).replace(/-(hf|base)$/, '');
  const modelId = IDS[model_repr] ?? (base ? `${plain}-base` : plain);
  return { modelId, info: { sourceName: model_repr, ...listPrice(modelId) } };
}
