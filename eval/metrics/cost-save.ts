/** CostSave: the largest cut in cost at no loss of quality against the best single model. */
import type { CurvePoint } from './curve-point.ts';

/** Means over thousands of prompts differ by this much through rounding alone. */
const ROUNDING = 1e-9;

/**
 *     CostSave = 1 − min { C(t) : Q(t) ≥ Q_best } / C_best
 *
 * Over the measured settings alone: none in between is credited, which is what sets it apart from
 * {@link import('./savings.ts').savingAt}. The minimum over settings is taken on the test part, so more settings make it larger by luck.
 *
 * @param best the best single model
 * @returns ≤ 1, negative when parity costs more; null when no setting reaches it or the best single model costs nothing
 * @see LLMRouterBench, 2026
 */
export function costSave(points: readonly CurvePoint[], best: CurvePoint): number | null {
  let least = Number.POSITIVE_INFINITY;
  for (const p of points) if (p.quality >= best.quality - ROUNDING) least = Math.min(least, p.costUsd);
  return best.costUsd > 0 && Number.isFinite(least) ? 1 - least / best.costUsd : null;
}
