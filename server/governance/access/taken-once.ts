/** What may be taken once while it holds: the last so many that were, and no more, whoever sends how many. */

export class TakenOnce {
  readonly #most: number;
  /** Until when each would hold, seconds since 1970, in the order in which they were taken. */
  readonly #taken = new Map<string, number>();

  /** @param most remembered; beyond it the one that was taken first is forgotten */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#taken.size;
  }

  /** @param until,now seconds since 1970 @returns false for one that was taken before */
  take(one: string, until: number, now: number): boolean {
    if (this.#taken.has(one)) return false;
    for (const [other, end] of this.#taken) {
      if (end > now && this.#taken.size < this.#most) break;
      this.#taken.delete(other);
    }
    this.#taken.set(one, until);
    return true;
  }
}
