/** Paired cluster bootstrap: any statistics of the same units, with intervals, and with intervals of their differences. */
import { RoutingError } from '../../datasets/index.ts';
import { forEachResample, type Interval, percentileInterval } from './bootstrap.ts';

/** How often each unit counts; length units. */
export type UnitWeights = Uint16Array | Float64Array;

/** One figure of one router, recomputed as a whole under each weighting. */
export interface Statistic {
  readonly name: string;
  /** Must not keep the array: it is reused. Null where the figure is undefined. */
  readonly of: (weights: UnitWeights) => number | null;
  /**
   * Where a replicate without a value counts: +∞ for a cost that is never low enough, −∞ for a saving that is never
   * reached. Without it one such replicate leaves the interval without bounds.
   */
  readonly undefinedAt?: number;
}

export interface BootstrapDesign {
  /** Groups of near-duplicate prompts, or sessions: what is drawn. */
  readonly units: number;
  readonly replicates: number;
  readonly seed: number;
  /** Benchmark of each unit: drawn first, then units within it. */
  readonly strata?: Int32Array;
  /** Confidence, in (0, 1); 0.95 without. */
  readonly level?: number;
}

export interface BootstrapEstimate extends Interval {
  /** With every unit counted once; null where undefined, and then so are the bounds. */
  readonly value: number | null;
  /** Replicates without a value. */
  readonly undefinedReplicates: number;
}

export interface PairedBootstrap {
  /** One per statistic, by name, in the order given. */
  readonly estimates: ReadonlyMap<string, BootstrapEstimate>;
  /**
   * `first` − `second`, both taken on the same resamples: what they share cancels, so this is narrower than two
   * intervals side by side suggest.
   * @throws `UNDEFINED_METRIC` for a name that was not given
   */
  difference(first: string, second: string): BootstrapEstimate;
}

/**
 * Draws units with replacement `replicates` times and recomputes every statistic on each draw, all of them on the
 * same draws. Percentile intervals.
 *
 * Units, not rows: rows of one unit rise and fall together, and an interval that draws rows is too short.
 * A statistic must be invariant to scaling the weights (a mean, a ratio, a curve's area), as draws stand for other
 * samples of the same size.
 *
 * @throws `INVALID_CONFIG` when units or replicates are not whole numbers ≥ 1, or the level, the strata or a name is unusable
 * @throws `UNDEFINED_METRIC` when a statistic returns NaN
 * @see Efron & Tibshirani, "An Introduction to the Bootstrap", 1993; Field & Welsh, "Bootstrapping clustered data", 2007
 */
export function pairedClusterBootstrap(design: BootstrapDesign, statistics: readonly Statistic[]): PairedBootstrap {
  check(design, statistics);
  const { units, replicates, seed, strata, level = 0.95 } = design;
  const once = new Uint16Array(units).fill(1);
  const values = statistics.map((s) => evaluated(s, once));
  const replicated = statistics.map(() => new Float64Array(replicates));
  const undefinedIn = statistics.map(() => new Uint8Array(replicates));
  forEachResample(
    units,
    replicates,
    seed,
    (weights, r) => {
      statistics.forEach((s, k) => {
        const value = evaluated(s, weights);
        if (value === null) undefinedIn[k]![r] = 1;
        replicated[k]![r] = value ?? s.undefinedAt ?? Number.NaN;
      });
    },
    strata,
  );

  const estimate = (value: number | null, draws: Float64Array, missing: number): BootstrapEstimate => ({
    value,
    ...(value === null ? { low: null, high: null } : percentileInterval(draws, level)),
    undefinedReplicates: missing,
  });
  const indexOf = (name: string): number => {
    const k = statistics.findIndex((s) => s.name === name);
    if (k >= 0) return k;
    throw new RoutingError(
      'UNDEFINED_METRIC',
      `paired bootstrap: no statistic is named "${name}"; there are ${statistics.map((s) => `"${s.name}"`).join(', ')}`,
    );
  };
  return {
    estimates: new Map(
      statistics.map((s, k) => [s.name, estimate(values[k]!, replicated[k]!, count(undefinedIn[k]!))]),
    ),
    difference(first, second) {
      const a = indexOf(first);
      const b = indexOf(second);
      const value = values[a] === null || values[b] === null ? null : values[a]! - values[b]!;
      // ∞ − ∞ is NaN: where neither has a value, nothing is known of the difference.
      const draws = replicated[a]!.map((x, r) => x - replicated[b]![r]!);
      return estimate(value, draws, count(undefinedIn[a]!.map((x, r) => x | undefinedIn[b]![r]!)));
    },
  };
}

/**
 * Weights of rows from weights of their units, for statistics that read rows.
 *
 * @param unitOf unit of each row; length n
 * @param into   reused when given; length n
 */
export function rowWeights(
  weights: UnitWeights,
  unitOf: Int32Array,
  into: Float64Array = new Float64Array(unitOf.length),
): Float64Array {
  for (let i = 0; i < unitOf.length; i++) into[i] = weights[unitOf[i]!]!;
  return into;
}

function evaluated(statistic: Statistic, weights: UnitWeights): number | null {
  const value = statistic.of(weights);
  if (value === null || !Number.isNaN(value)) return value;
  throw new RoutingError(
    'UNDEFINED_METRIC',
    `paired bootstrap: "${statistic.name}" came out as NaN; return null where it is undefined`,
  );
}

const count = (flags: Uint8Array): number => flags.reduce((sum, x) => sum + x, 0);

function check({ units, replicates, strata, level = 0.95 }: BootstrapDesign, statistics: readonly Statistic[]): void {
  const fail = (what: string): never => {
    throw new RoutingError('INVALID_CONFIG', `paired bootstrap: ${what}`);
  };
  if (!Number.isInteger(units) || units < 1) fail(`units is ${units}, not a whole number ≥ 1`);
  if (!Number.isInteger(replicates) || replicates < 1) fail(`replicates is ${replicates}, not a whole number ≥ 1`);
  if (!(level > 0 && level < 1)) fail(`level is ${level}, not in (0, 1)`);
  if (strata && strata.length !== units) fail(`${units} units need as many strata, not ${strata.length}`);
  const names = new Set(statistics.map((s) => s.name));
  if (names.size !== statistics.length) fail('two statistics have the same name');
}
