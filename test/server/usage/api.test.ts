/** `/v1/usage/…`: whose numbers one gets, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { personOf } from '../../../server/governance/access/web-sessions.ts';
import { rollUp } from '../../../server/usage/roll-up.ts';
import { scopeOf } from '../../../server/usage/scope.ts';
import { aDecision, anAttempt } from '../db/records.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';
import { candidate, gatewayOver, jsonOf, type TestGateway } from '../fakes.ts';

const [embedded] = storeKinds;
let opened: OpenedStore;
let gateway: TestGateway;
beforeAll(async () => {
  opened = await embedded!.open();
  const { store } = opened;
  for (const [i, tenant] of ['red', 'red', 'blue'].entries()) {
    const createdAt = new Date(Date.UTC(2026, 4, 1 + i));
    store.record({
      decision: aDecision({
        id: `${tenant}-${i}`,
        tenant,
        createdAt,
        cached: false,
        guards: null,
        key: `${tenant}-key`,
      }),
      attempt: anAttempt({
        id: `a${i}`,
        decisionId: `${tenant}-${i}`,
        startedAt: createdAt,
        costUsd: 1,
        purpose: 'answer',
      }),
    });
  }
  await store.flush();
  await rollUp(store);
  gateway = await gatewayOver([candidate('one/a')], {
    store,
    upstreams: { one: 'http://127.0.0.1:9' },
    config: {
      keys: [
        { name: 'red-key', key: 'red-secret-0123456789', tenant: 'red', scopes: ['usage'] },
        { name: 'caller', key: 'calls-only-0123456789', tenant: 'red', scopes: ['call'] },
        { name: 'boss', key: 'boss-secret-0123456789', tenant: 'red', scopes: ['usage', 'admin'] },
      ],
    } as never,
  });
});
afterAll(async () => {
  await gateway.close();
  await opened.close();
});

const RANGE = 'from=2026-05-01T00:00:00Z&to=2026-06-01T00:00:00Z';
const get = (path: string, key = 'red-secret-0123456789') =>
  fetch(`${gateway.url}/v1/usage/${path}`, { headers: { authorization: `Bearer ${key}` } });

/** Every endpoint, and how many requests its reply tells of. */
// biome-ignore lint/suspicious/noExplicitAny: replies of several shapes
const ENDPOINTS: Record<string, { query: string; requests: (reply: any) => number }> = {
  summary: { query: '', requests: ({ requests }) => requests },
  series: { query: '&step=day&by=model', requests: ({ points }) => sum(points) },
  breakdown: { query: '&by=key', requests: ({ rows }) => sum(rows) },
  decisions: { query: '', requests: ({ decisions }) => decisions.length },
  latency: {
    query: '',
    requests: ({ rows }) => rows.reduce((n: number, { calls }: { calls: number }) => n + calls, 0),
  },
};
const sum = (rows: { requests: number }[]) => rows.reduce((n, { requests }) => n + requests, 0);

describe.each(Object.keys(ENDPOINTS))('%s', (path) => {
  const { query, requests } = ENDPOINTS[path]!;
  test('is of the caller’s own team; of all, or of one, for an admin', async () => {
    expect(requests(await jsonOf(get(`${path}?${RANGE}${query}`)))).toBe(2);
    expect(requests(await jsonOf(get(`${path}?${RANGE}${query}&team=red`)))).toBe(2);
    expect(requests(await jsonOf(get(`${path}?${RANGE}${query}`, 'boss-secret-0123456789')))).toBe(3);
    expect(requests(await jsonOf(get(`${path}?${RANGE}${query}&team=blue`, 'boss-secret-0123456789')))).toBe(1);
  });

  test('refuses another team, whether there is one or not, and keys without the scope', async () => {
    for (const team of ['blue', 'nobody']) {
      const reply = await get(`${path}?${RANGE}${query}&team=${team}`);
      expect([reply.status, (await jsonOf(reply)).error.code]).toEqual([404, 'NOT_FOUND']);
    }
    expect((await get(`${path}?${RANGE}${query}`, 'calls-only-0123456789')).status).toBe(403);
  });
});

test('calibration is refused alike, and empty where nothing was judged', async () => {
  expect(await jsonOf(get(`calibration?${RANGE}`))).toEqual({ versions: [] });
  expect((await get(`calibration?${RANGE}&team=blue`)).status).toBe(404);
});

test('a person of all teams sees all of them, or the one that is named, without being an admin', () => {
  const visitor = { subject: 'u-1', name: 'Ada', role: 'read-only', keyId: null } as const;
  const teamOf = (team: string | null, asked?: string) => scopeOf(personOf({ ...visitor, team }), { team: asked }).team;
  expect([teamOf(null), teamOf(null, 'red'), teamOf('red'), teamOf('red', 'red')]).toEqual([null, 'red', 'red', 'red']);
  expect(() => teamOf('red', 'blue')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
});

test.each([
  ['summary?from=yesterday', 'from'],
  ['summary?from=2026-05-01T00:00:00Z&to=2026-04-01T00:00:00Z', 'from'],
  ['summary?from=1990-05-01T00:00:00Z', 'from'],
  ['summary?nonsense=1', 'nonsense'],
  ['summary?team=', 'team'],
  ['summary?team=a&team=b', 'team'],
  [`summary?model=${'m'.repeat(300)}`, 'model'],
  ['breakdown', 'by'],
  ['breakdown?by=text', 'by'],
  ['breakdown?by=model&limit=0', 'limit'],
  ['breakdown?by=model&limit=1e9', 'limit'],
  ['series?step=minute', 'step'],
  ['series?step=hour&from=2026-01-01T00:00:00Z&to=2026-06-01T00:00:00Z', 'step'],
  ['latency?key=k', 'key'],
  ['decisions?limit=x', 'limit'],
])('%s is refused and says what is wrong', async (path, param) => {
  const reply = await get(path);
  expect([reply.status, (await jsonOf(reply)).error]).toMatchObject([400, { code: 'INVALID_REQUEST', param }]);
});

test('a cursor that none was given is refused', async () => {
  for (const cursor of ['x', Buffer.from('1e99 a').toString('base64url'), Buffer.from(`1 a\0`).toString('base64url')]) {
    expect((await get(`decisions?cursor=${cursor}`)).status).toBe(400);
  }
});

test('decisions come newest first, page by page, also where few of them are asked for', async () => {
  const lines: { id: string; surface: string; status: string; costUsd: number }[] = [];
  let cursor: string | null = null;
  do {
    const page = await jsonOf(
      get(
        `decisions?${RANGE}&limit=1&model=a/small${cursor === null ? '' : `&cursor=${cursor}`}`,
        'boss-secret-0123456789',
      ),
    );
    lines.push(...page.decisions);
    cursor = page.next;
  } while (cursor !== null);
  expect(new Set(lines.map(({ surface }) => surface))).toEqual(new Set(['messages']));
  expect(lines.map(({ id, status, costUsd }) => [id, status, costUsd])).toEqual([
    ['blue-2', 'ok', 1],
    ['red-1', 'ok', 1],
    ['red-0', 'ok', 1],
  ]);
  expect(await jsonOf(get(`decisions?${RANGE}&model=none`, 'boss-secret-0123456789'))).toEqual({
    decisions: [],
    next: null,
  });
});

test('text that means something to a database is only text', async () => {
  const hostile = encodeURIComponent(`a/small' or true --`);
  expect((await jsonOf(get(`summary?${RANGE}&model=${hostile}`))).requests).toBe(0);
});
