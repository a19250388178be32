import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { apgr, cpt, decileThresholds, deferralCurve } from '../../../eval/metrics/apgr.ts';

const f = (...xs: number[]) => Float64Array.from(xs);

describe('APGR', () => {
  test('follows the deferral curve from all weak to all strong', () => {
    // Scores 3, 2, 1, 0; weak is right on the last two, strong on all but the last:
    // shares 0, ¼, ½, ¾, 1 → quality .5, .75, 1, 1, .75; by trapezoid the area is
    // ¼ · (.625 + .875 + 1 + .875) = .84375; APGR = (.84375 − .5) / .25 = 1.375
    const curve = deferralCurve(f(3, 2, 1, 0), f(0, 0, 1, 1), f(1, 1, 1, 0));
    const corners = [0, 0.25, 0.5, 0.75, 1].map((s) => curve.find((p) => p.strongShare === s)!.quality);
    expect(corners).toEqual([0.5, 0.75, 1, 1, 0.75]);
    expect(apgr(curve)).toBeCloseTo(1.375, 12);
    // half of the gap is .625, half way to the first quarter
    expect(cpt(curve, 0.5)).toBeCloseTo(0.125, 12);
    expect(cpt(curve, 1)).toBeCloseTo(0.25, 12);
  });

  test('holds both end points even when no threshold reaches them', () => {
    const curve = deferralCurve(f(1, 2, 3, 4), f(0, 0, 0, 0), f(1, 1, 1, 1), f(2.5));
    expect(curve.map((p) => p.strongShare)).toEqual([0, 0.5, 1]);
  });

  test('a score that says nothing recovers half of the gap: 0.5, and x % of the calls for x %', () => {
    const curve = deferralCurve(f(7, 7, 7, 7), f(0, 1, 0, 0), f(1, 1, 0, 1));
    expect(apgr(curve)).toBeCloseTo(0.5, 12);
    expect(cpt(curve, 0.8)).toBeCloseTo(0.8, 12);
  });

  test('a random order comes out near 0.5', () => {
    const random = seededRandom(5);
    const n = 20_000;
    const weak = Float64Array.from({ length: n }, () => (random() < 0.6 ? 1 : 0));
    const strong = Float64Array.from({ length: n }, () => (random() < 0.8 ? 1 : 0));
    const curve = deferralCurve(
      Float64Array.from({ length: n }, () => random()),
      weak,
      strong,
    );
    expect(Math.abs(apgr(curve)! - 0.5)).toBeLessThan(0.03); // five standard errors
    expect(Math.abs(cpt(curve, 0.5)! - 0.5)).toBeLessThan(0.06);
  });

  test('a reversed order mirrors the gain over 0.5', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 1 })), {
          minLength: 4,
          maxLength: 40,
        }),
        (pairs) => {
          const weak = Float64Array.from(pairs, ([w]) => w);
          const strong = Float64Array.from(pairs, ([, s]) => s);
          // Every score a threshold: deciles of a score and of its opposite can cut ties in different places.
          const at = (scores: Float64Array) =>
            apgr(deferralCurve(scores, weak, strong, Float64Array.from(new Set(scores))));
          const best = at(Float64Array.from(pairs, ([w, s]) => s - w));
          const worst = at(Float64Array.from(pairs, ([w, s]) => w - s));
          if (best === null || worst === null) return;
          expect(best + worst).toBeCloseTo(1, 9);
        },
      ),
    );
  });

  test('is undefined for two models of the same quality', () => {
    const curve = deferralCurve(f(1, 2), f(0, 1), f(1, 0));
    expect(apgr(curve)).toBeNull();
    expect(cpt(curve, 0.5)).toBeNull();
  });

  test('thresholds are decile edges with equal ones merged', () => {
    expect([...decileThresholds(f(0, 10))]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect([...decileThresholds(f(1, 1, 1, 2))].length).toBeLessThan(11);
  });
});
