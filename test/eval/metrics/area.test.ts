import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CurvePoint } from '../../../eval/metrics/curve-point.ts';
import { deferralArea } from '../../../eval/metrics/deferral-area.ts';
import { hypervolume, hypervolumeRatio, type PoolBox } from '../../../eval/metrics/hypervolume.ts';
import { routerBenchAiq, routerBenchMeanAiq } from '../../../eval/metrics/routerbench-aiq.ts';

const at = (costUsd: number, quality: number): CurvePoint => ({ costUsd, quality });
const point = fc.record({
  costUsd: fc.integer({ min: 1, max: 40 }).map((c) => c / 10),
  quality: fc.integer({ min: 0, max: 20 }).map((q) => q / 20),
});
const points = fc.array(point, { minLength: 1, maxLength: 8 });

/** The hull by definition: at each cost the highest chord between any two points around it. */
function chordHull(curve: readonly CurvePoint[]): CurvePoint[] {
  const costs = [...new Set(curve.map((p) => p.costUsd))].sort((a, b) => a - b);
  const envelope = costs.map((c) => {
    let best = Number.NEGATIVE_INFINITY;
    for (const a of curve) {
      for (const b of curve) {
        if (a.costUsd > c || b.costUsd < c) continue;
        const part = b.costUsd === a.costUsd ? 0 : (c - a.costUsd) / (b.costUsd - a.costUsd);
        if (a.costUsd === b.costUsd) best = Math.max(best, a.quality, b.quality);
        else best = Math.max(best, a.quality + part * (b.quality - a.quality));
      }
    }
    return at(c, best);
  });
  // What falls is taken off the end; a concave curve never rises again.
  const peak = envelope.reduce((k, p, i) => (p.quality > envelope[k]!.quality + 1e-12 ? i : k), 0);
  return envelope.slice(0, peak + 1);
}

describe('RouterBench’s own AIQ', () => {
  test('hand-worked: two routers, padded to the largest cost, the left area dropped', () => {
    // A: (1, .4) (2, .8) (3, .8 off the hull: no better). Hull to 2; c* = 4 from B.
    //    area 1…2: .6, then level .8 for 2 → 2.2 / 4 = .55
    // B: (2, .5) (4, .9): area .7 · 2 = 1.4 / 4 = .35
    const a = [at(1, 0.4), at(2, 0.8), at(3, 0.8)];
    const b = [at(4, 0.9), at(2, 0.5)];
    const [x, y] = routerBenchAiq([a, b]);
    expect(x).toBeCloseTo(0.55, 12);
    expect(y).toBeCloseTo(0.35, 12);
  });

  test('trap: quality 1 everywhere is below 1, since what is left of the first point counts as nothing', () => {
    expect(
      routerBenchAiq([
        [at(1, 1), at(4, 1)],
        [at(2, 0.5), at(4, 0.9)],
      ])[0],
    ).toBeCloseTo(0.75, 12);
  });

  test('trap: a dearer competitor changes the figure of a router that stayed the same', () => {
    const own = [at(1, 0.4), at(2, 0.8)];
    const alone = routerBenchAiq([own])[0]!;
    const beside = routerBenchAiq([own, [at(1, 0.1), at(10, 0.9)]])[0]!;
    expect(alone).toBeCloseTo(0.3, 12); // .6 / 2
    expect(beside).toBeCloseTo(0.7, 12); // (.6 + .8 · 8) / 10
  });

  test('trap: a dear point that is no better than a cheaper one does not stretch the axis', () => {
    expect(routerBenchAiq([[at(1, 0.4), at(2, 0.8), at(50, 0.8)]])).toEqual(routerBenchAiq([[at(1, 0.4), at(2, 0.8)]]));
  });

  test('trap: one unlucky setting costs nothing, as the hull is taken on the points being judged', () => {
    const good = [at(1, 0.4), at(3, 0.8)];
    expect(routerBenchAiq([[...good, at(2, 0.1)]])).toEqual(routerBenchAiq([good]));
  });

  test('equals the area under the hull taken by its definition, chord by chord', () => {
    fc.assert(
      fc.property(fc.array(points, { minLength: 1, maxLength: 3 }), (curves) => {
        const hulls = curves.map(chordHull);
        const last = Math.max(...hulls.map((h) => h.at(-1)!.costUsd));
        const values = routerBenchAiq(curves);
        hulls.forEach((hull, r) => {
          const padded = [...hull, at(last, hull.at(-1)!.quality)];
          const area = padded
            .slice(1)
            .reduce((sum, p, k) => sum + ((p.quality + padded[k]!.quality) / 2) * (p.costUsd - padded[k]!.costUsd), 0);
          expect(values[r]).toBeCloseTo(area / last, 9);
          expect(values[r]!).toBeGreaterThanOrEqual(0);
          expect(values[r]!).toBeLessThanOrEqual(1);
        });
      }),
    );
  });

  test('is averaged over benchmarks, each with its own largest cost', () => {
    const one = [[at(1, 0.4), at(2, 0.8)]]; // .3
    const two = [[at(100, 0.4), at(200, 0.6)]]; // .25
    expect(routerBenchMeanAiq([one, two])[0]).toBeCloseTo(0.275, 12);
    expect(routerBenchMeanAiq([one, [[]]])).toEqual([null]);
    expect(routerBenchMeanAiq([])).toEqual([]);
  });

  test('has no value without points or without cost', () => {
    expect(routerBenchAiq([[], [at(1, 0.5)]])[0]).toBeNull();
    expect(routerBenchAiq([[at(0, 0.5)]])).toEqual([null]);
  });
});

describe('deferral area', () => {
  test('hand-worked, whole and truncated', () => {
    // C_max = 4: x = ¼ → .4, ½ → .8, level. ∫ = ¼ · .6 + ½ · .8 = .55; up to ½: .15; up to ⅜: ⅛ · .5 = .0625
    const curve = [at(1, 0.4), at(2, 0.8)];
    expect(deferralArea(curve, 4)).toBeCloseTo(0.55, 12);
    expect(deferralArea(curve, 4, 0.5)).toBeCloseTo(0.15, 12);
    expect(deferralArea(curve, 4, 0.375)).toBeCloseTo(0.0625, 12);
  });

  test('nothing is had for less than the cheapest setting costs', () => {
    expect(deferralArea([at(2, 1)], 4)).toBeCloseTo(0.5, 12);
    expect(deferralArea([at(2, 1)], 4, 0.5)).toBe(0);
    expect(deferralArea([at(9, 1)], 4)).toBe(0);
  });

  test('of settings at one cost the line leads to the worst and goes on from the best', () => {
    // (0, 0) → (2, .2), jump to .8, level to 4: ½ · .1 + ½ · .8
    const curve = [at(2, 0.8), at(0, 0), at(2, 0.2)];
    expect(deferralArea(curve, 4)).toBeCloseTo(0.45, 12);
    expect(deferralArea(curve, 4, 0.5)).toBeCloseTo(0.05, 12);
  });

  test('is undefined without points or a cost to divide by', () => {
    expect(deferralArea([], 4)).toBeNull();
    expect(deferralArea([at(1, 0.5)], 0)).toBeNull();
    expect(deferralArea([at(1, 0.5)], Number.NaN)).toBeNull();
  });

  test('stays within its bounds, grows with what is counted, ignores order and currency', () => {
    fc.assert(
      fc.property(points, fc.integer({ min: 1, max: 10 }), (curve, tenth) => {
        const upTo = tenth / 10;
        const value = deferralArea(curve, 4, upTo)!;
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(upTo + 1e-9);
        expect(value).toBeLessThanOrEqual(deferralArea(curve, 4)! + 1e-9);
        expect(deferralArea([...curve].reverse(), 4, upTo)).toBeCloseTo(value, 9);
        const scaled = curve.map((p) => at(p.costUsd * 8, p.quality));
        expect(deferralArea(scaled, 32, upTo)).toBeCloseTo(value, 9);
      }),
    );
  });
});

describe('hypervolume', () => {
  const box: PoolBox = { lowUsd: 1, highUsd: 5, lowQuality: 0.2, highQuality: 1 };

  test('hand-worked: a staircase of two points', () => {
    // x = 0 → y = .25, x = .5 → y = .75: 1 · .25 + .5 · .5 = .5
    expect(hypervolume([at(1, 0.4), at(3, 0.8)], box)).toBeCloseTo(0.5, 12);
    expect(hypervolume([at(1, 1)], box)).toBeCloseTo(1, 12);
  });

  test('over the logarithm of cost each factor counts the same', () => {
    // Costs 1 … 100: 10 lies half way. y = .5 there → ½ · ½
    const wide = { ...box, highUsd: 100, lowQuality: 0 };
    expect(hypervolume([at(10, 0.5)], wide, 'log')).toBeCloseTo(0.25, 12);
    expect(hypervolume([at(10, 0.5)], wide)).toBeCloseTo((90 / 99) * 0.5, 12);
  });

  test('points as dear as the dearest or as bad as the worst model add nothing', () => {
    expect(hypervolume([], box)).toBe(0);
    expect(hypervolume([at(5, 1), at(1, 0.2)], box)).toBe(0);
  });

  test('a router better than every single model leaves the box', () => {
    expect(hypervolume([at(1, 1)], { ...box, highQuality: 0.6 })).toBeCloseTo(2, 12); // .8 / .4
  });

  test('is undefined for an empty box, and at cost 0 on a logarithmic axis', () => {
    expect(hypervolume([at(1, 1)], { ...box, highUsd: 1 })).toBeNull();
    expect(hypervolume([at(1, 1)], { ...box, highQuality: 0.2 })).toBeNull();
    expect(hypervolume([at(0, 1)], box, 'log')).toBeNull();
    expect(hypervolume([at(2, 1)], { ...box, lowUsd: 0 }, 'log')).toBeNull();
    expect(hypervolume([at(0, 1)], box)).toBeCloseTo(1.25, 12); // 5 / 4 wide
  });

  test('equals a count of dominated cells of a fine grid', () => {
    const unit: PoolBox = { lowUsd: 0, highUsd: 4, lowQuality: 0, highQuality: 1 };
    fc.assert(
      fc.property(points, (curve) => {
        // Costs are multiples of .1 and qualities of .05: cell centres never lie on an edge.
        let cells = 0;
        for (let x = 0; x < 40; x++) {
          for (let y = 0; y < 20; y++) {
            if (curve.some((p) => p.costUsd <= (x + 0.5) / 10 && p.quality >= (y + 0.5) / 20)) cells++;
          }
        }
        expect(hypervolume(curve, unit)).toBeCloseTo(cells / 800, 9);
      }),
    );
  });

  test('never falls when a point is added, and ignores order and currency', () => {
    fc.assert(
      fc.property(points, point, (curve, more) => {
        const value = hypervolume(curve, box)!;
        expect(hypervolume([...curve, more], box)!).toBeGreaterThanOrEqual(value - 1e-12);
        expect(hypervolume([...curve].reverse(), box)).toBeCloseTo(value, 12);
        for (const scale of ['linear', 'log'] as const) {
          const inCents = hypervolume(
            curve.map((p) => at(100 * p.costUsd, p.quality)),
            { ...box, lowUsd: 100, highUsd: 500 },
            scale,
          );
          expect(inCents).toBeCloseTo(hypervolume(curve, box, scale)!, 9);
        }
      }),
    );
  });

  test('the ratio is 1 for the oracle itself and undefined where the oracle covers nothing', () => {
    const oracle = [at(1, 0.4), at(3, 0.8)];
    expect(hypervolumeRatio(oracle, oracle, box, 'log')).toBeCloseTo(1, 12);
    expect(hypervolumeRatio([at(3, 0.8)], oracle, box)).toBeCloseTo(0.75, 12); // .375 / .5
    expect(hypervolumeRatio(oracle, [], box)).toBeNull();
    expect(hypervolumeRatio(oracle, oracle, { ...box, highUsd: 1 })).toBeNull();
  });
});
