/** Candidates since they were first seen, by all replicas: which are new, and how often each was tried. */
import { and, inArray, isNotNull, isNull, notInArray, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from '../db/connection.ts';
import { candidates } from '../db/schema.ts';
import { type Amounts, SharedSums } from '../db/shared-sums.ts';
import type { SqlStore } from '../db/store.ts';

/** Candidates of now. */
export interface Present {
  readonly ids: readonly string[];
  /** Those of which the router in force knows nothing: they are new whenever they come. */
  readonly unknown: readonly string[];
}

/** Tried so often, a candidate counts as known whatever `exploration.newcomerCalls` is set to. */
const KNOWN = 1_000_000;

export class Newcomers {
  readonly #sums: SharedSums;
  #present: Present = { ids: [], unknown: [] };
  /** What the database was told last. */
  #told: Present | undefined;
  /** In the database, as last heard. */
  #seen: ReadonlySet<string> = new Set();

  constructor({ db }: Pick<SqlStore, 'db'>) {
    this.#sums = new SharedSums({
      add: (amounts) => addExplored(db, amounts),
      read: async () => {
        const present = this.#present;
        if (this.#told !== present && present.ids.length > 0) {
          await tell(db, present);
          this.#told = present;
        }
        const explored = await readExplored(db);
        this.#seen = new Set(explored.keys());
        return explored;
      },
    });
  }

  /**
   * Those of the present ones that were tried less often than that.
   * @param calls `exploration.newcomerCalls`
   */
  among(calls: number): string[] {
    return this.#present.ids.filter((id) => this.#seen.has(id) && this.#sums.of(id) < calls);
  }

  /** A request went to this one to try it. */
  note(model: string): void {
    this.#sums.add(model, 1);
  }

  /**
   * Says who is there now; who was never there before is new. In a database without any, all that the router knows
   * something of count as known: only what comes later is new. Who is gone is marked as retired, and not forgotten: one
   * that comes back is as well known as it was. Never rejects: a database that is away hears of it later.
   */
  async see(present: Present): Promise<void> {
    this.#present = present;
    await this.#sums.exchange();
    // What was under way when this began may have told of those before.
    if (this.#told !== present) await this.#sums.exchange();
  }

  /** Writes and reads every two seconds from now on. */
  start(): void {
    this.#sums.start();
  }

  /** Writes what is left, as far as the database answers. Never rejects. */
  stop(): Promise<void> {
    return this.#sums.stop();
  }
}

async function tell(db: PgRemoteDatabase, { ids, unknown }: Present): Promise<void> {
  const isFirst = (await asked(db.select({ model: candidates.model }).from(candidates).limit(1))).length === 0;
  const news = new Set(unknown);
  const rows = [...ids]
    .sort()
    .map((model) => ({ model, firstSeenAt: sql`now()`, explored: isFirst && !news.has(model) ? KNOWN : 0 }));
  await asked(db.insert(candidates).values(rows).onConflictDoNothing());
  const here = [...ids];
  await asked(
    db
      .update(candidates)
      .set({ retiredAt: sql`now()` })
      .where(and(isNull(candidates.retiredAt), notInArray(candidates.model, here))),
  );
  await asked(
    db
      .update(candidates)
      .set({ retiredAt: null })
      .where(and(isNotNull(candidates.retiredAt), inArray(candidates.model, here))),
  );
}

async function addExplored(db: PgRemoteDatabase, amounts: Amounts): Promise<void> {
  // In one order on every replica: two that update the same rows cannot wait for each other.
  const rows = [...amounts].sort().map(([model, explored]) => ({ model, explored, firstSeenAt: sql`now()` }));
  await asked(
    db
      .insert(candidates)
      .values(rows)
      .onConflictDoUpdate({
        target: candidates.model,
        set: { explored: sql`${candidates.explored} + excluded.explored` },
      }),
  );
}

async function readExplored(db: PgRemoteDatabase): Promise<Amounts> {
  const rows = await asked(db.select({ model: candidates.model, explored: candidates.explored }).from(candidates));
  return new Map(rows.map(({ model, explored }) => [model, explored]));
}
