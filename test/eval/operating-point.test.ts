import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Frozen } from '../../eval/contender.ts';
import { bestPointAt, cheapestKeeping, settingShares } from '../../eval/operating-point.ts';

/** Points that each mix two of their own settings. */
const frozen = (points: readonly [cost: number, quality: number, weight: number][], baselineQuality = 1): Frozen => ({
  baselineQuality,
  label: String,
  measure: () => Promise.reject(new Error('not measured')),
  points: points.map(([trainCostUsd, trainQuality, weight], k) => ({
    a: k,
    b: k + 1,
    weight,
    trainCostUsd,
    trainQuality,
  })),
});

describe('the cheapest mix that keeps a share', () => {
  test('lies on the line between the points on both sides of the target', () => {
    // 0.95 is three quarters of the way from 0.8 to 1.
    const mix = cheapestKeeping(
      frozen([
        [1, 0.8, 0],
        [2, 1, 0],
      ]),
      0.95,
    );
    expect(mix).toMatchObject({ a: 0, b: 1 });
    expect(mix!.weight).toBeCloseTo(0.75);
  });

  test('is the first point where that is good enough already', () => {
    expect(
      cheapestKeeping(
        frozen([
          [1, 0.99, 0],
          [2, 1, 0],
        ]),
        0.95,
      ),
    ).toEqual({ a: 0, b: 0, weight: 1 });
  });

  test('does not exist where no point keeps so much', () => {
    expect(cheapestKeeping(frozen([[1, 0.5, 0]]), 0.95)).toBeNull();
  });
});

test('the shares of the settings behind a mix sum to one, each setting once', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
        { minLength: 2, maxLength: 6 },
      ),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (points, weight) => {
        const shares = settingShares(frozen(points), { a: 0, b: points.length - 1, weight });
        expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
        expect(new Set(shares.map(({ setting }) => setting)).size).toBe(shares.length);
        expect(shares.every(({ share }) => share > 0)).toBe(true);
      },
    ),
  );
});

test('the best point at a price of money is the one of greatest utility in training', () => {
  // q − λ c at λ = 0.1: 0.5 − 0.1, 0.8 − 0.2, 0.85 − 0.4
  expect(
    bestPointAt(
      frozen([
        [1, 0.5, 0],
        [2, 0.8, 0],
        [4, 0.85, 0],
      ]),
      0.1,
    ),
  ).toBe(1);
  expect(
    bestPointAt(
      frozen([
        [1, 0.5, 0],
        [2, 0.8, 0],
        [4, 0.85, 0],
      ]),
      0,
    ),
  ).toBe(2);
});
