/** Jobs on both kinds of database, each with its own queue: asked for once, done once, in order, and not lost. */
import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RoutingError } from '../../../../datasets/index.ts';
import { bossQueue } from '../../../../server/learning/jobs/boss.ts';
import { inProcessQueue, type JobQueue } from '../../../../server/learning/jobs/queue.ts';
import {
  claimJob,
  finishJob,
  getJob,
  giveUp,
  type Job,
  listJobs,
  MAX_RUNS,
  requestJob,
} from '../../../../server/learning/jobs/rows.ts';
import { JobWorker, type Work, type WorkerOptions } from '../../../../server/learning/jobs/worker.ts';
import { addPromotion } from '../../../../server/learning/promotions.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  const workers: JobWorker[] = [];
  const problems: Error[] = [];
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    await opened.store.db.execute(sql`truncate jobs, promotions`);
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    expect(problems.splice(0)).toEqual([]);
  });

  const onProblem = (error: Error) => void problems.push(error);
  const queueHere = (): JobQueue => {
    const { databaseUrl } = opened.options;
    return databaseUrl === undefined ? inProcessQueue() : bossQueue({ databaseUrl, onProblem, pollMs: 50 });
  };
  const worker = (work: Work, options: WorkerOptions = {}) => {
    const made = new JobWorker(opened.store, queueHere(), work, { onProblem, sweepMs: 100, ...options });
    workers.push(made);
    return made;
  };
  const request = async () => (await requestJob(opened.store, { reason: 'hand' }))!;
  const job = async (id: string) => (await getJob(opened.store, id))!;
  const ended = async (id: string): Promise<Job> => {
    await expect.poll(async () => (await job(id)).finishedAt).not.toBeNull();
    return job(id);
  };

  test('a job is done by a worker that started before it, and its result kept', async () => {
    await worker(async ({ options }) => ({ learned: options, most: 0.1 + 0.2 })).start();
    const { job: asked } = (await requestJob(opened.store, { reason: 'hand', options: { seed: 7 } }))!;
    expect(asked).toMatchObject({ id: '1', kind: 'retrain', state: 'queued', reason: 'hand', runs: 0, progress: 0 });
    expect(await ended('1')).toMatchObject({
      state: 'done',
      runs: 1,
      progress: 1,
      result: { learned: { seed: 7 }, most: 0.1 + 0.2 },
      error: null,
    });
  });

  test('a job that waits is found by a worker that starts after it', async () => {
    const { job: asked } = await request();
    await worker(async () => null).start();
    expect(await ended(asked.id)).toMatchObject({ state: 'done' });
  });

  test('one waits beside one that runs: who asks again is given the one that waits', async () => {
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const done: string[] = [];
    await worker(async ({ id }) => {
      done.push(id);
      await held;
      return null;
    }).start();
    const first = await request();
    await expect.poll(async () => (await job(first.job.id)).state).toBe('running');
    const second = await request();
    expect(second).toMatchObject({ isNew: true, job: { id: '2' } });
    const more = await Promise.all(Array.from({ length: 8 }, request));
    expect(more.map(({ isNew, job }) => `${job.id} ${isNew}`)).toEqual(Array(8).fill('2 false'));
    // Both are free for whoever asks; but the second waits for the first.
    expect(await claimJob(opened.store, '2')).toBeNull();
    goOn();
    await ended('2');
    expect(done).toEqual(['1', '2']);
    expect((await listJobs(opened.store, 10)).map(({ id }) => id)).toEqual(['2', '1']);
  });

  test('of many who ask at once one gets a job in', async () => {
    const asked = await Promise.all(Array.from({ length: 20 }, request));
    expect(new Set(asked.map(({ job }) => job.id))).toEqual(new Set(['1']));
    expect(asked.filter(({ isNew }) => isNew)).toHaveLength(1);
  });

  test('who asks because of what it saw gets nothing in when a job came between', async () => {
    const { job: first } = (await requestJob(opened.store, { reason: 'schedule', after: 0 }))!;
    const claimed = (await claimJob(opened.store, first.id))!;
    await finishJob(opened.store, claimed, { result: null });
    expect(await requestJob(opened.store, { reason: 'schedule', after: 0 })).toBeNull();
    expect(await requestJob(opened.store, { reason: 'schedule', after: 1 })).toMatchObject({ job: { id: '2' } });
  });

  test('the number of a job whose verdict is on record is not given to another', async () => {
    await addPromotion(opened.store, { kind: 'refused', artifact: null, previous: null, verdict: {} });
    await opened.store.db.execute(sql`update promotions set job_id = '41'`);
    expect((await request()).job.id).toBe('42');
  });

  test('of many who claim it one has it', async () => {
    const { job: asked } = await request();
    const claims = await Promise.all(Array.from({ length: 10 }, () => claimJob(opened.store, asked.id)));
    expect(claims.filter((claim) => claim !== null)).toHaveLength(1);
  });

  test('a job without a heartbeat is taken over, and what its first run says of it counts no more', async () => {
    const { job: asked } = await request();
    const first = (await claimJob(opened.store, asked.id))!;
    expect(await claimJob(opened.store, asked.id)).toBeNull();
    await opened.store.db.execute(sql`update jobs set heartbeat_at = clock_timestamp() - interval '16 seconds'`);
    const claims = await Promise.all(Array.from({ length: 10 }, () => claimJob(opened.store, asked.id)));
    const [second, ...others] = claims.filter((claim) => claim !== null);
    expect(others).toEqual([]);
    expect(second).toMatchObject({ runs: 2 });
    expect(await finishJob(opened.store, first, { result: { by: 'first' } })).toBe(false);
    expect(await finishJob(opened.store, second!, { result: { by: 'second' } })).toBe(true);
    expect(await finishJob(opened.store, second!, { result: { by: 'nobody' } })).toBe(false);
    expect((await job(asked.id)).result).toEqual({ by: 'second' });
  });

  test('whoever lost its job is told to stop, and ends nothing', async () => {
    const { job: asked } = await request();
    let told: unknown;
    const stuck = worker(
      (_, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            told = signal.reason;
            reject(signal.reason);
          });
        }),
      { beatMs: 50 },
    );
    await stuck.start();
    await expect.poll(async () => (await job(asked.id)).state).toBe('running');
    // As if another process had taken it over.
    await opened.store.db.execute(sql`update jobs set runs = runs + 1`);
    await expect.poll(() => told).toMatchObject({ code: 'CONFLICT' });
    expect(await job(asked.id)).toMatchObject({ state: 'running', runs: 2, error: null });
  });

  test('a worker that stops lets its job go, and another begins it at once', async () => {
    const { job: asked } = await request();
    const untilStopped: Work = (_, { signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const leaving = worker(untilStopped);
    await leaving.start();
    await expect.poll(async () => (await job(asked.id)).state).toBe('running');
    await leaving.stop();
    expect(await job(asked.id)).toMatchObject({ state: 'running', heartbeatAt: null });
    await worker(async () => ({ by: 'the other' })).start();
    expect(await ended(asked.id)).toMatchObject({ state: 'done', runs: 2, result: { by: 'the other' } });
  });

  test('what goes wrong is kept by its code, and the next job is done all the same', async () => {
    let times = 0;
    await worker(async () => {
      if (++times === 1) throw new RoutingError('ARTIFACT_DAMAGED', 'no good');
      return null;
    }).start();
    const { job: first } = await request();
    expect(await ended(first.id)).toMatchObject({
      state: 'failed',
      error: { code: 'ARTIFACT_DAMAGED', message: 'no good' },
    });
    const { job: second } = await request();
    expect(await ended(second.id)).toMatchObject({ state: 'done' });
  });

  test('progress can be read while it runs, and the heartbeat moves', async () => {
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    await worker(
      async (_, { step }) => {
        await step('reading', 0.25);
        await held;
        return null;
      },
      { beatMs: 50 },
    ).start();
    const { job: asked } = await request();
    await expect.poll(async () => (await job(asked.id)).step).toBe('reading');
    const before = await job(asked.id);
    expect(before.progress).toBe(0.25);
    await expect.poll(async () => (await job(asked.id)).heartbeatAt! > before.heartbeatAt!).toBe(true);
    goOn();
    await ended(asked.id);
  });

  test('a job that kills whoever does it is given up in the end', async () => {
    const { job: asked } = await request();
    for (let i = 0; i < MAX_RUNS; i++) {
      expect(await claimJob(opened.store, asked.id)).toMatchObject({ runs: i + 1 });
      await giveUp(opened.store);
      expect((await job(asked.id)).state).toBe('running');
      await opened.store.db.execute(sql`update jobs set heartbeat_at = null`);
    }
    expect(await claimJob(opened.store, asked.id)).toBeNull();
    await giveUp(opened.store);
    expect(await job(asked.id)).toMatchObject({ state: 'failed', error: { code: 'INTERNAL' } });
    expect(await claimJob(opened.store, (await request()).job.id)).not.toBeNull();
  });

  test('two workers share the jobs and do each once', async () => {
    const done: string[] = [];
    const work: Work = async ({ id }) => {
      done.push(id);
      return null;
    };
    await Promise.all([worker(work).start(), ...(kind.name === 'PostgreSQL' ? [worker(work).start()] : [])]);
    for (let i = 1; i <= 5; i++) await ended((await request()).job.id);
    expect(done).toEqual(['1', '2', '3', '4', '5']);
  });
});

test('a database that is away is told once, and the queue goes on asking', async () => {
  const problems: Error[] = [];
  const queue = bossQueue({
    databaseUrl: 'postgres://nobody:nothing@127.0.0.1:1/none',
    onProblem: (error) => void problems.push(error),
    pollMs: 20,
  });
  queue.work(async () => {});
  await expect(queue.send('1', '1/0')).rejects.toThrow();
  await new Promise((resolve) => setTimeout(resolve, 200));
  await queue.stop();
  expect(problems).toHaveLength(1);
});
