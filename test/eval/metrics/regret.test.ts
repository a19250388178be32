import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forecastError } from '../../../eval/metrics/forecast-error.ts';
import {
  chosenUtility,
  gapRecovered,
  meanRegret,
  oracleUtility,
  regretByPrompt,
  utilities,
} from '../../../eval/metrics/regret.ts';

const f = (...xs: number[]) => Float64Array.from(xs);

describe('regret', () => {
  // two prompts, two models: cheap (1 USD) and dear (4 USD)
  const outcomes = { quality: f(1, 1, 0, 1), costUsd: f(1, 4, 1, 4), modelCount: 2 };

  test('hand-worked at λ = 0.1: utilities .9 .6 and −.1 .6', () => {
    utilities(outcomes, 0.1).forEach((u, k) => {
      expect(u).toBeCloseTo([0.9, 0.6, -0.1, 0.6][k]!, 12);
    });
    const cheap = regretByPrompt(outcomes, Int32Array.of(0, 0), 0.1);
    expect(cheap[0]).toBeCloseTo(0, 12);
    expect(cheap[1]).toBeCloseTo(0.7, 12);
    const dear = regretByPrompt(outcomes, Int32Array.of(1, 1), 0.1);
    expect(dear[0]).toBeCloseTo(0.3, 12);
    expect(meanRegret(cheap)).toBeCloseTo(0.35, 12);
    expect(meanRegret(cheap, [3, 1])).toBeCloseTo(0.175, 12);
  });

  test('where cost counts enough the cheap model is never regretted', () => {
    expect(meanRegret(regretByPrompt(outcomes, Int32Array.of(0, 0), 1))).toBe(0);
  });

  test('a model without an outcome is no alternative, and cannot have been chosen', () => {
    const holes = { quality: f(0.2, Number.NaN), costUsd: f(1, Number.NaN), modelCount: 2 };
    expect(regretByPrompt(holes, Int32Array.of(0), 0)[0]).toBe(0);
    expect(() => regretByPrompt(holes, Int32Array.of(1), 0)).toThrow(/prompt 0 has no outcome for the chosen model/);
    expect(() => chosenUtility(holes, Int32Array.of(2), 0)).toThrow(/column 2/);
    const none = { quality: f(Number.NaN), costUsd: f(Number.NaN), modelCount: 1 };
    expect(() => oracleUtility(none, 0)).toThrow(/prompt 0 has no outcome of any model/);
    expect(() => regretByPrompt(outcomes, Int32Array.of(0), 0)).toThrow(/1 choices × 2 models/);
  });

  test('is never negative, and 0 for the oracle’s own choice', () => {
    const cell = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 2, noNaN: true }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.tuple(cell, cell, cell), fc.integer({ min: 0, max: 2 })), { minLength: 1, maxLength: 10 }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        (rows, lambda) => {
          const own = {
            quality: Float64Array.from(rows.flatMap(([cells]) => cells.map(([q]) => q))),
            costUsd: Float64Array.from(rows.flatMap(([cells]) => cells.map(([, c]) => c))),
            modelCount: 3,
          };
          const regrets = regretByPrompt(
            own,
            Int32Array.from(rows, ([, pick]) => pick),
            lambda,
          );
          for (const r of regrets) expect(r).toBeGreaterThanOrEqual(0);
          const u = utilities(own, lambda);
          const oracle = Int32Array.from(rows, (_, i) =>
            [0, 1, 2].reduce((a, b) => (u[3 * i + b]! > u[3 * i + a]! ? b : a)),
          );
          expect(meanRegret(regretByPrompt(own, oracle, lambda))).toBe(0);
        },
      ),
    );
  });

  test('gap recovered runs from 0 at the zero router to 1 at the oracle', () => {
    const zero = f(0.9, -0.1); // always cheap: mean .4
    const oracle = f(0.9, 0.6); // .75
    expect(gapRecovered(zero, zero, oracle)).toBe(0);
    expect(gapRecovered(oracle, zero, oracle)).toBe(1);
    expect(gapRecovered(f(0.6, 0.6), zero, oracle)).toBeCloseTo(0.2 / 0.35, 12);
    expect(gapRecovered(f(0.6, -0.1), zero, oracle)).toBeLessThan(0);
    // only the first prompt: nothing is left to gain
    expect(gapRecovered(f(0.6, 0.6), zero, oracle, [1, 0])).toBeNull();
    expect(gapRecovered(f(), f(), f())).toBeNull();
    expect(meanRegret(f())).toBeNull();
  });
});

describe('forecast error', () => {
  test('hand-worked: exact, a tenth over, half under, double', () => {
    // |ln|: 0, .0953, .6931, .6931: median (.0953 + .6931) / 2. Σ: 100 + 110 + 50 + 200 = 460 of 400
    const error = forecastError(f(100, 110, 50, 200), f(100, 100, 100, 100))!;
    expect(error.medianAbsoluteLogError).toBeCloseTo((Math.log(1.1) + Math.LN2) / 2, 12);
    expect(error.meanRelativeBias).toBeCloseTo(0.15, 12);
    expect(error.within10).toBe(0.5);
    expect(error.within50).toBe(0.75);
    expect(error.n).toBe(4);
  });

  test('a factor of two weighs the same above and below', () => {
    expect(forecastError(f(2), f(1))!.medianAbsoluteLogError).toBe(forecastError(f(1), f(2))!.medianAbsoluteLogError);
  });

  test('zeros: both are exact, one alone is infinitely far off', () => {
    const both = forecastError(f(0, 0), f(0, 0))!;
    expect(both).toEqual({ n: 2, medianAbsoluteLogError: 0, meanRelativeBias: null, within10: 1, within50: 1 });
    const alone = forecastError(f(0, 1), f(1, 0))!;
    expect(alone.medianAbsoluteLogError).toBeNull();
    expect(alone.meanRelativeBias).toBe(0);
    expect(forecastError(f(0, 1, 1), f(1, 1, 1))!.medianAbsoluteLogError).toBe(0);
  });

  test('has no value without rows or weight, and refuses negative numbers', () => {
    expect(forecastError(f(), f())).toBeNull();
    expect(forecastError(f(1), f(1), [0])).toBeNull();
    expect(() => forecastError(f(-1), f(1))).toThrow(/forecast\[0\] is -1, not a finite number ≥ 0/);
  });

  test('a whole weight counts a row that often, the unit does not matter', () => {
    const row = fc.tuple(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 3 }),
    );
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 15 }), (rows) => {
        const often = rows.flatMap((r) => Array.from({ length: r[2] }, () => r));
        const weighted = forecastError(
          Float64Array.from(rows, (r) => 8 * r[0]),
          Float64Array.from(rows, (r) => 8 * r[1]),
          rows.map((r) => r[2]),
        );
        const plain = forecastError(
          Float64Array.from(often, (r) => r[0]),
          Float64Array.from(often, (r) => r[1]),
        );
        if (plain === null) {
          expect(weighted).toBeNull();
          return;
        }
        expect(weighted!.medianAbsoluteLogError).toBeCloseTo(plain.medianAbsoluteLogError!, 9);
        expect(weighted!.meanRelativeBias).toBeCloseTo(plain.meanRelativeBias!, 9);
        expect(weighted!.within10).toBeCloseTo(plain.within10, 9);
        expect(weighted!.within50).toBeGreaterThanOrEqual(weighted!.within10);
      }),
    );
  });
});
