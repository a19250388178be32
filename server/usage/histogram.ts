/** Durations in few numbers that can be added up: counts by steps that grow by a constant factor. */
import { HISTOGRAM_BINS } from '../db/schema.ts';

const FIRST_MS = 10;
const PER_DECADE = 6;

/** The names of its columns. @param letter which histogram of the row */
export const binColumns = (letter: 'h' | 'f'): string[] =>
  Array.from({ length: HISTOGRAM_BINS }, (_, k) => `${letter}${k}`);

/** The step that a duration falls into: 0 below 10 ms, then six to a decade, the last without an end (215 s). */
export function binOf(ms: number): number {
  if (!(ms >= FIRST_MS)) return 0;
  return Math.min(HISTOGRAM_BINS - 1, Math.floor(PER_DECADE * Math.log10(ms / FIRST_MS)) + 1);
}

/** {@link binOf} in SQL, of an expression of type double precision. */
export const binSql = (ms: string): string =>
  `case when ${ms} >= ${FIRST_MS} then least(${HISTOGRAM_BINS - 1}, floor(${PER_DECADE} * log((${ms}) / ${FIRST_MS})) + 1)::int else 0 end`;

/** Where a step begins, ms. */
const edge = (k: number): number => (k === 0 ? 0 : FIRST_MS * 10 ** ((k - 1) / PER_DECADE));

/**
 * A quantile, to within the step that it falls into (a factor of 1.47): between its ends as if spread evenly over the
 * logarithm.
 * @param share in [0, 1]
 * @returns ms; null where nothing was counted
 */
export function quantile(counts: readonly number[], share: number): number | null {
  const n = counts.reduce((a, b) => a + b, 0);
  if (n === 0) return null;
  // Nearest rank, as reports have it.
  const rank = Math.max(1, Math.ceil(share * n));
  let before = 0;
  for (const [k, count] of counts.entries()) {
    if (before + count >= rank) {
      const within = (rank - before) / count;
      if (k === 0) return FIRST_MS * within;
      return edge(k) * (edge(k + 1) / edge(k)) ** within;
    }
    before += count;
  }
  return edge(counts.length);
}
