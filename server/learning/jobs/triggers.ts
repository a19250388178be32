/** When the gateway retrains by itself: by the clock, by how much was judged, by an alarm. A rule, and what looks whether it holds. */
import { and, desc, eq, gt, inArray, isNull, max, min, ne, sql } from 'drizzle-orm';
import type { GatewayConfig } from '../../config/index.ts';
import { asked } from '../../db/connection.ts';
import type { JobState } from '../../db/records.ts';
import { alarms, decisions, feedback, jobs } from '../../db/schema.ts';
import type { SqlStore } from '../../db/store.ts';
import { type JobReason, latestJob, requestJob } from './rows.ts';

export type TriggerOptions = Pick<GatewayConfig['learning'], 'everyHours' | 'afterOutcomes' | 'onDrift'>;

export interface TriggerFacts {
  readonly now: Date;
  /** One waits or runs. */
  readonly isUnderWay: boolean;
  /** The last job that ended. */
  readonly ended: { readonly state: JobState; readonly finishedAt: Date } | null;
  /** When the last one that was done began: what was judged by then it has seen. */
  readonly seenAt: Date | null;
  readonly firstDecisionAt: Date | null;
  /** Answers judged since `seenAt`. */
  readonly newAnswers: number;
  /** The newest alarm that nothing has cleared. */
  readonly alarmAt: Date | null;
}

const HOUR_MS = 3_600_000;
/** After a job that failed: what made it fail will last a while. */
const PAUSE_MS = HOUR_MS;

/** @returns why to retrain now; null: there is no reason */
export function dueBecause(options: TriggerOptions, facts: TriggerFacts): JobReason | null {
  const { now, isUnderWay, ended, seenAt, firstDecisionAt, newAnswers, alarmAt } = facts;
  const since = (moment: Date) => now.getTime() - moment.getTime();
  if (isUnderWay) return null;
  if (ended?.state === 'failed' && since(ended.finishedAt) < PAUSE_MS) return null;
  if (options.onDrift && alarmAt !== null && (seenAt === null || alarmAt > seenAt)) return 'drift';
  if (options.afterOutcomes !== null && newAnswers >= options.afterOutcomes) return 'outcomes';
  // A gateway that nobody has asked anything yet has nothing to learn.
  const from = seenAt ?? firstDecisionAt;
  if (options.everyHours !== null && from !== null && since(from) >= options.everyHours * HOUR_MS) return 'schedule';
  return null;
}

/** What {@link dueBecause} goes by; counts no further than it needs to. @throws `DATABASE_UNAVAILABLE` */
export async function triggerFacts({ db }: Pick<SqlStore, 'db'>, options: TriggerOptions): Promise<TriggerFacts> {
  const [[underWay], [ended], [done], [first], [alarm], [clock]] = await Promise.all([
    asked(
      db
        .select({ id: jobs.id })
        .from(jobs)
        .where(inArray(jobs.state, ['queued', 'running']))
        .limit(1),
    ),
    asked(
      db
        .select({ state: jobs.state, finishedAt: jobs.finishedAt })
        .from(jobs)
        .where(inArray(jobs.state, ['done', 'failed']))
        .orderBy(desc(jobs.finishedAt))
        .limit(1),
    ),
    asked(
      db
        .select({ at: max(jobs.startedAt) })
        .from(jobs)
        .where(eq(jobs.state, 'done')),
    ),
    asked(db.select({ at: min(decisions.createdAt) }).from(decisions)),
    asked(
      db
        .select({ at: max(alarms.raisedAt) })
        .from(alarms)
        // Slower is no reason to learn anew.
        .where(and(isNull(alarms.clearedAt), ne(alarms.kind, 'latency'))),
    ),
    asked(db.execute<{ now: Date | string }>(sql`select clock_timestamp() as now`)),
  ]);
  const seenAt = done?.at ?? null;
  const { afterOutcomes } = options;
  return {
    now: new Date(clock!.now),
    isUnderWay: underWay !== undefined,
    ended: ended === undefined ? null : { state: ended.state, finishedAt: ended.finishedAt! },
    seenAt,
    firstDecisionAt: first?.at ?? null,
    newAnswers: afterOutcomes === null ? 0 : await judgedSince({ db }, seenAt, afterOutcomes),
    alarmAt: alarm?.at ?? null,
  };
}

/** Answers that somebody judged after a moment; hints are no verdicts. @param most counted */
async function judgedSince({ db }: Pick<SqlStore, 'db'>, since: Date | null, most: number): Promise<number> {
  const ofVerdicts = ne(feedback.kind, 'hint');
  const judged = db
    .selectDistinct({ id: feedback.decisionId })
    .from(feedback)
    .where(since === null ? ofVerdicts : and(gt(feedback.createdAt, since), ofVerdicts))
    .limit(most)
    .as('judged');
  const [row] = await asked(db.select({ n: sql<number>`count(*)::int` }).from(judged));
  return row!.n;
}

const LOOK_MS = 60_000;

export interface TriggerWatch {
  /** Looks now. @returns the number of the job that came of it; null: none */
  look(): Promise<string | null>;
  stop(): void;
}

/** Looks once a minute. Replicas look alike; of those that find the same reason one gets its job in. */
export function watchTriggers(
  store: Pick<SqlStore, 'db'>,
  options: () => TriggerOptions,
  {
    lookMs = LOOK_MS,
    onRequested = () => {},
    onProblem = () => {},
  }: {
    readonly lookMs?: number;
    readonly onRequested?: (id: string, reason: JobReason) => void;
    readonly onProblem?: (error: Error) => void;
  } = {},
): TriggerWatch {
  const look = async (): Promise<string | null> => {
    // First of all: whatever happens after it makes the request void.
    const after = await latestJob(store);
    const reason = dueBecause(options(), await triggerFacts(store, options()));
    if (reason === null) return null;
    const requested = await requestJob(store, { reason, after });
    if (requested === null || !requested.isNew) return null;
    onRequested(requested.job.id, reason);
    return requested.job.id;
  };
  let isLooking = false;
  const timer = setInterval(async () => {
    if (isLooking) return;
    isLooking = true;
    await look().catch(onProblem);
    isLooking = false;
  }, lookMs);
  timer.unref();
  return { look, stop: () => clearInterval(timer) };
}
