/** Shrinkage learned from the models themselves: alike ones are pulled together, different ones are let be. */
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { fitRows, type RowPrior } from '../../../router/training/fit-rows.ts';
import { sigmoid } from '../fixtures.ts';

const prior = (w: number): RowPrior => ({
  centre: Float64Array.from({ length: w }, (_, a) => (a === 1 ? 1 : 0)),
  learnCentre: [0, 1],
  spread: new Float64Array(w).fill(0.5),
  strength: 2,
});

/** Answers of m models with these intercepts and slopes on one input. */
function answers(n: number, models: readonly (readonly [number, number])[], seed: number) {
  const m = models.length;
  const random = seededRandom(seed);
  const x = Float64Array.from({ length: n * 2 }, (_, at) => (at % 2 === 0 ? 1 : normal(random)));
  const quality = Float32Array.from({ length: n * m }, (_, at) => {
    const [b, s] = models[at % m]!;
    return random() < sigmoid(b + s * x[Math.floor(at / m) * 2 + 1]!) ? 1 : 0;
  });
  return { x, quality, m };
}

const column = (rows: Float64Array, w: number, a: number): number[] =>
  Array.from({ length: rows.length / w }, (_, j) => rows[j * w + a]!);
const spreadOf = (values: readonly number[]): number => {
  const mean = values.reduce((s, v) => s + v, 0) / values.length;
  return Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length);
};

describe('fitRows', () => {
  test('finds intercepts and slopes where there is evidence enough', () => {
    const models = [
      [-1, 0.5],
      [0, 1],
      [1, 1.5],
    ] as const;
    const { x, quality, m } = answers(4000, models, 1);
    const { rows } = fitRows(x, 2, quality, 4000, m, prior(2));
    models.forEach(([b, s], j) => {
      expect(Math.abs(rows[j * 2]! - b)).toBeLessThan(0.15);
      expect(Math.abs(rows[j * 2 + 1]! - s)).toBeLessThan(0.15);
    });
  });

  test('pulls models that are alike closer together than their answers say, and different ones hardly', () => {
    const n = 60;
    const alike = Array.from({ length: 12 }, () => [0.5, 1] as const);
    const different = alike.map((_, j) => [-3 + j * 0.55, 1] as const);
    const spreads = [alike, different].map((models) => {
      const { x, quality, m } = answers(n, models, 2);
      const fitted = fitRows(x, 2, quality, n, m, prior(2));
      // The same with no pull to speak of, as a yardstick.
      const loose = { ...prior(2), learnCentre: [], spread: new Float64Array(2).fill(10), strength: 1e6 };
      const free = fitRows(x, 2, quality, n, m, loose);
      return {
        share: spreadOf(column(fitted.rows, 2, 0)) / spreadOf(column(free.rows, 2, 0)),
        prior: fitted.spread[0]!,
      };
    });
    expect(spreads[0]!.share).toBeLessThan(0.6);
    expect(spreads[1]!.share).toBeGreaterThan(0.75);
    expect(spreads[1]!.prior).toBeGreaterThan(3 * spreads[0]!.prior);
  });

  test('finds how much models differ even from few answers each, counting what it is unsure of', () => {
    // Sixty intercepts of standard deviation 1, fifteen answers each; without the uncertainty the estimate collapses.
    const spreads = [1, 2, 3].map((seed) => {
      const random = seededRandom(seed);
      const b = Array.from({ length: 60 }, () => normal(random));
      const quality = Float32Array.from({ length: 15 * 60 }, (_, at) => (random() < sigmoid(b[at % 60]!) ? 1 : 0));
      const ones = new Float64Array(15).fill(1);
      return fitRows(ones, 1, quality, 15, 60, { ...prior(1), learnCentre: [0] }).spread[0]!;
    });
    const mean = spreads.reduce((x, y) => x + y) / 3;
    expect(mean).toBeGreaterThan(0.75);
    expect(mean).toBeLessThan(1.25);
  });

  test('gives a model without answers what the others have in common, and is unsure of it', () => {
    const { x, quality, m } = answers(
      500,
      [
        [1, 1],
        [1.2, 1.1],
        [0.9, 0.9],
        [0, 0],
      ],
      3,
    );
    const hidden = quality.map((q, at) => (at % m === 3 ? Number.NaN : q));
    const { rows, covariance, centre } = fitRows(x, 2, hidden, 500, m, prior(2));
    expect(rows[6]).toBeCloseTo(centre[0]!, 1);
    expect(rows[7]).toBeCloseTo(centre[1]!, 1);
    expect(rows[6]!).toBeGreaterThan(0.6);
    for (let j = 0; j < 3; j++) expect(covariance[3 * 4]!).toBeGreaterThan(2 * covariance[j * 4]!);
  });

  test('is surer the more it has seen', () => {
    const variances = [50, 200, 800].map((n) => {
      const { x, quality, m } = answers(
        n,
        [
          [0, 1],
          [0, 1],
        ],
        4,
      );
      return fitRows(x, 2, quality, n, m, prior(2)).covariance[0]!;
    });
    expect(variances[0]!).toBeGreaterThan(variances[1]!);
    expect(variances[1]!).toBeGreaterThan(variances[2]!);
    // Fisher information of n answers is at most n / 4.
    expect(variances[2]!).toBeGreaterThan(4 / 800 / 2);
  });

  test('corrects what an offset says, and leaves a right one alone', () => {
    const models = [
      [1, 1],
      [-1, 1],
    ] as const;
    const { x, quality, m } = answers(3000, models, 5);
    const said = Float32Array.from({ length: 3000 * m }, (_, at) => {
      const [b, s] = models[at % m]!;
      return b + s * x[Math.floor(at / m) * 2 + 1]!;
    });
    const zero: RowPrior = { ...prior(2), centre: new Float64Array(2) };
    const right = fitRows(x, 2, quality, 3000, m, zero, { offset: said });
    expect(Math.max(...right.rows.map(Math.abs))).toBeLessThan(0.15);
    const wrong = fitRows(x, 2, quality, 3000, m, zero, { offset: said.map((l) => l + 0.7) });
    for (let j = 0; j < m; j++) expect(Math.abs(wrong.rows[j * 2]! + 0.7)).toBeLessThan(0.15);
  });

  test('reads a share of success as that many of ten answers', () => {
    const shares = fitRows(Float64Array.of(1), 1, Float32Array.of(0.5), 1, 1, { ...prior(1), learnCentre: [] });
    expect(shares.rows[0]).toBeCloseTo(0, 9);
    // Repeating each row ten times or spelling its share out as ten answers is one likelihood.
    const x10 = new Float64Array(10).fill(1);
    const share = fitRows(x10, 1, new Float32Array(10).fill(0.3), 10, 1, prior(1));
    const spelled = fitRows(x10, 1, Float32Array.of(1, 1, 1, 0, 0, 0, 0, 0, 0, 0), 10, 1, prior(1));
    expect(share.rows[0]).toBeCloseTo(spelled.rows[0]!, 5);
  });

  test('stays finite on answers that an input separates perfectly', () => {
    const x = Float64Array.from({ length: 400 }, (_, at) => (at % 2 === 0 ? 1 : at < 200 ? -50 : 50));
    const quality = Float32Array.from({ length: 200 }, (_, i) => (i < 100 ? 0 : 1));
    const { rows, covariance } = fitRows(x, 2, quality, 200, 1, prior(2));
    expect([...rows, ...covariance].every(Number.isFinite)).toBe(true);
    expect(rows[1]!).toBeGreaterThan(0);
  });

  test('takes inputs of its own for each model', () => {
    const { x, quality, m } = answers(
      2000,
      [
        [0, 1],
        [0, 1],
      ],
      6,
    );
    const flipped = x.map((v, at) => (at % 2 === 1 ? -v : v));
    const { rows } = fitRows((j) => (j === 0 ? x : flipped), 2, quality, 2000, m, { ...prior(2), learnCentre: [] });
    expect(rows[1]!).toBeGreaterThan(0.8);
    expect(rows[3]!).toBeLessThan(-0.6);
  });
});
