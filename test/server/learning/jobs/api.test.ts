/** `/v1/learning`, as a client with a key sees it. */

import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GatewayConfig } from '../../../../server/config/index.ts';
import { type Learning, openLearning } from '../../../../server/learning/jobs/learning.ts';
import { addPromotion } from '../../../../server/learning/promotions.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, gatewayOver, jsonOf, type TestGateway } from '../../fakes.ts';
import type { Base } from '../synthetic-log.ts';
import { tinyBase } from '../tiny-base.ts';

const config = {
  keys: [
    { name: 'ops', key: 'the-operators-key', tenant: 'ops', scopes: ['learn'] as const },
    { name: 'app', key: 'the-applications-key', tenant: 'app' },
  ],
};

let base: Base;
beforeAll(async () => {
  base = await tinyBase();
});

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  let learning: Learning;
  let gateway: TestGateway;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    await opened.store.db.execute(sql`truncate jobs, promotions, outcomes`);
    const { store, options } = opened;
    learning = openLearning({
      store,
      databaseUrl: options.databaseUrl,
      context: () => ({ store, dataDir: options.dataDir, baseDir: base.dir, candidates: base.candidates }),
      triggers: false,
      worker: { sweepMs: 200 },
    });
    gateway = await gatewayOver([candidate('one/a')], { store, learning, config });
  });
  afterEach(async () => {
    await learning.stop();
    await gateway.close();
  });

  const ask = (method: string, path: string, body?: unknown, key: string | null = 'the-operators-key') =>
    fetch(`${gateway.url}/v1/learning/${path}`, {
      method,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });

  test('a retraining is asked for, followed by its number, and found in the list', async () => {
    const response = await ask('POST', 'retrain', { minFeedback: 70, seed: 3 });
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe('/v1/learning/jobs/1');
    expect(await jsonOf(response)).toMatchObject({
      id: '1',
      state: 'queued',
      reason: 'hand',
      isNew: true,
      options: { minFeedback: 70, seed: 3 },
    });
    // Nobody does it yet: who asks again is told of the one that waits.
    expect(await jsonOf(ask('POST', 'retrain'))).toMatchObject({ id: '1', isNew: false });
    learning.start();
    await expect
      .poll(async () => (await jsonOf(ask('GET', 'jobs/1'))).state, { timeout: 60_000, interval: 100 })
      .toBe('done');
    const { jobs } = await jsonOf(ask('GET', 'jobs?limit=5'));
    expect(jobs).toMatchObject([
      {
        id: '1',
        state: 'done',
        runs: 1,
        progress: 1,
        result: { outcome: 'refused', samples: 0, gate: { minFeedback: 70 } },
      },
    ]);
    expect(jobs[0].result.reasons.join()).toMatch(/0 judged answers .* 70 are needed/);
    expect(await jsonOf(ask('GET', 'history'))).toMatchObject({
      active: null,
      history: [{ kind: 'refused', jobId: '1' }],
    });
  }, 90_000);

  test('an encoder is learned where it is asked for, or configured with prompts enough, and else heads as always', async () => {
    await learning.stop();
    const { store, options } = opened;
    const learningOptions = GatewayConfig.parse({ learning: { encoder: true } }).learning;
    learning = openLearning({
      store,
      databaseUrl: options.databaseUrl,
      context: () => ({
        store,
        dataDir: options.dataDir,
        baseDir: base.dir,
        candidates: base.candidates,
        learning: learningOptions,
      }),
      triggers: false,
      worker: { sweepMs: 200 },
    });
    learning.start();
    const verdictOf = async (asked: object) => {
      const { job } = await learning.request(asked);
      const { result } = await learning.ended(job.id);
      return (result as { reasons: string[] }).reasons.join();
    };
    expect(await verdictOf({})).toMatch(/0 judged answers since the router in force was fitted/);
    expect(await verdictOf({ encoder: true })).toMatch(/0 judged answers whose prompt is kept, 500 are needed/);
  }, 90_000);

  test('rolls back, and says when there is nothing to take back', async () => {
    await addPromotion(opened.store, { kind: 'promoted', artifact: 'a'.repeat(32), previous: null, verdict: {} });
    expect(await jsonOf(ask('GET', 'history'))).toMatchObject({ active: 'a'.repeat(32) });
    expect(await jsonOf(ask('POST', 'rollback'))).toMatchObject({ from: 'a'.repeat(32), to: null });
    const again = await ask('POST', 'rollback', {});
    expect(again.status).toBe(404);
    expect((await jsonOf(again)).error.code).toBe('NOT_FOUND');
  });

  // What is refused is refused before any database is asked.
  if (kind !== storeKinds[0]) return;

  test.each([
    ['POST', 'retrain'],
    ['GET', 'jobs'],
    ['GET', 'jobs/1'],
    ['GET', 'history'],
    ['POST', 'rollback'],
  ])('%s %s is for keys with the scope', async (method, path) => {
    const refused = await ask(method, path, undefined, 'the-applications-key');
    expect(refused.status).toBe(403);
    expect((await jsonOf(refused)).error).toMatchObject({ code: 'FORBIDDEN', message: expect.stringMatching(/learn/) });
    expect((await ask(method, path, undefined, null)).status).toBe(401);
  });

  test.each([
    ['POST', 'retrain', { minFeedback: 0 }, 'minFeedback'],
    ['POST', 'retrain', { minFeedback: 'many' }, 'minFeedback'],
    ['POST', 'retrain', { dryRun: true }, 'dryRun'],
    ['POST', 'retrain', [], 'body'],
    ['POST', 'retrain', '{"seed": ', null],
    ['POST', 'rollback', { to: 'a' }, 'to'],
    ['GET', 'jobs?limit=0', undefined, 'limit'],
    ['GET', 'jobs?limit=many', undefined, 'limit'],
  ])('%s %s with %j is refused by the field', async (method, path, body, param) => {
    const refused = await ask(method, path, body);
    expect(refused.status).toBe(400);
    expect((await jsonOf(refused)).error.param).toBe(param);
    expect(await learning.jobs(5)).toEqual([]);
  });

  test.each(['2', 'abc', 'x'.repeat(300), "1'--"])('no job %s', async (id) => {
    expect((await ask('GET', `jobs/${id}`)).status).toBe(404);
  });

  test('an address that no database could hold is refused before it is looked for', async () => {
    expect((await ask('GET', 'jobs/%00')).status).toBe(400);
  });
});
