/** What outcomes alone say of prompts and models: simulated abilities and ease come back in order. */
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { fitItemFactors } from '../../../router/training/item-factors.ts';
import { sigmoid } from '../fixtures.ts';

const N = 600;
const ABILITIES = [-1.5, -0.5, 0.3, 1.2, 2];
const M = ABILITIES.length;
const random = seededRandom(3);
const ease = Float64Array.from({ length: N }, () => 1.5 * normal(random));
const quality = Float32Array.from({ length: N * M }, (_, at) =>
  random() < sigmoid(ABILITIES[at % M]! + ease[Math.floor(at / M)]!) ? 1 : 0,
);

const intercepts = (rows: Float64Array, k: number): number[] =>
  Array.from({ length: rows.length / (k + 1) }, (_, j) => rows[j * (k + 1)]!);

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  const mean = (v: ArrayLike<number>) => Array.from(v).reduce((s, x) => s + x, 0) / n;
  const [ma, mb] = [mean(a), mean(b)];
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < n; i++) {
    ab += (a[i]! - ma) * (b[i]! - mb);
    aa += (a[i]! - ma) ** 2;
    bb += (b[i]! - mb) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

describe('fitItemFactors', () => {
  test('puts models in the order of their ability, and prompts in that of their ease', () => {
    const { scores, rows } = fitItemFactors(quality, N, M, { factors: 1, seed: 1 });
    const found = intercepts(rows, 1);
    expect([...found].sort((a, b) => a - b)).toEqual(found);
    // Five answers of 0 or 1 tell ease no better than this; more answers tell more, below.
    expect(correlation(scores, ease)).toBeGreaterThan(0.75);
    for (let j = 0; j < M; j++) expect(rows[j * 2 + 1]!).toBeGreaterThan(0.5);
  });

  test('keeps scores near unit variance: slopes and scores do not trade scale without end', () => {
    const m = 20;
    const cells = Float32Array.from({ length: N * m }, (_, at) =>
      random() < sigmoid((3 * (at % m)) / m - 1.5 + ease[Math.floor(at / m)]!) ? 1 : 0,
    );
    const { scores, rows } = fitItemFactors(cells, N, m, { factors: 1, seed: 1 });
    const mean = scores.reduce((a, b) => a + b) / N;
    const sd = Math.sqrt(scores.reduce((s, v) => s + (v - mean) ** 2, 0) / N);
    expect(sd).toBeGreaterThan(0.7);
    expect(sd).toBeLessThan(1.1);
    // Ease has a standard deviation of 1.5 logits, whatever way it is shared out.
    const slope = Array.from({ length: m }, (_, j) => rows[j * 2 + 1]!).reduce((a, b) => a + b) / m;
    expect(Math.abs(slope * sd - 1.5)).toBeLessThan(0.3);
    expect(correlation(scores, ease)).toBeGreaterThan(0.9);
  });

  test('calls a prompt that nobody solves hard, one that all solve easy, and one without answers neither', () => {
    const cells = quality.slice();
    cells.fill(0, 0, M);
    cells.fill(1, M, 2 * M);
    cells.fill(Number.NaN, 2 * M, 3 * M);
    const { scores } = fitItemFactors(cells, N, M, { factors: 1, seed: 1 });
    expect(scores[0]).toBe(Math.min(...scores));
    expect(scores[1]).toBe(Math.max(...scores));
    expect(scores[2]).toBe(0);
  });

  test('finds the same order with most cells missing, even where the weak got only the easy ones', () => {
    const thin = quality.map((q, at) => {
      const [i, j] = [Math.floor(at / M), at % M];
      const asked = j < 2 ? ease[i]! > 0 : true;
      return asked && random() < 0.6 ? q : Number.NaN;
    });
    const found = intercepts(fitItemFactors(thin, N, M, { factors: 1, seed: 1 }).rows, 1);
    expect([...found].sort((a, b) => a - b)).toEqual(found);
    // On their own prompts the weak one looks better than it is: plain means would put 0.3 below it or near it.
    const mean = (j: number) => {
      const column = thin.filter((q, at) => at % M === j && !Number.isNaN(q));
      return column.reduce((a, b) => a + b, 0) / column.length;
    };
    expect(mean(1)).toBeGreaterThan(mean(2) - 0.05);
    expect(found[2]! - found[1]!).toBeGreaterThan(0.3);
  });

  test('scores only what an offset has not explained already', () => {
    const offset = Float32Array.from({ length: N * M }, (_, at) => ABILITIES[at % M]! + ease[Math.floor(at / M)]!);
    const rest = fitItemFactors(quality, N, M, { factors: 1, seed: 1, offset });
    // Above 0.75 without it.
    expect(Math.abs(correlation(rest.scores, ease))).toBeLessThan(0.35);
  });

  test('sees that two groups of models differ in what they find easy', () => {
    // Models 0-2 find easy what 3-5 find hard, beside what is easy for all.
    const m = 6;
    const n = 800;
    const taste = Float64Array.from({ length: n }, () => 2 * normal(random));
    const cells = Float32Array.from({ length: n * m }, (_, at) =>
      random() < sigmoid((at % m < 3 ? 1 : -1) * taste[Math.floor(at / m)]!) ? 1 : 0,
    );
    const { rows, scores } = fitItemFactors(cells, n, m, { factors: 2, seed: 1 });
    const second = Array.from({ length: m }, (_, j) => rows[j * 3 + 2]!);
    const first = Array.from({ length: n }, (_, i) => scores[i * 2]!);
    const other = Array.from({ length: n }, (_, i) => scores[i * 2 + 1]!);
    const tells = Math.max(Math.abs(correlation(first, taste)), Math.abs(correlation(other, taste)));
    expect(tells).toBeGreaterThan(0.75);
    // The sides stand apart on the second factor, by its sign.
    expect(Math.sign(second[0]!)).toBe(-Math.sign(second[3]!));
    expect(new Set(second.slice(0, 3).map(Math.sign)).size).toBe(1);
    expect(new Set(second.slice(3).map(Math.sign)).size).toBe(1);
  });

  test('is the same for the same seed and does not touch its input', () => {
    const before = quality.slice();
    const a = fitItemFactors(quality, N, M, { factors: 3, seed: 5 });
    expect(fitItemFactors(quality, N, M, { factors: 3, seed: 5 })).toEqual(a);
    expect(quality).toEqual(before);
  });

  test.each([
    ['one prompt, one model', 1, 1, [1]],
    ['nothing but successes', 3, 2, [1, 1, 1, 1, 1, 1]],
    ['nothing but missing cells', 2, 2, [Number.NaN, Number.NaN, Number.NaN, Number.NaN]],
    ['shares of success', 2, 2, [0.25, 0.5, 0.75, 1]],
  ])('stays finite on %s', (_, n, m, cells) => {
    const { scores, rows } = fitItemFactors(Float32Array.from(cells), n, m, { factors: Math.min(2, m), seed: 1 });
    expect([...scores, ...rows].every(Number.isFinite)).toBe(true);
  });
});
