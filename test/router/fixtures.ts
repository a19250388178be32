/** Made-up worlds whose truth is known: texts of a few kinds, tables of outcomes, candidates, a small encoder. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import {
  type Dataset,
  normal,
  type OutcomeTable,
  type Prompt,
  type Random,
  seededRandom,
} from '../../datasets/index.ts';
import { ngramGraph, openNgramEncoder } from '../../router/encoder/ngram/ngram.ts';
import type { Candidate } from '../../router/index.ts';
import type { RequestFacts } from '../../router/request.ts';
import { fitNgramEncoder } from '../../router/training/ngram-encoder.ts';
import { trainWordVectors } from '../../router/training/word-vectors.ts';

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const promptOf = (id: string, more: Partial<Prompt> = {}): Prompt => ({
  id,
  source: 'made-up',
  benchmark: 'made-up',
  text: `question ${id}`,
  groupId: id,
  ...more,
});

/** A table straight from its cells, row-major, NaN where missing. */
export function tableOf(
  modelIds: readonly string[],
  quality: ArrayLike<number>,
  more: { prompts?: readonly Prompt[]; outputTokens?: ArrayLike<number> } = {},
): OutcomeTable {
  const n = quality.length / modelIds.length;
  return {
    name: 'made-up',
    prompts: more.prompts ?? Array.from({ length: n }, (_, i) => promptOf(`p${i}`)),
    modelIds,
    models: {},
    quality: Float32Array.from(quality),
    outputTokens: more.outputTokens
      ? Float32Array.from(more.outputTokens)
      : new Float32Array(quality.length).fill(Number.NaN),
    costUsd: new Float64Array(quality.length).fill(Number.NaN),
    tokensRecorded: more.outputTokens !== undefined,
  };
}

export interface World {
  readonly table: OutcomeTable;
  /** n × d. */
  readonly z: Float32Array;
  /** n × m, the true probability of success. */
  readonly truth: Float64Array;
}

/** Outcomes drawn from logit p = ability + slope · (ease of the prompt), where ease is a direction of z. */
export function irtWorld(options: {
  n: number;
  d?: number;
  models: Readonly<Record<string, { ability: number; slope: number }>>;
  /** Standard deviation of ease; 0: text tells nothing. */
  ease: number;
  seed: number;
  /** Direction of ease among the d coordinates; default: the first. */
  coordinate?: number;
}): World {
  const { n, d = 6, models, ease, seed, coordinate = 0 } = options;
  const random = seededRandom(seed);
  const z = Float32Array.from({ length: n * d }, () => normal(random));
  const ids = Object.keys(models);
  const truth = Float64Array.from({ length: n * ids.length }, (_, at) => {
    const { ability, slope } = models[ids[at % ids.length]!]!;
    return sigmoid(ability + slope * ease * z[Math.floor(at / ids.length) * d + coordinate]!);
  });
  return {
    table: tableOf(
      ids,
      truth.map((p) => (random() < p ? 1 : 0)),
    ),
    z,
    truth,
  };
}

/** Mean −log p of outcomes in [0, 1], missing cells left out. */
export function logLoss(quality: ArrayLike<number>, predicted: ArrayLike<number>): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < quality.length; i++) {
    const q = quality[i]!;
    if (Number.isNaN(q)) continue;
    const p = Math.min(1 - 1e-6, Math.max(1e-6, predicted[i]!));
    sum -= q * Math.log(p) + (1 - q) * Math.log(1 - p);
    count++;
  }
  return sum / count;
}

/** Predictions that repeat each model's mean, n times. */
export function meansOf(table: OutcomeTable, n: number): Float64Array {
  const m = table.modelIds.length;
  const means = table.modelIds.map((_, j) => {
    const column = table.quality.filter((q, at) => at % m === j && !Number.isNaN(q));
    return column.reduce((a, b) => a + b, 0) / column.length;
  });
  return Float64Array.from({ length: n * m }, (_, at) => means[at % m]!);
}

const KINDS: readonly ((random: Random) => string)[] = [
  (r) => `What is ${int(r, 1, 99)} plus ${int(r, 1, 99)}? Answer with the number only.`,
  (r) => `Multiply ${int(r, 1000, 99999)} by ${int(r, 1000, 99999)} and give every digit of the product.`,
  (r) => `Name the capital of the country called ${pick(r, PLACES)} and one river in it.`,
  (r) => `Write a Python function that returns the ${pick(r, THINGS)} of a list.\n\ndef solve(xs):\n    return ...`,
  (r) => `Let $x^2 + ${int(r, 2, 9)}x = ${int(r, 10, 90)}$. Prove which of these is true: (A) x > 0 (B) x is prime.`,
];
const PLACES = ['Freedonia', 'Sylvania', 'Ruritania', 'Graustark', 'Zubrowka', 'Genovia'];
const THINGS = ['median', 'largest element', 'second smallest element', 'sum of squares', 'longest run', 'mode'];
const int = (r: Random, low: number, high: number): number => low + Math.floor(r() * (high - low + 1));
const pick = <T>(r: Random, items: readonly T[]): T => items[Math.floor(r() * items.length)]!;

/** Texts of five kinds in turn; `i % 5` tells the kind. */
export function generatedTexts(n: number, seed: number): string[] {
  const random = seededRandom(seed);
  return Array.from({ length: n }, (_, i) => KINDS[i % KINDS.length]!(random));
}

/** A dataset over generated texts: models of made-up skill, each kind of text harder than the one before. */
export function generatedDataset(
  n: number,
  seed: number,
  modelIds = ['local/weak', 'local/middling', 'local/strong'],
): Dataset {
  const random = seededRandom(seed + 1);
  const texts = generatedTexts(n, seed);
  const prompts = texts.map((text, i) => promptOf(`p${i}`, { text, groupId: `g${Math.floor(i / 2)}` }));
  return {
    name: 'made-up',
    prompts,
    outcomes: prompts.flatMap(({ id }, i) =>
      modelIds.map((modelId, j) => ({
        promptId: id,
        modelId,
        quality: random() < sigmoid(2 + 1.2 * j - 1.2 * (i % KINDS.length)) ? 1 : 0,
        outputTokens: Math.round(20 * (1 + (i % KINDS.length)) * (1 + j)),
      })),
    ),
    models: Object.fromEntries(
      modelIds.map((id, j) => [id, { inputUsdPerMTok: 0.1 * 10 ** j, outputUsdPerMTok: 0.4 * 10 ** j }]),
    ),
  };
}

/** A small encoder fitted on generated texts. */
export async function smallEncoder(
  options: { texts?: number; directions?: number; seed?: number; vectors?: boolean } = {},
) {
  const texts = generatedTexts(options.texts ?? 200, 11);
  const vectors = options.vectors
    ? await trainWordVectors(
        async function* () {
          yield* texts;
        },
        { seed: 1, dimension: 6 },
      )
    : undefined;
  const weights = fitNgramEncoder(texts, {
    seed: options.seed ?? 1,
    directions: options.directions ?? 8,
    ...(vectors && { vectors }),
  });
  const model = ngramGraph(weights);
  return { weights, model, encoder: await openNgramEncoder(model) };
}

export const candidateOf = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  inputUsdPerMTok: 1,
  outputUsdPerMTok: 4,
  contextTokens: 100_000,
  inputModalities: ['text'],
  tools: true,
  structuredOutput: true,
  reasoning: false,
  ...more,
});

export const factsOf = (more: Partial<RequestFacts> = {}): RequestFacts => ({
  inputTokens: 1000,
  images: 0,
  audio: 0,
  tools: 0,
  responseSchema: false,
  turns: 1,
  chars: 4000,
  ...more,
});

const made: string[] = [];

afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** A fresh folder, removed after the test. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'pointsman-router-'));
  made.push(dir);
  return dir;
}

/** What a promise or a function fails with. */
export async function failureOf(work: () => unknown): Promise<{ code?: string; message: string }> {
  try {
    await work();
  } catch (error) {
    return error as { code?: string; message: string };
  }
  throw new Error('expected it to fail, nothing was thrown');
}
