/** The files of the embedded database, written anew without what was deleted: now and then, since everybody else waits meanwhile. */
import { sql } from 'drizzle-orm';
import type { SqlStore } from '../db/store.ts';

/** Texts and verdicts are written anew without what was deleted; of the large table the room is freed. */
async function rewrite({ db }: Pick<SqlStore, 'db'>): Promise<void> {
  for (const what of [
    'vacuum full texts',
    'vacuum full feedback',
    'vacuum full cached_answers',
    'vacuum decisions',
    'checkpoint',
  ]) {
    await db.execute(sql.raw(what));
  }
}

const EVERY_MS = 60_000;

/** One run at a time, and none sooner than `everyMs` after the last one: what is asked for in between goes with the next. */
export class Rewriting {
  readonly #rewrite: () => Promise<void>;
  readonly #everyMs: number;
  #running: Promise<void> | null = null;
  #endedAt = Number.NEGATIVE_INFINITY;
  /** Something was deleted that the last run may have missed. */
  #isDue = false;
  #isSettled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(rewriting: () => Promise<void>, everyMs = EVERY_MS) {
    this.#rewrite = rewriting;
    this.#everyMs = everyMs;
  }

  /** Resolves when it is done, or at once where it is put off. Rejects as a run of its own does, which is tried again. */
  async ask(): Promise<void> {
    this.#isDue = true;
    if (this.#running === null && this.#waitMs() <= 0) await this.#run();
    else this.#putOff();
  }

  /** Does what was put off, and puts off nothing more: the database is about to be closed. Never rejects. */
  async settle(): Promise<void> {
    this.#isSettled = true;
    clearTimeout(this.#timer);
    await this.#running?.catch(() => undefined);
    if (this.#isDue) await this.#run().catch(() => undefined);
  }

  #waitMs(): number {
    return this.#endedAt + this.#everyMs - performance.now();
  }

  #putOff(): void {
    // The end of a run looks again.
    if (this.#timer !== undefined || this.#running !== null || this.#isSettled) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isDue) void this.#run().catch(() => undefined);
    }, this.#waitMs());
    this.#timer.unref();
  }

  #run(): Promise<void> {
    this.#isDue = false;
    this.#running = this.#rewrite()
      .catch((error) => {
        this.#isDue = true;
        throw error;
      })
      .finally(() => {
        this.#running = null;
        this.#endedAt = performance.now();
        if (this.#isDue) this.#putOff();
      });
    return this.#running;
  }
}

const ofStores = new WeakMap<SqlStore, Rewriting>();

/** Nothing on PostgreSQL, which cleans up by itself. @throws what the database says of a run of its own */
export async function askForRewrite(store: SqlStore): Promise<void> {
  if (store.kind !== 'embedded') return;
  let rewriting = ofStores.get(store);
  if (rewriting === undefined) {
    rewriting = new Rewriting(() => rewrite(store));
    ofStores.set(store, rewriting);
  }
  await rewriting.ask();
}

/** To be called before the store is closed. Never rejects. */
export async function settleRewrite(store: SqlStore): Promise<void> {
  const rewriting = ofStores.get(store);
  ofStores.delete(store);
  await rewriting?.settle();
}
