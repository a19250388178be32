/** Upper hull of points in the cost-quality plane: the settings worth using, cheapest first. */
import type { CurvePoint } from './curve-point.ts';

/**
 * Indices of the points on the non-decreasing upper concave hull: from the cheapest point (the best of the
 * cheapest) to the one of greatest quality (the cheapest of the best). Mixing neighbours at random reaches
 * every point of the line between them, so nothing below the hull is worth using.
 *
 * Order of the input does not matter; of equal points the first is kept. An empty input gives an empty hull.
 */
export function upperHull(points: readonly CurvePoint[]): number[] {
  const order = points.map((_, i) => i);
  order.sort((a, b) => points[a]!.costUsd - points[b]!.costUsd || points[b]!.quality - points[a]!.quality || a - b);
  const hull: number[] = [];
  for (const i of order) {
    const p = points[i]!;
    if (hull.length > 0 && p.quality <= points[hull.at(-1)!]!.quality) continue;
    while (hull.length > 1) {
      const a = points[hull.at(-2)!]!;
      const b = points[hull.at(-1)!]!;
      // b is on or below the line from a to p
      if ((b.quality - a.quality) * (p.costUsd - a.costUsd) > (p.quality - a.quality) * (b.costUsd - a.costUsd)) break;
      hull.pop();
    }
    hull.push(i);
  }
  return hull;
}
