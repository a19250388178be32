import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { calibrationError, equalMassBins } from '../../../eval/metrics/calibration-error.ts';

const f = (...xs: number[]) => Float64Array.from(xs);

describe('calibration error', () => {
  test('weighs each bin’s gap between outcome and prediction by its size', () => {
    // two bins of two: |.5 − .2| and |1 − .7|
    const predicted = f(0.2, 0.2, 0.7, 0.7);
    expect(calibrationError(predicted, f(0, 1, 1, 1), equalMassBins(predicted, 2))).toBeCloseTo(0.3, 12);
    // of three bins the middle one stays empty
    expect(calibrationError(predicted, f(0, 1, 1, 1), equalMassBins(predicted, 3))).toBeCloseTo(0.3, 12);
  });

  test('a single honest statement is calibrated, however many prompts it is made of', () => {
    const predicted = new Float64Array(1000).fill(0.3);
    const observed = Float64Array.from(predicted, (_, i) => (i % 10 < 3 ? 1 : 0));
    expect(calibrationError(predicted, observed)).toBeCloseTo(0, 12);
  });

  test('bins hold equal mass where there are no ties, and never split one', () => {
    const bins = equalMassBins(
      Float64Array.from({ length: 150 }, (_, i) => ((i * 7) % 150) / 150),
      15,
    );
    const sizes = new Map<number, number>();
    for (const b of bins) sizes.set(b, (sizes.get(b) ?? 0) + 1);
    expect([...sizes.values()]).toEqual(new Array(15).fill(10));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 60 }), (xs) => {
        const own = equalMassBins(Float64Array.from(xs), 4);
        xs.forEach((x, i) => {
          expect(own[i]).toBe(own[xs.indexOf(x)]);
        });
      }),
    );
  });

  test('lies in [0, 1], and has no value without predictions', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(unit, unit), { minLength: 1, maxLength: 50 }), (pairs) => {
        const error = calibrationError(
          Float64Array.from(pairs, ([p]) => p),
          Float64Array.from(pairs, ([, y]) => y),
        )!;
        expect(error).toBeGreaterThanOrEqual(0);
        expect(error).toBeLessThanOrEqual(1);
      }),
    );
    expect(calibrationError(f(), f())).toBeNull();
  });
});
