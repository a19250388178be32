import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { apgr, cpt, deferralCurve } from '../../../eval/metrics/apgr.ts';
import type { CurvePoint } from '../../../eval/metrics/curve-point.ts';
import {
  costApgr,
  costCpt,
  costFraction,
  costPgr,
  type GapRange,
  improvementOverRandom,
  pgr,
} from '../../../eval/metrics/pgr.ts';

const at = (costUsd: number, quality: number): CurvePoint => ({ costUsd, quality });
const range: GapRange = { lowUsd: 1, lowQuality: 0.5, highUsd: 5, highQuality: 0.9 };

describe('PGR', () => {
  test('is the share of the gap between weak and strong', () => {
    expect(pgr(0.6, 0.5, 0.9)).toBeCloseTo(0.25, 12); // .1 of .4
    expect(pgr(0.5, 0.5, 0.9)).toBe(0);
    expect(pgr(0.9, 0.5, 0.9)).toBe(1);
    expect(pgr(1, 0.5, 0.9)).toBeCloseTo(1.25, 12);
    expect(pgr(0.4, 0.5, 0.9)).toBeCloseTo(-0.25, 12);
  });

  test('is undefined without a gap, and over one the other way round', () => {
    expect(pgr(0.5, 0.5, 0.5)).toBeNull();
    expect(pgr(0.5, 0.9, 0.5)).toBeNull();
  });

  test('improvement over random is measured from 0.5', () => {
    expect(improvementOverRandom(0.5)).toBe(0);
    expect(improvementOverRandom(0.603)).toBeCloseTo(0.206, 12);
    expect(improvementOverRandom(null)).toBeNull();
  });
});

describe('PGR, APGR and CPT over cost', () => {
  test('cost runs from 0 at the cheapest to 1 at the dearest single model', () => {
    expect(costFraction(1, range)).toBe(0);
    expect(costFraction(2, range)).toBe(0.25);
    expect(costFraction(7, range)).toBe(1.5);
    expect(costFraction(1, { ...range, highUsd: 1 })).toBeNull();
  });

  test('a hand-worked curve', () => {
    // (1, .5) → (3, .9) → level to 5. Over x: 0 → .5, ½ → .9, 1 → .9.
    // PGR: 0 → 1 over the first half, then 1: APGR = ½·½ + ½·1 = .75. Half of the gap (.7) at cost 2: x = ¼.
    const points = [at(3, 0.9)];
    expect(costApgr(points, range)).toBeCloseTo(0.75, 12);
    expect(costCpt(points, range, 0.5)).toBeCloseTo(0.25, 12);
    expect(costCpt(points, range, 1)).toBeCloseTo(0.5, 12);
    expect(costPgr(points, range, 0.25)).toBeCloseTo(0.5, 12);
    expect(costPgr(points, range, 1)).toBeCloseTo(1, 12);
  });

  test('a random mix of both ends recovers half of the gap, and x % of it at x % of the cost', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }), (shares) => {
        const points = [0, 1, ...shares].map((s) => at(1 + 4 * s, 0.5 + 0.4 * s));
        expect(costApgr(points, range)).toBeCloseTo(0.5, 9);
        expect(costCpt(points, range, 0.8)).toBeCloseTo(0.8, 6);
      }),
    );
  });

  test('for two models of constant cost it is RouteLLM’s figure over strong calls', () => {
    const bit = fc.integer({ min: 0, max: 1 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(bit, bit, fc.integer({ min: 0, max: 4 })), { minLength: 3, maxLength: 30 }),
        (rows) => {
          const weak = Float64Array.from(rows, ([w]) => w);
          const strong = Float64Array.from(rows, ([, s]) => s);
          const curve = deferralCurve(
            Float64Array.from(rows, ([, , score]) => score),
            weak,
            strong,
          );
          const points = curve.map((p) => at(0.2 + 0.8 * p.strongShare, p.quality));
          const own: GapRange = {
            lowUsd: 0.2,
            highUsd: 1,
            lowQuality: curve[0]!.quality,
            highQuality: curve.at(-1)!.quality,
          };
          if (own.highQuality <= own.lowQuality) {
            expect(costApgr(points, own)).toBeNull();
            return;
          }
          expect(costApgr(points, own)).toBeCloseTo(apgr(curve)!, 9);
          expect(costCpt(points, own, 0.5)).toBeCloseTo(cpt(curve, 0.5)!, 6);
        },
      ),
    );
  });

  test('is undefined without points, width or gap, and CPT where the gap is never recovered', () => {
    expect(costApgr([], range)).toBeNull();
    expect(costPgr([], range, 0.5)).toBeNull();
    expect(costCpt([], range, 0.5)).toBeNull();
    expect(costApgr([at(2, 0.6)], { ...range, highUsd: 1 })).toBeNull();
    expect(costApgr([at(2, 0.6)], { ...range, highQuality: 0.5 })).toBeNull();
    expect(costCpt([at(2, 0.6)], range, 0.8)).toBeNull();
  });
});
