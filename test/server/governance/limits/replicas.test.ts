/** Replicas on one PostgreSQL: what each lets in and spends adds up to no more than there is. */
import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openStore, type SqlStore } from '../../../../server/db/store.ts';
import { dropLimit, editLimit, makeLimit } from '../../../../server/governance/limits/admin.ts';
import type { Limits, LimitsOptions } from '../../../../server/governance/limits/limits.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, chat, completion, gatewayOver, hello, sendJson, upstream } from '../../fakes.ts';
import { attemptOf, callerOf, countOf, entrantOf, expecting, limitsOver, request, type TestLimits } from './hosts.ts';

const postgres = storeKinds.find(({ name }) => name === 'PostgreSQL')!;
let opened: OpenedStore;
const stores: SqlStore[] = [];
beforeAll(async () => {
  opened = await postgres.open();
  stores.push(opened.store, await openStore(opened.options), await openStore(opened.options));
});
afterAll(async () => {
  for (const store of stores.slice(1)) await store.close();
  await opened.close();
});

/** One for each of three processes. */
async function replicas(config: object, options: LimitsOptions = {}): Promise<TestLimits[]> {
  const all = stores.map((store) => limitsOver(config, { store, everyMs: 50, ...options }));
  await Promise.all(all.map(({ limits }) => limits.start()));
  running.push(...all);
  return all;
}

const running: TestLimits[] = [];
// One that is not stopped counts as a replica in the next test.
afterEach(() => stopAll(running.splice(0)));

const stopAll = (all: readonly TestLimits[]) => Promise.all(all.map(({ limits }) => limits.stop()));

interface Use {
  readonly used: number;
  readonly leased: number;
}

async function useOf(bucket: string): Promise<Use> {
  const rows = await stores[0]!.db.execute(
    sql`select sum(used) as used, sum(leased) as leased from limit_use where limit_id = ${bucket}`,
  );
  const [{ used, leased }] = rows as unknown as [{ used: unknown; leased: unknown }];
  return { used: Number(used), leased: Number(leased) };
}

describe('a budget', () => {
  test('is not overspent by 200 clients at once on three replicas, and is spent to the end', async () => {
    const all = await replicas({ budgets: [{ name: 'crowd', usd: 1, period: 'month' }] });
    const outcomes: string[] = [];
    // Each asks 3 times for a cent: 600 requests where there is money for 100.
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        for (let n = 0; n < 3; n++) outcomes.push(await request(all[i % 3]!.limits, { usd: 0.01, ms: 2 }));
      }),
    );
    // What one replica had leased and not used the others get within two seconds.
    for (let end = Date.now() + 50_000; countOf(outcomes, 'ok') < 100 && Date.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 60));
      outcomes.push(await request(all[0]!.limits, { usd: 0.01 }));
    }
    outcomes.push(await request(all[1]!.limits, { usd: 0.01 }));
    expect(countOf(outcomes, 'ok')).toBe(100);
    expect(countOf(outcomes, 'ok') + countOf(outcomes, 'BUDGET_EXCEEDED')).toBe(outcomes.length);
    await stopAll(all);
    const { used, leased } = await useOf('config:budget:crowd');
    expect(used).toBeCloseTo(1, 9);
    expect(leased).toBeCloseTo(0, 9);
  });

  test('holds for three gateways under 200 clients at once: what calls cost is no more than one request beyond it', async () => {
    const host = await upstream((_, response) => sendJson(response, completion()));
    const gateways = await Promise.all(
      stores.map((store) =>
        // The usual answer, 10 tokens in and 5 out, costs 2 cents.
        gatewayOver([candidate('one/a', 1000)], {
          store,
          upstreams: { one: host.url },
          config: { limits: { budgets: [{ name: 'http', usd: 0.5, period: 'month' }] } },
        }),
      ),
    );
    await Promise.all(gateways.map(({ gateway }) => gateway.governance.start()));
    const statuses = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const response = await chat(gateways[i % 3]!.url, hello('one/a', { max_tokens: 5 }));
        await response.text();
        return response.status;
      }),
    );
    const spent = gateways.flatMap(({ attempts }) => attempts).reduce((sum, { costUsd }) => sum + costUsd!, 0);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(spent).toBeCloseTo(statuses.filter((status) => status === 200).length * 0.02, 9);
    expect(spent).toBeLessThanOrEqual(0.5 + 0.02);
    // The stores outlive their gateways: only what governs them stops.
    await Promise.all(gateways.map(({ gateway }) => gateway.governance.stop()));
    expect((await useOf('config:budget:http')).used).toBeCloseTo(spent, 9);
    for (const { app } of gateways) {
      app.server.closeAllConnections();
      await app.close();
    }
    await host.close();
  });

  test('takes what requests cost more than was expected from what is left, not from more than was under way', async () => {
    const all = await replicas({ budgets: [{ name: 'dearer', usd: 1, period: 'day' }] });
    const [under, error] = [30, 0.005];
    // Ten clients a replica, each one request at a time, which costs half as much again as was expected.
    const outcomes = await Promise.all(
      Array.from({ length: under }, async (_, i) => {
        let made = 0;
        while ((await request(all[i % 3]!.limits, { usd: 0.01, spends: 0.01 + error, ms: 1 })) === 'ok') made++;
        return made;
      }),
    );
    await stopAll(all);
    const spent = outcomes.reduce((sum, made) => sum + made, 0) * (0.01 + error);
    expect((await useOf('config:budget:dearer')).used).toBeCloseTo(spent, 9);
    expect(spent).toBeLessThanOrEqual(1 + under * error + 1e-9);
  });

  test('of a killed replica counts what it had leased as spent, and no more', async () => {
    const config = { budgets: [{ name: 'killed', usd: 1, period: 'month' }] };
    const [dead, other] = await replicas(config, { leaseSeconds: 3 });
    expect(await request(dead!.limits, { usd: 0.1 })).toBe('ok');
    const account = await dead!.limits.reserve(entrantOf(), expecting(0.1));
    await dead!.limits.look();
    await kill(dead!);
    const { used, leased } = await useOf('config:budget:killed');
    expect(used).toBeCloseTo(0.1, 9);
    // What is under way at least, and something for the next.
    expect(leased).toBeGreaterThanOrEqual(0.1 - 1e-9);
    await waitFor(async () => (await useOf('config:budget:killed')).leased < 1e-9);
    expect((await useOf('config:budget:killed')).used).toBeCloseTo(used + leased, 9);
    // The others have all of the rest.
    let spent = 0;
    while ((await request(other!.limits, { usd: 0.05 })) === 'ok') spent += 0.05;
    expect(used + leased + spent).toBeLessThanOrEqual(1 + 1e-9);
    expect(used + leased + spent).toBeGreaterThan(1 - 0.05 - 1e-9);
    // It was not dead, only slow: it tells what it did spend, and the rest is there again.
    account.note(attemptOf(0.02));
    account.close();
    revive.get(dead!.limits)!();
    await dead!.limits.look();
    await dead!.limits.stop();
    expect((await useOf('config:budget:killed')).used).toBeCloseTo(0.1 + 0.02 + spent, 9);
    await other!.limits.stop();
  });

  test('is spent as far as it was leased while the database is away, and goes on when it is back', async () => {
    const database = switchable(stores[0]!);
    const away = limitsOver(
      { budgets: [{ name: 'away', usd: 1, period: 'month' }] },
      { store: database.store, everyMs: 50 },
    );
    await away.limits.start();
    for (let i = 0; i < 3; i++) expect(await request(away.limits, { usd: 0.01 })).toBe('ok');
    await away.limits.look();
    const before = await useOf('config:budget:away');
    database.isAway = true;
    let made = 0;
    while ((await request(away.limits, { usd: 0.01 })) === 'ok') made++;
    // Four requests ahead are leased, at most.
    expect(made * 0.01).toBeLessThanOrEqual(before.leased + 1e-9);
    expect(made).toBeGreaterThan(0);
    await expect(away.limits.reserve(entrantOf(), expecting(0.01))).rejects.toMatchObject({
      code: 'BUDGET_EXCEEDED',
      message: expect.stringContaining('database does not answer'),
      headers: { 'retry-after': '5' },
    });
    database.isAway = false;
    await waitFor(async () => (await request(away.limits, { usd: 0.01 })) === 'ok');
    await away.limits.stop();
    expect((await useOf('config:budget:away')).used).toBeCloseTo(0.03 + made * 0.01 + 0.01, 9);
  });

  test('that is made, lowered or removed holds on all replicas within two seconds', async () => {
    const all = await replicas({});
    const [here, there] = all as [TestLimits, TestLimits];
    const place = { limits: here.limits, store: stores[0]! };
    const by = { actor: callerOf(), requestId: null };
    const budget = { kind: 'budget', name: 'made', team: 'made', usd: 1, period: 'day', allowUnknown: true };
    const { id } = await makeLimit(place, budget, by);
    const entrant = entrantOf({ caller: callerOf({ tenant: 'made' }) });
    await waitFor(async () => there.limits.all.length === 1);
    expect(await request(there.limits, { usd: 0.4, entrant })).toBe('ok');
    expect(await request(there.limits, { usd: 0.7, entrant })).toBe('BUDGET_EXCEEDED');
    // Below what is spent already.
    await editLimit(place, id, { usd: 0.3 }, by);
    await waitFor(async () => (there.limits.all[0] as { usd?: number }).usd === 0.3);
    expect(await request(there.limits, { usd: 0.01, entrant })).toBe('BUDGET_EXCEEDED');
    expect(await request(here.limits, { usd: 0.01, entrant })).toBe('BUDGET_EXCEEDED');
    await editLimit(place, id, { usd: 2 }, by);
    await waitFor(async () => (there.limits.all[0] as { usd?: number }).usd === 2);
    expect(await request(there.limits, { usd: 1.5, entrant })).toBe('ok');
    await dropLimit(place, id, by);
    await waitFor(async () => there.limits.all.length === 0);
    expect(await request(there.limits, { usd: 1.5, entrant })).toBe('ok');
    await stopAll(all);
    expect((await useOf(id)).used).toBeCloseTo(0.4 + 1.5, 9);
  });

  test('tells the webhook of a threshold once, whoever sees it', async () => {
    const limits = {
      budgets: [{ name: 'told', usd: 1, period: 'day', notifyAt: [50, 100] }],
      webhookUrl: 'https://hook.example.com/',
    };
    const all = await replicas(limits);
    for (const { limits } of all) expect(await request(limits, { usd: 0.2 })).toBe('ok');
    await waitFor(async () => all.some(({ told }) => told.length > 0));
    // Every replica has looked since.
    for (const { limits } of all) await request(limits, { usd: 0.01 });
    for (const { limits } of all) await limits.look();
    const told = all.flatMap((one) => one.told);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({
      url: 'https://hook.example.com/',
      body: { event: 'budget', budget: 'told', thresholdPercent: 50, limitUsd: 1, subject: null },
    });
    await stopAll(all);
  });
});

describe('a rate', () => {
  test('lets in no more than there is, but for one request of each further replica', async () => {
    const now = Date.UTC(2026, 10, 29, 12, 0, 30);
    const all = await replicas({ rates: [{ name: 'minute', requestsPerMinute: 50 }] }, { now: () => now });
    const outcomes = await Promise.all(Array.from({ length: 200 }, (_, i) => request(all[i % 3]!.limits)));
    expect(countOf(outcomes, 'ok')).toBeGreaterThanOrEqual(50);
    expect(countOf(outcomes, 'ok')).toBeLessThanOrEqual(50 + 2);
    expect(countOf(outcomes, 'ok') + countOf(outcomes, 'RATE_LIMITED')).toBe(200);
    await stopAll(all);
  });

  test('goes on while the database is away, in equal parts', async () => {
    const now = Date.UTC(2026, 10, 29, 12, 5, 30);
    const databases = stores.map((store) => switchable(store));
    const all = databases.map(({ store }) =>
      limitsOver({ rates: [{ name: 'alone', requestsPerMinute: 30 }] }, { store, everyMs: 50, now: () => now }),
    );
    await Promise.all(all.map(({ limits }) => limits.start()));
    // Each has heard of the others.
    for (const { limits } of all) await limits.look();
    for (const database of databases) database.isAway = true;
    for (const { limits } of all) {
      const outcomes: string[] = [];
      for (let i = 0; i < 20; i++) outcomes.push(await request(limits));
      expect(countOf(outcomes, 'ok')).toBe(10);
    }
    for (const database of databases) database.isAway = false;
    await stopAll(all);
  });

  test('begins anew with the next minute', async () => {
    let now = Date.UTC(2026, 10, 29, 12, 10, 30);
    const [one] = (await replicas({ rates: [{ name: 'turns', requestsPerMinute: 2 }] }, { now: () => now })) as [
      TestLimits,
    ];
    for (const outcome of ['ok', 'ok', 'RATE_LIMITED']) expect(await request(one.limits)).toBe(outcome);
    now += 60_000;
    expect(await request(one.limits)).toBe('ok');
    await stopAll([one]);
  });
});

/** As if its process were gone: it tells nothing any more. */
async function kill({ limits }: TestLimits): Promise<void> {
  // None is under way that would tell something still.
  await limits.look();
  const quiet = limits as unknown as { look(): Promise<void> };
  const look = limits.look.bind(limits);
  let isDead = true;
  quiet.look = async () => (isDead ? undefined : look());
  revive.set(limits, () => {
    isDead = false;
  });
}
const revive = new Map<Limits, () => void>();

async function waitFor(condition: () => Promise<boolean>, ms = 50_000): Promise<void> {
  for (const end = Date.now() + ms; !(await condition()); ) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** A store whose database can be taken away. */
function switchable(store: SqlStore): { store: SqlStore; isAway: boolean } {
  const state = { store, isAway: false };
  const db = new Proxy(store.db, {
    get(target, name) {
      const method = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return (...args: unknown[]) => {
        if (state.isAway) return Promise.reject(new Error('connection refused'));
        return method.apply(target, args);
      };
    },
  });
  state.store = Object.assign(Object.create(store), { db, kind: store.kind });
  return state;
}
