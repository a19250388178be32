/**
 * The table of jobs: who asked, who does it, how far it is. A job belongs to whoever claims its row, one
 * statement that the database lets exactly one process win; README.md says why that is enough.
 */
import { and, desc, eq, inArray, isNull, lt, or, type SQL, sql } from 'drizzle-orm';
import type { ErrorCode } from '../../../datasets/errors.ts';
import { asked } from '../../db/connection.ts';
import type { JobKind, JobState } from '../../db/records.ts';
import { jobs, promotions } from '../../db/schema.ts';
import type { SqlStore } from '../../db/store.ts';

export type JobReason = 'hand' | 'schedule' | 'outcomes' | 'drift';

export interface Job {
  /** A number, counted up: jobs are done in its order. */
  readonly id: string;
  readonly kind: JobKind;
  readonly state: JobState;
  readonly reason: JobReason;
  readonly options: Readonly<Record<string, unknown>>;
  readonly requestedAt: Date;
  /** Of the latest run. */
  readonly startedAt: Date | null;
  readonly heartbeatAt: Date | null;
  readonly finishedAt: Date | null;
  /** Times begun; more than once where the process that did it died. */
  readonly runs: number;
  /** In [0, 1]. */
  readonly progress: number;
  readonly step: string | null;
  readonly result: unknown;
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
}

type Db = Pick<SqlStore, 'db'>;

/** A job that shows no life for so long is taken over. */
export const STALE_MS = 15_000;
/** A job whose process died so often is not begun again: it may be what kills it. */
export const MAX_RUNS = 5;

export interface JobRequest {
  readonly kind?: JobKind;
  readonly reason: JobReason;
  readonly options?: object;
  /** Only if this is the latest job there is (0: none): of several replicas that ask for the same thing one gets it. */
  readonly after?: number;
}

/**
 * Puts a job in; where one of its kind waits already, gives that one.
 * @returns null where `after` is not the latest job any more
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function requestJob(store: Db, request: JobRequest): Promise<{ job: Job; isNew: boolean } | null> {
  const { kind = 'retrain', reason, options = {}, after } = request;
  for (;;) {
    const [waiting] = await select(store, and(eq(jobs.kind, kind), eq(jobs.state, 'queued')), 1);
    if (waiting !== undefined) return { job: waiting, isNew: false };
    // Two at once find the same number and one of them the row taken. Numbers that a verdict bears are not used again.
    const added = await asked(
      store.db.execute<{ id: string }>(sql`
        insert into ${jobs} (id, kind, state, reason, options, requested_at)
        select (latest.id + 1)::text, ${kind}, 'queued', ${reason}, ${JSON.stringify(options)}::jsonb, clock_timestamp()
        from (select greatest(${latestOf(jobs.id, jobs)}, ${latestOf(promotions.jobId, promotions)}) as id) latest
        where not exists (select from ${jobs} where kind = ${kind} and state = 'queued')
          and ${after === undefined ? sql`true` : sql`latest.id = ${after}`}
        on conflict (id) do nothing
        returning id`),
    );
    const id = added[0]?.id;
    if (id !== undefined) return { job: (await getJob(store, id))!, isNew: true };
    if (after !== undefined && (await latestJob(store)) !== after) return null;
  }
}

/** Number of the latest job; 0: there was none. */
export async function latestJob({ db }: Db): Promise<number> {
  const [row] = await asked(
    db.execute<{ id: unknown }>(
      sql`select greatest(${latestOf(jobs.id, jobs)}, ${latestOf(promotions.jobId, promotions)}) as id`,
    ),
  );
  return Number(row!.id);
}

const latestOf = (column: typeof jobs.id | typeof promotions.jobId, table: typeof jobs | typeof promotions): SQL =>
  sql`(select coalesce(max(${column}::bigint), 0) from ${table} where ${column} ~ '^[0-9]{1,18}$')`;

export async function getJob(store: Db, id: string): Promise<Job | null> {
  const [job] = await select(store, eq(jobs.id, id), 1);
  return job ?? null;
}

/** The latest first. */
export const listJobs = (store: Db, limit: number): Promise<Job[]> => select(store, undefined, limit);

/** The first job that is not finished, if anybody may begin it now. @param staleMs see {@link STALE_MS} */
export async function nextJob({ db }: Db, staleMs = STALE_MS): Promise<{ id: string; runs: number } | null> {
  const [first] = await asked(
    db
      .select({ id: jobs.id, runs: jobs.runs, free: sql<boolean>`${isFree(staleMs)}` })
      .from(jobs)
      .where(inArray(jobs.state, ['queued', 'running']))
      .orderBy(sql`length(${jobs.id})`, jobs.id)
      .limit(1),
  );
  return first?.free ? first : null;
}

/** Begins a job in this process; null where another one does it, or an earlier one comes first. */
export async function claimJob({ db }: Db, id: string, staleMs = STALE_MS): Promise<Job | null> {
  const earlier = sql`exists (
    select from ${jobs} e where e.state in ('queued', 'running')
      and (length(e.id), e.id) < (length(${jobs}.id), ${jobs}.id))`;
  const rows = await asked(
    db
      .update(jobs)
      .set({
        state: 'running',
        runs: sql`${jobs.runs} + 1`,
        startedAt: sql`clock_timestamp()`,
        heartbeatAt: sql`clock_timestamp()`,
        progress: 0,
        step: null,
      })
      .where(and(eq(jobs.id, id), isFree(staleMs), lt(jobs.runs, MAX_RUNS), sql`not ${earlier}`))
      .returning(),
  );
  return rows[0] === undefined ? null : jobOf(rows[0]);
}

/** Which run of a job: what an earlier run says counts no more. */
export type Run = Pick<Job, 'id' | 'runs'>;

/** Shows that the run goes on. @returns false where it is another's by now */
export async function beat({ db }: Db, run: Run, progress: number, step: string | null): Promise<boolean> {
  const rows = await asked(
    db.update(jobs).set({ heartbeatAt: sql`clock_timestamp()`, progress, step }).where(isMine(run)).returning(id),
  );
  return rows.length > 0;
}

export type Ending = { readonly result: object | null } | { readonly error: { code: string; message: string } };

/** Ends the job. @returns false where it is another's by now, and stays as it is */
export async function finishJob({ db }: Db, run: Run, ending: Ending): Promise<boolean> {
  const rows = await asked(
    db
      .update(jobs)
      .set({
        finishedAt: sql`clock_timestamp()`,
        ...('result' in ending
          ? { state: 'done' as const, progress: 1, step: null, result: ending.result }
          : { state: 'failed' as const, errorCode: ending.error.code, errorMessage: ending.error.message }),
      })
      .where(isMine(run))
      .returning(id),
  );
  return rows.length > 0;
}

/** Lets another process begin the job at once, as when this one stops. */
export async function letGo({ db }: Db, run: Run): Promise<void> {
  await asked(db.update(jobs).set({ heartbeatAt: null }).where(isMine(run)));
}

/** The same for all that run: right only where one process owns the database, and has just begun. */
export async function letGoAll({ db }: Db): Promise<void> {
  await asked(db.update(jobs).set({ heartbeatAt: null }).where(eq(jobs.state, 'running')));
}

/** Fails the jobs that were begun {@link MAX_RUNS} times and never ended. */
export async function giveUp({ db }: Db, staleMs = STALE_MS): Promise<void> {
  await asked(
    db
      .update(jobs)
      .set({
        state: 'failed',
        finishedAt: sql`clock_timestamp()`,
        errorCode: 'INTERNAL',
        errorMessage: `begun ${MAX_RUNS} times, and each time the process that did it died; see its log, and whether it had memory enough`,
      })
      .where(and(eq(jobs.state, 'running'), isStale(staleMs), sql`${jobs.runs} >= ${MAX_RUNS}`)),
  );
}

const id = { id: jobs.id };

// All moments are the database's: clocks of replicas differ.
const isStale = (staleMs: number) =>
  or(
    isNull(jobs.heartbeatAt),
    sql`${jobs.heartbeatAt} < clock_timestamp() - ${staleMs}::double precision * interval '1 millisecond'`,
  );

const isFree = (staleMs: number) => or(eq(jobs.state, 'queued'), and(eq(jobs.state, 'running'), isStale(staleMs)));

const isMine = ({ id, runs }: Run) => and(eq(jobs.id, id), eq(jobs.state, 'running'), eq(jobs.runs, runs));

async function select({ db }: Db, where: SQL | undefined, limit: number): Promise<Job[]> {
  const newestFirst = [desc(sql`length(${jobs.id})`), desc(jobs.id)];
  const rows = await asked(
    db
      .select()
      .from(jobs)
      .where(where)
      .orderBy(...newestFirst)
      .limit(limit),
  );
  return rows.map(jobOf);
}

function jobOf({ errorCode, errorMessage, ...row }: typeof jobs.$inferSelect): Job {
  return {
    ...row,
    reason: row.reason as JobReason,
    options: (row.options ?? {}) as Job['options'],
    error: errorCode === null ? null : { code: errorCode as ErrorCode, message: errorMessage ?? '' },
  };
}
