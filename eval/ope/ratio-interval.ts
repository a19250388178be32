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

/** Of fewer units no spread is known. */
export const LEAST_UNITS = 5;

export interface IntervalOptions {
  readonly replicates: number;
  readonly seed: number;
}

/**
 * Value and 95 % interval of each θ = Σₖ (Σ aₖ / Σ bₖ), by the symmetric bootstrap-t over units:
 *
 *     θ ± q s,   q = 95 % point of |θ* − θ| / s*,   s² = Σ_u (Σₖ (a_ku − θₖ b_ku) / Σ bₖ)²
 *
 * a_ku sums over the rows of unit u. Percentiles of θ* are too narrow: where a few great weights were missed, the
 * spread is underestimated along with the value. Dividing by each resample's own s* takes that into account, and the
 * symmetric form errs by O(1/n²) in coverage, where that with a quantile on each side errs by O(1/n). All
 * statistics share the resamples.
 *
 * @returns in the order given; bounds null where nothing tells how far off the value may be: fewer than
 *          {@link LEAST_UNITS} units, no spread at all, weights on hardly any unit, or an interval wholly outside the range
 * @see Hall, "On Symmetric Bootstrap Confidence Intervals", JRSS B 1988; README.md for the coverage measured
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
    const varies = units.count >= LEAST_UNITS && error > 1e-12 * Math.max(1, Math.abs(value));
    return { sums, range, value, error, varies, t: new Float64Array(varies ? options.replicates : 0) };
  });
  forEachResample(units.count, options.replicates, options.seed, (weights, r) => {
    for (const { sums, value, varies, t } of measured) {
      if (!varies) continue;
      const drawn = measure(sums, weights);
      // A resample without spread, or without a value, is as far off as can be.
      t[r] = drawn.error > 0 ? Math.abs(drawn.value - value) / drawn.error : Number.POSITIVE_INFINITY;
    }
  });
  return measured.map(({ value, error, varies, t, range: [least, most] = UNBOUNDED }) => {
    if (!varies) return { value, low: null, high: null };
    // Of a symmetric pair of ends at level 0.9 the upper one is the 95 % point.
    const q = percentileInterval(t, 0.9).high;
    if (q === null) return { value, low: null, high: null };
    const low = Math.max(least, value - q * error);
    const high = Math.min(most, value + q * error);
    return low < high ? { value, low, high } : { value, low: null, high: null };
  });
}

const UNBOUNDED = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;

interface Sums {
  readonly a: Float64Array;
  readonly b: Float64Array;
}

/** θ and its standard error by the linearisation of the ratios, on a resample. */
function measure(sums: readonly Sums[], weights: Uint16Array): { value: number; error: number } {
  const influence = new Float64Array(weights.length);
  let value = 0;
  for (const { a, b } of sums) {
    let sumA = 0;
    let sumB = 0;
    for (let u = 0; u < a.length; u++) {
      sumA += weights[u]! * a[u]!;
      sumB += weights[u]! * b[u]!;
    }
    const theta = sumA / sumB;
    const scale = 1 / sumB;
    value += theta;
    for (let u = 0; u < a.length; u++) influence[u]! += (a[u]! - theta * b[u]!) * scale;
  }
  let squares = 0;
  for (let u = 0; u < influence.length; u++) squares += weights[u]! * influence[u]! * influence[u]!;
  return { value, error: Math.sqrt(squares) };
}

function unitSums(rows: Float64Array | null, units: Units): Float64Array {
  const sums = new Float64Array(units.count);
  for (let i = 0; i < units.of.length; i++) sums[units.of[i]!]! += rows === null ? 1 : rows[i]!;
  return sums;
}
