/** PerfGain: how far the best setting of a router gets above the best single model, whatever it costs. */
import type { CurvePoint } from './curve-point.ts';

/**
 *     PerfGain = max_t Q(t) / Q_best − 1
 *
 * A maximum over settings measured on the test part: more settings make it larger by luck alone. Give frozen ones.
 *
 * @param best the best single model
 * @returns ≥ −1, 0 when equal; null without points or when the best single model has quality 0
 * @see LLMRouterBench, 2026
 */
export function perfGain(points: readonly CurvePoint[], best: CurvePoint): number | null {
  if (points.length === 0 || best.quality <= 0) return null;
  let most = Number.NEGATIVE_INFINITY;
  for (const p of points) most = Math.max(most, p.quality);
  return most / best.quality - 1;
}
