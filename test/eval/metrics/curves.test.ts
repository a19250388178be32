import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aiq, aiqLinear, type CostRange } from '../../../eval/metrics/aiq.ts';
import { type CurvePoint, qualityAt } from '../../../eval/metrics/curve-point.ts';
import { costToReach, qualityNeutralCost } from '../../../eval/metrics/quality-neutral-cost.ts';
import { savingAt } from '../../../eval/metrics/savings.ts';
import { upperHull } from '../../../eval/metrics/upper-hull.ts';

const at = (costUsd: number, quality: number): CurvePoint => ({ costUsd, quality });
/** From e to e³, so that ln cost runs from 1 to 3. */
const range: CostRange = { lowUsd: Math.E, highUsd: Math.E ** 3, lowQuality: 0.4 };

const point = fc.record({
  costUsd: fc.double({ min: 0.01, max: 100, noNaN: true }),
  quality: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe('AIQ', () => {
  test('a level curve has its level, whatever the axis', () => {
    expect(aiq([at(Math.E, 0.4), at(20, 0.4)], range)).toBeCloseTo(0.4, 12);
    expect(aiqLinear([at(Math.E, 0.4), at(20, 0.4)], range)).toBeCloseTo(0.4, 12);
  });

  test('a piece of a line in cost integrates in closed form over ln cost', () => {
    // Q = 0.4 at e, 0.8 at e³, straight in c. ∫ (a + b c) dc/c / 2 = (a · 2 + b (e³ − e)) / 2,
    // b = 0.4 / (e³ − e), a = 0.4 − b e  =>  0.4 − b e + 0.2
    const b = 0.4 / (Math.E ** 3 - Math.E);
    expect(aiq([at(Math.E, 0.4), at(Math.E ** 3, 0.8)], range)).toBeCloseTo(0.6 - b * Math.E, 12);
    expect(aiqLinear([at(Math.E, 0.4), at(Math.E ** 3, 0.8)], range)).toBeCloseTo(0.6, 12);
  });

  test('equals the trapezoid in ln cost when the points lie close', () => {
    const q = (c: number) => 0.3 + 0.1 * Math.sqrt(c);
    const costs = Array.from({ length: 2001 }, (_, k) => Math.exp(1 + (2 * k) / 2000));
    const trapezoid = costs
      .slice(1)
      .reduce((sum, c, k) => sum + ((q(c) + q(costs[k]!)) / 2) * (Math.log(c) - Math.log(costs[k]!)), 0);
    expect(
      aiq(
        costs.map((c) => at(c, q(c))),
        range,
      ),
    ).toBeCloseTo(trapezoid / 2, 6);
  });

  test('beyond the last point quality stays level, before the first one starts the cheapest model', () => {
    // One point at e² with quality 0.8, cheapest 0.4 at e. Left half: line in cost from 0.4 to 0.8; right half: 0.8.
    const b = 0.4 / (Math.E ** 2 - Math.E);
    const left = 0.4 - b * Math.E + 0.4; // a · 1 + b (e² − e)
    expect(aiq([at(Math.E ** 2, 0.8)], range)).toBeCloseTo((left + 0.8) / 2, 12);
  });

  test('a setting that turned out worse than a cheaper one counts against the router', () => {
    const good = [at(Math.E, 0.4), at(10, 0.8)];
    expect(aiq([...good, at(12, 0.5)], range)!).toBeLessThan(aiq(good, range)!);
  });

  test('lies between the least and the greatest quality, and ignores the order of points', () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 12 }), (points) => {
        const qualities = [...points.map((p) => p.quality), range.lowQuality];
        const value = aiq(points, range)!;
        expect(value).toBeGreaterThanOrEqual(Math.min(...qualities) - 1e-9);
        expect(value).toBeLessThanOrEqual(Math.max(...qualities) + 1e-9);
        expect(aiq([...points].reverse(), range)).toBeCloseTo(value, 9);
      }),
    );
  });

  test('does not depend on the currency', () => {
    fc.assert(
      fc.property(
        fc.array(point, { minLength: 1, maxLength: 8 }),
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        (points, s) => {
          const scaled = points.map((p) => at(p.costUsd * s, p.quality));
          const scaledRange = { ...range, lowUsd: range.lowUsd * s, highUsd: range.highUsd * s };
          expect(aiq(scaled, scaledRange)!).toBeCloseTo(aiq(points, range)!, 6);
          expect(aiqLinear(scaled, scaledRange)!).toBeCloseTo(aiqLinear(points, range)!, 6);
        },
      ),
    );
  });

  test('has no value without a cost range, and none over ln cost when the cheapest model is free', () => {
    const flat = { ...range, highUsd: range.lowUsd };
    expect(aiq([at(1, 0.5)], flat)).toBeNull();
    expect(aiqLinear([at(1, 0.5)], flat)).toBeNull();
    const free = { ...range, lowUsd: 0 };
    expect(aiq([at(1, 0.5)], free)).toBeNull();
    expect(aiqLinear([at(0, 0.4), at(free.highUsd, 0.8)], free)).toBeCloseTo(0.6, 12);
    expect(aiq([], range)).toBeNull();
  });
});

describe('upper hull', () => {
  test('drops what is dearer and no better, and what a mix of neighbours beats', () => {
    // (2, .5) lies under the line from (1, .4) to (3, .8): .6 there
    const points = [at(3, 0.8), at(1, 0.4), at(2, 0.5), at(4, 0.8), at(5, 0.7)];
    expect(upperHull(points)).toEqual([1, 0]);
  });

  test('is concave, rising, and nothing lies above it', () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 30 }), (points) => {
        const hull = upperHull(points).map((i) => points[i]!);
        for (let k = 1; k < hull.length; k++) expect(hull[k]!.quality).toBeGreaterThan(hull[k - 1]!.quality);
        for (const p of points) expect(p.quality).toBeLessThanOrEqual(qualityAt(hull, p.costUsd) + 1e-9);
      }),
    );
  });
});

describe('cost of a quality', () => {
  const curve = [at(1, 0.5), at(3, 0.7), at(4, 0.6), at(8, 0.9)];
  const baseline = at(10, 0.8);

  test('is read off the line between points', () => {
    expect(costToReach(curve, 0.6)).toBeCloseTo(2, 12); // half way from .5 to .7
    expect(costToReach(curve, 0.3)).toBe(1); // already there
    expect(costToReach(curve, 0.95)).toBeNull();
  });

  test('gives quality-neutral cost and savings of a named baseline', () => {
    // .8 is two thirds of the way from (4, .6) to (8, .9)
    expect(qualityNeutralCost(curve, baseline)).toBeCloseTo((4 + (2 / 3) * 4) / 10, 12);
    expect(savingAt(curve, baseline, 1)).toBeCloseTo(1 - (4 + (2 / 3) * 4) / 10, 12);
    // 75 % of .8 is .6: cost 2
    expect(savingAt(curve, baseline, 0.75)).toBeCloseTo(0.8, 12);
    expect(savingAt(curve, at(2, 0.9), 1)).toBeCloseTo(-3, 12); // costs 8 instead of 2
    expect(savingAt(curve, at(10, 0.99), 1)).toBeNull();
    expect(qualityNeutralCost(curve, at(0, 0.8))).toBeNull();
  });
});
