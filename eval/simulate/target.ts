/** A target of the simulation: what was wanted, what was found over the runs, and whether that meets it. */
import { normalQuantile } from '../ope/normal.ts';
import type { Estimate } from '../result.ts';

/** `share` and `points` are fractions, printed times 100; `decisions` are counts. */
export type TargetUnit = 'share' | 'points' | 'decisions';

export interface Wanted {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface TargetResult {
  /** The simulation it comes from, as `--only` has it. */
  readonly simulation: string;
  /** The data. */
  readonly source: string;
  readonly name: string;
  readonly unit: TargetUnit;
  /** Value and 95 % interval over runs; bounds null where runs are too few. */
  readonly found: Estimate;
  /** Null: shown for context, nothing is promised of it. */
  readonly wanted: Wanted | null;
  /** By the value; null where nothing is wanted, or nothing was found. */
  readonly isMet: boolean | null;
  /** Whether the whole interval says the same. */
  readonly isSure: boolean;
  readonly runs: number;
  readonly note: string;
}

export function targetResult(of: Omit<TargetResult, 'isMet' | 'isSure'>): TargetResult {
  const { found, wanted } = of;
  const holds = (x: number): boolean =>
    x >= (wanted?.atLeast ?? Number.NEGATIVE_INFINITY) && x <= (wanted?.atMost ?? Number.POSITIVE_INFINITY);
  if (wanted === null || found.value === null) return { ...of, isMet: null, isSure: false };
  const isMet = holds(found.value);
  const { low, high } = found;
  const isSure = low !== null && high !== null && (isMet ? holds(low) && holds(high) : !overlaps(wanted, low, high));
  return { ...of, isMet, isSure };
}

const overlaps = ({ atLeast, atMost }: Wanted, low: number, high: number): boolean =>
  high >= (atLeast ?? Number.NEGATIVE_INFINITY) && low <= (atMost ?? Number.POSITIVE_INFINITY);

/** Fewer runs than this have no interval. */
const MIN_RUNS = 3;

/** Mean over runs with Student's 95 % interval. */
export function meanOver(values: readonly number[]): Estimate {
  const n = values.length;
  if (n === 0) return NOTHING;
  const value = values.reduce((a, b) => a + b, 0) / n;
  if (n < MIN_RUNS) return { value, low: null, high: null };
  const variance = values.reduce((sum, x) => sum + (x - value) ** 2, 0) / (n - 1);
  const half = studentQuantile(n - 1) * Math.sqrt(variance / n);
  return { value, low: value - half, high: value + half };
}

/**
 * Mean of `numerator` ÷ mean of `denominator` over runs, with the interval of its linearisation:
 *
 *     θ = ā / b̄,   s² = Σ (aᵢ − θ bᵢ)² / (n − 1),   θ ± t s / (b̄ √n)
 */
export function ratioOver(numerator: readonly number[], denominator: readonly number[]): Estimate {
  const n = numerator.length;
  const b = denominator.reduce((sum, x) => sum + x, 0) / n;
  if (n === 0 || !(Math.abs(b) > 0)) return NOTHING;
  const value = numerator.reduce((sum, x) => sum + x, 0) / n / b;
  if (n < MIN_RUNS) return { value, low: null, high: null };
  const squares = numerator.reduce((sum, a, i) => sum + (a - value * denominator[i]!) ** 2, 0);
  const half = (studentQuantile(n - 1) * Math.sqrt(squares / (n - 1) / n)) / Math.abs(b);
  return { value, low: value - half, high: value + half };
}

/**
 * Share of runs in which something happened, with Wilson's 95 % interval.
 * @see Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927
 */
export function shareOver(count: number, runs: number): Estimate {
  if (runs === 0) return NOTHING;
  const p = count / runs;
  const z = normalQuantile(0.975);
  const centre = (p + z ** 2 / (2 * runs)) / (1 + z ** 2 / runs);
  const half = (z / (1 + z ** 2 / runs)) * Math.sqrt((p * (1 - p)) / runs + z ** 2 / (4 * runs ** 2));
  return { value: p, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

const NOTHING: Estimate = { value: null, low: null, high: null };

/**
 * 97.5 % point of Student's t by the expansion about the normal one; right to 0.2 % from 3 degrees of freedom on.
 * @see Abramowitz & Stegun, "Handbook of Mathematical Functions", 26.7.5
 */
function studentQuantile(freedom: number): number {
  const z = normalQuantile(0.975);
  const g1 = (z ** 3 + z) / 4;
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  const g4 = (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160;
  return z + g1 / freedom + g2 / freedom ** 2 + g3 / freedom ** 3 + g4 / freedom ** 4;
}
