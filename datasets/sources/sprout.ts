/**
 * SPROUT: thirteen hosted models on some 44 000 prompts, scored by a judge, with token counts.
 *
 * Verified on public code that reads it: the five Parquet files under `data/`, the columns `key`, `dataset`,
 * `dataset_level`, `dataset_idx`, `prompt`, `golden_answer`, and one struct a model with `score`,
 * `num_input_tokens`, `num_output_tokens`, `response`. Not verified: a revision, whether a struct has further fields,
 * whether keys repeat between the splits (ids hold the split, so that it does not matter), a licence.
 */
import { z } from 'zod';
import { parquetRows } from '../formats/parquet.ts';
import { listPrice } from './list-prices.ts';
import { modelIdOf } from './model-id.ts';
import { type Answer, checked, clipped, hubFile, recorded, type Source } from './source.ts';

const FILES = [
  'train-00000-of-00003',
  'train-00001-of-00003',
  'train-00002-of-00003',
  'validation-00000-of-00001',
  'test-00000-of-00001',
].map((name) => hubFile('CARROT-LLM-Routing/SPROUT', null, `data/${name}.parquet`, 'parquet'));

/** The hosts' names → ids; without their prefixes the others speak for themselves. */
const IDS: Record<string, string> = {
  'aws-claude-3-5-sonnet-v1': 'anthropic/claude-3-5-sonnet-20240620',
  'aws-titan-text-premier-v1': 'amazon/titan-text-premier-v1',
  'wxai-llama-3-405b-instruct': 'meta-llama/llama-3.1-405b-instruct',
  'wxai-llama-3-3-70b-instruct': 'meta-llama/llama-3.3-70b-instruct',
  'wxai-llama-3-2-3b-instruct': 'meta-llama/llama-3.2-3b-instruct',
  'wxai-llama-3-2-1b-instruct': 'meta-llama/llama-3.2-1b-instruct',
  'wxai-llama-3-1-70b-instruct': 'meta-llama/llama-3.1-70b-instruct',
  'wxai-llama-3-1-8b-instruct': 'meta-llama/llama-3.1-8b-instruct',
  'wxai-mixtral-8x7b-instruct-v01': 'mistralai/mixtral-8x7b-instruct-v0.1',
  'wxai-granite-3-8b-instruct-8k-max-tokens': 'ibm-granite/granite-3-8b-instruct',
  'wxai-granite-3-2b-instruct-8k-max-tokens': 'ibm-granite/granite-3-2b-instruct',
};
const META = new Set(['key', 'dataset', 'dataset_level', 'dataset_idx', 'prompt', 'golden_answer']);

const Row = z.looseObject({
  key: z.union([z.string(), z.number()]),
  dataset: z.string().min(1),
  prompt: z.string().min(1),
});
const Cell = z.looseObject({
  score: z.number().nullish(),
  num_input_tokens: z.number().nullish(),
  num_output_tokens: z.number().nullish(),
});

export const sprout: Source = {
  name: 'sprout',
  holds: 'thirteen hosted models of 2024 on MMLU-Pro, MATH, GPQA, RAGBench, OpenHermes and others, with token counts',
  notes: [
    'Quality is a judge model’s score in [0, 1], not a check against a key.',
    'Tokens are recorded; costs follow from the list prices in models.json, where one is known.',
    'split is the authors’ own; some RAG prompts are tens of thousands of characters long.',
  ],
  homepage: 'https://huggingface.co/datasets/CARROT-LLM-Routing/SPROUT',
  licence: 'none found: ask the authors before you pass anything on',
  citation: 'Somerstep et al., "CARROT: A Cost Aware Rate Optimal Router", 2025, arXiv:2502.03261',
  revision: null,
  evaluationOnly: null,
  models: 13,
  prompts: 44_000,
  size: '580 MB',
  files: FILES,
  row: Row,
  async *rows({ path, leaveOut }) {
    for (const { name } of FILES) {
      const file = path(name);
      const part = name.slice(0, name.indexOf('-'));
      for await (const { value, row } of parquetRows(file, ['key', 'dataset', 'prompt'])) {
        const { key, dataset, prompt, ...columns } = checked(Row, value, file, row);
        const answers: Answer[] = [];
        for (const [model, cell] of Object.entries(columns)) {
          if (META.has(model) || cell === null || typeof cell !== 'object') continue;
          const { score, num_input_tokens, num_output_tokens } = checked(Cell, cell, `${file}: column ${model}`, row);
          if (score == null || Number.isNaN(score)) {
            leaveOut('no score');
            continue;
          }
          const modelId = IDS[model] ?? modelIdOf(model.replace(/^(aws|openai|wxai)-/, ''));
          answers.push({
            modelId,
            info: { sourceName: model, ...listPrice(modelId) },
            ...clipped(score),
            ...recorded('inputTokens', num_input_tokens),
            ...recorded('outputTokens', num_output_tokens),
          });
        }
        yield {
          prompt: {
            id: `sprout/${part}/${key}`,
            source: 'sprout',
            benchmark: dataset,
            text: prompt,
            split: part === 'train' ? 'train' : part === 'validation' ? 'dev' : 'test',
          },
          answers,
        };
      }
    }
  },
};
