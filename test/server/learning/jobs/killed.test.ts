/** A process that retrains is killed, at any point: nothing is lost, and another one finishes the job once. */
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RolloutConfig } from '../../../../server/config/index.ts';
import { artifacts } from '../../../../server/db/schema.ts';
import { openStore, type SqlStore } from '../../../../server/db/store.ts';
import { bossQueue } from '../../../../server/learning/jobs/boss.ts';
import { inProcessQueue } from '../../../../server/learning/jobs/queue.ts';
import { getJob, type Job, requestJob, STALE_MS } from '../../../../server/learning/jobs/rows.ts';
import { JobWorker } from '../../../../server/learning/jobs/worker.ts';
import { history } from '../../../../server/learning/promotions.ts';
import { retrain } from '../../../../server/learning/retrain.ts';
import { compiledFile } from '../../../run/shared.ts';
import { type OpenedStore, storeKinds, tempDir } from '../../db/stores.ts';
import { type Base, logOf } from '../synthetic-log.ts';
import { tinyBase } from '../tiny-base.ts';
import type { RetrainerOptions } from './retrainer.ts';

const SCRIPT = await compiledFile('test/server/learning/jobs/retrainer.ts');
const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
/** As in production, but that it looks more often. */
const PACE = { beatMs: 100, sweepMs: 100 };
/** What is judged: enough to compare, and to begin a trial. */
const DECISIONS = 120;
const KEY = 'of these tests alone, and long enough for one';

const rollout = RolloutConfig.parse({});

let base: Base;
const children: ChildProcess[] = [];
const workers: JobWorker[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

interface Retrainer {
  /** Resolves when it has begun that step, or `started`. */
  reached(step: string): Promise<void>;
  /** Resolves when the process is gone. */
  kill(): Promise<void>;
}

function retrainer(given: Omit<RetrainerOptions, keyof typeof PACE | 'baseDir' | 'candidates'>): Retrainer {
  const options: RetrainerOptions = { ...given, ...PACE, baseDir: base.dir, candidates: base.candidates };
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify(options)], {
    cwd: ROOT,
    env: { ...process.env, POINTSMAN_SIGNING_KEY: KEY },
  });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (piece) => {
    out += piece;
  });
  child.stderr.on('data', (piece) => {
    err += piece;
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    async reached(step) {
      await expect
        .poll(() => out.includes(`${step}\n`) || child.exitCode !== null, { timeout: 60_000, interval: 20 })
        .toBe(true);
      if (!out.includes(`${step}\n`)) throw new Error(`the retrainer ended: ${err}`);
    },
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Another process, of this one. */
async function rescuer(store: SqlStore, databaseUrl: string | undefined, dataDir: string): Promise<void> {
  const queue = databaseUrl === undefined ? inProcessQueue() : bossQueue({ databaseUrl, pollMs: 100 });
  const worker = new JobWorker(
    store,
    queue,
    (job, { step, signal }) =>
      retrain({ store, dataDir, baseDir: base.dir, candidates: base.candidates, rollout }, job.options, {
        jobId: job.id,
        step,
        signal,
      }),
    PACE,
  );
  workers.push(worker);
  await worker.start();
}

async function ended(store: SqlStore, id: string): Promise<Job> {
  await expect
    .poll(async () => (await getJob(store, id))?.finishedAt ?? null, { timeout: 90_000, interval: 50 })
    .not.toBeNull();
  return (await getJob(store, id))!;
}

/** As if no heartbeat had been shown for longer than one may be late. */
const muchLater = (store: SqlStore) =>
  store.db.execute(sql`update jobs set heartbeat_at = heartbeat_at - interval '15 seconds'`);

/** One verdict, and the job says the same. */
async function expectOnce(store: SqlStore, job: Job, runs: number): Promise<void> {
  expect(job).toMatchObject({ state: 'done', runs, error: null });
  const rows = await history(store);
  expect(rows).toHaveLength(1);
  const [row] = rows;
  expect(row!.jobId).toBe(job.id);
  // What becomes of so clear a case is the gate's business, but it is not refused.
  expect(['promoted', 'canary'], JSON.stringify(job.result)).toContain(row!.kind);
  const artifact = row!.kind === 'promoted' ? row!.artifact : row!.trial!.artifact;
  expect(job.result).toMatchObject({
    outcome: row!.kind === 'promoted' ? 'promoted' : 'on-trial',
    artifact,
    samples: DECISIONS,
  });
  // Where another process finds it, signed.
  const kept = await store.db.select().from(artifacts);
  expect(kept.map(({ hash }) => hash)).toContain(artifact);
}

async function recordLog(store: SqlStore): Promise<void> {
  const { entries } = await logOf({
    seed: 1,
    decisions: DECISIONS,
    // The dear model, which the router takes for the best, is broken.
    truth: (model) => (model === 'lab/dear' ? 0.05 : 0.85),
    policy: { exploration: 1, tolerance: 0.25 },
    perSession: 1,
    base,
  });
  for (const entry of entries) store.record(entry);
  await store.flush();
}

beforeAll(async () => {
  base = await tinyBase();
  process.env.POINTSMAN_SIGNING_KEY = KEY;
});
afterAll(() => {
  delete process.env.POINTSMAN_SIGNING_KEY;
});

describe('on PostgreSQL, with two processes', () => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await storeKinds.find(({ name }) => name === 'PostgreSQL')!.open();
    await recordLog(opened.store);
  });
  afterAll(() => opened.close());
  afterEach(async () => {
    await opened.store.db.execute(sql`truncate jobs, promotions, outcomes, artifacts, artifact_blobs`);
  });
  const own = async () => {
    const dataDir = await tempDir();
    folders.push(dataDir);
    return { databaseUrl: opened.options.databaseUrl!, dataDir };
  };
  const request = async () => (await requestJob(opened.store, { reason: 'hand' }))!.job.id;

  test.each([
    { stopAt: 'reading the log', really: false },
    { stopAt: 'fitting and comparing', really: false },
    { stopAt: 'deciding', really: false },
    { stopAt: 'tidying up', really: true },
  ])(
    'killed as it began $stopAt',
    async ({ stopAt, really }) => {
      const id = await request();
      const first = retrainer({ ...(await own()), stopAt });
      await first.reached(stopAt);
      const there = await own();
      await rescuer(opened.store, there.databaseUrl, there.dataDir);
      // It stands still but lives: nobody takes its job, though others look for one.
      expect(await getJob(opened.store, id)).toMatchObject({ state: 'running', runs: 1, step: stopAt });
      await first.kill();
      const since = Date.now();
      // Once by the time that really passes: another begins when the silence has lasted, not before.
      if (!really) await muchLater(opened.store);
      const job = await ended(opened.store, id);
      if (really) expect(Date.now() - since).toBeGreaterThan(STALE_MS - 2000);
      await expectOnce(opened.store, job, 2);
    },
    120_000,
  );

  test('killed in the midst of the fit, twice', async () => {
    const id = await request();
    for (let i = 0; i < 2; i++) {
      const one = retrainer(await own());
      await one.reached('fitting and comparing');
      await one.kill();
      await muchLater(opened.store);
    }
    const there = await own();
    await rescuer(opened.store, there.databaseUrl, there.dataDir);
    await expectOnce(opened.store, await ended(opened.store, id), 3);
  }, 120_000);

  test('killed before it had begun what waited: another one begins it', async () => {
    const first = retrainer(await own());
    await first.reached('started');
    await first.kill();
    const id = await request();
    const there = await own();
    await rescuer(opened.store, there.databaseUrl, there.dataDir);
    await expectOnce(opened.store, await ended(opened.store, id), 1);
  }, 120_000);

  test('one that was only frozen, and wakes when another has taken its job, changes nothing', async () => {
    const id = await request();
    const first = retrainer({ ...(await own()), stopAt: 'tidying up' });
    await first.reached('tidying up');
    children[0]!.kill('SIGSTOP');
    await muchLater(opened.store);
    const there = await own();
    await rescuer(opened.store, there.databaseUrl, there.dataDir);
    const job = await ended(opened.store, id);
    children[0]!.kill('SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 10 * PACE.beatMs));
    await expectOnce(opened.store, job, 2);
    expect(await getJob(opened.store, id)).toEqual(job);
  }, 120_000);
});

describe('on the embedded database', () => {
  test.each(['fitting and comparing', 'tidying up'])(
    'what was under way when the process died in “%s” is done at the next start',
    async (stopAt) => {
      const dataDir = await tempDir();
      folders.push(dataDir);
      const before = await openStore({ dataDir });
      await recordLog(before);
      await before.close();
      const first = retrainer({ dataDir, stopAt, request: true });
      await first.reached(stopAt);
      await first.kill();
      const store = await openStore({ dataDir });
      try {
        await rescuer(store, undefined, dataDir);
        await expectOnce(store, await ended(store, '1'), 2);
      } finally {
        await Promise.all(workers.splice(0).map((worker) => worker.stop()));
        await store.close();
      }
    },
    120_000,
  );
});
