/** AIQ, average improvement in quality: one number for a whole cost-quality curve. */
import { byCost, type CurvePoint, qualityAt } from './curve-point.ts';

/** The cost axis, set by the pool of candidate models and so the same for every router. */
export interface CostRange {
  /** Mean cost of a prompt when all go to the cheapest single model, USD. */
  readonly lowUsd: number;
  /** Mean cost of a prompt when all go to the dearest single model, USD. */
  readonly highUsd: number;
  /** Mean quality of the cheapest single model, in [0, 1]. */
  readonly lowQuality: number;
}

/**
 * Mean quality of the curve over the logarithm of cost, from the cheapest to the dearest single model:
 *
 *     AIQ = 1 / ln(c_high / c_low) · ∫ Q(c) d ln c,   c from c_low to c_high
 *
 * Q is linear in cost between neighbouring points (a random mix of two settings), so that each piece
 * a + b·c integrates to a·ln(c₂/c₁) + b·(c₂ − c₁). To the right of the last point Q stays level: more
 * money than a router can use buys nothing. A curve whose first point costs more than c_low starts at the
 * cheapest single model, which every router can send a share of its prompts to; this also turns the one
 * point of a router without settings into a curve. The logarithm gives each factor of cost its say:
 * over linear cost the dearest model alone stretches the axis.
 *
 * No hull is taken: a setting that turned out worse than a cheaper one lowers the figure.
 *
 * @returns in [0, 1]; null when there is no point or the cost range is empty or starts at 0
 * @see Hu et al., "RouterBench", 2024 (there over linear cost, with a hull taken on the test part)
 */
export function aiq(points: readonly CurvePoint[], range: CostRange): number | null {
  return meanOver(points, range, logPiece, Math.log);
}

/**
 * The same over linear cost: 1 / (c_high − c_low) · ∫ Q(c) dc.
 * @returns in [0, 1]; null when there is no point or the cost range is empty
 */
export function aiqLinear(points: readonly CurvePoint[], range: CostRange): number | null {
  return meanOver(points, range, linearPiece, (c) => c);
}

/** Points as the AIQ reads them: by rising cost, starting at the cheapest single model if they start later. */
export function curveFrom(points: readonly CurvePoint[], range: CostRange): CurvePoint[] {
  const sorted = byCost(points);
  if (sorted.length > 0 && sorted[0]!.costUsd <= range.lowUsd) return sorted;
  return [{ costUsd: range.lowUsd, quality: range.lowQuality }, ...sorted];
}

type Piece = (c1: number, q1: number, c2: number, q2: number) => number;

function meanOver(
  points: readonly CurvePoint[],
  range: CostRange,
  piece: Piece,
  scale: (c: number) => number,
): number | null {
  const { lowUsd, highUsd } = range;
  const width = scale(highUsd) - scale(lowUsd);
  if (points.length === 0 || !Number.isFinite(width) || width <= 0) return null;
  const curve = curveFrom(points, range);
  let area = 0;
  let c = lowUsd;
  let q = qualityAt(curve, lowUsd);
  for (const next of curve) {
    if (next.costUsd <= lowUsd) continue;
    if (next.costUsd >= highUsd) break;
    area += piece(c, q, next.costUsd, next.quality);
    c = next.costUsd;
    q = next.quality;
  }
  area += piece(c, q, highUsd, qualityAt(curve, highUsd));
  return area / width;
}

const linearPiece: Piece = (c1, q1, c2, q2) => ((q1 + q2) / 2) * (c2 - c1);

/** ∫ of a line in c over d ln c. Where c₂/c₁ is near 1 the closed form cancels and the trapezoid is exact enough. */
const logPiece: Piece = (c1, q1, c2, q2) => {
  const ratio = c2 / c1;
  const log = Math.log(ratio);
  if (ratio - 1 < 1e-5) return ((q1 + q2) / 2) * log;
  const slope = (q2 - q1) / (ratio - 1);
  return (q1 - slope) * log + slope * (ratio - 1);
};
