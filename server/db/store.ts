/** The record of what happened: written behind the answers, read by people and by learning. */
import { join } from 'node:path';
import { and, asc, between, eq } from 'drizzle-orm';
import { drizzle, type PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { withCandidates } from './candidate-lists.ts';
import { type Connection, databaseError } from './connection.ts';
import { timesOfId } from './decision-id.ts';
import { openEmbedded } from './embedded.ts';
import { insertRows } from './insert.ts';
import { acquireLock, type Lock } from './lock.ts';
import { openPostgres } from './postgres.ts';
import type { AttemptRecord, DecisionOnRecord, Entry, FeedbackRecord } from './records.ts';
import type { Row } from './rows.ts';
import { attempts, decisions, feedback } from './schema.ts';
import { type Loss, Spool } from './spool.ts';
import { Writer, type WriterState } from './writer.ts';

export type { AttemptRecord, DecisionOnRecord, DecisionRecord, Entry, FeedbackRecord } from './records.ts';

export interface Store {
  /** Queues rows; never blocks and never throws. They are written in batches; an id that is there already is skipped. */
  record(entry: Entry): void;
  /**
   * Resolves when everything recorded so far outlives this process: what must be waited for before the
   * last byte of an answer. Never rejects; where the disk fails answers go on, and that is reported.
   */
  saved(): Promise<void>;
  /** Waits until everything recorded so far is in the database, or on disk while that is away. */
  flush(): Promise<void>;
  /** Sees rows that are not written yet, too. @throws `DATABASE_UNAVAILABLE` */
  getDecision(
    id: string,
  ): Promise<{ decision: DecisionOnRecord; attempts: AttemptRecord[]; feedback: FeedbackRecord[] } | null>;
  /** True when the database answers. */
  ready(): Promise<boolean>;
  /** How the writing behind the answers goes; absent where nothing is written. */
  readonly writer?: WriterState;
  /** Flushes, then lets go of the database and of the data directory. */
  close(): Promise<void>;
}

/** A store on a real database: what learning and the commands work on. */
export interface SqlStore extends Store {
  readonly kind: 'embedded' | 'postgres';
  readonly db: PgRemoteDatabase;
  /** Statements in one transaction, one caller at a time over all replicas (embedded: no transaction, but in turn). */
  alone<T>(key: number, work: (db: PgRemoteDatabase) => Promise<T>): Promise<T>;
  /** The hold on the data directory; null on PostgreSQL, which takes any number of processes. */
  readonly lock: Lock | null;
  readonly writer: WriterState;
}

export interface StoreOptions {
  /** PostgreSQL; without it an embedded database in `dataDir`. */
  readonly databaseUrl?: string | undefined;
  /** Holds the embedded database, the spool and promoted artifacts. Made when it is not there. */
  readonly dataDir: string;
  /** Most that the spool may take of the disk, MB; beyond it the oldest rows are dropped. Default: 1 000. */
  readonly spoolLimitMb?: number;
  /** Told when the database goes away and comes back, and of every row that could not be kept. Default: stderr. */
  readonly onProblem?: (message: string) => void;
}

/** Opens the record, made and migrated if need be. @throws `DATABASE_LOCKED`, `DATABASE_UNAVAILABLE` */
export async function openStore(options: StoreOptions): Promise<SqlStore> {
  const { databaseUrl, dataDir } = options;
  if (databaseUrl) return storeOn(await openPostgres(databaseUrl), null, options);
  const lock = acquireLock(dataDir);
  try {
    return await storeOn(await openEmbedded(join(dataDir, 'db')), lock, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function decisionRow(db: PgRemoteDatabase, id: string) {
  const [row] = await withCandidates(db, await decisionRows(db, id));
  return row;
}

/** Looked for in its month first. */
async function decisionRows(db: PgRemoteDatabase, id: string) {
  const times = timesOfId(id);
  if (times !== null) {
    const found = await db
      .select()
      .from(decisions)
      .where(and(eq(decisions.id, id), between(decisions.createdAt, times.from, times.to)));
    if (found.length > 0) return found;
  }
  return db.select().from(decisions).where(eq(decisions.id, id));
}

const READY_TIMEOUT_MS = 2_000;

async function storeOn(connection: Connection, lock: Lock | null, options: StoreOptions): Promise<SqlStore> {
  const { dataDir, spoolLimitMb, onProblem = (message) => console.error(`database: ${message}`) } = options;
  const over = (query: Connection['query']) =>
    drizzle(async (text, params, method) => ({
      rows: await query(text, params, method === 'execute' ? 'object' : 'array'),
    }));
  const db = over(connection.query);
  const spool = new Spool(dataDir, {
    ...(spoolLimitMb !== undefined && { limitBytes: spoolLimitMb * 1e6 }),
    exclusive: lock !== null,
    onLoss: (loss: Loss) => writer.lost(loss),
    onProblem,
  });
  await spool.find();
  const listed = new Map<string, number>();
  const writer: Writer = new Writer({ insert: (rows) => insertRows(db, rows, listed), spool, onProblem });
  let closing: Promise<void> | null = null;
  return {
    kind: connection.kind,
    db,
    alone: (key, work) => connection.alone(key, (query) => work(over(query))),
    lock,
    get writer() {
      return writer.state;
    },
    record(entry) {
      const rows: Row[] = [];
      if (entry.decision) rows.push({ table: 'decisions', row: entry.decision });
      if (entry.attempt) rows.push({ table: 'attempts', row: entry.attempt });
      if (entry.feedback) rows.push({ table: 'feedback', row: entry.feedback });
      if (entry.text) rows.push({ table: 'texts', row: entry.text });
      writer.add(rows);
    },
    saved: () => writer.saved(),
    flush: () => writer.flush(),
    async getDecision(id) {
      // Taken first: what is written while we read must not be missed on both sides.
      const pending = writer.pending;
      const [written, calls, verdicts] = await Promise.all([
        decisionRow(db, id),
        db.select().from(attempts).where(eq(attempts.decisionId, id)).orderBy(asc(attempts.ordinal)),
        db.select().from(feedback).where(eq(feedback.decisionId, id)).orderBy(asc(feedback.createdAt)),
      ]).catch((error) => {
        throw databaseError(error);
      });
      if (written?.damage !== undefined) onProblem(`decision ${id}: ${written.damage}`);
      return withPending(id, written as DecisionOnRecord | undefined, calls, verdicts, pending);
    },
    async ready() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<false>((resolve) => {
        timer = setTimeout(() => resolve(false), READY_TIMEOUT_MS);
      });
      const answer = connection.query('select 1', [], 'array').then(
        () => true,
        () => false,
      );
      const first = await Promise.race([answer, late]);
      clearTimeout(timer);
      return first;
    },
    close() {
      closing ??= (async () => {
        try {
          await writer.flush().catch((error: Error) => onProblem(error.message));
          await writer.stop();
          await connection.close();
        } finally {
          lock?.release();
        }
      })();
      return closing;
    },
  };
}

function withPending(
  id: string,
  written: DecisionOnRecord | undefined,
  calls: AttemptRecord[],
  verdicts: FeedbackRecord[],
  pending: readonly Row[],
) {
  let decision = written;
  const callIds = new Set(calls.map((call) => call.id));
  const verdictIds = new Set(verdicts.map((verdict) => verdict.id));
  for (const { table, row } of pending) {
    if (table === 'decisions') {
      if (row.id === id) decision ??= row;
    } else if (row.decisionId !== id) continue;
    else if (table === 'attempts' && !callIds.has(row.id)) calls.push(row);
    else if (table === 'feedback' && !verdictIds.has(row.id)) verdicts.push(row);
  }
  if (decision === undefined) return null;
  calls.sort((a, b) => a.ordinal - b.ordinal);
  verdicts.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  return { decision, attempts: calls, feedback: verdicts };
}
