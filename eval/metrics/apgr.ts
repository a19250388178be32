/** RouteLLM's figures for a pair of models: performance gap recovered over the share of strong calls. */

/** What a two-model router reached at one threshold. */
export interface DeferralPoint {
  /** Share of prompts sent to the strong model, in [0, 1]. */
  readonly strongShare: number;
  /** Mean quality, in [0, 1]. */
  readonly quality: number;
}

/**
 * Thresholds on the score: its decile edges, as RouteLLM takes them (`pd.qcut(win_rates, 10)`; linear
 * interpolation between order statistics, equal edges merged), rising.
 */
export function decileThresholds(scores: Float64Array, bins = 10): Float64Array {
  const sorted = Float64Array.from(scores).sort();
  const edges = new Set<number>();
  for (let b = 0; b <= bins; b++) {
    const at = (b / bins) * (sorted.length - 1);
    const low = sorted[Math.floor(at)]!;
    edges.add(low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at)));
  }
  return Float64Array.from(edges);
}

/**
 * The deferral curve: the strong model where score ≥ threshold. Both fixed ends (all weak, all strong)
 * are always part of it; RouteLLM's code leaves out whichever end its thresholds happen not to reach.
 *
 * @param scores   s(x), higher: rather the strong model; length n ≥ 1
 * @param weak     quality of the weak model, in [0, 1]; length n
 * @param strong   quality of the strong model, in [0, 1]; length n
 * @returns points by rising share of strong calls
 */
export function deferralCurve(
  scores: Float64Array,
  weak: Float64Array,
  strong: Float64Array,
  thresholds: Float64Array = decileThresholds(scores),
): DeferralPoint[] {
  const n = scores.length;
  const at = (threshold: number): DeferralPoint => {
    let calls = 0;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const up = scores[i]! >= threshold;
      if (up) calls++;
      sum += up ? strong[i]! : weak[i]!;
    }
    return { strongShare: calls / n, quality: sum / n };
  };
  const points = [at(Number.POSITIVE_INFINITY), ...[...thresholds].map(at), at(Number.NEGATIVE_INFINITY)];
  return points.sort((a, b) => a.strongShare - b.strongShare);
}

/**
 * Average performance gap recovered:
 *
 *     APGR = (∫ Q d share − Q_weak) / (Q_strong − Q_weak),   trapezoid over the deferral curve
 *
 * 0.5 for a random order; above 1 for a very good one, as two models together can beat the strong one.
 *
 * @param curve by rising share, from all weak to all strong
 * @returns null when both models are equally good
 * @see Ong et al., "RouteLLM", 2024, and `routellm/evals/evaluate.py`
 */
export function apgr(curve: readonly DeferralPoint[]): number | null {
  const weak = curve[0]!.quality;
  const gap = curve.at(-1)!.quality - weak;
  if (gap === 0) return null;
  let area = 0;
  for (let k = 1; k < curve.length; k++) {
    const a = curve[k - 1]!;
    const b = curve[k]!;
    area += ((a.quality + b.quality) / 2) * (b.strongShare - a.strongShare);
  }
  return (area - weak) / gap;
}

/**
 * Call-performance threshold: the least share of strong calls that recovers `share` of the gap between the
 * two models, linear between points. A random order needs `share` itself.
 *
 * @param share of the gap, in (0, 1]
 * @returns in [0, 1]; null when the strong model is not better than the weak one
 */
export function cpt(curve: readonly DeferralPoint[], share: number): number | null {
  const weak = curve[0]!.quality;
  const gap = curve.at(-1)!.quality - weak;
  if (gap <= 0) return null;
  const target = weak + share * gap;
  for (let k = 0; k < curve.length; k++) {
    const b = curve[k]!;
    // Sums of many terms: the all-strong end must reach 100 % of itself.
    if (b.quality < target - 1e-12) continue;
    if (k === 0) return b.strongShare;
    const a = curve[k - 1]!;
    if (b.quality <= a.quality) return b.strongShare;
    const part = Math.min(1, (target - a.quality) / (b.quality - a.quality));
    return a.strongShare + part * (b.strongShare - a.strongShare);
  }
  return null;
}
