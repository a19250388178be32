/** Columns that a metric reads: the same length and finite, so that no NaN comes out of one. */
import { RoutingError } from '../../datasets/index.ts';

export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** Probabilities, and outcomes on a quality scale. */
export const UNIT: Bounds = { low: 0, high: 1 };
/** Costs, tokens, weights. */
export const NOT_NEGATIVE: Bounds = { low: 0, high: Number.MAX_VALUE };

/**
 * @param metric  name of the metric, for the message
 * @param columns by name; all must have one length and hold finite numbers within their bounds
 * @returns that length
 * @throws `UNDEFINED_METRIC` naming metric, column, index and value
 */
export function checkColumns(
  metric: string,
  columns: Readonly<Record<string, { readonly values: ArrayLike<number>; readonly bounds?: Bounds } | undefined>>,
): number {
  let n = -1;
  for (const [name, column] of Object.entries(columns)) {
    if (!column) continue;
    const { values, bounds } = column;
    if (n === -1) n = values.length;
    if (values.length !== n) {
      const lengths = Object.entries(columns).flatMap(([k, c]) => (c ? [`${k} ${c.values.length}`] : []));
      throw new RoutingError(
        'UNDEFINED_METRIC',
        `${metric}: columns of one length are needed, not ${lengths.join(', ')}`,
      );
    }
    for (let i = 0; i < n; i++) {
      const x = values[i]!;
      if (Number.isFinite(x) && (!bounds || (x >= bounds.low && x <= bounds.high))) continue;
      const allowed = !bounds
        ? 'a finite number'
        : bounds.high === Number.MAX_VALUE
          ? `a finite number ≥ ${bounds.low}`
          : `a number in [${bounds.low}, ${bounds.high}]`;
      throw new RoutingError(
        'UNDEFINED_METRIC',
        `${metric}: ${name}[${i}] is ${x}, not ${allowed}; leave out rows without an outcome or a prediction`,
      );
    }
  }
  return Math.max(n, 0);
}

/** Σ wᵢ xᵢ / Σ wᵢ, all weights 1 without `weights`; null when they sum to 0 or there is no row. */
export function weightedMean(values: ArrayLike<number>, weights?: ArrayLike<number>): number | null {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    const w = weights?.[i] ?? 1;
    sum += w * values[i]!;
    total += w;
  }
  return total > 0 ? sum / total : null;
}
