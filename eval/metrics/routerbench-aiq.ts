/** AIQ as RouterBench's own code computes it. Ours, over the pool's cost range and without a hull, is in aiq.ts. */
import type { CurvePoint } from './curve-point.ts';
import { upperHull } from './upper-hull.ts';

/**
 * AIQ of several routers on one benchmark, which can only be computed together:
 *
 *     AIQ_r = 1 / c* · ∫ H_r(c) dc,   c from the first point of H_r to c*
 *
 * H_r is the non-decreasing upper concave hull of the router's points, level from its last point to
 * c* = the largest cost left on any of the hulls.
 *
 * Traps, kept because they are the definition:
 * - the hull is taken on the points being judged, so lucky settings count and unlucky ones do not;
 * - what is left of a router's first point counts as nothing, yet the division is by c* and not by c* − c_first:
 *   a router without cheap settings loses area, and even quality 1 everywhere stays below 1;
 * - c* depends on the routers compared: adding a dear one changes every figure, so only figures of one call compare;
 *   a dear point that is no better than a cheaper one is off the hull and does not count for c*;
 * - cost is linear, so the dearest models fill most of the axis.
 *
 * Where their code has no answer (fewer than three different costs: it stops with an index error) this one goes by
 * the definition; of several points at the least cost theirs keeps an arbitrary one, this the best.
 *
 * @param curves points of each router; cost may be a mean or a total, as long as it is the same for all
 * @returns per router in [0, 1]; null for one without points, and for all when c* = 0
 * @see Hu et al., "RouterBench", 2024, and withmartian/routerbench `evaluation/AIQ.py`
 */
export function routerBenchAiq(curves: readonly (readonly CurvePoint[])[]): (number | null)[] {
  const hulls = curves.map((points) => upperHull(points).map((i) => points[i]!));
  const last = Math.max(0, ...hulls.map((hull) => hull.at(-1)?.costUsd ?? 0));
  return hulls.map((hull) => {
    if (hull.length === 0 || last === 0) return null;
    const end = hull.at(-1)!;
    let area = end.quality * (last - end.costUsd);
    for (let k = 1; k < hull.length; k++) {
      const a = hull[k - 1]!;
      const b = hull[k]!;
      area += ((a.quality + b.quality) / 2) * (b.costUsd - a.costUsd);
    }
    return area / last;
  });
}

/**
 * Their headline: the plain mean over benchmarks, each with its own c* and the same say whatever its size.
 *
 * @param byBenchmark for each benchmark the curves of the same routers in the same order
 * @returns per router; null where a benchmark has none
 */
export function routerBenchMeanAiq(byBenchmark: readonly (readonly (readonly CurvePoint[])[])[]): (number | null)[] {
  const values = byBenchmark.map(routerBenchAiq);
  return (values[0] ?? []).map((_, r) => {
    let sum = 0;
    for (const row of values) {
      const value = row[r];
      if (value === null || value === undefined) return null;
      sum += value;
    }
    return sum / values.length;
  });
}
