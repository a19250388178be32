/** Answers in the database, for other replicas and the next start. Nobody waits for it long, and it may be away. */
import { and, eq, inArray, lte, sql } from 'drizzle-orm';
import { asked } from '../../db/connection.ts';
import { cachedAnswers } from '../../db/schema.ts';
import type { SqlStore } from '../../db/store.ts';
import type { Entry } from './memory.ts';

type Db = Pick<SqlStore, 'db' | 'kind'>;

/** After this many failures in a row it is left alone for a while. */
const FAILURES = 3;
const REST_MS = 5000;
/** Answers on their way to it: more are dropped, which costs the other replicas a call. */
const MOST_WAITING = 200;
const MOST_WAITING_BYTES = 32 * 1024 * 1024;
/** Rows of one statement. */
const BATCH = 20;
const DELETE_BATCH = 500;
const STOP_MS = 1000;

/** `facts` of the table. */
interface Facts {
  readonly model: string;
  readonly provider: string;
  readonly costUsd: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly endUser: string | null;
}

type Row = typeof cachedAnswers.$inferInsert;

export class SharedAnswers {
  readonly #store: Db;
  readonly #readMs: () => number;
  readonly #now: () => number;
  #waiting = new Map<string, Row>();
  #waitingBytes = 0;
  #writing: Promise<void> | null = null;
  #failuresInARow = 0;
  #restsUntil = 0;
  #failures = 0;
  #dropped = 0;

  /** @param readMs a database that answers no sooner costs a call of a provider, no more */
  constructor(store: Db, readMs: () => number, now: () => number = Date.now) {
    this.#store = store;
    this.#readMs = readMs;
    this.#now = now;
  }

  /** Reads and writes that failed or came late. */
  get failures(): number {
    return this.#failures;
  }

  /** Answers that were never written: too many waited. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Null: there is none. Undefined: nobody can say now. Never rejects. */
  async find(key: string, tenant: string): Promise<Entry | null | undefined> {
    if (this.#now() < this.#restsUntil) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#readMs());
    });
    const { db } = this.#store;
    const mine = and(eq(cachedAnswers.key, key), eq(cachedAnswers.tenant, tenant));
    const read = asked(db.select().from(cachedAnswers).where(mine)).then(
      (rows) => rows,
      () => undefined,
    );
    const rows = await Promise.race([read, late]);
    clearTimeout(timer);
    this.#went(rows !== undefined);
    if (rows === undefined) return undefined;
    const [row] = rows;
    if (row === undefined || row.expiresAt.getTime() <= this.#now()) return null;
    return entryOf(row);
  }

  /** Behind the answer: returns at once. */
  write(key: string, { tenant, createdAt, expiresAt, body, ...rest }: Entry): void {
    const { model, provider, costUsd, inputTokens, outputTokens, endUser } = rest;
    const facts: Facts = { model, provider, costUsd, inputTokens, outputTokens, endUser };
    const isFull = this.#waiting.size >= MOST_WAITING || this.#waitingBytes + body.byteLength > MOST_WAITING_BYTES;
    if (isFull || this.#now() < this.#restsUntil) {
      this.#dropped++;
      return;
    }
    this.#waitingBytes += body.byteLength - (this.#waiting.get(key)?.body.byteLength ?? 0);
    this.#waiting.set(key, { key, tenant, createdAt, expiresAt, facts, body });
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  async #writeAll(): Promise<void> {
    // What comes in the meantime goes with the next batch.
    await new Promise((resolve) => setTimeout(resolve, 5));
    while (this.#waiting.size > 0) {
      const rows = [...this.#waiting.values()].slice(0, BATCH);
      for (const { key, body } of rows) {
        this.#waiting.delete(key);
        this.#waitingBytes -= body.byteLength;
      }
      const { db } = this.#store;
      const wrote = await asked(
        db
          .insert(cachedAnswers)
          .values(rows)
          .onConflictDoUpdate({
            target: cachedAnswers.key,
            set: {
              createdAt: sql`excluded.created_at`,
              expiresAt: sql`excluded.expires_at`,
              facts: sql`excluded.facts`,
              body: sql`excluded.body`,
            },
          }),
      ).then(
        () => true,
        () => false,
      );
      this.#went(wrote);
      if (!wrote) this.#dropped += rows.length;
    }
  }

  /** Resolves when what was given so far is written, or was dropped. */
  async written(): Promise<void> {
    await this.#writing;
  }

  /** Rows that are over their time are deleted, not marked. Never rejects. */
  async deleteExpired(): Promise<number> {
    let all = 0;
    try {
      for (;;) {
        const count = await this.#deleteSome();
        all += count;
        if (count < DELETE_BATCH) break;
      }
      // The embedded database has nobody who cleans up after it: what was deleted would stay in its files.
      if (all > 0 && this.#store.kind === 'embedded') await this.#store.db.execute(sql.raw('vacuum cached_answers'));
    } catch {
      // The next round finds them again.
      this.#failures++;
    }
    return all;
  }

  async #deleteSome(): Promise<number> {
    const { db } = this.#store;
    const old = db
      .select({ key: cachedAnswers.key })
      .from(cachedAnswers)
      .where(lte(cachedAnswers.expiresAt, new Date(this.#now())))
      .limit(DELETE_BATCH);
    const gone = await asked(
      db.delete(cachedAnswers).where(inArray(cachedAnswers.key, old)).returning({ key: cachedAnswers.key }),
    );
    return gone.length;
  }

  /** Waits for what is being written, but not long. */
  async stop(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  #went(well: boolean): void {
    if (well) {
      this.#failuresInARow = 0;
      return;
    }
    this.#failures++;
    if (++this.#failuresInARow >= FAILURES) this.#restsUntil = this.#now() + REST_MS;
  }
}

function entryOf({ tenant, createdAt, expiresAt, facts, body }: typeof cachedAnswers.$inferSelect): Entry {
  return { tenant, createdAt, expiresAt, body: Buffer.from(body), ...(facts as Facts) };
}

/** Answers that a person's requests got. @throws `DATABASE_UNAVAILABLE` */
export async function deleteAnswersOf(
  db: SqlStore['db'],
  tenant: string,
  endUsers: readonly string[],
): Promise<number> {
  const gone = await asked(
    db
      .delete(cachedAnswers)
      .where(and(eq(cachedAnswers.tenant, tenant), inArray(sql`${cachedAnswers.facts}->>'endUser'`, [...endUsers])))
      .returning({ key: cachedAnswers.key }),
  );
  return gone.length;
}
