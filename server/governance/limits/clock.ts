/** Whose time periods go by: the database's where replicas share one, so that clocks that differ or leap do no harm. */

/** An answer that took longer says too little of the time. */
const MOST_MS = 1_000;

export class Clock {
  /** The database's time at this process's `performance.now()` of 0; null: the local clock is all there is. */
  #baseMs: number | null = null;
  #tookMs = Number.POSITIVE_INFINITY;

  readonly now = (): number => (this.#baseMs === null ? Date.now() : this.#baseMs + performance.now());

  /**
   * What the database said, just now. Off by half of what the answer took at most.
   * @param databaseMs Unix time
   */
  readonly heard = (databaseMs: number, tookMs: number): void => {
    // An exact answer of earlier is better than a slow one now, for a while: clocks drift apart.
    this.#tookMs = Math.min(MOST_MS, this.#tookMs * 1.1);
    if (tookMs > this.#tookMs) return;
    this.#tookMs = tookMs;
    this.#baseMs = databaseMs + tookMs / 2 - performance.now();
  };
}
