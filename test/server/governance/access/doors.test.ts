/** Every endpoint × everybody: who comes in is written here by hand, and an endpoint that is not here fails. */
import type { OutgoingHttpHeaders } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DOORS, needOf } from '../../../../server/api/callers-only.ts';
import { ClientKey } from '../../../../server/config/index.ts';
import { SCOPES } from '../../../../server/config/loop-schema.ts';
import type { SqlStore } from '../../../../server/db/store.ts';
import { accessOf } from '../../../../server/governance/access/access.ts';
import { createKey } from '../../../../server/governance/access/keys.ts';
import { ROLES } from '../../../../server/governance/access/roles.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, gatewayOver, type TestGateway } from '../../fakes.ts';
import { ADMIN } from './access.ts';

type Who = (typeof ROLES)[number];
const CALLING: readonly Who[] = ['admin', 'manager', 'member'];
const SEEING: readonly Who[] = ['admin', 'manager', 'member', 'read-only'];
const MANAGING: readonly Who[] = ['admin', 'manager'];
const ADMINS: readonly Who[] = ['admin'];

/** First part of a path → who comes in. `all` needs no key, `token` has one of its own. */
const EXPECTED: readonly (readonly [RegExp, readonly Who[] | 'all' | 'token'])[] = [
  [/^\/(healthz|readyz|openapi\.json)$/, 'all'],
  [/^\/($|dashboard|auth\/|favicon)/, 'all'],
  [/^\/admin\//, 'token'],
  [/^\/metrics$/, ADMINS],
  [/^\/v1\/me$/, SEEING],
  [/^\/v1\/models(\/\*)?$/, SEEING],
  [/^\/v1\/decisions\/:id$/, SEEING],
  [/^\/v1\/(usage\/|decisions$)/, SEEING],
  [/^\/v1\/feedback$/, CALLING],
  [/^\/v1\/(export\/|erase$)/, MANAGING],
  [/^\/v1\/learning\//, ADMINS],
  [/^\/v1\/admin\/(keys|teams|limits|audit)/, MANAGING],
  [/^\/v1\/admin\//, ADMINS],
  [/^\/v1\/(chat|messages|responses|embeddings|route|audio|images|moderations|files|batches)/, CALLING],
];

let opened: OpenedStore;
let gateway: TestGateway;
const keys = new Map<Who | 'unknown', string>([['unknown', `pm_${'A'.repeat(43)}`]]);
/** A key of the configuration for each scope alone. */
const scoped = SCOPES.map((scope) =>
  ClientKey.parse({ name: scope, key: `the-key-for-${scope}-0123456789`, scopes: [scope], tenant: 'team' }),
);
beforeAll(async () => {
  opened = await storeKinds[0]!.open();
  const nothing = async () => ({});
  gateway = await gatewayOver([candidate('one/cheap')], {
    store: opened.store,
    config: { keys: scoped, dataDir: opened.options.dataDir },
    learning: { request: nothing, jobs: async () => [], job: nothing, history: nothing, rollback: nothing } as never,
    admin: { token: 'the token of the lock file', retrain: nothing, rollback: nothing, trust: nothing, jobs: nothing, log: nothing } as never, // biome-ignore format: one line
  });
  await gateway.gateway.governance.start();
  for (const role of ROLES) {
    const { secret } = await createKey(
      accessOf(gateway.gateway),
      { name: `a ${role}`, role, team: 'team' },
      { actor: ADMIN },
    );
    keys.set(role, secret);
  }
});
afterAll(async () => {
  await gateway.close();
  await opened.close();
});

const routes = () => [...gateway.app.doors.keys()].map((route) => route.split(' ') as [string, string]);

async function ask(method: string, path: string, headers: OutgoingHttpHeaders): Promise<{ status: number }> {
  const url = path.replace(/:\w+/g, 'none').replace('*', 'none');
  const hasBody = ['POST', 'PATCH', 'PUT'].includes(method);
  const response = await gateway.app.inject({
    ...{
      method: method as 'GET',
      url,
      headers: { ...(hasBody && { 'content-type': 'application/json' }), ...headers },
    },
    ...(hasBody && { payload: '{}' }),
  });
  return { status: response.statusCode };
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

test('every endpoint is named here, and the table of the gateway says the same', () => {
  expect(routes().length).toBeGreaterThan(40);
  for (const [method, path] of routes()) {
    expect([method, path, EXPECTED.some(([pattern]) => pattern.test(path))]).toEqual([method, path, true]);
  }
  expect(() => needOf('/v1/forgotten')).toThrow('/v1/forgotten');
  // None in the table may be hidden behind another that opens wider.
  for (const { path, need } of DOORS) expect([path, needOf(path.replace('*', ''))]).toEqual([path, need]);
});

test('nobody else comes in', async () => {
  for (const [method, path] of routes()) {
    const who = EXPECTED.find(([pattern]) => pattern.test(path))![1];
    for (const headers of [{}, bearer(keys.get('unknown')!), { 'x-api-key': 'sk-nobody' }, { cookie: 'pointsman=x' }]) {
      const { status } = await ask(method, path, headers);
      if (who === 'all') expect([method, path, status === 401 || status === 403]).toEqual([method, path, false]);
      else expect([method, path, headers, status]).toEqual([method, path, headers, 401]);
    }
  }
});

describe.each(ROLES)('%s', (role) => {
  test('comes in where it may, and nowhere else', async () => {
    for (const [method, path] of routes()) {
      const who = EXPECTED.find(([pattern]) => pattern.test(path))![1];
      const { status } = await ask(method, path, bearer(keys.get(role)!));
      if (who === 'token') expect([method, path, status]).toEqual([method, path, 401]);
      else {
        const mayCome = who === 'all' || who.includes(role);
        const isRefused = status === 401 || status === 403;
        expect([method, path, isRefused]).toEqual([method, path, !mayCome]);
      }
    }
  });
});

test('a scope alone opens what needs it, and no more', async () => {
  const opens = async (scope: string) => {
    const key = scoped.find(({ name }) => name === scope)!.key!;
    const open: string[] = [];
    for (const [method, path] of routes()) {
      if (method === 'HEAD' || !path.startsWith('/v1/')) continue;
      const { status } = await ask(method, path, bearer(key));
      if (status !== 401 && status !== 403) open.push(`${method} ${path}`);
    }
    return open;
  };
  const anyKey = ['GET /v1/models', 'GET /v1/models/*', 'GET /v1/decisions/:id', 'GET /v1/me'];
  expect((await opens('erase')).sort()).toEqual([...anyKey, 'POST /v1/erase'].sort());
  expect((await opens('feedback:team')).sort()).toEqual([...anyKey, 'POST /v1/feedback'].sort());
  expect(await opens('usage')).not.toContain('POST /v1/chat/completions');
  const managed = await opens('manage');
  expect(managed).toContain('GET /v1/admin/keys');
  expect(managed).not.toContain('POST /v1/chat/completions');
  expect(managed.filter((route) => /policies/.test(route))).toEqual([]);
});

test('the token of the lock file is the operator’s, for what the command line does, and for nothing else', async () => {
  const { token } = (opened.store as SqlStore).lock!;
  const me = await gateway.app.inject({ url: '/v1/me', headers: bearer(token) });
  expect(me.json()).toMatchObject({ kind: 'operator', name: 'operator', role: 'admin' });
  expect((await ask('GET', '/v1/admin/keys', bearer(token))).status).toBe(200);
  expect((await ask('POST', '/v1/chat/completions', bearer(token))).status).toBe(401);
  expect((await ask('GET', '/v1/admin/keys', bearer(`${token}x`))).status).toBe(401);
});

test('a key of its own for /metrics is asked for there in place of all others', async () => {
  const metricsKey = 'the-key-of-the-scraper';
  // Without one usage is not enough: the sums are those of all teams.
  const usage = bearer(scoped.find(({ name }) => name === 'usage')!.key!);
  expect((await gateway.app.inject({ url: '/metrics', headers: usage })).json().error).toMatchObject({
    code: 'FORBIDDEN',
    message: expect.stringContaining('telemetry.metricsKey'),
  });
  const scraped = await gatewayOver([candidate('one/cheap')], { config: { keys: scoped, telemetry: { metricsKey } } });
  const status = async (key?: string) =>
    (await scraped.app.inject({ url: '/metrics', ...(key !== undefined && { headers: bearer(key) }) })).statusCode;
  expect(await status(metricsKey)).toBe(200);
  expect(await status()).toBe(401);
  expect(await status(scoped.find(({ name }) => name === 'usage')!.key)).toBe(401);
  expect((await scraped.app.inject('/healthz')).statusCode).toBe(200);
  await scraped.close();
});
