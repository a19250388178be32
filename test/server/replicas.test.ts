/** Two gateways over one PostgreSQL: what one finds out or decides, the other heeds. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Router } from '../../router/router.ts';
import { readHealth, shareHealth } from '../../server/db/deployment-health.ts';
import { openStore, type SqlStore } from '../../server/db/store.ts';
import { Breaker } from '../../server/forward/breaker.ts';
import { startGateway } from '../../server/main.ts';
import { pinsIn } from '../../server/pins.ts';
import { type OpenedStore, storeKinds } from './db/stores.ts';
import {
  candidate,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  jsonOf,
  type Script,
  sendJson,
  type TestGateway,
  until,
  upstream,
} from './fakes.ts';

const postgres = storeKinds.find(({ name }) => name === 'PostgreSQL')!;
let opened: OpenedStore;
let second: SqlStore;
const cleanUps: (() => Promise<void>)[] = [];
beforeAll(async () => {
  opened = await postgres.open();
  second = await openStore(opened.options);
});
afterAll(async () => {
  await second.close();
  await opened.close();
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const place = (deployment: string) => ({
  deployment,
  provider: { name: deployment.split('/')[0]! },
  credential: { id: '' },
});

/** What upkeep does every two seconds. */
async function exchange(from: Breaker, store: SqlStore): Promise<void> {
  const changes = from.changes();
  if (changes.length > 0) await shareHealth(store.db, changes);
  from.learn(await readHealth(store.db));
}

describe('health', () => {
  test('a deployment, a key or a provider that rests here rests there', async () => {
    const [here, there] = [new Breaker(), new Breaker()];
    const key = { ...place('keyed/a'), deployment: 'keyed/a#1', credential: { id: '1' } };
    for (let i = 0; i < 3; i++) {
      here.failed(place('one/a'), 'overload');
      here.failed(place('two/b'), 'provider');
      here.failed(key, 'credential');
    }
    await exchange(here, opened.store);
    await exchange(there, second);
    const rests = (one: ReturnType<typeof place>) => there.rests(one);
    expect(rests(place('one/a'))).toBe(true);
    expect(rests(place('one/other'))).toBe(false);
    expect(rests(place('two/anything'))).toBe(true);
    expect(rests({ ...key, deployment: 'keyed/z#1' })).toBe(true);
    expect(rests(place('keyed/a'))).toBe(false);
  });

  test('one that answers again is not held to rest by what the database says of it', async () => {
    const here = new Breaker();
    for (let i = 0; i < 3; i++) here.failed(place('back/a'), 'overload');
    await exchange(here, opened.store);
    // A client names it, and it answers.
    here.ok(place('back/a'));
    await exchange(here, opened.store);
    expect(here.rests(place('back/a'))).toBe(false);
    const there = new Breaker();
    await exchange(there, second);
    expect(there.rests(place('back/a'))).toBe(false);
  });

  test('one that works is nothing to tell', () => {
    const here = new Breaker();
    here.ok(place('fine/a'));
    here.failed(place('fine/a'), 'overload');
    here.ok(place('fine/a'));
    expect(here.changes()).toEqual([]);
  });
});

test('gateways that run tell each other within seconds, and route past what another found broken', async () => {
  const { databaseUrl } = opened.options;
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-replicas-'));
  cleanUps.push(async () => rmSync(folder, { recursive: true, force: true }));
  const host = await upstream((_, response) => sendJson(response, completion()));
  cleanUps.push(host.close);
  const start = async (name: string) => {
    const overrides = { port: 0, logLevel: 'silent' as const, databaseUrl, dataDir: join(folder, name) };
    const running = await startGateway({ file: false, env: { OPENAI_BASE_URL: host.url }, overrides });
    cleanUps.push(running.close);
    return running;
  };
  const [here, there] = [await start('here'), await start('there')];
  const id = here.gateway.holder.current.candidates[0]!.id;
  const [target] = here.gateway.setup.models.resolve(id).targets;
  for (let i = 0; i < 3; i++) here.gateway.breaker.failed(target!, 'overload');
  await until(() => there.gateway.breaker.rests(target!));
  const { filtered } = await jsonOf(
    fetch(`${there.url}/v1/route`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(hello('auto')),
    }),
  );
  expect(filtered).toContainEqual({ model: id, reason: 'unhealthy' });
});

describe('conversations', () => {
  const models = [candidate('one/a'), candidate('one/b')];
  const script: Script = (_, response) => sendJson(response, completion());

  /** Keeps a conversation on the model that it is on, as the real one does where that is worth it. */
  function stickyRouter(ranked: typeof models): Router {
    const router = fakeRouter(ranked);
    return {
      ...router,
      async route(request, asked) {
        const decision = await router.route(request, asked);
        const incumbent = decision.ranked.find(({ model }) => model === asked?.session?.incumbent);
        if (incumbent === undefined || incumbent === decision.ranked[0]) return decision;
        const others = decision.ranked.filter((one) => one !== incumbent);
        return { ...decision, model: incumbent.model, reason: 'pinned', ranked: [incumbent, ...others] };
      },
    };
  }

  /** Each replica’s router would choose another model. */
  async function replica(store: SqlStore, first: number): Promise<TestGateway> {
    const ranked = first === 0 ? models : models.toReversed();
    const gateway = await gatewayOver(models, {
      store,
      holder: { current: stickyRouter(ranked) },
      pins: pinsIn(store),
      upstreams: { one: hostUrl },
    });
    cleanUps.push(gateway.close);
    return gateway;
  }
  let hostUrl = '';

  test('whose first turns come to both at once are on one model, and on record as pinned where that was the other’s choice', async () => {
    const host = await upstream(script);
    cleanUps.push(host.close);
    hostUrl = host.url;
    const gateways = [await replica(opened.store, 0), await replica(second, 1)];
    for (const gateway of gateways) await chat(gateway.url, hello('auto'), { 'x-session-id': 'warm-up' });
    let pinned = 0;
    for (let i = 0; i < 10; i++) {
      const answers = await Promise.all(
        gateways.map(({ url }) => chat(url, hello('auto'), { 'x-session-id': `s-${i}` })),
      );
      const told = await Promise.all(answers.map(jsonOf));
      expect(told[0].model).toBe(told[1].model);
      pinned += answers.filter((answer) => answer.headers.get('x-pointsman-reason') === 'pinned').length;
    }
    expect(pinned).toBe(10);
    const records = gateways.flatMap(({ decisions }) => decisions).filter(({ reason }) => reason === 'pinned');
    for (const { propensity, distribution, explored } of records) {
      expect({ propensity, explored, first: distribution[0]!.probability }).toEqual({
        propensity: 1,
        explored: false,
        first: 1,
      });
    }
  });
});
