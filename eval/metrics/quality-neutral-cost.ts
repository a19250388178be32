/** What it costs to be as good as a fixed model. */
import { byCost, type CurvePoint } from './curve-point.ts';

/** Means over thousands of prompts differ by this much through rounding alone. */
const ROUNDING = 1e-9;

/**
 * The least cost at which the curve reaches a quality, linear between neighbouring points.
 * The points are frozen settings as measured: no hull, the first crossing counts.
 * @returns USD; null when the curve never reaches it
 */
export function costToReach(points: readonly CurvePoint[], quality: number): number | null {
  const sorted = byCost(points);
  for (let i = 0; i < sorted.length; i++) {
    const b = sorted[i]!;
    if (b.quality < quality - ROUNDING) continue;
    if (i === 0) return b.costUsd;
    const a = sorted[i - 1]!;
    const part = b.quality > a.quality ? Math.min(1, (quality - a.quality) / (b.quality - a.quality)) : 1;
    return a.costUsd + Math.max(0, part) * (b.costUsd - a.costUsd);
  }
  return null;
}

/**
 * Quality-neutral cost: what the router costs at the baseline's quality, as a share of what the baseline costs.
 *
 *     QNC = min { c : Q(c) ≥ Q_baseline } / c_baseline
 *
 * @returns ≥ 0, below 1 is a saving; null when the curve never reaches the baseline's quality or it costs nothing
 * @see Jitkrittum et al., "Universal Model Routing", 2025
 */
export function qualityNeutralCost(points: readonly CurvePoint[], baseline: CurvePoint): number | null {
  const cost = costToReach(points, baseline.quality);
  return cost === null || baseline.costUsd <= 0 ? null : cost / baseline.costUsd;
}
