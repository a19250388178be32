/**
 * Operating points, chosen on the training part and frozen. A router's settings are thinned to those on the
 * upper hull of (cost, quality) *on the training part*; mixing two neighbours at random reaches any cost
 * between them. A fixed grid of target costs then gives the points that the test part only measures.
 */
import type { CurvePoint } from './metrics/curve-point.ts';
import { upperHull } from './metrics/upper-hull.ts';

/** Target costs from the cheapest to the dearest single model. More of them would fit noise, fewer cut corners. */
export const GRID_POINTS = 33;

/** Send a share `weight` of the prompts by setting `b`, the others by setting `a`. */
export interface Mix {
  /** Index into the settings. */
  readonly a: number;
  readonly b: number;
  /** In [0, 1]. */
  readonly weight: number;
}

export interface FrozenPoint extends Mix {
  /** What the mix cost and reached on the training part. */
  readonly trainCostUsd: number;
  readonly trainQuality: number;
}

/** Target costs, evenly spaced in ln cost; evenly in cost where the cheapest costs nothing. */
export function targetCosts(lowUsd: number, highUsd: number, points = GRID_POINTS): number[] {
  if (highUsd <= lowUsd) return [lowUsd];
  return Array.from({ length: points }, (_, k) => {
    const share = k / (points - 1);
    if (k === 0) return lowUsd;
    if (k === points - 1) return highUsd;
    return lowUsd > 0 ? lowUsd * (highUsd / lowUsd) ** share : lowUsd + (highUsd - lowUsd) * share;
  });
}

/**
 * One frozen operating point per target cost. Below the cheapest setting: the cheapest; above the best one:
 * the best, which costs less than the target.
 */
export function freeze(settings: readonly CurvePoint[], targets: readonly number[]): FrozenPoint[] {
  const hull = upperHull(settings);
  return targets.map((target) => {
    let k = hull.findIndex((s) => settings[s]!.costUsd >= target);
    if (k === 0) return pure(settings, hull[0]!);
    if (k === -1) return pure(settings, hull.at(-1)!);
    k = Math.max(1, k);
    const a = hull[k - 1]!;
    const b = hull[k]!;
    const pa = settings[a]!;
    const pb = settings[b]!;
    const weight = (target - pa.costUsd) / (pb.costUsd - pa.costUsd);
    return { a, b, weight, trainCostUsd: target, trainQuality: pa.quality + weight * (pb.quality - pa.quality) };
  });
}

/** One setting, used for every prompt. */
export const pure = (settings: readonly CurvePoint[], s: number): FrozenPoint => ({
  a: s,
  b: s,
  weight: 0,
  trainCostUsd: settings[s]!.costUsd,
  trainQuality: settings[s]!.quality,
});
