/** The bound lies below the mean as often as it says, and comes close to it with enough values. */
import { describe, expect, test } from 'vitest';
import { type Random, seededRandom } from '../../../datasets/index.ts';
import { lowerBound } from '../../../router/training/certificate-bound.ts';

const draw = (n: number, one: (random: Random) => number, random: Random): Float64Array =>
  Float64Array.from({ length: n }, () => one(random));

const WORLDS: readonly [string, number, (random: Random) => number][] = [
  ['coin flips', 0.5, (r) => (r() < 0.5 ? 1 : 0)],
  ['rare failures', 0.98, (r) => (r() < 0.02 ? 0 : 1)],
  ['rare successes', 0.03, (r) => (r() < 0.03 ? 1 : 0)],
  ['values of a narrow band', 0.5, (r) => 0.45 + 0.1 * r()],
];

describe('the lower bound', () => {
  test.each(WORLDS)('of %s lies above the mean %s in at most 5 % of draws', (_, mean, one) => {
    const random = seededRandom(11);
    const draws = 1000;
    let above = 0;
    for (let k = 0; k < draws; k++) if (lowerBound(draw(300, one, random), 0.05) > mean) above++;
    // Four standard errors of a share of 5 % over 1 000.
    expect(above / draws).toBeLessThanOrEqual(0.05 + 4 * Math.sqrt((0.05 * 0.95) / draws));
  });

  test('is near the normal one where that can be trusted', () => {
    // 2 000 coin flips: 1.645 · 0.5 / √2 000 = 0.018 below the mean of the sample.
    const values = draw(2000, (r) => (r() < 0.5 ? 1 : 0), seededRandom(3));
    const mean = values.reduce((a, b) => a + b) / values.length;
    const below = mean - lowerBound(values, 0.05);
    expect(below).toBeGreaterThan(0.012);
    expect(below).toBeLessThan(0.03);
  });

  test('uses a small variance: far tighter than for coin flips', () => {
    const values = draw(500, (r) => 0.49 + 0.02 * r(), seededRandom(4));
    expect(0.5 - lowerBound(values, 0.05)).toBeLessThan(0.01);
  });

  test('says nothing of nothing', () => {
    expect(lowerBound(new Float64Array(0), 0.05)).toBe(0);
    expect(lowerBound(Float64Array.of(1), 0.05)).toBeLessThan(0.6);
  });
});
