/**
 * Writes rows behind the answers: queued in memory, inserted in batches, retried while
 * the database is away, spooled to disk when that takes too long. Every insert skips ids
 * that are there, so a batch whose acknowledgement got lost can be sent again.
 */
import { DatabaseError, databaseError } from './connection.ts';
import type { Row } from './rows.ts';
import type { Spool } from './spool.ts';

export interface WriterOptions {
  /** Inserts rows, skipping those whose id is there already. */
  readonly insert: (rows: readonly Row[]) => Promise<void>;
  readonly spool: Spool;
  /** Told once per kind of trouble until it is over: the database is away, a row was refused, rows were dropped. */
  readonly onProblem?: (message: string) => void;
  /** Rows kept in memory while the database is away; more go to the spool. */
  readonly maxQueued?: number;
}

export interface WriterState {
  readonly queued: number;
  /** True while rows wait on disk for the database. */
  readonly spooled: boolean;
  /** Rows that the database refused for good; they are in `spool/rejected.jsonl`. */
  readonly rejected: number;
  /** Rows lost because database and disk failed together. */
  readonly dropped: number;
  readonly lastError: string | null;
}

/** How long a row waits for company. */
const LINGER_MS = 50;
/** Preparing this many decisions takes a few milliseconds of the thread that answers. */
const BATCH_ROWS = 100;
const MAX_QUEUED = 5_000;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;
/** How long a flush waits for the database before it takes the disk. */
const FLUSH_PATIENCE_MS = 3_000;

export class Writer {
  readonly #options: WriterOptions;
  readonly #maxQueued: number;
  /** Rows that are neither in the database nor in the spool, oldest first. */
  #queue: Row[] = [];
  /** How many at its head are being written at this moment. */
  #inFlight = 0;
  #failures = 0;
  #rejected = 0;
  #dropped = 0;
  #lastError: string | null = null;
  #running: Promise<void> | null = null;
  #spilling: Promise<boolean> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  /** How many wait for everything to be safe: then what is in the spool stays there. */
  #hurry = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#maxQueued = options.maxQueued ?? MAX_QUEUED;
    if (!options.spool.isEmpty) this.#wake();
  }

  get state(): WriterState {
    return {
      queued: this.#queue.length,
      spooled: !this.#options.spool.isEmpty,
      rejected: this.#rejected,
      dropped: this.#dropped,
      lastError: this.#lastError,
    };
  }

  /** Rows that a reader does not find in the database yet; those in the spool are not among them. */
  get pending(): readonly Row[] {
    return this.#queue;
  }

  add(rows: readonly Row[]): void {
    if (this.#stopped) return;
    this.#queue.push(...rows);
    // Twice the limit where the database hangs without having failed yet.
    if (this.#queue.length > this.#maxQueued * (this.#failures > 0 ? 1 : 2)) void this.#spill(false);
    if (this.#queue.length >= BATCH_ROWS && this.#failures === 0) this.#wake();
    else this.#schedule(LINGER_MS);
  }

  /**
   * Resolves when everything added so far is in the database, or in the spool where that does not answer.
   * @throws `DATABASE_UNAVAILABLE` when neither takes it; the rows stay in memory
   */
  async flush(): Promise<void> {
    const mine = new Set(this.#queue);
    const waiting = () => this.#queue.length > 0 && mine.has(this.#queue[0]!);
    this.#hurry++;
    try {
      while (waiting()) {
        this.#wake();
        const answered = await settledWithin(this.#running!, FLUSH_PATIENCE_MS);
        if (!waiting() || (answered && this.#failures === 0)) continue;
        if (!(await this.#spill(true))) {
          throw new DatabaseError(`${this.#queue.length} rows are only in memory: ${this.#lastError}`);
        }
      }
    } finally {
      this.#hurry--;
    }
  }

  /** Ends the retries. Rows that a failed flush left in memory are lost, and reported. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#clearTimer();
    if (this.#queue.length > 0) this.#drop(this.#queue);
    await settledWithin(this.#running ?? Promise.resolve(), FLUSH_PATIENCE_MS);
  }

  #clearTimer(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule(ms: number): void {
    if (this.#timer || this.#running || this.#stopped) return;
    this.#timer = setTimeout(() => this.#wake(), ms);
    // What is in the spool can wait for the next start.
    if (this.#queue.length === 0) this.#timer.unref();
  }

  #wake(): void {
    if (this.#running || this.#stopped) return;
    this.#clearTimer();
    this.#running = this.#drain().finally(() => {
      this.#running = null;
      if (this.#queue.length === 0 && this.#options.spool.isEmpty) return;
      const retryMs = Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), MAX_RETRY_MS);
      this.#schedule(this.#failures === 0 ? LINGER_MS : retryMs);
    });
  }

  /** Batch after batch, then the spool, until nothing is left or the database fails. */
  async #drain(): Promise<void> {
    const { spool } = this.#options;
    try {
      for (;;) {
        await this.#spilling;
        if (this.#queue.length > 0) await this.#writeBatch();
        else if (this.#hurry === 0 && !spool.isEmpty) await spool.replay((rows) => this.#insert(rows));
        else return;
        if (this.#failures > 0) this.#options.onProblem?.('the database is back');
        this.#failures = 0;
        this.#lastError = null;
      }
    } catch (error) {
      this.#lastError = (error as Error).message;
      if (this.#failures++ === 0) this.#options.onProblem?.(`rows wait in memory, then on disk: ${this.#lastError}`);
    }
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#queue.slice(0, BATCH_ROWS);
    this.#inFlight = batch.length;
    try {
      await this.#insert(batch);
    } finally {
      this.#inFlight = 0;
    }
    this.#remove(batch);
  }

  /** Inserts rows; where one itself is at fault, finds it, puts it aside, and writes the others. */
  async #insert(rows: readonly Row[]): Promise<void> {
    try {
      await this.#options.insert(rows);
    } catch (caught) {
      const error = databaseError(caught);
      if (!error.isRowFault) throw error;
      if (rows.length > 1) {
        const half = rows.length >> 1;
        await this.#insert(rows.slice(0, half));
        await this.#insert(rows.slice(half));
        return;
      }
      await this.#options.spool.reject(rows[0]!, error.message);
      this.#rejected++;
      this.#options.onProblem?.(`a row was refused and put aside in spool/rejected.jsonl: ${error.message}`);
    }
  }

  /**
   * Moves rows from memory to the spool; those being written too, where nobody can wait for them.
   * @returns false when the disk fails as well
   */
  #spill(all: boolean): Promise<boolean> {
    this.#spilling ??= this.#spillNow(all).finally(() => {
      this.#spilling = null;
    });
    return this.#spilling;
  }

  async #spillNow(all: boolean): Promise<boolean> {
    const rows = this.#queue.slice(all ? 0 : this.#inFlight);
    if (rows.length === 0) return true;
    try {
      await this.#options.spool.append(rows);
      this.#remove(rows);
      return true;
    } catch (error) {
      this.#lastError = (error as Error).message;
      const excess = this.#queue.length - 4 * this.#maxQueued;
      if (excess > 0) this.#drop(this.#queue.slice(this.#inFlight, this.#inFlight + excess));
      return false;
    }
  }

  #drop(rows: readonly Row[]): void {
    this.#dropped += rows.length;
    this.#remove(rows);
    this.#options.onProblem?.(`${rows.length} rows are lost, neither database nor disk takes them: ${this.#lastError}`);
  }

  #remove(rows: readonly Row[]): void {
    const gone = new Set(rows);
    this.#queue = this.#queue.filter((row) => !gone.has(row));
  }
}

/** @returns false when the time is over first */
async function settledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const done = work.then(
    () => true as const,
    () => true as const,
  );
  const first = await Promise.race([done, late]);
  clearTimeout(timer);
  return first;
}
