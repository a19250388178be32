/** What a router saves while it keeps a share of a fixed model's quality. */
import type { CurvePoint } from './curve-point.ts';
import { costToReach } from './quality-neutral-cost.ts';

/**
 *     saving = 1 − min { c : Q(c) ≥ share · Q_baseline } / c_baseline
 *
 * @param share of the baseline's quality to keep, in (0, 1]
 * @returns ≤ 1, negative when the router must spend more; null when the curve never gets there or the
 *          baseline costs nothing
 */
export function savingAt(points: readonly CurvePoint[], baseline: CurvePoint, share: number): number | null {
  const cost = costToReach(points, share * baseline.quality);
  return cost === null || baseline.costUsd <= 0 ? null : 1 - cost / baseline.costUsd;
}
