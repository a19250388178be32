/**
 * LLMRouterBench: 20 models of about 7B and 13 flagships on more than 21 benchmarks.
 *
 * Verified on the repository's README and on public code that reads the release: one archive, revision and length as
 * several projects pin them, members `bench-release/<dataset>/<split>/<model>/<result>.json`, each an object with an
 * array `records` of `index`, `origin_query`, `prompt`, `score`, `prompt_tokens`, `completion_tokens`, `cost`.
 * Several projects report sha256 b79f8cde1a6f029c2efa663a3a3b6f7748defb22341fe59f328cebef6648c8f1; it could not be
 * verified here and is therefore not enforced. Not verified: the scale of every score (what is beyond [0, 1] is
 * brought back and counted), a licence of the data.
 */
import { z } from 'zod';
import { jsonArray } from '../formats/json-array.ts';
import { tarMembers } from '../formats/tar.ts';
import type { ModelInfo } from '../schema.ts';
import { modelIdOf } from './model-id.ts';
import { type Answer, checked, clipped, hubFile, recorded, type Source } from './source.ts';

const REVISION = '0e5af1b84bf73437a01a1849c0f1d2468baa93fc';
const ARCHIVE = {
  ...hubFile('NPULH/LLMRouterBench', REVISION, 'bench-release.tar.gz', 'tar.gz'),
  bytes: 1_283_503_080,
};

const PRICES_FROM = 'ynulihao/LLMRouterBench:README.md, Performance-Cost Setting';
/** The repository's own price list, USD per million tokens. */
const PRICES: Record<string, readonly [number, number]> = {
  'claude-sonnet-4': [3, 15],
  'gemini-2.5-flash': [0.3, 2.5],
  'gemini-2.5-pro': [1.25, 10],
  'gpt-5-chat': [1.25, 10],
  'gpt-5': [1.25, 10],
  'qwen3-235b-a22b-2507': [0.09, 0.6],
  'qwen3-235b-a22b-thinking-2507': [0.3, 2.9],
  'deepseek-v3-0324': [0.25, 0.88],
  'deepseek-v3.1-terminus': [0.27, 1],
  'deepseek-r1-0528': [0.5, 2.15],
  'glm-4.6': [0.6, 2.2],
  'kimi-k2-0905': [0.5, 2],
  'intern-s1': [0.18, 0.54],
};

const Row = z.object({
  index: z.union([z.number(), z.string().min(1)]),
  origin_query: z.string().nullish(),
  prompt: z.unknown().optional(),
  score: z.union([z.number(), z.boolean().transform(Number)]).nullish(),
  prompt_tokens: z.number().nullish(),
  completion_tokens: z.number().nullish(),
  cost: z.number().nullish(),
});

export const llmrouterbench: Source = {
  name: 'llmrouterbench',
  holds: '20 models of about 7B and 13 flagships on 21+ benchmarks, with tokens, and costs of the flagships',
  notes: [
    'Quality is each benchmark’s own score; HLE, SimpleQA and ArenaHard are judged by a model.',
    'The two pools were asked different benchmarks: compare models only where both have outcomes.',
    'Tokens and costs are what the host billed, hidden reasoning included. A cost of 0 (the 7B models) means unknown.',
    'One benchmark is GPQA, whose authors ask that its questions are not put on the web in plain text.',
  ],
  homepage: 'https://huggingface.co/datasets/NPULH/LLMRouterBench',
  licence: 'none stated for the data (code: MIT)',
  citation:
    'Li et al., "LLMRouterBench: A Massive Benchmark and Unified Framework for LLM Routing", 2026, arXiv:2601.07206',
  revision: REVISION,
  evaluationOnly: null,
  models: 33,
  prompts: 24_000,
  size: '1.28 GB',
  files: [ARCHIVE],
  row: Row,
  async *rows({ path, leaveOut }) {
    const file = path(ARCHIVE.name);
    for await (const { name, bytes } of tarMembers(file)) {
      const [, dataset, split, model] = /^[^/]+\/([^/]+)\/(?:([^/]+)\/)?([^/]+)\/[^/]+\.json$/.exec(name) ?? [];
      if (dataset === undefined || model === undefined) continue;
      const label = `${file}!${name}`;
      const about = modelOf(model);
      for await (const { value, row } of jsonArray(label, bytes, 'records')) {
        const record = checked(Row, value, label, row);
        const text = record.origin_query || (typeof record.prompt === 'string' ? record.prompt : '');
        if (text.trim() === '') leaveOut('no question');
        else if (record.score == null) leaveOut('no score');
        else {
          const answer: Answer = {
            ...about,
            ...clipped(record.score),
            ...recorded('inputTokens', record.prompt_tokens),
            ...recorded('outputTokens', record.completion_tokens),
            ...recorded('costUsd', record.cost),
          };
          yield {
            prompt: {
              id: `llmrouterbench/${dataset}/${split === undefined ? '' : `${split}/`}${record.index}`,
              source: 'llmrouterbench',
              benchmark: dataset,
              text,
            },
            answers: [answer],
          };
        }
      }
    }
  },
};

function modelOf(name: string): { modelId: string; info: ModelInfo } {
  const [inputUsdPerMTok, outputUsdPerMTok] = PRICES[name.toLowerCase()] ?? [];
  return {
    modelId: modelIdOf(name),
    info: {
      sourceName: name,
      ...(inputUsdPerMTok !== undefined && {
        inputUsdPerMTok,
        outputUsdPerMTok,
        priceFrom: PRICES_FROM,
        hiddenReasoning: false,
      }),
    },
  };
}
