/** Intervals for what every estimator here is: a sum of ratios of sums over sessions. */
import { forEachResample, percentileInterval } from '../metrics/bootstrap.ts';
import type { Estimate } from '../result.ts';

/** Σ a / Σ b. With bᵢ = 1 it is a mean, with bᵢ = wᵢ a self-normalised one. */
export interface Ratio {
  /** By row, length n. */
  readonly numerator: Float64Array;
  /** By row, length n; null: 1 each. */
  readonly denominator: Float64Array | null;
}

/** Rows by the unit that is resampled. */
export interface Units {
  /** Unit of each row, in 0 … count − 1; length n. */
  readonly of: Int32Array;
  readonly count: number;
}

/** @param names of the unit of each row, in any order */
export function unitsOf(names: readonly string[]): Units {
  const at = new Map<string, number>();
  const of = Int32Array.from(names, (name) => {
    const known = at.get(name);
    if (known !== undefined) return known;
    at.set(name, at.size);
    return at.size - 1;
  });
  return { of, count: at.size };
}

/** θ = Σₖ (Σ aₖ / Σ bₖ), and where its true value must lie: the interval is cut there. */
export interface Statistic {
  readonly ratios: readonly Ratio[];
  readonly range?: readonly [number, number];
}

export interface IntervalOptions {
  readonly replicates: number;
  readonly seed: number;
}

/**
 * Value and 95 % interval of each θ = Σₖ (Σ aₖ / Σ bₖ), by the bootstrap-t over units:
 *
 *     [θ − t₀.₉₇₅ s, θ − t₀.₀₂₅ s],   t* = (θ* − θ) / s*,   s² = Σ_u (Σₖ (a_ku − θₖ b_ku) / Σ bₖ)²
 *
 * a_ku sums over the rows of unit u. Percentiles of θ* itself would be too narrow and lie on the wrong side: a few
 * great weights skew θ, and where they are missed its spread is underestimated along with it. Dividing by each
 * resample's own s* takes both into account. All statistics share the resamples.
 *
 * @returns in the order given; bounds null where the resamples do not determine them: one unit, or weights on hardly any
 * @see Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, §12.5; Hall, "Theoretical Comparison of Bootstrap
 *      Confidence Intervals", Annals of Statistics 1988
 */
export function ratioEstimates(statistics: readonly Statistic[], units: Units, options: IntervalOptions): Estimate[] {
  const ones = new Uint16Array(units.count).fill(1);
  const measured = statistics.map(({ ratios, range }) => {
    const sums = ratios.map(({ numerator, denominator }) => ({
      a: unitSums(numerator, units),
      b: unitSums(denominator, units),
    }));
    const { value, error } = measure(sums, ones);
    // Rounding of sums is not spread.
    const varies = error > 1e-12 * Math.max(1, Math.abs(value));
    return { sums, range, value, error, varies, t: new Float64Array(varies ? options.replicates : 0) };
  });
  forEachResample(units.count, options.replicates, options.seed, (weights, r) => {
    for (const { sums, value, varies, t } of measured) {
      if (!varies) continue;
      const drawn = measure(sums, weights);
      t[r] = distance(drawn.value - value, drawn.error, r);
    }
  });
  return measured.map(({ value, error, varies, t, range: [least, most] = UNBOUNDED }) => {
    if (!varies) return units.count > 1 ? { value, low: value, high: value } : { value, low: null, high: null };
    const { low, high } = percentileInterval(t);
    const cut = (x: number) => Math.min(most, Math.max(least, x));
    return {
      value,
      low: high === null ? null : cut(value - high * error),
      high: low === null ? null : cut(value - low * error),
    };
  });
}

const UNBOUNDED = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;

/** In standard errors. A resample without spread is as far off as can be; those without a value, on both sides in turn. */
function distance(from: number, error: number, replicate: number): number {
  if (error > 0) return from / error;
  const above = Number.isNaN(from) ? replicate % 2 === 0 : from > 0;
  return above ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

interface Sums {
  readonly a: Float64Array;
  readonly b: Float64Array;
}

/** θ and its standard error by the linearisation of the ratios, on a resample. */
function measure(sums: readonly Sums[], weights: Uint16Array): { value: number; error: number } {
  const parts = sums.map(({ a, b }) => {
    let sumA = 0;
    let sumB = 0;
    for (let u = 0; u < a.length; u++) {
      sumA += weights[u]! * a[u]!;
      sumB += weights[u]! * b[u]!;
    }
    return { a, b, sumB, theta: sumA / sumB };
  });
  const value = parts.reduce((sum, { theta }) => sum + theta, 0);
  let squares = 0;
  for (let u = 0; u < weights.length; u++) {
    if (weights[u] === 0) continue;
    let influence = 0;
    for (const { a, b, sumB, theta } of parts) influence += (a[u]! - theta * b[u]!) / sumB;
    squares += weights[u]! * influence * influence;
  }
  return { value, error: Math.sqrt(squares) };
}

function unitSums(rows: Float64Array | null, units: Units): Float64Array {
  const sums = new Float64Array(units.count);
  for (let i = 0; i < units.of.length; i++) sums[units.of[i]!]! += rows === null ? 1 : rows[i]!;
  return sums;
}
