/** How far off forecasts of tokens or cost are. */
import { checkColumns, NOT_NEGATIVE } from './columns.ts';

export interface ForecastError {
  /** Rows counted (sum of their weights). */
  readonly n: number;
  /** Median of |ln(ĉ / c)|: 0.69 is off by a factor of two. Null when it is infinite (one of the two is 0 on half of the rows). */
  readonly medianAbsoluteLogError: number | null;
  /** Σ ĉ / Σ c − 1: what a bill differs from its forecast, > 0 when too much was forecast. Null when Σ c = 0. */
  readonly meanRelativeBias: number | null;
  /** Share of rows with |ĉ − c| ≤ 10 % of c, in [0, 1]. */
  readonly within10: number;
  /** The same for 50 %. */
  readonly within50: number;
}

/**
 * Token and cost forecasts against what happened. The logarithm gives a factor of two the same say above and below;
 * the bias is dominated by expensive prompts, as bills are.
 *
 * A row on which both are 0 is exact; one on which only one is 0 has an infinite log error.
 *
 * @param forecast ĉ, USD or tokens, ≥ 0; length n
 * @param actual   c, the same unit, ≥ 0; length n
 * @param weights  ≥ 0, length n; all 1 without. Whole numbers count a row that often
 * @returns null without rows or weight
 * @throws `UNDEFINED_METRIC` when lengths differ or a number is negative or not finite
 */
export function forecastError(
  forecast: Float64Array,
  actual: Float64Array,
  weights?: ArrayLike<number>,
): ForecastError | null {
  const rows = checkColumns('forecastError', {
    forecast: { values: forecast, bounds: NOT_NEGATIVE },
    actual: { values: actual, bounds: NOT_NEGATIVE },
    weights: weights && { values: weights, bounds: NOT_NEGATIVE },
  });
  let [n, sumForecast, sumActual, near10, near50] = [0, 0, 0, 0, 0];
  const errors = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    const w = weights?.[i] ?? 1;
    const f = forecast[i]!;
    const c = actual[i]!;
    n += w;
    sumForecast += w * f;
    sumActual += w * c;
    if (isWithin(f, c, 0.1)) near10 += w;
    if (isWithin(f, c, 0.5)) near50 += w;
    errors[i] = f === c ? 0 : Math.abs(Math.log(f) - Math.log(c));
  }
  if (n === 0) return null;
  const median = weightedMedian(errors, weights);
  return {
    n,
    medianAbsoluteLogError: Number.isFinite(median) ? median : null,
    meanRelativeBias: sumActual > 0 ? sumForecast / sumActual - 1 : null,
    within10: near10 / n,
    within50: near50 / n,
  };
}

/** 1.1 / 1 is not within 10 % in floating point: a forecast on the edge counts. */
const isWithin = (f: number, c: number, share: number): boolean => Math.abs(f - c) <= share * c * (1 + 1e-12);

/** The middle value; where the weight splits evenly, half way between the two beside it. */
function weightedMedian(values: Float64Array, weights: ArrayLike<number> | undefined): number {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b);
  let total = 0;
  for (const i of order) total += weights?.[i] ?? 1;
  let below = 0;
  for (let k = 0; k < order.length; k++) {
    below += weights?.[order[k]!] ?? 1;
    if (below < total / 2) continue;
    const value = values[order[k]!]!;
    if (below > total / 2) return value;
    let next = k + 1;
    while (weights && next < order.length && weights[order[next]!] === 0) next++;
    return next < order.length ? (value + values[order[next]!]!) / 2 : value;
  }
  return Number.NaN;
}
