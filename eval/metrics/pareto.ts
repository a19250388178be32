/** How a router's settings stand to the joint Pareto frontier of everything compared. */
import type { CurvePoint } from './curve-point.ts';

/**
 * Indices of the points that none dominates (no dearer, no worse, and one of them strictly), in input order.
 * Equal points are all kept.
 */
export function paretoFrontier(points: readonly CurvePoint[]): number[] {
  const order = points.map((_, i) => i);
  order.sort((a, b) => points[a]!.costUsd - points[b]!.costUsd || points[b]!.quality - points[a]!.quality);
  const frontier: number[] = [];
  let best = Number.NEGATIVE_INFINITY;
  let bestCost = Number.NaN;
  for (const i of order) {
    const p = points[i]!;
    if (p.quality > best) {
      best = p.quality;
      bestCost = p.costUsd;
      frontier.push(i);
    } else if (p.quality === best && p.costUsd === bestCost) frontier.push(i);
  }
  return frontier.sort((a, b) => a - b);
}

/**
 * ParetoRatio: share of a method's points that lie on the joint frontier.
 *
 * @param own points of the method
 * @param all points of all methods and single models compared, the method's own among them or not
 * @returns in [0, 1]; null without points
 * @see LLMRouterBench, 2026
 */
export function paretoRatio(own: readonly CurvePoint[], all: readonly CurvePoint[]): number | null {
  if (own.length === 0) return null;
  const frontier = new Set(paretoFrontier([...own, ...all]));
  let on = 0;
  for (let i = 0; i < own.length; i++) if (frontier.has(i)) on++;
  return on / own.length;
}

/** What 0 and 1 are on each axis. */
export interface ParetoScale {
  readonly lowUsd: number;
  readonly highUsd: number;
  readonly lowQuality: number;
  readonly highQuality: number;
}

/**
 * ParetoDist: mean distance of a method's points to the joint frontier.
 *
 *     1/K · Σₖ min over frontier points f of ‖(x, y)ₖ − (x, y)_f‖₂
 *
 * The benchmark that named it does not say how cost and accuracy are put on one scale. Our choice: both min-max
 * normalised over all points given (or over `scale`, such as the pool's single models), linear in cost, and the
 * distance to the nearest frontier *point*, without lines between them. An axis without width counts for nothing.
 * The figure depends on the set compared: print it only beside others of the same set.
 *
 * @returns 0 when all points are on the frontier; null without points
 * @see LLMRouterBench, 2026
 */
export function paretoDist(
  own: readonly CurvePoint[],
  all: readonly CurvePoint[],
  scale: ParetoScale = scaleOf([...own, ...all]),
): number | null {
  if (own.length === 0) return null;
  const together = [...own, ...all];
  const frontier = paretoFrontier(together).map((i) => together[i]!);
  const width = scale.highUsd - scale.lowUsd;
  const height = scale.highQuality - scale.lowQuality;
  let sum = 0;
  for (const p of own) {
    let nearest = Number.POSITIVE_INFINITY;
    for (const f of frontier) {
      const x = width > 0 ? (p.costUsd - f.costUsd) / width : 0;
      const y = height > 0 ? (p.quality - f.quality) / height : 0;
      nearest = Math.min(nearest, Math.hypot(x, y));
    }
    sum += nearest;
  }
  return sum / own.length;
}

function scaleOf(points: readonly CurvePoint[]): ParetoScale {
  let [lowUsd, lowQuality] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let [highUsd, highQuality] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const p of points) {
    lowUsd = Math.min(lowUsd, p.costUsd);
    highUsd = Math.max(highUsd, p.costUsd);
    lowQuality = Math.min(lowQuality, p.quality);
    highQuality = Math.max(highQuality, p.quality);
  }
  return { lowUsd, highUsd, lowQuality, highQuality };
}
