/** Performance gap recovered: how much of the way from the weak to the strong model a router goes. */
import { aiqLinear, type CostRange, curveFrom } from './aiq.ts';
import { type CurvePoint, qualityAt } from './curve-point.ts';
import { costToReach } from './quality-neutral-cost.ts';

/** Sums in another order differ by less than this. */
const ROUNDING = 1e-12;

/**
 *     PGR = (Q − Q_weak) / (Q_strong − Q_weak)
 *
 * @param quality mean quality of the router at one setting, in [0, 1]
 * @returns 0 for the weak, 1 for the strong model; below 0 and above 1 can happen. Null unless the strong
 *          model is better: over a gap the other way round the figure would reward a bad router
 * @see Ong et al., "RouteLLM", 2024
 */
export function pgr(quality: number, weakQuality: number, strongQuality: number): number | null {
  const gap = strongQuality - weakQuality;
  return gap > ROUNDING ? (quality - weakQuality) / gap : null;
}

/**
 * Improvement of an APGR over that of a random order, which is 0.5:
 *
 *     APGR / 0.5 − 1
 *
 * @returns 0 for a random order, 0.2 for "20 % better than random"; null where the APGR is
 */
export const improvementOverRandom = (apgr: number | null): number | null => (apgr === null ? null : apgr / 0.5 - 1);

/** The cost axis of a pool and the gap in quality along it; for more than two models, where no share of strong calls exists. */
export interface GapRange extends CostRange {
  /**
   * Quality that counts as the whole gap, in [0, 1]: that of the single model at `highUsd`, or of the best single
   * model. Only with the first is a random mix of both ends worth exactly 0.5: say which one was taken.
   */
  readonly highQuality: number;
}

/**
 * Share of the way from the cheapest to the dearest single model: (C − C_min) / (C_max − C_min).
 * With two models that cost the same on every prompt this is the share of strong calls.
 *
 * @returns 0 to 1 within the pool's range, outside beyond it; null when the range is empty
 */
export function costFraction(costUsd: number, range: CostRange): number | null {
  const width = range.highUsd - range.lowUsd;
  return width > 0 ? (costUsd - range.lowUsd) / width : null;
}

/**
 * PGR where the curve crosses a cost: linear between points, level beyond the last, and from the cheapest single
 * model on where the router's own points cost more.
 *
 * @param fraction of the cost range, in [0, 1]
 * @returns null without points or a gap
 */
export function costPgr(points: readonly CurvePoint[], range: GapRange, fraction: number): number | null {
  if (points.length === 0 || !(range.highUsd > range.lowUsd)) return null;
  const costUsd = range.lowUsd + fraction * (range.highUsd - range.lowUsd);
  return pgr(qualityAt(curveFrom(points, range), costUsd), range.lowQuality, range.highQuality);
}

/**
 * APGR over cost instead of strong calls:
 *
 *     ∫₀¹ PGR(x) dx = (AIQ_linear − Q_low) / (Q_high − Q_low),    x = (C − C_min) / (C_max − C_min)
 *
 * Equal to {@link import('./apgr.ts').apgr} for two models of constant cost per call.
 *
 * @returns 0.5 for a random mix of the two ends; null without points, width or gap
 */
export function costApgr(points: readonly CurvePoint[], range: GapRange): number | null {
  const area = aiqLinear(points, range);
  return area === null ? null : pgr(area, range.lowQuality, range.highQuality);
}

/**
 * CPT over cost: the least fraction of the cost range at which the curve recovers `share` of the gap.
 *
 * @param share of the gap, in (0, 1]
 * @returns 0 at the cheapest, 1 at the dearest single model, above 1 where the router costs more than it; null when
 *          the curve never gets there, or without width or gap
 */
export function costCpt(points: readonly CurvePoint[], range: GapRange, share: number): number | null {
  const gap = range.highQuality - range.lowQuality;
  if (points.length === 0 || gap <= ROUNDING) return null;
  const costUsd = costToReach(curveFrom(points, range), range.lowQuality + share * gap);
  return costUsd === null ? null : costFraction(costUsd, range);
}
