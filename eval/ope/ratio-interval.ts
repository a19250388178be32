/** Intervals for what every estimator here is: a sum of ratios of sums over sessions. */
import { forEachResample } from '../metrics/bootstrap.ts';
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
 *     θ ± q s,   q = t₍₀.₉₅₍R₊₁₎₎ of t = |θ* − θ| / s*,   s² = Σ_u (Σₖ (a_ku − θₖ b_ku) / Σ bₖ)²
 *
 * a_ku sums over the rows of unit u; t₍ₖ₎ is the k-th smallest of R, between two of them where k is no whole number.
 * Percentiles of θ* are too narrow: where a few great weights were missed, the spread is underestimated along with the
 * value. Dividing by each resample's own s* takes that into account, and the symmetric form errs by O(1/n²) in coverage,
 * where those with a quantile on each side (bootstrap-t, BCa) err by O(1/n). Of R values drawn alike with the true one,
 * it lies above the k-th in R + 1 − k of R + 1 cases: the point 0.95 (R − 1) + 1, which many programs take, would hold
 * half a percent less at R = 200. All statistics share the resamples.
 *
 * @returns in the order given; bounds null where nothing tells how far off the value may be: fewer than
 *          {@link LEAST_UNITS} units, no spread at all, weights on hardly any unit, fewer than 19 resamples, or an
 *          interval wholly outside the range
 * @see Hall, "On Symmetric Bootstrap Confidence Intervals", JRSS B 1988; Davison & Hinkley, "Bootstrap Methods and their
 *      Application", 1997, §5.2, for the quantile; README.md for the coverage measured
 */
export function ratioEstimates(statistics: readonly Statistic[], units: Units, options: IntervalOptions): Estimate[] {
  const ones = new Uint16Array(units.count).fill(1);
  const measured = statistics.map(({ ratios, range }) => {
    const measure = measureOf(ratios, units);
    const { value, error } = measure(ones);
    // Rounding of sums is not spread.
    const varies = units.count >= LEAST_UNITS && error > 1e-12 * Math.max(1, Math.abs(value));
    return { measure, range, value, error, varies, t: new Float64Array(varies ? options.replicates : 0) };
  });
  forEachResample(units.count, options.replicates, options.seed, (weights, r) => {
    for (const { measure, value, varies, t } of measured) {
      if (!varies) continue;
      const drawn = measure(weights);
      // A resample without spread, or without a value, is as far off as can be.
      t[r] = drawn.error > 0 ? Math.abs(drawn.value - value) / drawn.error : Number.POSITIVE_INFINITY;
    }
  });
  return measured.map(({ value, error, varies, t, range: [least, most] = UNBOUNDED }) => {
    const q = varies ? quantile(t) : null;
    if (q === null) return { value, low: null, high: null };
    const low = Math.max(least, value - q * error);
    const high = Math.min(most, value + q * error);
    return low < high ? { value, low, high } : { value, low: null, high: null };
  });
}

const UNBOUNDED = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;
const LEVEL = 0.95;

/** t₍₀.₉₅₍R₊₁₎₎; null where it is beyond the last one, or infinite. */
function quantile(t: Float64Array): number | null {
  const sorted = Float64Array.from(t).sort();
  const place = LEVEL * (sorted.length + 1) - 1;
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (below === undefined || above === undefined || !Number.isFinite(above)) return null;
  return below + (above - below) * (place - Math.floor(place));
}

/** θ and its standard error by the linearisation of the ratios, on a resample. */
type Measure = (weights: Uint16Array) => { readonly value: number; readonly error: number };

function measureOf(ratios: readonly Ratio[], units: Units): Measure {
  const sums = ratios.map(({ numerator, denominator }) => ({
    a: unitSums(numerator, units),
    b: unitSums(denominator, units),
  }));
  const [{ a, b }] = sums as [Sums];
  return sums.length === 1 && b.every((v) => v === 1) && isMostlyZero(a) ? sparseMean(a) : linearised(sums);
}

interface Sums {
  readonly a: Float64Array;
  readonly b: Float64Array;
}

function linearised(sums: readonly Sums[]): Measure {
  const influence = new Float64Array(sums[0]!.a.length);
  return (weights) => {
    influence.fill(0);
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
  };
}

/** The same for a mean over units most of which have 0: two policies that mostly agree, in a tenth of the time. */
function sparseMean(values: Float64Array): Measure {
  const n = values.length;
  const at = Int32Array.from(values.keys()).filter((u) => values[u] !== 0);
  const known = Float64Array.from(at, (u) => values[u]!);
  return (weights) => {
    let sum = 0;
    let squares = 0;
    for (let k = 0; k < at.length; k++) {
      const weighed = weights[at[k]!]! * known[k]!;
      sum += weighed;
      squares += weighed * known[k]!;
    }
    // Of values most of which are 0 it is at least half of the squares; only a resample without a 0 can leave rounding.
    const deviations = squares - (sum * sum) / n;
    return { value: sum / n, error: deviations > 1e-12 * squares ? Math.sqrt(deviations) / n : 0 };
  };
}

function isMostlyZero(values: Float64Array): boolean {
  let zeros = 0;
  for (const v of values) if (v === 0) zeros++;
  return zeros > values.length / 2;
}

function unitSums(rows: Float64Array | null, units: Units): Float64Array {
  const sums = new Float64Array(units.count);
  for (let i = 0; i < units.of.length; i++) sums[units.of[i]!]! += rows === null ? 1 : rows[i]!;
  return sums;
}
