/** Following a retraining until it has ended. Looking away ends the looking, not the job. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, RoutingError } from '../../datasets/errors.ts';
import type { LearningAccess, ToldJob } from './retrain-access.ts';

const LOOK_MS = 300;
/** How long a gateway is given to begin a job before it is done here. */
const PATIENCE_MS = 10_000;

export interface Following {
  /** Told what is being done, as often as it changes. */
  readonly say: (message: string) => void;
  readonly signal?: AbortSignal;
  readonly patienceMs?: number;
}

/**
 * Waits for a job, and does it here where nobody else begins it.
 * @returns the job as it ended
 * @throws the error that it ended with, by the same code; the signal's reason
 */
export async function follow(
  access: LearningAccess,
  id: string,
  { say, signal, patienceMs = PATIENCE_MS }: Following,
): Promise<ToldJob> {
  const since = performance.now();
  let isHelping = access.doneBy === 'here';
  if (isHelping) access.start?.();
  let said = '';
  for (;;) {
    const job = await access.job(id);
    if (job.state === 'done') return job;
    if (job.state === 'failed') {
      const { code, message } = job.error ?? { code: 'INTERNAL' as ErrorCode, message: 'it failed' };
      throw new RoutingError(code, `job ${id}: ${message}`);
    }
    const message = progressOf(job);
    if (message !== said) say(message);
    said = message;
    if (!isHelping && access.start !== undefined && performance.now() - since > patienceMs) {
      // Also where a gateway died over it: whoever claims it first goes on with it.
      isHelping = true;
      access.start();
    }
    await sleep(LOOK_MS, undefined, { ...(signal && { signal }) }).catch(() => signal?.throwIfAborted());
  }
}

export function progressOf({ id, state, progress, step, runs }: ToldJob): string {
  if (state === 'queued') return `job ${id}: waiting for a process to begin it`;
  const again = runs > 1 ? ` (begun for the ${runs}. time)` : '';
  return `job ${id}: ${step ?? 'beginning'}, ${Math.floor(100 * progress)} %${again}`;
}

/** The latest jobs, one a line. */
export function jobsText(jobs: readonly ToldJob[]): string {
  if (jobs.length === 0) return '\n  No retraining was asked for yet.\n';
  const lines = jobs.map((job) => {
    const { id, state, reason, requestedAt, error, result } = job;
    const what =
      state === 'done'
        ? outcomeOf(result)
        : state === 'failed'
          ? `${error?.code}: ${error?.message}`
          : state === 'running'
            ? `${job.step ?? 'beginning'}, ${Math.floor(100 * job.progress)} %`
            : '';
    const when = `${new Date(requestedAt!).toISOString().slice(0, 19)}Z`;
    return `  ${id.padStart(5)}  ${when}  ${reason.padEnd(8)}  ${state.padEnd(7)}  ${what}`.trimEnd();
  });
  return [
    '',
    `  ${'job'.padStart(5)}  ${'asked for'.padEnd(20)}  because   state    what came of it`,
    ...lines,
    '',
  ].join('\n');
}

function outcomeOf(result: unknown): string {
  const { outcome = '', reasons = [] } = (result ?? {}) as { outcome?: string; reasons?: readonly string[] };
  return [outcome, ...reasons.slice(0, 1)].join(': ');
}
