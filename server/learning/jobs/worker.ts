/** Does jobs in this process, one at a time: claims, shows that it lives, writes down how far it is and how it ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RoutingError } from '../../../datasets/errors.ts';
import { DatabaseError } from '../../db/connection.ts';
import type { SqlStore } from '../../db/store.ts';
import type { JobQueue } from './queue.ts';
import { beat, claimJob, finishJob, giveUp, type Job, letGo, letGoAll, nextJob, STALE_MS } from './rows.ts';

export interface Doing {
  /** What is being done now, for people. @param share of the whole that is done, in [0, 1] */
  step(step: string, share: number): Promise<void>;
  /** Aborted when this process stops, or the job is another’s by now: nothing it does counts any more. */
  readonly signal: AbortSignal;
}

/**
 * Does one job. Where a process dies it is begun again from the start, by whichever finds it: what it does to
 * the world must count once per job, not per run.
 * @returns what is kept with the job, as JSON
 */
export type Work = (job: Job, doing: Doing) => Promise<object | null>;

export interface WorkerOptions {
  /** Told of what goes wrong outside of the job itself; not again until something went well. */
  readonly onProblem?: (error: Error) => void;
  readonly onFinished?: (job: Job, error: Error | null) => void;
  readonly beatMs?: number;
  readonly staleMs?: number;
  readonly sweepMs?: number;
}

const BEAT_MS = 2_000;
/** Progress is written as often as this, where there is any. */
const PROGRESS_MS = 1_000;
/** How often it is looked for jobs that nobody was sent, or whose process died. */
const SWEEP_MS = 5_000;
/** Longest that a stop waits for the database. */
const STOP_MS = 5_000;

export class JobWorker {
  readonly #store: SqlStore;
  readonly #queue: JobQueue;
  readonly #work: Work;
  readonly #options: Required<WorkerOptions>;
  #sweeper: NodeJS.Timeout | undefined;
  #stopped = false;
  #isWell = true;
  #taking: Promise<void> = Promise.resolve();
  /** Of this process' stopping. */
  readonly #abort = new AbortController();

  constructor(store: SqlStore, queue: JobQueue, work: Work, options: WorkerOptions = {}) {
    this.#store = store;
    this.#queue = queue;
    this.#work = work;
    this.#options = {
      onProblem: () => {},
      onFinished: () => {},
      beatMs: BEAT_MS,
      staleMs: STALE_MS,
      sweepMs: SWEEP_MS,
      ...options,
    };
  }

  /** Takes jobs from now on; on the embedded database also what a process before this one left. */
  async start(): Promise<void> {
    if (this.#stopped) return;
    if (this.#store.kind === 'embedded') await letGoAll(this.#store).catch((error) => this.#complain(error));
    if (this.#stopped) return;
    this.#queue.work((id) => this.#take(id));
    this.#sweeper = setInterval(() => void this.sweep(), this.#options.sweepMs);
    this.#sweeper.unref();
    await this.sweep();
  }

  /** Sends the next job, if it is free to begin: it was never sent, or its process died. */
  async sweep(): Promise<void> {
    if (this.#stopped) return;
    try {
      const { staleMs } = this.#options;
      await giveUp(this.#store, staleMs);
      const next = await nextJob(this.#store, staleMs);
      if (next !== null && !this.#stopped) {
        await this.#queue.send(next.id, `${next.id}/${next.runs}`);
        this.#queue.wake();
      }
      this.#isWell = true;
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Takes no more jobs, and lets go of the one it does: another process begins it at once. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#sweeper);
    this.#abort.abort();
    // A database that does not answer must not hold a process that ends; the job is found by its silence then.
    await Promise.race([Promise.all([this.#queue.stop(), this.#taking]), sleep(STOP_MS, null, { ref: false })]);
  }

  /** Resolves when the job, if it was free, has ended; never rejects. */
  #take(id: string): Promise<void> {
    this.#taking = this.#takeNow(id).catch((error) => this.#complain(error));
    return this.#taking;
  }

  async #takeNow(id: string): Promise<void> {
    if (this.#stopped) return;
    const job = await claimJob(this.#store, id, this.#options.staleMs);
    if (job === null) return;
    await this.#run(job);
    // The next one may have waited for this one to end.
    void this.sweep();
  }

  async #run(job: Job): Promise<void> {
    const lost = new AbortController();
    const signal = AbortSignal.any([lost.signal, this.#abort.signal]);
    const heart = new Heart({
      beat: (progress, step) => beat(this.#store, job, progress, step),
      beatMs: this.#options.beatMs,
      onLost: () => lost.abort(new RoutingError('CONFLICT', `job ${job.id} was taken over by another process`)),
      onProblem: (error) => this.#complain(error),
    });
    let failure: Error | null = null;
    try {
      const step: Doing['step'] = async (name, share) => {
        await heart.step(name, share);
        signal.throwIfAborted();
      };
      const result = await this.#work(job, { signal, step });
      heart.stop();
      await finishJob(this.#store, job, { result });
    } catch (error) {
      heart.stop();
      // Ended from outside: by a stop, or because the job is another’s.
      if (signal.aborted) return await letGo(this.#store, job).catch(() => {});
      // With the database away nothing can be written down; when it is back the job is found without a heartbeat.
      if (isAway(error)) throw error;
      failure = error as Error;
      const { code = 'INTERNAL', message = String(error) } = error as { code?: string; message?: string };
      await finishJob(this.#store, job, { error: { code, message } });
    }
    this.#options.onFinished(job, failure);
  }

  #complain(error: unknown): void {
    if (this.#isWell && !this.#stopped) this.#options.onProblem(error as Error);
    this.#isWell = false;
  }
}

/** No statement got through: not the fault of what was asked. Classes 08, 53, 57: connection, resources, shutdown. */
const isAway = (error: unknown): boolean =>
  error instanceof DatabaseError && (error.sqlState === undefined || /^(08|53|57)/.test(error.sqlState));

interface Vessel {
  /** @returns false where the run is another’s by now */
  beat(progress: number, step: string | null): Promise<boolean>;
  readonly beatMs: number;
  onLost(): void;
  onProblem(error: unknown): void;
}

/** Shows that a run goes on, and how far it is. */
class Heart {
  readonly #vessel: Vessel;
  readonly #timer: NodeJS.Timeout;
  #progress = 0;
  #step: string | null = null;
  #isNew = false;
  #beatAt = performance.now();
  #beating: Promise<void> = Promise.resolve();

  constructor(vessel: Vessel) {
    this.#vessel = vessel;
    const look = () => {
      if (this.#isNew || performance.now() - this.#beatAt >= vessel.beatMs - 1) void this.#beat();
    };
    this.#timer = setInterval(look, Math.min(PROGRESS_MS, vessel.beatMs));
    this.#timer.unref();
  }

  async step(step: string, share: number): Promise<void> {
    const isAnother = step !== this.#step;
    this.#step = step;
    this.#progress = Math.min(Math.max(share, 0), 1);
    this.#isNew = true;
    if (isAnother) await this.#beat();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): Promise<void> {
    this.#isNew = false;
    this.#beatAt = performance.now();
    // One after the other, so that an older state never comes last.
    this.#beating = this.#beating
      .then(() => this.#vessel.beat(this.#progress, this.#step))
      .then((isMine) => {
        if (!isMine) this.#vessel.onLost();
      })
      .catch((error) => this.#vessel.onProblem(error));
    return this.#beating;
  }
}
