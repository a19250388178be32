/** Heads learned in worlds whose truth is known: better than means where text tells, no worse where it does not. */
import { describe, expect, test } from 'vitest';
import { normal, type OutcomeTable, seededRandom, selectModels, selectRows } from '../../../datasets/index.ts';
import { predictHeads } from '../../../router/heads/heads.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { failureOf, irtWorld, logLoss, meansOf, promptOf, tableOf, type World } from '../fixtures.ts';

const MODELS = {
  'm/a': { ability: -1, slope: 1 },
  'm/b': { ability: 0, slope: 1 },
  'm/c': { ability: 0.2, slope: 1 },
  'm/d': { ability: 1, slope: 1 },
};
const M = 4;
const TEST = 2000;

/** A world of n training prompts, and 2 000 more of the same. */
function split(n: number, ease: number, seed: number): { train: World; test: World } {
  const world = irtWorld({ n: n + TEST, models: MODELS, ease, seed });
  const d = world.z.length / (n + TEST);
  const part = (from: number, to: number): World => ({
    table: selectRows(
      world.table,
      Array.from({ length: to - from }, (_, i) => from + i),
    ),
    z: world.z.slice(from * d, to * d),
    truth: world.truth.slice(from * M, to * M),
  });
  return { train: part(0, n), test: part(n, n + TEST) };
}

function losses(train: World, test: World, seed = 1) {
  const { heads, r2 } = fitHeads(train.table, train.z, seed);
  const n = test.table.prompts.length;
  return {
    heads: logLoss(test.table.quality, predictHeads(heads, test.z, n).quality),
    means: logLoss(test.table.quality, meansOf(train.table, n)),
    truth: logLoss(test.table.quality, test.truth),
    r2,
  };
}

describe('fitHeads, on prompts it has not seen', () => {
  test.each([100, 400])('comes from the means most of the way to the truth with %i labelled prompts', (n) => {
    const { train, test } = split(n, 1.5, n);
    const loss = losses(train, test);
    expect(loss.means - loss.truth).toBeGreaterThan(0.1);
    expect((loss.means - loss.heads) / (loss.means - loss.truth)).toBeGreaterThan(0.8);
    expect(loss.r2[0]!).toBeGreaterThan(0.2);
  });

  test('is calibrated: of answers given 0.6 to 0.8, about that share is right', () => {
    const { train, test } = split(600, 1.5, 9);
    const { quality } = predictHeads(fitHeads(train.table, train.z, 1).heads, test.z, TEST);
    for (const [low, high] of [
      [0.2, 0.4],
      [0.4, 0.6],
      [0.6, 0.8],
    ] as const) {
      const cells = [...quality.keys()].filter((at) => quality[at]! >= low && quality[at]! < high);
      const mean = (of: ArrayLike<number>) => cells.reduce((s, at) => s + of[at]!, 0) / cells.length;
      expect(cells.length).toBeGreaterThan(300);
      // Three standard errors of a share over 300 cells are 0.09.
      expect(Math.abs(mean(quality) - mean(test.table.quality))).toBeLessThan(0.09);
    }
  });

  test.each([1, 2, 3])('is no worse than the means where labels are pure noise (seed %i)', (seed) => {
    const { train, test } = split(200, 0, 100 + seed);
    const loss = losses(train, test, seed);
    expect(loss.heads).toBeLessThan(loss.means + 0.003);
  });

  test('drops a factor that text predicts worse than its mean does, whole', () => {
    const { train } = split(200, 0, 101);
    const { heads, r2 } = fitHeads(train.table, train.z, 1);
    const dropped = r2.flatMap((r, f) => (r === 0 ? [f] : []));
    expect(dropped.length).toBeGreaterThan(0);
    for (const f of dropped) {
      expect([...heads.factors.weights.slice(f * 6, f * 6 + 6), heads.factors.bias[f]]).toEqual(new Array(7).fill(0));
    }
  });

  test('is no worse than the means where labels are dealt to the wrong prompts', () => {
    const { train, test } = split(300, 1.5, 5);
    const random = seededRandom(1);
    const shifted = selectRows(
      train.table,
      Array.from({ length: 300 }, () => Math.floor(random() * 300)),
    );
    // The same prompts, the outcomes of others.
    const dealt = { ...train, table: { ...shifted, prompts: train.table.prompts } };
    const loss = losses(dealt, test);
    expect(loss.heads).toBeLessThan(loss.means + 0.01);
  });

  test('learns from single answers, one model a prompt', () => {
    const { train, test } = split(1200, 1.5, 6);
    const single = train.table.quality.map((q, at) => (at % M === Math.floor(at / M) % M ? q : Number.NaN));
    const loss = losses({ ...train, table: { ...train.table, quality: single } }, test);
    expect((loss.means - loss.heads) / (loss.means - loss.truth)).toBeGreaterThan(0.8);
  });

  test('is not led astray by prompts that nobody answered', () => {
    const { train, test } = split(1500, 1.5, 7);
    const few = selectRows(
      train.table,
      Array.from({ length: 300 }, (_, i) => i),
    );
    const d = train.z.length / 1500;
    const alone = losses({ ...train, table: few, z: train.z.slice(0, 300 * d) }, test);
    const mostlyEmpty = {
      ...train.table,
      quality: train.table.quality.map((q, at) => (at < 300 * M ? q : Number.NaN)),
    };
    const beside = losses({ ...train, table: mostlyEmpty }, test);
    expect(beside.heads).toBeLessThan(alone.heads + 0.005);
    expect(beside.r2[0]!).toBeGreaterThan(0.7 * alone.r2[0]!);
  });

  test('tells apart models that find different things easy', () => {
    // One is good at what the other is bad at; their means are the same, so only the text can choose.
    const models = { 'm/x': { ability: 0, slope: 1 }, 'm/y': { ability: 0, slope: -1 } };
    const world = irtWorld({ n: 1400, models, ease: 2, seed: 8 });
    const table = selectRows(
      world.table,
      Array.from({ length: 400 }, (_, i) => i),
    );
    const { heads } = fitHeads(table, world.z.slice(0, 400 * 6), 1);
    const { quality } = predictHeads(heads, world.z.slice(400 * 6), 1000);
    let right = 0;
    for (let i = 0; i < 1000; i++) {
      const x = world.truth[(400 + i) * 2]! > world.truth[(400 + i) * 2 + 1]!;
      if (quality[i * 2]! > quality[i * 2 + 1]! === x) right++;
    }
    expect(right).toBeGreaterThan(850);
  });
});

describe('fitHeads', () => {
  const { train } = split(250, 1.2, 11);
  const d = train.z.length / 250;

  test('is the same for the same seed, and leaves its input alone', () => {
    const before = { quality: train.table.quality.slice(), z: train.z.slice() };
    const first = fitHeads(train.table, train.z, 3);
    expect(fitHeads(train.table, train.z, 3)).toEqual(first);
    expect(train.table.quality).toEqual(before.quality);
    expect(train.z).toEqual(before.z);
  });

  test('predicts the same whatever the order of the models', () => {
    const reversed = [...train.table.modelIds].reverse();
    const a = predictHeads(fitHeads(train.table, train.z, 1).heads, train.z, 250);
    const b = predictHeads(fitHeads(selectModels(train.table, reversed), train.z, 1).heads, train.z, 250);
    let worst = 0;
    for (let i = 0; i < 250; i++) {
      for (let j = 0; j < M; j++)
        worst = Math.max(worst, Math.abs(a.quality[i * M + j]! - b.quality[i * M + M - 1 - j]!));
    }
    // Factors after the first start from random loadings given out in column order, so not to the last digit.
    expect(worst).toBeLessThan(0.05);
  });

  test('counts the evidence behind each model', () => {
    const cells = train.table.quality.map((q, at) => (at % M === 2 && at > 10 * M ? Number.NaN : q));
    const { heads } = fitHeads({ ...train.table, quality: cells }, train.z, 1);
    expect([...heads.evidence]).toEqual([250, 250, 10, 250]);
    const sd = predictHeads(heads, train.z, 250).qualitySd;
    const meanSd = (j: number) => Array.from({ length: 250 }, (_, i) => sd[i * M + j]!).reduce((a, b) => a + b) / 250;
    expect(meanSd(2)).toBeGreaterThan(1.5 * meanSd(1));
  });

  test('holds out-of-fold predictions that are forecasts: better than means, no better than the truth', () => {
    const grouped = { ...train.table, prompts: train.table.prompts.map((p, i) => ({ ...p, groupId: `g${i >> 1}` })) };
    const { outOfFold } = fitHeads(grouped, train.z, 1);
    const loss = logLoss(train.table.quality, outOfFold.quality);
    expect(loss).toBeLessThan(logLoss(train.table.quality, meansOf(train.table, 250)) - 0.03);
    expect(loss).toBeGreaterThan(logLoss(train.table.quality, train.truth) - 0.01);
  });

  test('falls to the means far away from everything trained on', () => {
    // One more coordinate on which all training prompts agree, so that there is a direction to be far in.
    const lifted = new Float32Array(250 * (d + 1)).map((_, at) =>
      at % (d + 1) === d ? 4 : train.z[Math.floor(at / (d + 1)) * d + (at % (d + 1))]!,
    );
    const { heads } = fitHeads(train.table, lifted, 1);
    const far = lifted.slice(0, 2 * (d + 1)).map((v, at) => (at % (d + 1) === d ? -v : v));
    const p = predictHeads(heads, far, 2);
    expect([...p.outOfDomain]).toEqual([1, 1]);
    const near = predictHeads(heads, lifted, 250);
    const range = (of: Float32Array, j: number, n: number) => {
      const column = Array.from({ length: n }, (_, i) => of[i * M + j]!);
      return Math.max(...column) - Math.min(...column);
    };
    for (let j = 0; j < M; j++) expect(range(p.logits, j, 2)).toBeCloseTo(0, 9);
    expect(range(near.logits, 1, 250)).toBeGreaterThan(1);
    expect(near.outOfDomain.filter((v) => v > 0).length).toBeLessThanOrEqual(0.1 * 250);
    expect(near.outOfDomain.filter((v) => v > 0.5).length).toBeLessThanOrEqual(0.02 * 250);
  });

  test('calls a prompt harder that fewer models solve', () => {
    const { heads } = fitHeads(train.table, train.z, 1);
    const { difficulty } = predictHeads(heads, train.z, 250);
    const order = [...difficulty.keys()].sort((a, b) => difficulty[a]! - difficulty[b]!);
    const solved = (rows: number[]) =>
      rows.reduce((s, i) => s + train.truth.slice(i * M, i * M + M).reduce((a, b) => a + b), 0) / rows.length;
    expect(solved(order.slice(0, 80))).toBeGreaterThan(solved(order.slice(-80)) + 1);
  });

  const small: [string, OutcomeTable][] = [
    ['one prompt and one model', tableOf(['m/a'], [1])],
    ['one prompt', tableOf(['m/a', 'm/b'], [1, 0])],
    [
      'two prompts of one group',
      tableOf(['m/a'], [1, 0], { prompts: [1, 2].map((i) => promptOf(`p${i}`, { groupId: 'g' })) }),
    ],
    ['one model that never fails', tableOf(['m/a'], [1, 1, 1, 1, 1, 1])],
    ['one model that never succeeds', tableOf(['m/a'], [0, 0, 0, 0, 0, 0])],
    ['a model never tried', tableOf(['m/a', 'm/b'], [1, Number.NaN, 0, Number.NaN, 1, Number.NaN])],
  ];
  test.each(small)('gives finite probabilities on %s', (_, table) => {
    const n = table.prompts.length;
    const random = seededRandom(1);
    const z = Float32Array.from({ length: n * 3 }, () => normal(random));
    const { heads, outOfFold } = fitHeads(table, z, 1);
    const p = predictHeads(heads, Float32Array.from([...z, 5, -5, 0]), n + 1);
    for (const q of [...p.quality, ...outOfFold.quality]) expect(q > 0 && q < 1).toBe(true);
    for (const v of [...p.qualitySd, ...p.outputTokens, ...p.difficulty, ...p.outOfDomain]) {
      expect(Number.isFinite(v)).toBe(true);
    }
  });

  test.each([
    ['no prompt', tableOf(['m/a'], [])],
    ['no outcome', tableOf(['m/a'], [Number.NaN, Number.NaN])],
  ])('refuses a table with %s', async (_, table) => {
    const failure = await failureOf(() => fitHeads(table, new Float32Array(table.prompts.length * 3), 1));
    expect(failure.code).toBe('EMPTY_TABLE');
  });
});
