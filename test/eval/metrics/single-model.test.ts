import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { costSave } from '../../../eval/metrics/cost-save.ts';
import type { CurvePoint } from '../../../eval/metrics/curve-point.ts';
import { bestSingle, gain, gapAtOracle } from '../../../eval/metrics/gains.ts';
import { paretoDist, paretoFrontier, paretoRatio } from '../../../eval/metrics/pareto.ts';
import { perfGain } from '../../../eval/metrics/perf-gain.ts';
import { savingAt } from '../../../eval/metrics/savings.ts';

const f = (...xs: number[]) => Float64Array.from(xs);
const at = (costUsd: number, quality: number): CurvePoint => ({ costUsd, quality });
const points = fc.array(
  fc.record({
    costUsd: fc.integer({ min: 1, max: 9 }),
    quality: fc.integer({ min: 1, max: 9 }).map((q) => q / 10),
  }),
  { minLength: 1, maxLength: 10 },
);

describe('gains over datasets', () => {
  test('the two readings of a mean ratio are not the same', () => {
    // means .5 over .4: +25 %; ratios .8/.2 − 1 = 3 and .2/.6 − 1 = −2/3: their mean is 7/6
    expect(gain(f(0.8, 0.2), f(0.2, 0.6)).ratioOfMeans).toBeCloseTo(0.25, 12);
    expect(gain(f(0.8, 0.2), f(0.2, 0.6)).meanOfRatios).toBeCloseTo(7 / 6, 12);
  });

  test('the published mean accuracies of Avengers and of a random router give the printed gain of their table', () => {
    // 71.94 / 48.79 − 1 = 47.4 %; their figure says 64.6 %, which can only be the mean of ratios
    expect(gain(f(0.7194), f(0.4879)).ratioOfMeans).toBeCloseTo(0.474, 3);
  });

  test('Gap@O is what is missing to the oracle', () => {
    // 1 − .5/.8 = .375; (1 − .8/1 + 1 − .2/.6) / 2 = (.2 + 2/3) / 2
    const { ratioOfMeans, meanOfRatios } = gapAtOracle(f(0.8, 0.2), f(1, 0.6));
    expect(ratioOfMeans).toBeCloseTo(0.375, 12);
    expect(meanOfRatios).toBeCloseTo(13 / 30, 12);
    expect(Object.is(gapAtOracle(f(0.5), f(0.5)).ratioOfMeans, 0)).toBe(true);
  });

  test('a dataset on which the reference is never right leaves the mean of ratios undefined', () => {
    expect(gain(f(0.5, 0.5), f(0, 0.5)).meanOfRatios).toBeNull();
    expect(gain(f(0.5, 0.5), f(0, 0.5)).ratioOfMeans).toBeCloseTo(1, 12);
    expect(gain(f(0.5), f(0))).toEqual({ ratioOfMeans: null, meanOfRatios: null });
    expect(gain(f(), f())).toEqual({ ratioOfMeans: null, meanOfRatios: null });
  });

  test('the best single model is one for all datasets', () => {
    // best of each would be models 0 and 1; over both model 2 is ahead
    expect(bestSingle([f(1, 0), f(0, 0.9), f(0.6, 0.6)])).toBe(2);
    expect(bestSingle([f(0.5), f(0.5)])).toBe(0);
    expect(bestSingle([])).toBeNull();
  });

  test('lengths that differ and NaN are refused by name', () => {
    expect(() => gain(f(0.5, 0.5), f(0.5))).toThrow(/router 2, reference 1/);
    expect(() => gain(f(0.5, Number.NaN), f(0.5, 0.5))).toThrow(/router\[1\] is NaN/);
  });

  test('both readings agree when every dataset moves by the same factor', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 19 }),
        (reference, k) => {
          const base = Float64Array.from(reference, (a) => a / 100);
          const { ratioOfMeans, meanOfRatios } = gain(
            base.map((a) => (a * k) / 10),
            base,
          );
          expect(ratioOfMeans).toBeCloseTo(k / 10 - 1, 9);
          expect(meanOfRatios).toBeCloseTo(k / 10 - 1, 9);
        },
      ),
    );
  });
});

describe('PerfGain and CostSave', () => {
  // Avengers-Pro as published: GPT-5-medium 62.25 at $47.96
  const best = at(47.96, 0.6225);
  const published = [
    at(1.08, 0.3289),
    at(9.69, 0.5156),
    at(17.81, 0.5624),
    at(35.05, 0.6266),
    at(44.65, 0.6546),
    at(47.13, 0.6666),
  ];

  test('reproduce what Avengers-Pro says of its own table: +7 % accuracy, −27 % cost', () => {
    expect(perfGain(published, best)).toBeCloseTo(0.071, 3); // 66.66 / 62.25 − 1
    expect(costSave(published, best)).toBeCloseTo(0.269, 3); // 1 − 35.05 / 47.96
  });

  test('CostSave credits no mix between two settings, the saving read off the curve does', () => {
    expect(savingAt(published, best, 1)!).toBeGreaterThan(costSave(published, best)!);
  });

  test('CostSave is negative where parity costs more, and undefined where it is never reached', () => {
    expect(costSave([at(3, 0.9)], at(2, 0.8))).toBeCloseTo(-0.5, 12);
    expect(costSave([at(1, 0.7)], at(2, 0.8))).toBeNull();
    expect(costSave([at(1, 0.9)], at(0, 0.8))).toBeNull();
    expect(costSave([], at(2, 0.8))).toBeNull();
    expect(perfGain([], best)).toBeNull();
    expect(perfGain([at(1, 0.5)], at(1, 0))).toBeNull();
  });

  test('parity to within rounding is parity', () => {
    expect(costSave([at(1, 0.8 - 1e-12)], at(2, 0.8))).toBeCloseTo(0.5, 12);
  });

  test('neither falls when a setting is added', () => {
    fc.assert(
      fc.property(points, points, (a, b) => {
        const single = at(5, 0.5);
        expect(perfGain([...a, ...b], single)!).toBeGreaterThanOrEqual(perfGain(a, single)!);
        const before = costSave(a, single);
        if (before !== null) expect(costSave([...a, ...b], single)!).toBeGreaterThanOrEqual(before);
      }),
    );
  });
});

describe('Pareto frontier', () => {
  test('hand-worked: two of three points on it, the third a unit step away', () => {
    // Frontier (0, 0) and (1, 1) of the unit box; (1, 0) is 1 away from both.
    const own = [at(0, 0), at(1, 0), at(1, 1)];
    expect(paretoFrontier(own)).toEqual([0, 2]);
    expect(paretoRatio(own, [])).toBeCloseTo(2 / 3, 12);
    expect(paretoDist(own, [])).toBeCloseTo(1 / 3, 12);
  });

  test('other methods push a method off the frontier', () => {
    const own = [at(2, 0.5)];
    expect(paretoRatio(own, [at(1, 0.4)])).toBe(1);
    expect(paretoRatio(own, [at(1, 0.6)])).toBe(0);
    // scale 1…2 and .5….6: one step on both axes
    expect(paretoDist(own, [at(1, 0.6)])).toBeCloseTo(Math.SQRT2, 12);
    // the pool's scale halves both
    expect(paretoDist(own, [at(1, 0.6)], { lowUsd: 0, highUsd: 2, lowQuality: 0.4, highQuality: 0.6 })).toBeCloseTo(
      Math.hypot(0.5, 0.5),
      12,
    );
  });

  test('an axis on which nothing differs counts for nothing', () => {
    expect(paretoDist([at(1, 0.5)], [at(1, 0.5)])).toBe(0);
    expect(paretoDist([at(2, 0.5)], [at(1, 0.5)])).toBe(1);
  });

  test('equal points are on it together; without points nothing is defined', () => {
    expect(paretoFrontier([at(1, 0.5), at(1, 0.5)])).toEqual([0, 1]);
    expect(paretoRatio([], [at(1, 1)])).toBeNull();
    expect(paretoDist([], [at(1, 1)])).toBeNull();
  });

  test('holds exactly the points that none dominates', () => {
    fc.assert(
      fc.property(points, (all) => {
        const brute = all.flatMap((p, i) =>
          all.some(
            (o) => o.costUsd <= p.costUsd && o.quality >= p.quality && (o.costUsd < p.costUsd || o.quality > p.quality),
          )
            ? []
            : [i],
        );
        expect(paretoFrontier(all)).toEqual(brute);
      }),
    );
  });

  test('the distance is 0 exactly when the ratio is 1, and does not depend on the currency', () => {
    fc.assert(
      fc.property(points, points, (own, others) => {
        const distance = paretoDist(own, others)!;
        expect(distance === 0).toBe(paretoRatio(own, others) === 1);
        expect(distance).toBeLessThanOrEqual(Math.SQRT2 + 1e-9);
        const cents = (ps: CurvePoint[]) => ps.map((p) => at(100 * p.costUsd, p.quality));
        expect(paretoDist(cents(own), cents(others))).toBeCloseTo(distance, 9);
      }),
    );
  });
});
