/** How long answers get: right on average, by model and by prompt, and a plain constant where nothing is known. */
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { tokensOf } from '../../../router/heads/heads.ts';
import { DEFAULT_OUTPUT_TOKENS, fitTokenHead } from '../../../router/training/fit-tokens.ts';

const N = 500;
const D = 4;
const M = 3;
const random = seededRandom(8);
const z = Float32Array.from({ length: N * D }, () => normal(random));
const folds = Int32Array.from({ length: N }, (_, i) => i % 5);

/** ln tokens = level of the model + slope · first coordinate + noise. */
const lengths = (slope: number, noise: number, levels = [3, 5, 7]): Float32Array =>
  Float32Array.from({ length: N * M }, (_, at) =>
    Math.exp(levels[at % M]! + slope * z[Math.floor(at / M) * D]! + noise * normal(random)),
  );

const headOf = (tokens: Float32Array) => fitTokenHead(z, D, tokens, N, M, folds);
type Head = ReturnType<typeof headOf>;

const forecast = (head: Head, i: number, j: number): number => {
  let g = head.bias;
  for (let a = 0; a < D; a++) g += head.weights[a]! * z[i * D + a]!;
  g = Math.min(head.limits[1], Math.max(head.limits[0], g));
  return tokensOf(head.rows[j * 2]! + head.rows[j * 2 + 1]! * g + head.logSmear[j]!);
};

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const all = Array.from({ length: N }, (_, i) => i);

describe('fitTokenHead', () => {
  test.each([
    ['the text tells nothing', 0, 0.5],
    ['the text tells much', 0.8, 0.3],
    ['answers vary widely', 0.3, 1],
  ])('forecasts the mean of each model, not its median, where %s', (_, slope, noise) => {
    const tokens = lengths(slope, noise);
    const head = headOf(tokens);
    for (let j = 0; j < M; j++) {
      const actual = mean(all.map((i) => tokens[i * M + j]!));
      const said = mean(all.map((i) => forecast(head, i, j)));
      // Twenty pseudo-answers pull 4 % of the way to the other models; the mean of lengths like these errs by 8 %.
      expect(Math.abs(said / actual - 1)).toBeLessThan(0.2);
    }
  });

  test('forecasts longer answers for prompts that get longer answers', () => {
    const head = headOf(lengths(0.8, 0.3));
    const high = all.filter((i) => z[i * D]! > 1);
    const low = all.filter((i) => z[i * D]! < -1);
    for (let j = 0; j < M; j++) {
      const ratio = mean(high.map((i) => forecast(head, i, j))) / mean(low.map((i) => forecast(head, i, j)));
      // Coordinates of ±1.5 on average: e^(0.8 · 3) = 11.
      expect(ratio).toBeGreaterThan(6);
      expect(ratio).toBeLessThan(20);
    }
  });

  test('gives every prompt the same length where the text tells nothing', () => {
    const head = headOf(lengths(0, 0.5));
    const said = all.map((i) => forecast(head, i, 1));
    expect(Math.max(...said) / Math.min(...said)).toBeLessThan(1.3);
  });

  test('says the usual constant where no length is known', () => {
    const head = headOf(new Float32Array(N * M).fill(Number.NaN));
    for (let j = 0; j < M; j++) expect(forecast(head, 0, j)).toBeCloseTo(DEFAULT_OUTPUT_TOKENS, 3);
    expect(head.outOfFold).toEqual(new Float64Array(N));
  });

  test('puts a model of unknown length between the others', () => {
    const tokens = lengths(0.3, 0.3).map((t, at) => (at % M === 1 ? Number.NaN : t));
    const head = headOf(tokens);
    expect(forecast(head, 0, 1)).toBeGreaterThan(forecast(head, 0, 0));
    expect(forecast(head, 0, 1)).toBeLessThan(forecast(head, 0, 2));
  });

  test('stays finite and positive on empty and on enormous answers', () => {
    const wild = lengths(0, 0).map((t, at) => (at % 7 === 0 ? 0 : at % 11 === 0 ? 1e9 : t));
    const head = headOf(wild);
    for (const i of [0, 1, 2]) {
      for (let j = 0; j < M; j++) {
        const t = forecast(head, i, j);
        expect(t >= 1 && Number.isFinite(t)).toBe(true);
      }
    }
  });
});
