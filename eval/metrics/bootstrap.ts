/** Paired bootstrap: every resample is shared by all routers, and the whole statistic is recomputed on it. */
import { deriveSeed, seededRandom } from '../../datasets/index.ts';

export interface Interval {
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * Calls `use` once per replicate with how often each unit was drawn (sum: the number of units).
 *
 * Units are groups of near-duplicate prompts, since rows of one group are not independent. With
 * `strata` (the benchmark of each unit) the draw is hierarchical: first benchmarks, then the units
 * within each one drawn, because another test would hold other benchmarks.
 *
 * The array is reused from call to call.
 */
export function forEachResample(
  units: number,
  replicates: number,
  seed: number,
  use: (weights: Uint16Array, replicate: number) => void,
  strata?: Int32Array,
): void {
  const random = seededRandom(deriveSeed(seed, 'bootstrap'));
  const weights = new Uint16Array(units);
  const members = membersOf(units, strata);
  for (let r = 0; r < replicates; r++) {
    weights.fill(0);
    for (let s = 0; s < members.length; s++) {
      const inside = members[members.length === 1 ? 0 : Math.floor(random() * members.length)]!;
      for (let k = 0; k < inside.length; k++) weights[inside[Math.floor(random() * inside.length)]!]!++;
    }
    use(weights, r);
  }
}

/**
 * The percentile interval of replicated values. A replicate in which the statistic has no value is given
 * as +∞ or −∞, the side on which it would have been; a bound that falls on one is null.
 *
 * @param level confidence, in (0, 1)
 */
export function percentileInterval(values: Float64Array, level = 0.95): Interval {
  if (values.length === 0) return { low: null, high: null };
  const sorted = Float64Array.from(values).sort();
  if (Number.isNaN(sorted.at(-1)!)) return { low: null, high: null };
  const at = (share: number): number | null => {
    const position = share * (sorted.length - 1);
    const below = sorted[Math.floor(position)]!;
    const above = sorted[Math.ceil(position)]!;
    const value = below === above ? below : below + (above - below) * (position - Math.floor(position));
    return Number.isFinite(value) ? value : null;
  };
  return { low: at((1 - level) / 2), high: at((1 + level) / 2) };
}

/**
 * The percentile interval moved so that its replicates have the mean `value`: for figures that every resample makes
 * greater, such as a sum of absolute errors, whose plain interval can lie beside its own value. Not below 0.
 *
 * @param value the figure on the data itself, ≥ 0
 * @see Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 10 (bias)
 */
export function centredInterval(value: number, replicates: Float64Array, level = 0.95): Interval {
  const mean = replicates.reduce((sum, x) => sum + x, 0) / replicates.length;
  if (!Number.isFinite(mean)) return { low: null, high: null };
  const { low, high } = percentileInterval(replicates, level);
  const moved = (end: number | null) => (end === null ? null : Math.max(0, end + value - mean));
  return { low: moved(low), high: moved(high) };
}

function membersOf(units: number, strata: Int32Array | undefined): Int32Array[] {
  const lists = new Map<number, number[]>();
  for (let u = 0; u < units; u++) {
    const s = strata?.[u] ?? 0;
    const list = lists.get(s);
    if (list) list.push(u);
    else lists.set(s, [u]);
  }
  return [...lists.values()].map((l) => Int32Array.from(l));
}
