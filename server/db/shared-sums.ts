/** Sums that every replica adds to: own amounts gather in memory, are written every two seconds, and the totals of all come back. */

/** Amounts by key; a key is one sum. */
export type Amounts = ReadonlyMap<string, number>;

export interface SumsStore {
  /** Adds each amount to its sum, all or none. */
  add(amounts: Amounts): Promise<void>;
  /** The sums that are of interest now. */
  read(): Promise<Amounts>;
}

/** How often amounts are written and totals read. */
const EVERY_MS = 2000;

export class SharedSums {
  readonly #store: SumsStore | null;
  #heard: Map<string, number> = new Map();
  /** Not written yet. One number per key, so a database that is away for long costs no memory. */
  #own: Map<string, number> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #exchange: Promise<void> | undefined;

  /** @param store null: the sums are this process's own */
  constructor(store: SumsStore | null) {
    this.#store = store;
  }

  /** What all have written, as last heard, and what this process has not written yet. */
  of(key: string): number {
    return (this.#heard.get(key) ?? 0) + (this.#own.get(key) ?? 0);
  }

  /** @param amount what is no positive number is no amount: one NaN would undo a budget for good */
  add(key: string, amount: number): void {
    if (!(amount > 0 && amount < Number.POSITIVE_INFINITY)) return;
    this.#own.set(key, (this.#own.get(key) ?? 0) + amount);
  }

  /** Begins at once and goes on until {@link stop}. */
  start(): void {
    if (this.#store === null || this.#timer !== undefined) return;
    void this.exchange();
    this.#timer = setInterval(() => void this.exchange(), EVERY_MS);
    this.#timer.unref();
  }

  /** Writes what is left, as far as the database answers. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#exchange;
    if (this.#own.size > 0) await this.exchange();
  }

  /**
   * Writes, then reads. What cannot be written is kept for the next time. A write of which only the reply was lost is
   * made again: a sum may then be too high, never too low.
   */
  exchange(): Promise<void> {
    this.#exchange ??= this.#onceThrough().finally(() => {
      this.#exchange = undefined;
    });
    return this.#exchange;
  }

  async #onceThrough(): Promise<void> {
    if (this.#store === null) return;
    try {
      const written = new Map(this.#own);
      if (written.size > 0) {
        await this.#store.add(written);
        for (const [key, amount] of written) {
          // More may have come while it was written.
          const left = this.#own.get(key)! - amount;
          if (left > 0) this.#own.set(key, left);
          else this.#own.delete(key);
          this.#heard.set(key, (this.#heard.get(key) ?? 0) + amount);
        }
      }
      this.#heard = new Map(await this.#store.read());
    } catch {
      // The database is away: that is reported where rows are written.
    }
  }
}
