/** The shipped tolerance: as loose as still keeps 98 % of the best model's quality, measured on prompts not trained on. */
import { describe, expect, test } from 'vitest';
import type { OutcomeTable } from '../../../datasets/index.ts';
import type { HeadPredictions } from '../../../router/heads/heads.ts';
import { chooseTolerance } from '../../../router/training/choose-tolerance.ts';
import { promptOf, tableOf } from '../fixtures.ts';

const IDS = ['m/cheap', 'm/dear'];
const PRICES = {
  'm/cheap': { inputUsdPerMTok: 1, outputUsdPerMTok: 1 },
  'm/dear': { inputUsdPerMTok: 10, outputUsdPerMTok: 10 },
};

/** 100 prompts: on the first `lost` the cheap one fails, the dear one never; what is predicted for both on each. */
function outcomes(lost: number, predicted: (i: number) => [number, number], source = 'one') {
  const prompts = Array.from({ length: 100 }, (_, i) => promptOf(`${source}${i}`, { source, text: 'x'.repeat(400) }));
  const quality = Array.from({ length: 100 }, (_, i) => [i < lost ? 0 : 1, 1]).flat();
  const said = Float32Array.from(Array.from({ length: 100 }, (_, i) => predicted(i)).flat());
  return { table: { ...tableOf(IDS, quality, { prompts }), models: PRICES }, predicted: predictions(said) };
}

const predictions = (quality: Float32Array): HeadPredictions => ({
  quality,
  logits: quality,
  qualitySd: quality,
  outputTokens: new Float32Array(quality.length).fill(100),
  difficulty: new Float32Array(quality.length / 2),
  outOfDomain: new Float32Array(quality.length / 2),
});

const choose = ({ table, predicted }: { table: OutcomeTable; predicted: HeadPredictions }) =>
  chooseTolerance(table, predicted, table);

describe('chooseTolerance', () => {
  test('takes all the grid allows where the cheap one is as good', () => {
    const { tolerance, evidence } = choose(outcomes(2, () => [0.8, 0.9]));
    // 98 of 100 kept at any tolerance of 0.1 or more: exactly 98 %.
    expect(tolerance).toBe(0.25);
    expect(evidence.perSource[0]).toMatchObject({ source: 'one', prompts: 100, reference: 'm/dear' });
    // A tenth of the price, the same tokens: at tolerance 0 the dear one, at 0.25 the cheap one.
    expect(evidence.perSource[0]!.grid[0]).toEqual({ tolerance: 0, quality: 1, cost: 1 });
    expect(evidence.perSource[0]!.grid.at(-1)).toEqual({ tolerance: 0.25, quality: 0.98, cost: 0.1 });
  });

  test('stops short of the gap at which too much is lost', () => {
    // Predicted 0.06 apart: a tolerance of 0.075 takes the cheap one everywhere and loses 10 %.
    expect(choose(outcomes(10, () => [0.84, 0.9])).tolerance).toBe(0.05);
  });

  test('goes by prompt: what is predicted to be lost is not risked', () => {
    // The ten it fails on are predicted so, 0.2 apart; elsewhere 0.04.
    expect(choose(outcomes(10, (i) => (i < 10 ? [0.7, 0.9] : [0.86, 0.9]))).tolerance).toBe(0.15);
  });

  test('averages over sources, the small one as much as the large', () => {
    const safe = outcomes(0, () => [0.8, 0.9], 'safe');
    const risky = outcomes(3, () => [0.8, 0.9], 'risky');
    const table = {
      ...safe.table,
      prompts: [...safe.table.prompts, ...risky.table.prompts],
      quality: Float32Array.from([...safe.table.quality, ...risky.table.quality]),
    };
    const predicted = predictions(Float32Array.from([...safe.predicted.quality, ...risky.predicted.quality]));
    // (1 + 0.97) / 2 = 0.985, though the risky one alone would stop at 0.075.
    expect(choose({ table, predicted }).tolerance).toBe(0.25);
    expect(choose(risky).tolerance).toBe(0.075);
  });

  test('is cautious where nothing can be measured: no prices, or too few prompts', () => {
    const { table, predicted } = outcomes(0, () => [0.8, 0.9]);
    expect(choose({ table: { ...table, models: {} }, predicted })).toEqual({
      tolerance: 0.02,
      evidence: { keep: 0.98, perSource: [] },
    });
    const few = { ...table, prompts: table.prompts.slice(0, 19), quality: table.quality.slice(0, 38) };
    expect(chooseTolerance(few, predicted, table).tolerance).toBe(0.02);
  });

  test('picks the reference by the training part, not by what it is judged on', () => {
    const { table, predicted } = outcomes(0, () => [0.8, 0.9]);
    const training = { ...table, quality: table.quality.map((_, at) => (at % 2 === 0 ? 1 : 0.5)) };
    expect(chooseTolerance(table, predicted, training).evidence.perSource[0]!.reference).toBe('m/cheap');
  });
});
