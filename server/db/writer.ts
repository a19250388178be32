/**
 * Writes rows behind the answers: queued in memory, appended to the spool, inserted in batches,
 * retried while the database is away. Every insert skips ids that are there, so rows can be sent
 * again whenever it is not certain that they arrived.
 */
import { DatabaseError, databaseError } from './connection.ts';
import { type EncodedRow, encodeRow, type Row } from './rows.ts';
import type { Loss, Segment, Spool } from './spool.ts';

export interface WriterOptions {
  /** Inserts rows, skipping those whose id is there already. */
  readonly insert: (rows: readonly EncodedRow[]) => Promise<void>;
  readonly spool: Spool;
  /** Told once per kind of trouble until it is over: database or disk fails, a row was refused, rows were dropped. */
  readonly onProblem?: (message: string) => void;
  /** Rows kept in memory while the database is away; the others are only in the spool. */
  readonly maxQueued?: number;
}

export interface WriterState {
  /** Rows in memory that are not in the database yet. */
  readonly queued: number;
  /** Those of them that are not on disk either. */
  readonly unsaved: number;
  /** True while rows wait for the database on disk alone. */
  readonly spooled: boolean;
  readonly spoolBytes: number;
  /** Rows that the database refused for good; they are in `spool/rejected.jsonl`. */
  readonly rejected: number;
  /** Rows lost, because the spool was full or database and disk failed together; and since when. Never falls. */
  readonly dropped: number;
  readonly droppedSince: Date | null;
  /** Writes to the spool that failed. Never falls. */
  readonly diskErrors: number;
  readonly lastError: string | null;
}

type Queued = Row &
  EncodedRow & {
    /** Where it is on disk. */
    segment: Segment | null;
    state: 'queued' | 'in database' | 'on disk only' | 'dropped';
  };

/** How long a row waits for company, and at most for the disk where nobody asks for that. */
const LINGER_MS = 50;
const BATCH_ROWS = 100;
const MAX_QUEUED = 5_000;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;
/** A disk that failed is left alone for so long: answers do not wait for it meanwhile. */
const DISK_REST_MS = 1_000;
/** A write that takes longer counts as failed: answers do not wait for a disk that hangs. */
const DISK_PATIENCE_MS = 1_000;
/** How long a flush waits for the database, or the disk, before it takes the other. */
const FLUSH_PATIENCE_MS = 3_000;

const NOTHING_TO_DO = Promise.resolve();

export class Writer {
  readonly #options: WriterOptions;
  readonly #maxQueued: number;
  /** Rows that are not in the database, oldest first. */
  #queue: Queued[] = [];
  /** Rows that are not on disk, oldest first. */
  #unsaved: Queued[] = [];
  #failures = 0;
  #rejected = 0;
  #dropped = 0;
  #droppedSince: Date | null = null;
  #diskErrors = 0;
  #diskFailsSince: number | null = null;
  #isDiskHanging = false;
  #lastError: string | null = null;
  #draining: Promise<void> | null = null;
  #drainTimer: NodeJS.Timeout | null = null;
  /** The write to the spool that is under way, and the one that takes what gathers meanwhile. */
  #saving: Promise<void> | null = null;
  #nextSave: Promise<void> | null = null;
  #saveTimer: NodeJS.Timeout | null = null;
  #stopped = false;
  /** How many wait for everything to be safe: then what is on disk stays there. */
  #hurry = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#maxQueued = options.maxQueued ?? MAX_QUEUED;
    if (options.spool.hasLeftovers) this.#wake();
  }

  get state(): WriterState {
    return {
      queued: this.#queue.length,
      unsaved: this.#queue.filter((row) => !isOnDisk(row)).length,
      spooled: this.#options.spool.hasLeftovers,
      spoolBytes: this.#options.spool.bytes,
      rejected: this.#rejected,
      dropped: this.#dropped,
      droppedSince: this.#droppedSince,
      diskErrors: this.#diskErrors,
      lastError: this.#lastError,
    };
  }

  /** Rows that a reader does not find in the database yet; those that are on disk alone are not among them. */
  get pending(): readonly Row[] {
    return this.#queue;
  }

  add(rows: readonly Row[]): void {
    if (this.#stopped) return;
    for (const row of rows) {
      let encoded: EncodedRow;
      try {
        encoded = encodeRow(row);
      } catch (error) {
        this.#rejected++;
        this.#problem(`a row of ${row.table} is lost, it cannot be written as JSON: ${(error as Error).message}`);
        continue;
      }
      // Spread out: a copy by `...` of each of thousands of rows a second is felt.
      const { table, json, list } = encoded;
      const queued = { table, row: row.row, json, list, segment: null, state: 'queued' } as Queued;
      this.#queue.push(queued);
      this.#unsaved.push(queued);
    }
    if (this.#queue.length > this.#maxQueued * (this.#failures > 0 ? 1 : 2)) this.#relieveMemory();
    this.#saveLater(LINGER_MS);
    if (this.#queue.length >= BATCH_ROWS && this.#failures === 0) this.#wake();
    else this.#drainLater(LINGER_MS);
  }

  /**
   * Resolves when every row added so far is with the operating system, on disk or in the database.
   * One write at a time: what gathers meanwhile goes with the next. Resolves as well where the disk
   * fails, which is reported: answers go on.
   */
  saved(): Promise<void> {
    if (this.#unsaved.length === 0) return this.#saving ?? NOTHING_TO_DO;
    const isDiskResting = this.#diskFailsSince !== null && Date.now() - this.#diskFailsSince < DISK_REST_MS;
    return isDiskResting ? NOTHING_TO_DO : this.#saveNow();
  }

  /**
   * Resolves when everything added so far is in the database, or on disk where that does not answer.
   * @throws `DATABASE_UNAVAILABLE` when neither takes it; the rows stay in memory
   */
  async flush(): Promise<void> {
    const mine = new Set(this.#queue);
    const waiting = () => this.#queue.length > 0 && mine.has(this.#queue[0]!);
    this.#hurry++;
    try {
      while (waiting()) {
        this.#wake();
        const answered = await settledWithin(this.#draining ?? NOTHING_TO_DO, FLUSH_PATIENCE_MS);
        if (!waiting() || (answered && this.#failures === 0)) continue;
        await settledWithin(this.#saveNow(), FLUSH_PATIENCE_MS);
        this.#leaveOnDisk(this.#queue);
        if (waiting()) throw new DatabaseError(`${this.#queue.length} rows are only in memory: ${this.#lastError}`);
      }
    } finally {
      this.#hurry--;
    }
  }

  /** Ends the retries. Rows that neither database nor disk took by now are lost, and reported. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#drainTimer) clearTimeout(this.#drainTimer);
    if (this.#saveTimer) clearTimeout(this.#saveTimer);
    const saved = this.#unsaved.length > 0 ? this.#saveNow() : (this.#saving ?? NOTHING_TO_DO);
    await settledWithin(Promise.all([saved, this.#draining]), FLUSH_PATIENCE_MS);
    this.#leaveOnDisk(this.#queue);
    if (this.#queue.length > 0) this.#dropFromMemory(this.#queue);
    await settledWithin(this.#options.spool.close(), FLUSH_PATIENCE_MS);
  }

  /** For the spool, which tells of rows that it had no room for. */
  lost({ rows, from, to }: Loss): void {
    this.#countDropped(rows);
    this.#problem(
      `the spool is full: its oldest ${rows} rows were dropped, written from ${from.toISOString()} to ${to.toISOString()}`,
    );
  }

  #problem(message: string): void {
    this.#options.onProblem?.(message);
  }

  #saveLater(ms: number): void {
    if (this.#saveTimer || this.#stopped || this.#unsaved.length === 0) return;
    this.#saveTimer = setTimeout(() => {
      this.#saveTimer = null;
      void this.saved();
      if (this.#diskFailsSince !== null) this.#saveLater(DISK_REST_MS);
    }, ms);
  }

  #saveNow(): Promise<void> {
    if (this.#isDiskHanging) return NOTHING_TO_DO;
    this.#nextSave ??= (this.#saving ?? NOTHING_TO_DO).then(() => {
      this.#nextSave = null;
      this.#saving = this.#save().finally(() => {
        this.#saving = null;
      });
      return this.#saving;
    });
    return this.#nextSave;
  }

  async #save(): Promise<void> {
    const rows = this.#unsaved.filter(isQueued);
    this.#unsaved = [];
    if (rows.length === 0) return;
    try {
      const segment = await this.#append(rows);
      for (const row of rows) if (isQueued(row)) row.segment = segment;
      // Those that came into the database, or were dropped, during the write.
      const others = rows.filter((row) => !isQueued(row)).length;
      if (others > 0) this.#options.spool.settle(segment, others);
      if (this.#diskFailsSince !== null) this.#problem('the spool takes rows again');
      this.#diskFailsSince = null;
    } catch (error) {
      this.#unsaved = rows.concat(this.#unsaved);
      this.#diskErrors++;
      this.#lastError = (error as Error).message;
      if (this.#diskFailsSince === null) {
        this.#problem(`rows are only in memory until the database has them, the spool takes none: ${this.#lastError}`);
      }
      this.#diskFailsSince = Date.now();
      this.#saveLater(DISK_REST_MS);
    }
  }

  async #append(rows: readonly Queued[]): Promise<Segment> {
    const { spool } = this.#options;
    const write = spool.append(rows);
    if (await settledWithin(write, DISK_PATIENCE_MS)) return write;
    this.#isDiskHanging = true;
    // Should it end after all, its rows are on disk twice: the insert skips them.
    const letGo = (segment: Segment) => spool.release(segment, rows.length);
    void write
      .then(letGo, () => {})
      .finally(() => {
        this.#isDiskHanging = false;
      });
    throw new Error(`no answer within ${DISK_PATIENCE_MS} ms`);
  }

  #drainLater(ms: number): void {
    if (this.#drainTimer || this.#draining || this.#stopped) return;
    this.#drainTimer = setTimeout(() => this.#wake(), ms);
    // What is on disk alone can wait for the next start.
    if (this.#queue.length === 0) this.#drainTimer.unref();
  }

  #wake(): void {
    if (this.#draining || this.#stopped) return;
    if (this.#drainTimer) clearTimeout(this.#drainTimer);
    this.#drainTimer = null;
    this.#draining = this.#drain().finally(() => {
      this.#draining = null;
      if (this.#queue.length === 0 && !this.#options.spool.hasLeftovers) return;
      const retryMs = Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), MAX_RETRY_MS);
      this.#drainLater(this.#failures === 0 ? LINGER_MS : retryMs);
    });
  }

  /** A batch from memory, a batch from disk, in turn, until nothing is left or the database fails. */
  async #drain(): Promise<void> {
    try {
      while (!this.#stopped) {
        const batch = this.#queue.slice(0, BATCH_ROWS);
        if (batch.length > 0) await this.#writeBatch(batch);
        const leftovers = this.#hurry === 0 ? await this.#options.spool.nextLeftovers() : null;
        if (leftovers !== null) await this.#insert(leftovers);
        if (batch.length === 0 && leftovers === null) return;
        if (this.#failures > 0) this.#problem('the database is back');
        this.#failures = 0;
        this.#lastError = null;
      }
    } catch (error) {
      await this.#options.spool.rewind();
      if (this.#stopped) return;
      this.#lastError = (error as Error).message;
      if (this.#failures++ === 0) this.#problem(`rows wait in memory and on disk: ${this.#lastError}`);
    }
  }

  async #writeBatch(batch: readonly Queued[]): Promise<void> {
    await this.#insert(batch);
    for (const row of batch) {
      if (!isQueued(row)) continue;
      row.state = 'in database';
      if (row.segment) this.#options.spool.settle(row.segment, 1);
    }
    this.#queue = this.#queue.filter(isQueued);
  }

  /** Inserts rows; where one itself is at fault, finds it, puts it aside, and writes the others. */
  async #insert(rows: readonly EncodedRow[]): Promise<void> {
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
      await this.#reject(rows[0]!, error.message);
    }
  }

  async #reject(row: EncodedRow, why: string): Promise<void> {
    this.#rejected++;
    try {
      await this.#options.spool.reject(row, why);
      this.#problem(`a row was refused and put aside in spool/rejected.jsonl: ${why}`);
    } catch (error) {
      this.#problem(`a row was refused and is lost, it cannot be put aside (${(error as Error).message}): ${why}`);
    }
  }

  /** Memory holds so many rows and no more: those on disk are left to that, and the oldest others are dropped. */
  #relieveMemory(): void {
    this.#leaveOnDisk(this.#queue);
    const excess = this.#queue.length - 4 * this.#maxQueued;
    if (excess > 0) this.#dropFromMemory(this.#queue.slice(0, excess));
  }

  /** Lets go of rows that the spool has: it will replay them. */
  #leaveOnDisk(rows: readonly Queued[]): void {
    for (const row of rows) {
      if (!isOnDisk(row)) continue;
      row.state = 'on disk only';
      this.#options.spool.release(row.segment!, 1);
    }
    this.#queue = this.#queue.filter(isQueued);
  }

  #dropFromMemory(rows: readonly Queued[]): void {
    for (const row of rows) row.state = 'dropped';
    this.#countDropped(rows.length);
    this.#queue = this.#queue.filter(isQueued);
    this.#problem(`${rows.length} rows are lost, neither database nor disk takes them: ${this.#lastError}`);
  }

  #countDropped(rows: number): void {
    this.#dropped += rows;
    this.#droppedSince ??= new Date();
  }
}

const isQueued = (row: Queued): boolean => row.state === 'queued';

const isOnDisk = ({ segment }: Queued): boolean => segment !== null && !segment.gone;

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
