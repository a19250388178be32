/** Targets and budgets are met in expectation by mixing at most two settings. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Mix, mixForCost, mixForQuality, type Point, pointsOf } from '../../../router/policy/mix.ts';

const point = (tolerance: number, quality: number, costUsd: number): Point => ({ tolerance, quality, costUsd });
const STRICT = point(0, 0.9, 10);
const MIDDLE = point(0.1, 0.8, 4);
const LOOSE = point(1, 0.5, 1);
const THREE = [STRICT, MIDDLE, LOOSE];

const over = (mix: Mix, points: readonly Point[], key: 'quality' | 'costUsd'): number =>
  mix.reduce((sum, { tolerance, share }) => sum + share * points.find((p) => p.tolerance === tolerance)![key], 0);

describe('a budget', () => {
  test('between two settings is spent exactly: 7 = ½ · 10 + ½ · 4', () => {
    expect(mixForCost(THREE, 7)).toEqual([
      { tolerance: 0, share: 0.5 },
      { tolerance: 0.1, share: 0.5 },
    ]);
  });

  test('of a setting’s own cost takes that setting alone', () => {
    expect(mixForCost(THREE, 4)).toEqual([{ tolerance: 0.1, share: 1 }]);
  });

  test('below the cheapest or above the best takes these', () => {
    expect(mixForCost(THREE, 0.5)).toEqual([{ tolerance: 1, share: 1 }]);
    expect(mixForCost(THREE, 99)).toEqual([{ tolerance: 0, share: 1 }]);
  });

  test('passes over a setting that a mix of its neighbours beats, or that costs more for less', () => {
    // At 7, half and half of 10 and 4 has 0.85; the setting of cost 7 has 0.82, that of cost 12 no more than 0.9.
    const points = [...THREE, point(0.05, 0.82, 7), point(0.01, 0.89, 12)];
    expect(mixForCost(points, 7).map((s) => s.tolerance)).toEqual([0, 0.1]);
    expect(mixForCost(points, 99)).toEqual([{ tolerance: 0, share: 1 }]);
  });
});

describe('a target', () => {
  test('between two settings is met exactly: 0.6 = ⅓ · 0.8 + ⅔ · 0.5', () => {
    const mix = mixForQuality(THREE, 0.6);
    expect(mix.map((s) => s.tolerance)).toEqual([0.1, 1]);
    expect(mix[0]!.share).toBeCloseTo(1 / 3, 12);
  });

  test('out of reach takes the best setting, a modest one the cheapest', () => {
    expect(mixForQuality(THREE, 0.99)).toEqual([{ tolerance: 0, share: 1 }]);
    expect(mixForQuality(THREE, 0.1)).toEqual([{ tolerance: 1, share: 1 }]);
  });
});

test('whatever the settings bring, the mix spends what was asked, and no single affordable setting is better', () => {
  const number = fc.double({ min: 0.01, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 10 }), number, (list, budget) => {
      const points = list.map(([quality, costUsd], i) => point(i / 10, quality, costUsd));
      const mix = mixForCost(points, budget);
      expect(mix.length).toBeLessThanOrEqual(2);
      expect(mix.reduce((sum, s) => sum + s.share, 0)).toBeCloseTo(1, 12);
      expect(mix.every((s) => s.share > 0)).toBe(true);
      const affordable = points.filter((p) => p.costUsd <= budget);
      if (affordable.length === 0) return;
      expect(over(mix, points, 'costUsd')).toBeLessThanOrEqual(budget + 1e-9);
      expect(over(mix, points, 'quality')).toBeGreaterThanOrEqual(Math.max(...affordable.map((p) => p.quality)) - 1e-9);
    }),
    { numRuns: 1000, seed: 2 },
  );
});

test('what a setting brings counts its exploration', () => {
  // Two candidates, tolerance 0: the good one wins. ε = 0.2: 0.18 to the near (the good one), 0.02 to both.
  const prompts = [{ quality: [0.9, 0.1], costUsd: [10, 1] }];
  const rule = { minQuality: 0, qualityPerUsd: null, exploration: 0.2 };
  const [only] = pointsOf(prompts, rule, [0]);
  expect(only!.quality).toBeCloseTo(0.99 * 0.9 + 0.01 * 0.1, 12);
  expect(only!.costUsd).toBeCloseTo(0.99 * 10 + 0.01 * 1, 12);
});
