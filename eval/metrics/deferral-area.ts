/** Area under the deferral curve: quality over cost as a share of the dearest model's. */
import { byCost, type CurvePoint } from './curve-point.ts';

/**
 *     Area = ∫ Q(x) dx,   x = C / C_max from 0 to `upTo`
 *
 * Linear between points, level after the last one. Left of the first point there is nothing: with less money than
 * the cheapest setting costs no prompt can be answered, so Q = 0 there. (Our reading; where the cheapest model is
 * nearly free it makes no difference.)
 * Truncated at 0.5 it asks what a router does with half of the dearest model's money; divide by `upTo` for a mean
 * quality.
 *
 * @param points     one per setting; no hull is taken
 * @param maxCostUsd C_max, mean cost of a prompt with the dearest single model of the pool, the same for all routers
 * @param upTo       right end of the cost axis, in (0, 1]
 * @returns in [0, upTo], 0 when every point costs more than upTo · C_max; null without points or when C_max is not above 0
 * @see Jitkrittum et al., "Universal Model Routing" (UniRoute), 2025; CSCR, 2025
 */
export function deferralArea(points: readonly CurvePoint[], maxCostUsd: number, upTo = 1): number | null {
  if (points.length === 0 || !(maxCostUsd > 0)) return null;
  const sorted = byCost(points);
  const end = upTo * maxCostUsd;
  let { costUsd, quality } = sorted[0]!;
  if (costUsd >= end) return 0;
  let area = 0;
  for (const next of sorted) {
    if (next.costUsd >= end) {
      const atEnd = quality + ((next.quality - quality) * (end - costUsd)) / (next.costUsd - costUsd);
      return (area + ((quality + atEnd) / 2) * (end - costUsd)) / maxCostUsd;
    }
    area += ((quality + next.quality) / 2) * (next.costUsd - costUsd);
    ({ costUsd, quality } = next);
  }
  return (area + quality * (end - costUsd)) / maxCostUsd;
}
