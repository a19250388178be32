/** Worlds to replay whose truth is known: the length of a prompt says how hard it is. */
import {
  type Dataset,
  deriveSeed,
  type Outcome,
  outcomeTable,
  type Prompt,
  seededRandom,
} from '../../../datasets/index.ts';
import { realisedCosts } from '../../../eval/costs.ts';
import { type Part, partOf } from '../../../eval/part.ts';
import { REPLAY_DEFAULTS, type ReplayOptions } from '../../../eval/replay/options.ts';
import type { ReplaySource } from '../../../eval/replay/replay.ts';
import type { Encoder } from '../../../router/encoder/encoder.ts';
import type { Heads } from '../../../router/heads/heads.ts';

export const CHEAP = 'a/cheap';
export const DEAR = 'b/dear';
const LONG = 400;

export const isLong = (prompt: Pick<Prompt, 'text'>): boolean => prompt.text.length >= LONG;

/** The cheap model solves nine short prompts in ten and one long one; the dear one nine of either, at twenty times the price. */
export function lengthWorld(n = 600, seed = 1): Dataset {
  const random = seededRandom(deriveSeed(seed, 'length-world'));
  const prompts: Prompt[] = [];
  const outcomes: Outcome[] = [];
  for (let i = 0; i < n; i++) {
    const long = random() < 0.5;
    prompts.push({
      id: `p${i}`,
      source: 'world',
      benchmark: 'world',
      text: 'x'.repeat(long ? LONG : 40),
      groupId: `g${i}`,
    });
    const answers = (modelId: string, share: number) =>
      outcomes.push({ promptId: `p${i}`, modelId, quality: random() < share ? 1 : 0, outputTokens: 100 });
    answers(CHEAP, long ? 0.1 : 0.9);
    answers(DEAR, 0.9);
  }
  return {
    name: 'length-world',
    prompts,
    outcomes,
    models: {
      [CHEAP]: { inputUsdPerMTok: 1, outputUsdPerMTok: 1 },
      [DEAR]: { inputUsdPerMTok: 20, outputUsdPerMTok: 20 },
    },
  };
}

/** Reads the length and nothing else. */
const encoder: Encoder = {
  id: 'length',
  dimension: 2,
  encode: async (texts) => Float32Array.from(texts.flatMap((t) => [t.length >= LONG ? 1 : -1, 0.1])),
};

export const source = (seen: (groupId: string) => boolean = () => false): ReplaySource => ({
  hash: 'fake',
  encoder,
  heads: { domain: { centres: new Float64Array(2) } } as unknown as Heads,
  seen: ({ groupId }) => seen(groupId),
});

/** Small and quick; λ such that a dear call (about 0.003 USD) is worth 0.2 of quality. */
export const options = (more: Partial<ReplayOptions> = {}): ReplayOptions => ({
  ...REPLAY_DEFAULTS,
  seeds: 3,
  retrainEvery: 50,
  replicates: 40,
  qualityPerUsd: 60,
  ...more,
});

export function partFrom(dataset: Dataset): Part {
  const table = outcomeTable(dataset);
  return partOf(table, realisedCosts(table, dataset));
}

/** A table by hand: rows of [quality, USD] by model, prompts of so many characters. */
export function byHand(
  cells: readonly (readonly [quality: number, costUsd: number] | null)[][],
  {
    chars = 400,
    outputTokens = 50,
    inputUsdPerMTok = [1, 10],
  }: {
    chars?: number;
    outputTokens?: number;
    inputUsdPerMTok?: readonly number[];
  } = {},
): Part {
  const ids = cells[0]!.map((_, j) => `m/${j}`);
  return partFrom({
    name: 'by hand',
    prompts: cells.map((_, i) => ({
      id: `p${i}`,
      source: 's',
      benchmark: 'b',
      text: 'x'.repeat(chars),
      groupId: `g${i}`,
    })),
    outcomes: cells.flatMap((row, i) =>
      row.flatMap((cell, j) =>
        cell === null
          ? []
          : [{ promptId: `p${i}`, modelId: ids[j]!, quality: cell[0], costUsd: cell[1], outputTokens }],
      ),
    ),
    models: Object.fromEntries(ids.map((id, j) => [id, { inputUsdPerMTok: inputUsdPerMTok[j]!, outputUsdPerMTok: 1 }])),
  });
}
