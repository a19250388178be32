/** Learning as a part of the gateway: retrainings are asked for, done, followed and taken back here. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { z } from 'zod';
import { RoutingError } from '../../../datasets/errors.ts';
import { PLAIN, plainPath } from '../../../datasets/plain-issues.ts';
import { asked } from '../../db/connection.ts';
import { texts } from '../../db/schema.ts';
import type { SqlStore } from '../../db/store.ts';
import type { HistoryReport, RollbackReport } from '../admin.ts';
import type { LearningContext } from '../retrain.ts';
import { inProcessQueue, type JobQueue } from './queue.ts';
import { getJob, type Job, type JobReason, listJobs, requestJob } from './rows.ts';
import { type TriggerWatch, watchTriggers } from './triggers.ts';
import { JobWorker, type Work, type WorkerOptions } from './worker.ts';

/** What may be asked of a retraining. */
export const JobOptions = z.strictObject({
  minFeedback: z.number().int().min(1).max(1_000_000).optional(),
  maxQualityLoss: z.number().min(0).max(1).optional(),
  maxUnknown: z.number().min(0).max(1).optional(),
  seed: z.number().int().optional(),
  /** Learn the encoder anew, too, from the prompts that are kept. Default: `learning.encoder`, once there are enough of them. */
  encoder: z.boolean().optional(),
});
export type JobOptions = z.infer<typeof JobOptions>;

/** What the command line asks of the gateway that owns the database: a retraining, one job, or the latest ones. */
export const JobsRequest = z.strictObject({
  request: JobOptions.optional(),
  id: z.string().min(1).max(64).optional(),
  limit: z.number().int().min(1).max(500).default(20),
});

export interface Learning {
  /**
   * Asks for a retraining; where one waits already it is that one, with its own options.
   * @throws `INVALID_REQUEST` for options that are none
   */
  request(options: unknown): Promise<{ readonly job: Job; readonly isNew: boolean }>;
  /** The latest first. */
  jobs(limit: number): Promise<Job[]>;
  /** @throws `NOT_FOUND` */
  job(id: string): Promise<Job>;
  /** Waits until it has ended. */
  ended(id: string): Promise<Job>;
  history(): Promise<HistoryReport>;
  /** @throws `NOT_FOUND` where there is nothing to take back */
  rollback(): Promise<RollbackReport>;
  /** Does jobs from now on, and looks for reasons to. */
  start(): void;
  /** Lets go of the job that is being done here: another process goes on with it. */
  stop(): Promise<void>;
}

export interface LearningParts {
  readonly store: SqlStore;
  /** Of the PostgreSQL that carries the queue; without it this process looks for jobs itself. */
  readonly databaseUrl?: string | undefined;
  /** Asked anew for each job: the configuration may have changed. */
  readonly context: () => LearningContext;
  /** What is in force has perhaps changed: it is waited for before a job counts as done here. */
  readonly onChange?: () => Promise<void>;
  readonly onProblem?: (error: Error) => void;
  readonly onRequested?: (id: string, reason: JobReason) => void;
  readonly onFinished?: (job: Job, error: Error | null) => void;
  /** False for the command line, which does what was asked for and no more. */
  readonly triggers?: boolean;
  /** After which `start` takes effect: loading the queue costs what the first requests need. */
  readonly startAfterMs?: number;
  readonly worker?: WorkerOptions;
  readonly lookMs?: number;
}

const POLL_MS = 250;
const NUMBER = /^[0-9]{1,18}$/;

export function openLearning(parts: LearningParts): Learning {
  const { store, context, databaseUrl, onChange = async () => {}, onProblem = () => {} } = parts;
  let worker: JobWorker | null = null;
  let triggers: TriggerWatch | null = null;
  let starting: NodeJS.Timeout | undefined;
  let stopped = false;

  // Loaded when there is something to learn: a gateway starts faster without.
  const work: Work = async (job, { step, signal }) => {
    if (job.kind !== 'retrain')
      throw new RoutingError('INVALID_REQUEST', `job ${job.id}: no job is called ${job.kind}`);
    const { retrain } = await import('../retrain.ts');
    const now = context();
    const wanted = optionsOf(job.options);
    const encoder = wanted.encoder ?? ((now.learning?.encoder ?? false) && (await hasTexts(store)));
    const report = await retrain(now, { ...wanted, encoder }, { jobId: job.id, step, signal });
    // It is taken up a moment later all the same.
    await onChange().catch(onProblem);
    return report;
  };

  const begin = async () => {
    const queue: JobQueue =
      databaseUrl === undefined ? inProcessQueue() : (await import('./boss.ts')).bossQueue({ databaseUrl, onProblem });
    if (stopped) return queue.stop();
    const { onRequested, onFinished, lookMs } = parts;
    worker = new JobWorker(store, queue, work, { onProblem, ...(onFinished && { onFinished }), ...parts.worker });
    if (parts.triggers !== false) {
      triggers = watchTriggers(store, () => context().learning ?? NEVER, {
        onProblem,
        ...(lookMs !== undefined && { lookMs }),
        onRequested(id, reason) {
          onRequested?.(id, reason);
          void worker?.sweep();
        },
      });
    }
    await worker.start();
  };

  const admin = async () => (await import('../admin.ts')).learningAdmin(context());
  const job = async (id: string): Promise<Job> => {
    const found = NUMBER.test(id) ? await getJob(store, id) : null;
    if (found === null) throw new RoutingError('NOT_FOUND', `no job ${id.slice(0, 64)}`);
    return found;
  };

  return {
    async request(options) {
      const requested = (await requestJob(store, { reason: 'hand', options: optionsOf(options) }))!;
      void worker?.sweep();
      return requested;
    },
    jobs: (limit) => listJobs(store, limit),
    job,
    async ended(id) {
      for (;;) {
        const now = await job(id);
        if (now.finishedAt !== null) return now;
        await sleep(POLL_MS);
      }
    },
    history: async () => (await (await admin()).retrain({ historyOnly: true })) as HistoryReport,
    async rollback() {
      const done = await (await admin()).rollback({});
      await onChange().catch(onProblem);
      return done;
    },
    start() {
      starting = setTimeout(() => void begin().catch(onProblem), parts.startAfterMs ?? 0);
      starting.unref();
    },
    async stop() {
      stopped = true;
      clearTimeout(starting);
      triggers?.stop();
      await worker?.stop();
    },
  };
}

/** Whether prompts enough are kept for an encoder; where they are not, heads are refitted as always. */
async function hasTexts({ db }: SqlStore): Promise<boolean> {
  const { LEAST_WITH_TEXT } = await import('../encoder-fit.ts');
  const some = db.select({ id: texts.decisionId }).from(texts).limit(LEAST_WITH_TEXT).as('some');
  const [row] = await asked(db.select({ n: sql<number>`count(*)::int` }).from(some));
  return row!.n >= LEAST_WITH_TEXT;
}

const NEVER = { everyHours: null, afterOutcomes: null, onDrift: false };

/** The reply to a {@link JobsRequest}. @throws `INVALID_REQUEST`, `NOT_FOUND` */
export async function answerJobs(
  learning: Learning,
  options: unknown,
): Promise<{ job: Job; isNew?: boolean } | { jobs: Job[] }> {
  const { request, id, limit } = parsed(JobsRequest, options);
  if (request !== undefined) return learning.request(request);
  return id === undefined ? { jobs: await learning.jobs(limit) } : { job: await learning.job(id) };
}

const optionsOf = (options: unknown): JobOptions => parsed(JobOptions, options);

function parsed<T>(schema: z.ZodType<T>, options: unknown): T {
  const { success, data, error } = schema.safeParse(options ?? {}, PLAIN);
  if (success) return data;
  const issue = error.issues[0]!;
  throw new RoutingError('INVALID_REQUEST', `${plainPath(issue.path) || 'options'}: ${issue.message}`);
}
