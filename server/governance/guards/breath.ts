/** Work on one request that lets the others have their turn, every few milliseconds. */
import { setImmediate as nextTurn } from 'node:timers/promises';

export { nextTurn };

/** Characters that are looked at in one go: some 5 to 20 ms. Longer texts are taken in pieces. */
export const IN_ONE_GO = 50_000;

const MOST_MS = 10;

export class Breath {
  #since = performance.now();
  #taken = 0;

  /** How often it was taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Others have waited long enough. */
  get isDue(): boolean {
    return performance.now() - this.#since > MOST_MS;
  }

  async take(): Promise<void> {
    this.#taken++;
    await nextTurn();
    this.#since = performance.now();
  }
}
