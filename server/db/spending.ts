/** What learning has spent today, by purpose, all replicas together: what budgets are held against. */
import { eq, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from './connection.ts';
import type { SpendingPurpose } from './records.ts';
import { spending } from './schema.ts';
import { type Amounts, SharedSums } from './shared-sums.ts';
import type { SqlStore } from './store.ts';

export class Spending {
  readonly #sums: SharedSums;
  readonly #now: () => Date;

  /**
   * @param store null: what is spent is known to this process alone, and until it ends
   * @param now   whose day it is, in UTC
   */
  constructor(store: Pick<SqlStore, 'db'> | null, now: () => Date = () => new Date()) {
    this.#now = now;
    this.#sums = new SharedSums(
      store && {
        add: (amounts) => addSpending(store.db, amounts),
        read: () => readSpending(store.db, dayOf(now())),
      },
    );
  }

  /** Spent since midnight UTC, USD: by this process up to now, by the others up to two seconds ago. */
  today(purpose: SpendingPurpose): number {
    return this.#sums.of(keyOf(dayOf(this.#now()), purpose));
  }

  /** @param usd spent now; what is no positive number is left out */
  add(purpose: SpendingPurpose, usd: number): void {
    this.#sums.add(keyOf(dayOf(this.#now()), purpose), usd);
  }

  /** Writes and reads every two seconds from now on. A database that is away is made up for when it is back. */
  start(): void {
    this.#sums.start();
  }

  /** Writes what is left, as far as the database answers. Never rejects. */
  stop(): Promise<void> {
    return this.#sums.stop();
  }
}

const dayOf = (moment: Date): string => moment.toISOString().slice(0, 10);
const keyOf = (day: string, purpose: SpendingPurpose): string => `${day} ${purpose}`;

async function addSpending(db: PgRemoteDatabase, amounts: Amounts): Promise<void> {
  // In one order on every replica: two that update the same rows cannot wait for each other.
  const rows = [...amounts].sort().map(([key, usd]) => {
    const [day, purpose] = key.split(' ') as [string, SpendingPurpose];
    return { day, purpose, usd };
  });
  await asked(
    db
      .insert(spending)
      .values(rows)
      .onConflictDoUpdate({
        target: [spending.day, spending.purpose],
        set: { usd: sql`${spending.usd} + excluded.usd` },
      }),
  );
}

async function readSpending(db: PgRemoteDatabase, day: string): Promise<Amounts> {
  const rows = await asked(db.select().from(spending).where(eq(spending.day, day)));
  return new Map(rows.map(({ purpose, usd }) => [keyOf(day, purpose), usd]));
}
