/**
 * A process that does retrainings, for tests that kill it: `retrainer.ts OPTIONS`, JSON as {@link RetrainerOptions}.
 * It prints the name of each step as it begins, and stands still at the one it is told to.
 */

import type { Candidate } from '../../../../datasets/catalog/candidate.ts';
import { RolloutConfig } from '../../../../server/config/index.ts';
import { openStore } from '../../../../server/db/store.ts';
import { bossQueue } from '../../../../server/learning/jobs/boss.ts';
import { inProcessQueue } from '../../../../server/learning/jobs/queue.ts';
import { JobWorker } from '../../../../server/learning/jobs/worker.ts';
import { retrain } from '../../../../server/learning/retrain.ts';

export interface RetrainerOptions {
  readonly databaseUrl?: string | undefined;
  readonly dataDir: string;
  /** Of the router that it starts from, and what that chooses from. */
  readonly baseDir: string;
  readonly candidates: readonly Candidate[];
  /** Step at which it stands still; it goes on showing that it lives. */
  readonly stopAt?: string | undefined;
  /** Asks for a job itself, as who owns the embedded database must. */
  readonly request?: boolean;
  readonly beatMs: number;
  readonly sweepMs: number;
}

const options = JSON.parse(process.argv[2]!) as RetrainerOptions;
const { databaseUrl, dataDir, baseDir, candidates, stopAt } = options;
const rollout = RolloutConfig.parse({});
const store = await openStore({ dataDir, databaseUrl });
const queue = databaseUrl === undefined ? inProcessQueue() : bossQueue({ databaseUrl, pollMs: 100 });
const worker = new JobWorker(
  store,
  queue,
  (job, { step, signal }) =>
    retrain({ store, dataDir, baseDir, candidates, rollout }, job.options, {
      jobId: job.id,
      signal,
      async step(name, share) {
        await step(name, share);
        console.log(name);
        if (name === stopAt) await new Promise(() => {});
      },
    }),
  { onProblem: (error) => console.error(error.message), ...options },
);
if (options.request) {
  const { requestJob } = await import('../../../../server/learning/jobs/rows.ts');
  await requestJob(store, { reason: 'hand' });
}
await worker.start();
// Timers of ours keep no process alive.
setInterval(() => {}, 1000);
console.log('started');
