/** How much one statement of the roll-up takes: so little that it ends long before it is taken for lost, on a machine that is overloaded too. */
import { type SQL, sql } from 'drizzle-orm';
import { asked } from '../db/connection.ts';
import { type Db, rowsOf } from './statements.ts';

/** Requests, or rows of sums: two seconds of a processor, more or less. */
const MOST_ROWS = 40_000;
const LEAST_ROWS = 500;
/** PostgreSQL is given up after 30 s (db/postgres.ts), and all that the transaction did is lost. */
const LONG_MS = 4_000;
const SHORT_MS = 1_000;

/**
 * The rows of one statement. After one that took long, or failed, the next take half as many: so what failed is not tried
 * again as it was. Twice as many again after a roll-up of which no statement took more than a second.
 */
export class Portion {
  #longestMs = 0;
  #rows: number;
  readonly #most: number;

  constructor(most = MOST_ROWS) {
    this.#most = most;
    this.#rows = most;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Runs a statement. @throws `DATABASE_UNAVAILABLE` */
  async run(db: Db, statement: SQL): Promise<void> {
    const began = performance.now();
    try {
      await asked(db.execute(statement));
    } catch (error) {
      this.#took(Number.POSITIVE_INFINITY);
      throw error;
    }
    this.#took(performance.now() - began);
  }

  /** Told when a roll-up was done. */
  done(): void {
    if (this.#longestMs < SHORT_MS) this.#rows = Math.min(this.#most, 2 * this.#rows);
    this.#longestMs = 0;
  }

  /** Into how many statements of one portion so many rows go. */
  shares(rows: number): number {
    return Math.max(1, Math.ceil(rows / this.#rows));
  }

  /** Whether no more rows are selected; reads no more than that. */
  async holds(db: Db, rows: SQL): Promise<boolean> {
    const [found] = await rowsOf(db, sql`select count(*)::int as n from (${rows} limit ${this.#rows + 1}) r`);
    return Number(found!.n) <= this.#rows;
  }

  #took(ms: number): void {
    this.#longestMs = Math.max(this.#longestMs, ms);
    if (ms > LONG_MS) this.#rows = Math.max(Math.min(LEAST_ROWS, this.#most), Math.floor(this.#rows / 2));
  }
}
