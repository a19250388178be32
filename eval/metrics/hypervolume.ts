/** Hypervolume: the part of the cost-quality plane that a router's settings dominate. */
import { byCost, type CurvePoint } from './curve-point.ts';

/** The box of the pool: both axes run from 0 to 1 within it. */
export interface PoolBox {
  /** Mean cost of a prompt with the cheapest single model, USD. */
  readonly lowUsd: number;
  /** C_max, with the dearest one. */
  readonly highUsd: number;
  /** Q_min, mean quality of the worst single model, in [0, 1]. */
  readonly lowQuality: number;
  /** Mean quality of the best single model. */
  readonly highQuality: number;
}

export type CostScale = 'linear' | 'log';

/**
 * Area dominated by the points relative to the reference point (C_max, Q_min), after
 *
 *     x = (s(C) − s(C_low)) / (s(C_high) − s(C_low)),   y = (Q − Q_low) / (Q_high − Q_low),   s(c) = c or ln c
 *
 *     HV = area of  ∪ₖ [xₖ, 1] × [0, yₖ]
 *
 * A staircase: no mixing of settings is credited, so a curve with more points covers more. Points are not clipped:
 * a router that is better than the best or cheaper than the cheapest single model has an HV above what the pool's
 * box holds. Points with C ≥ C_max or Q ≤ Q_min add nothing.
 *
 * @returns ≥ 0, 1 for the cheapest cost at the best quality; 0 without points; null when the box is empty on either
 *          axis, or with `log` when a cost is 0
 * @see Zitzler & Thiele, "Multiobjective Evolutionary Algorithms", IEEE TEVC 1999
 */
export function hypervolume(points: readonly CurvePoint[], box: PoolBox, scale: CostScale = 'linear'): number | null {
  const s = scale === 'log' ? Math.log : (c: number) => c;
  const width = s(box.highUsd) - s(box.lowUsd);
  const height = box.highQuality - box.lowQuality;
  if (!Number.isFinite(width) || width <= 0 || !(height > 0)) return null;
  let area = 0;
  let best = box.lowQuality;
  for (const p of byCost(points)) {
    if (p.costUsd >= box.highUsd || p.quality <= best) continue;
    const run = s(box.highUsd) - s(p.costUsd);
    if (!Number.isFinite(run)) return null;
    // What this point adds above the best cheaper one.
    area += run * (p.quality - best);
    best = p.quality;
  }
  return area / (width * height);
}

/**
 * HV as a share of what the oracle's curve covers, in the same box and on the same scale.
 *
 * @returns 0 to 1 for a router that no setting of which beats the oracle; null where either is undefined or the
 *          oracle covers nothing
 */
export function hypervolumeRatio(
  points: readonly CurvePoint[],
  oracle: readonly CurvePoint[],
  box: PoolBox,
  scale: CostScale = 'linear',
): number | null {
  const own = hypervolume(points, box, scale);
  const most = hypervolume(oracle, box, scale);
  return own === null || most === null || most === 0 ? null : own / most;
}
