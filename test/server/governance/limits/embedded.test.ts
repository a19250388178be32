/** A process that is alone with its database: what it spent outlives it, whether it was stopped or killed. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aDecision } from '../../db/records.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { attemptOf, callerOf, entrantOf, expecting, limitsOver, request } from './hosts.ts';

let opened: OpenedStore;
beforeAll(async () => {
  opened = await storeKinds.find(({ name }) => name !== 'PostgreSQL')!.open();
});
afterAll(() => opened.close());

const spentOf = ({ limits }: ReturnType<typeof limitsOver>, limit: string) =>
  limits.used.filter((pot) => pot.limit.endsWith(limit)).map(({ spent }) => spent);

test('goes on after a stop where it was', async () => {
  const { store } = opened;
  const config = { budgets: [{ name: 'stopped', key: '*', usd: 1, period: 'month' }] };
  const first = limitsOver(config, { store });
  await first.limits.start();
  expect(await request(first.limits, { usd: 0.75 })).toBe('ok');
  await first.limits.stop();
  const second = limitsOver(config, { store });
  await second.limits.start();
  expect(await request(second.limits, { usd: 0.5 })).toBe('BUDGET_EXCEEDED');
  expect(await request(second.limits, { usd: 0.25 })).toBe('ok');
  expect(await request(second.limits, { usd: 0.5, entrant: entrantOf({ caller: callerOf({ name: 'two' }) }) })).toBe(
    'ok',
  );
  await second.limits.stop();
});

test('goes on after being killed where the record of calls says, by key, tag and model', async () => {
  const { store } = opened;
  const config = {
    budgets: [
      { name: 'of-team', team: 'search', usd: 1, period: 'month' },
      { name: 'of-tag', tag: 'batch', usd: 1, period: 'month' },
      { name: 'of-model', model: 'one/b', usd: 1, period: 'month' },
      { name: 'of-others', team: 'sales', usd: 1, period: 'month' },
    ],
  };
  const killed = limitsOver(config, { store });
  await killed.limits.start();
  const call = async (id: string, costUsd: number, model: string, tags: string[]) => {
    const at = new Date();
    store.record({ decision: aDecision({ id, createdAt: at, tenant: 'search', key: 'one', tags }) });
    const attempt = attemptOf(costUsd, { id: `${id}-0`, decisionId: id, model, startedAt: at });
    const entrant = entrantOf({ caller: callerOf({ tags }), tags });
    const account = await killed.limits.reserve(entrant, expecting(costUsd, { model }));
    // Calls take their time.
    await new Promise((resolve) => setTimeout(resolve, 5));
    store.record({ attempt: { ...attempt, totalMs: Date.now() - at.getTime() } });
    account.note(attempt);
    account.close();
  };
  await call('written', 0.125, 'one/a', []);
  await killed.limits.look();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await call('lost-1', 0.25, 'one/a', ['batch']);
  await call('lost-2', 0.0625, 'one/b', []);
  store.record({
    attempt: attemptOf(8, { id: 'audit', decisionId: 'lost-2', purpose: 'audit', startedAt: new Date() }),
  });
  // No stop: nothing is written any more. (Its timer is all that is left of it.)
  (killed.limits as unknown as { look(): Promise<void> }).look = async () => {};
  const next = limitsOver(config, { store });
  await next.limits.start();
  expect(spentOf(next, 'of-team')).toEqual([0.4375]);
  expect(spentOf(next, 'of-tag')).toEqual([0.25]);
  expect(spentOf(next, 'of-model')).toEqual([0.0625]);
  expect(spentOf(next, 'of-others')).toEqual([]);
  expect(await request(next.limits, { usd: 0.6 })).toBe('BUDGET_EXCEEDED');
  await next.limits.stop();
  // What was made up for is written now, and not made up for again.
  const last = limitsOver(config, { store });
  await last.limits.start();
  expect(await request(last.limits, { usd: 0.5625 })).toBe('ok');
  expect(await request(last.limits, { usd: 0.01 })).toBe('BUDGET_EXCEEDED');
  await last.limits.stop();
});

test('tells of a threshold once, although it is started again', async () => {
  const { store } = opened;
  const config = {
    budgets: [{ name: 'told-once', usd: 1, period: 'month', notifyAt: [50] }],
    webhookUrl: 'https://hook.example.com/',
  };
  const first = limitsOver(config, { store });
  await first.limits.start();
  await request(first.limits, { usd: 0.6 });
  await first.limits.look();
  expect(first.told).toHaveLength(1);
  await first.limits.stop();
  const second = limitsOver(config, { store });
  await second.limits.start();
  await request(second.limits, { usd: 0.1 });
  await second.limits.look();
  expect(second.told).toHaveLength(0);
  await second.limits.stop();
});

test('a webhook that fails is tried again, then given up with a line in the log', async () => {
  const test = limitsOver({
    budgets: [{ name: 'nobody-hears', usd: 1, period: 'month', notifyAt: [50] }],
    webhookUrl: 'https://hook.example.com/',
  });
  test.webhookFails = true;
  await request(test.limits, { usd: 0.6 });
  await test.limits.look();
  // Stopping does not wait for the next try.
  await test.limits.stop();
  expect(test.said.map(({ message }) => message)).toEqual([
    'a budget has reached a threshold',
    'the webhook was not told of a budget',
  ]);
});

test('rows of a later version are passed over', async () => {
  const { store } = opened;
  await store.db.execute(sql`
    insert into limits (id, kind, scope, subject, terms, created_at, created_by, changed_at)
    values ('later', 'budget', 'all', '', '{"name": "later", "usd": 0.01, "period": "century"}'::jsonb, now(), 'somebody', now())`);
  const test = limitsOver({}, { store });
  await test.limits.start();
  expect(await request(test.limits, { usd: 1 })).toBe('ok');
  await test.limits.stop();
});
