/**
 * EmbedLLM: 112 open models on some 36 000 questions, right or wrong.
 *
 * Verified on public code that reads it: `train.csv`, `val.csv` and `test.csv` in the hub repository, with the columns
 * `prompt_id`, `model_id`, `category_id`, `label`, `prompt`, `model_name`, `category`, one row for each (prompt,
 * model). Not verified: the revision (one project pins it), the licence (one project reports Apache-2.0), the exact
 * length of the files. The repository's `.pth` files are pickles and are never fetched.
 */
import { z } from 'zod';
import { fileBytes } from '../formats/bytes.ts';
import { csvRows } from '../formats/csv.ts';
import { modelIdOf } from './model-id.ts';
import { checked, hubFile, type Source } from './source.ts';

const REVISION = '266ae3e180ccb533c86afc9cfb2f5db99d171aea';
const FILES = ['train.csv', 'val.csv', 'test.csv'].map((name) => hubFile('RZ412/EmbedLLM', REVISION, name, 'csv'));

const Row = z.object({
  prompt_id: z.string().min(1),
  prompt: z.string(),
  model_name: z.string().min(1),
  /** Some writers make 1 a 1.0. */
  label: z.enum(['0', '1', '0.0', '1.0', 'False', 'True']).transform((text) => /^(1|True)/.test(text)),
  category: z.string().optional(),
});

export const embedllm: Source = {
  name: 'embedllm',
  holds: '112 open models on MMLU, GPQA, MathQA, LogiQA, MedMCQA, SocialIQA, TruthfulQA, ASDiv, GSM8K and others',
  notes: [
    'Quality is right or wrong as an evaluation harness found it; many models are base models or merges.',
    'No tokens, no costs, no answers. Some questions stand there under several ids.',
  ],
  homepage: 'https://huggingface.co/datasets/RZ412/EmbedLLM',
  licence: 'Apache-2.0 as others report it; not verified',
  citation:
    'Zhuang et al., "EmbedLLM: Learning Compact Representations of Large Language Models", ICLR 2025, arXiv:2410.02223',
  revision: REVISION,
  evaluationOnly: null,
  models: 112,
  prompts: 35_673,
  size: null,
  files: FILES,
  row: Row,
  async *rows({ path, leaveOut }) {
    for (const { name } of FILES) {
      const file = path(name);
      const split = name === 'train.csv' ? 'train' : name === 'val.csv' ? 'dev' : 'test';
      for await (const { value, row } of csvRows(file, fileBytes(file), [
        'prompt_id',
        'prompt',
        'model_name',
        'label',
      ])) {
        const { prompt_id, prompt, model_name, label, category } = checked(Row, value, file, row);
        if (prompt.trim() === '') {
          leaveOut('no question');
          continue;
        }
        yield {
          prompt: {
            id: `embedllm/${prompt_id}`,
            source: 'embedllm',
            benchmark: category || 'embedllm',
            text: prompt,
            split,
          },
          answers: [
            {
              // `owner__name` is how the hub's owner/name is written into file names.
              modelId: modelIdOf(model_name.replace('__', '/')),
              info: { sourceName: model_name },
              quality: label ? 1 : 0,
            },
          ],
        };
      }
    }
  },
};
