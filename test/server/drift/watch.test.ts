/** From rows in the database to alarms, and from alarms to what the router believes. */
import { afterEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { GatewayConfig } from '../../../server/config/index.ts';
import { adjustmentsOf, alarmText, clearAlarm, listAlarms, raiseAlarm } from '../../../server/drift/alarms.ts';
import { DriftMonitor, type FoundAlarm } from '../../../server/drift/monitor.ts';
import { DriftWatch } from '../../../server/drift/watch.ts';
import { Gateway } from '../../../server/gateway.ts';
import { aDecision, anAttempt, someFeedback } from '../db/records.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';
import { candidate, catalogOf, fakeRouter, gatewayOver, memoryStore } from '../fakes.ts';

const opened: OpenedStore[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

function gatewayFor(...models: Parameters<typeof fakeRouter>[0]): Gateway {
  return new Gateway({
    holder: { current: fakeRouter(models) },
    store: memoryStore(),
    config: GatewayConfig.parse({}),
    catalog: catalogOf(models),
    providers: new Map(),
  });
}

const T0 = new Date('2026-11-01T00:00:00Z').getTime();

/** Answers of `a/small`, forecast as 0.8 and right as often as told, a second apart. */
function write(store: OpenedStore['store'], from: number, n: number, rightShare: number, over: object = {}): void {
  const random = seededRandom(from + 1);
  for (let i = from; i < from + n; i++) {
    const id = `d${i}`;
    const createdAt = new Date(T0 + 1000 * i);
    const [ranked] = aDecision().ranked;
    store.record({
      decision: aDecision({
        id,
        createdAt,
        session: id,
        artifact: 'fake',
        model: 'a/small',
        executedModel: 'a/small',
        ranked: [{ ...ranked!, model: 'a/small', quality: 0.8, costUsd: 0.001 }],
        embedding: Float32Array.from({ length: 8 }, random),
        ...over,
      }),
      attempt: anAttempt({
        id: `${id}-0`,
        decisionId: id,
        model: 'a/small',
        purpose: 'answer',
        status: 'ok',
        startedAt: createdAt,
        costUsd: 0.001,
        firstByteMs: 100 + 10 * random(),
      }),
      feedback: someFeedback({
        id: `${id}-f`,
        decisionId: id,
        score: random() < rightShare ? 1 : 0,
        createdAt,
        kind: 'verdict',
        weight: 1,
      }),
    });
  }
}

function watching(gateway: Gateway, { store }: OpenedStore) {
  const alarms: (FoundAlarm & { text: string })[] = [];
  const problems: unknown[] = [];
  const watch = new DriftWatch(gateway, store, {
    onAlarm: (alarm) => alarms.push(alarm),
    onProblem: (problem) => problems.push(problem),
  });
  return { watch, alarms, problems };
}

describe('the word of one team', () => {
  /** Fifty good answers for each team, then what `later` says of each. */
  const monitored = (later: (monitor: DriftMonitor) => void) => {
    const monitor = new DriftMonitor();
    for (let i = 0; i < 200; i++) {
      monitor.judged({
        model: 'm',
        predicted: 0.8,
        observed: i % 5 === 0 ? 0 : 1,
        at: i,
        team: i % 2 === 0 ? 'a' : 'b',
      });
    }
    later(monitor);
    return monitor.found().find(({ subject }) => subject === 'm');
  };

  test('does not take a model down for the others, who say otherwise or nothing', () => {
    const alarm = monitored((monitor) => {
      for (let i = 200; i < 600; i++) monitor.judged({ model: 'm', predicted: 0.8, observed: 0, at: i, team: 'b' });
    });
    expect(alarm).toMatchObject({ shift: 0, widen: 0, details: { onlyTeam: 'b' } });
    expect(alarmText(alarm!)).toMatch(/so say the verdicts of b alone/);
  });

  test('does when the others find the same', () => {
    const alarm = monitored((monitor) => {
      for (let i = 200; i < 600; i++) {
        monitor.judged({
          model: 'm',
          predicted: 0.8,
          observed: i % 3 === 0 ? 1 : 0,
          at: i,
          team: i % 2 === 0 ? 'a' : 'b',
        });
      }
    });
    expect(alarm!.details).not.toHaveProperty('onlyTeam');
    expect(alarm!.shift).toBeLessThan(-0.3);
  });

  test('moves nothing where the key’s verdicts weigh next to nothing', () => {
    const alarm = monitored((monitor) => {
      for (let i = 200; i < 600; i++) {
        monitor.judged({ model: 'm', predicted: 0.8, observed: 0, at: i, team: 'b', weight: 0.01 });
      }
    });
    expect(alarm).toBeUndefined();
  });
});

test('alarms are listed and cleared by keys that may see to learning', async () => {
  const database = await storeKinds[0]!.open();
  opened.push(database);
  const secret = (name: string) => `${name}-${'k'.repeat(20)}`;
  const served = await gatewayOver([candidate('a/small')], {
    store: database.store,
    config: {
      keys: [
        { name: 'app', key: secret('app') },
        { name: 'ops', key: secret('ops'), scopes: ['learn'] },
      ],
    },
  });
  const ask = (name: string, path = '', method = 'GET') =>
    fetch(`${served.url}/v1/learning/alarms${path}`, { method, headers: { authorization: `Bearer ${secret(name)}` } });
  try {
    const found = { kind: 'latency', subject: 'a/small', details: { ratio: 2, z: 9 }, shift: 0, widen: 0 } as const;
    const ordinal = await raiseAlarm(database.store, 'fake', { ...found, changedAt: null });
    expect(await raiseAlarm(database.store, 'fake', { ...found, changedAt: null })).toBeNull();
    expect((await ask('app')).status).toBe(403);
    expect((await ask('app', `/${ordinal}/clear`, 'POST')).status).toBe(403);
    expect(await (await ask('ops')).json()).toMatchObject({
      alarms: [{ ordinal, clearedAt: null, text: 'a/small: the first word takes 2.00 times as long as it did' }],
    });
    expect((await ask('ops', `/${ordinal}/clear`, 'POST')).status).toBe(200);
    for (const which of [ordinal, 'x', -1, '1e3'])
      expect((await ask('ops', `/${which}/clear`, 'POST')).status).toBe(404);
  } finally {
    await served.close();
  }
});

describe.each(storeKinds)('$name', (kind) => {
  test('a model that silently got worse is told once, by whatever replica, and its forecasts are taken down', async () => {
    const database = await kind.open();
    opened.push(database);
    const gateway = gatewayFor(candidate('a/small'), candidate('b/large', 9));
    write(database.store, 0, 400, 0.8);
    await database.store.flush();
    const first = watching(gateway, database);
    await first.watch.look();
    expect(first.problems).toEqual([]);
    expect(first.alarms).toEqual([]);
    expect(gateway.adjustments.size).toBe(0);

    write(database.store, 400, 500, 0.6);
    await database.store.flush();
    // A replica that begins to watch now reads what there was.
    const second = watching(gateway, database);
    await second.watch.look();
    await second.watch.look();
    const [alarm, ...others] = second.alarms.filter(({ subject }) => subject === 'a/small');
    expect(others).toEqual([]);
    expect(alarm).toMatchObject({ kind: 'model-change', subject: 'a/small' });
    expect(alarm!.shift).toBeLessThan(-0.1);
    expect(alarm!.changedAt!.getTime()).toBeGreaterThan(T0 + 300_000);
    expect(alarm!.text).toMatch(/^a\/small: answers have been -\d+\.\d points beside their forecasts/);
    expect(gateway.adjustments.get('a/small')!.shift).toBeLessThan(alarm!.shift);
    expect(gateway.adjustments.get('a/small')!.widen).toBeGreaterThan(0);
    // All of the traffic was that model's: its forecasts are off as a whole, too, and the other one's are less sure.
    expect(gateway.adjustments.get('b/large')).toMatchObject({ shift: 0 });

    const third = watching(gateway, database);
    await third.watch.look();
    expect(third.alarms).toEqual([]);
    for (const { ordinal } of await listAlarms(database.store, { open: true })) {
      expect(await clearAlarm(database.store, ordinal)).toBe(true);
      expect(await clearAlarm(database.store, ordinal)).toBe(false);
    }
  });

  test('verdicts that nobody may learn from, hints, and other routers’ decisions raise nothing', async () => {
    const database = await kind.open();
    opened.push(database);
    const gateway = gatewayFor(candidate('a/small'));
    write(database.store, 0, 600, 0.2, { artifact: 'another' });
    await database.store.flush();
    const { watch, alarms, problems } = watching(gateway, database);
    await watch.look();
    expect([alarms, problems]).toEqual([[], []]);
  });
});

test('a database that is away is told and looked at again', async () => {
  const gateway = gatewayFor(candidate('a/small'));
  const broken = { db: { select: () => { throw new Error('away'); } } } as never; // biome-ignore format: one line says it
  const { watch, problems } = watching(gateway, { store: broken } as never);
  await watch.look();
  await watch.look();
  expect(problems).toHaveLength(2);
});

test('what was seen of the router in force is not taken off the forecasts of one on trial', async () => {
  const seen: unknown[] = [];
  const watched = (name: string) => {
    const router = fakeRouter([candidate('a/small')], name);
    const route: typeof router.route = (request, options) => {
      seen.push([name, options?.adjustments?.get('a/small')?.shift]);
      return router.route(request, options);
    };
    return { ...router, route };
  };
  const gateway = gatewayFor(candidate('a/small'));
  gateway.holder.current = watched('in force');
  gateway.adjustments = new Map([['a/small', { shift: -0.2, widen: 0 }]]);
  const request = { messages: [{ role: 'user', content: 'hi' }] };
  await gateway.decide(request);
  await gateway.decide(request, {}, undefined, 0.5, watched('on trial'));
  expect(seen).toEqual([
    ['in force', -0.2],
    ['on trial', undefined],
  ]);
});

test('adjustments are those of open alarms of the artifact in force', () => {
  const alarm = { ordinal: 1, raisedAt: new Date(), clearedAt: null, details: {}, changedAt: null } as const;
  const open = [
    { ...alarm, kind: 'model-change', subject: 'a', artifact: 'x', shift: -0.2, widen: 0.04 },
    { ...alarm, kind: 'input', subject: null, artifact: 'x', shift: 0, widen: 0.03 },
    { ...alarm, kind: 'latency', subject: 'a', artifact: 'x', shift: 0, widen: 0 },
    { ...alarm, kind: 'model-change', subject: 'b', artifact: 'older', shift: -0.5, widen: 0.1 },
  ] as const;
  // a: −0.2 − 0.5 · 0.04, and √(0.04² + 0.03²); b: widened alone.
  expect([...adjustmentsOf(open, 'x', ['a', 'b'])]).toEqual([
    ['a', { shift: -0.22, widen: 0.05 }],
    ['b', { shift: 0, widen: 0.03 }],
  ]);
});
