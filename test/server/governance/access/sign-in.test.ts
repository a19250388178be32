/** Signing in to the dashboard over HTTP: with a key, by an identity provider, and out again. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildApp, type GatewayApp } from '../../../../server/app.ts';
import { GatewayConfig } from '../../../../server/config/index.ts';
import { FailedAttempts } from '../../../../server/governance/access/failed-attempts.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, catalogOf, fakeRouter } from '../../fakes.ts';
import { CLIENT, type IdentityProvider, identityProvider } from './identity-provider.ts';

const ADMIN = 'the-admin-key-of-this-test';
const SEES_USAGE = 'a-key-that-sees-usage-of-search';
const CALLS_ONLY = 'a-key-that-calls-models-only';
const models = [candidate('one/cheap')];

let opened: OpenedStore;
let idp: IdentityProvider;
const cleanUps: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  [opened, idp] = await Promise.all([storeKinds[0]!.open(), identityProvider()]);
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
afterAll(() => Promise.all([opened.close(), idp.close()]));

const KEYS = [
  { name: 'usage', key: SEES_USAGE, tenant: 'search', scopes: ['usage'] },
  { name: 'calls', key: CALLS_ONLY, tenant: 'search', scopes: ['call'] },
];

async function start(config: object = {}, adminKey: string | undefined = ADMIN): Promise<GatewayApp> {
  const built = buildApp({
    holder: { current: fakeRouter(models) },
    catalog: catalogOf(models),
    store: opened.store,
    providers: new Map(),
    env: { POINTSMAN_OIDC_SECRET: CLIENT.secret },
    adminKey,
    config: GatewayConfig.parse({ logLevel: 'silent', dataDir: opened.options.dataDir, ...config }),
  });
  await built.gateway.governance.keys.start();
  cleanUps.push(async () => {
    await built.app.close();
    await built.gateway.close();
  });
  return built;
}

const oidcOf = (more: object = {}) => ({
  issuer: idp.issuer,
  clientId: CLIENT.id,
  publicUrl: 'https://gateway.example.com',
  groups: { engineers: { role: 'manager', team: 'search' } },
  ...more,
});

const signIn = ({ app }: GatewayApp, key: unknown, more: object = {}) =>
  app.inject({ method: 'POST', url: '/auth/key', payload: { key }, ...more });

const cookieOf = (reply: { headers: Record<string, unknown> }): string => String(reply.headers['set-cookie']);
const pairOf = (cookie: string): string => cookie.split(';')[0]!;
const OURS = { 'x-pointsman-csrf': '1', 'sec-fetch-site': 'same-origin' };

describe('with a key', () => {
  test('a cookie opens what the key opens, and nothing that calls a model', async () => {
    const built = await start({ keys: KEYS });
    const reply = await signIn(built, ADMIN);
    expect(reply.statusCode).toBe(200);
    expect(reply.json()).toEqual({ name: 'admin', role: 'admin', team: null });
    const cookie = cookieOf(reply);
    expect(cookie).toMatch(/^pointsman_session=[\w-]{43}; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Strict$/);
    expect(reply.body).not.toContain(ADMIN);
    const as = { cookie: pairOf(cookie) };
    const { app } = built;
    expect((await app.inject({ url: '/v1/me', headers: as })).json()).toMatchObject({ name: 'admin', role: 'admin' });
    expect((await app.inject({ url: '/v1/admin/teams', headers: as })).statusCode).toBe(200);
    const chat = { method: 'POST', url: '/v1/chat/completions', payload: { model: 'auto', messages: [{}] } } as const;
    expect((await app.inject({ ...chat, headers: { ...as, ...OURS } })).statusCode).toBe(401);
  });

  test('changes need word that our own page asks for them', async () => {
    const built = await start();
    const as = { cookie: pairOf(cookieOf(await signIn(built, ADMIN))) };
    const make = (headers: Record<string, string>, name: string) =>
      built.app.inject({ method: 'POST', url: '/v1/admin/teams', payload: { name }, headers: { ...as, ...headers } });
    expect((await make({}, 't1')).json().error.code).toBe('FORBIDDEN');
    expect((await make({ ...OURS, 'sec-fetch-site': 'cross-site' }, 't2')).statusCode).toBe(403);
    expect((await make(OURS, 't3')).statusCode).toBe(201);
    const teams = (await built.app.inject({ url: '/v1/admin/teams', headers: as })).json().teams;
    expect(teams.map(({ name }: { name: string }) => name)).toEqual(['default', 't3']);
  });

  test('a session ends with the key of the database that opened it', async () => {
    const built = await start();
    const admin = { authorization: `Bearer ${ADMIN}` };
    const made = await built.app.inject({
      method: 'POST',
      url: '/v1/admin/keys',
      headers: admin,
      payload: { name: 'short', role: 'read-only' },
    });
    const { key, secret } = made.json();
    const as = { cookie: pairOf(cookieOf(await signIn(built, secret))) };
    expect((await built.app.inject({ url: '/v1/me', headers: as })).json()).toMatchObject({ name: 'short' });
    await built.app.inject({ method: 'DELETE', url: `/v1/admin/keys/${key.id}`, headers: admin });
    expect((await built.app.inject({ url: '/v1/me', headers: as })).statusCode).toBe(401);
  });

  test('a session ends when its key is taken out of the configuration', async () => {
    const built = await start({ keys: KEYS });
    const as = { cookie: pairOf(cookieOf(await signIn(built, SEES_USAGE))) };
    expect((await built.app.inject({ url: '/v1/me', headers: as })).json()).toMatchObject({ team: 'search' });
    // The same database, another configuration: as after a restart, or on a replica that was restarted.
    const after = await start({ keys: [{ ...KEYS[0], key: 'another-key-of-the-same-name' }] });
    expect((await after.app.inject({ url: '/v1/me', headers: as })).statusCode).toBe(401);
  });

  test('which sees no usage there is nothing to see', async () => {
    const reply = await signIn(await start({ keys: KEYS }), CALLS_ONLY);
    expect([reply.statusCode, reply.json().error.code]).toEqual([403, 'FORBIDDEN']);
    expect(reply.headers['set-cookie']).toBeUndefined();
  });

  test('that is wrong ten times the eleventh waits; the right one comes in, and others do not wait', async () => {
    const built = await start();
    for (let i = 0; i < 10; i++) expect((await signIn(built, `guess-${i}`)).statusCode).toBe(401);
    // Whoever shares the address is not kept out.
    expect((await signIn(built, ADMIN)).statusCode).toBe(200);
    const eleventh = await signIn(built, 'guess-10');
    expect([eleventh.statusCode, eleventh.json().error.code]).toEqual([429, 'RATE_LIMITED']);
    expect(Number(eleventh.headers['retry-after'])).toBeGreaterThan(0);
    expect((await signIn(built, 'guess-11', { remoteAddress: '127.0.0.9' })).statusCode).toBe(401);
  });

  test.each([[undefined], [7], [''], ['x'.repeat(1001)]])('that is %j is none', async (key) => {
    expect((await signIn(await start(), key)).json().error).toMatchObject({ code: 'INVALID_REQUEST', param: 'key' });
  });

  test('nobody is signed in by a page of another site', async () => {
    const reply = await signIn(await start(), ADMIN, { headers: { origin: 'https://evil.example.com' } });
    expect(reply.json().error.code).toBe('FORBIDDEN');
  });

  test('signing out ends it, here and for whoever kept the cookie', async () => {
    const built = await start();
    const as = { cookie: pairOf(cookieOf(await signIn(built, ADMIN))) };
    const out = (headers: Record<string, string>) =>
      built.app.inject({ method: 'POST', url: '/auth/logout', headers: { ...as, ...headers } });
    expect((await out({})).statusCode).toBe(403);
    const reply = await out(OURS);
    expect(reply.statusCode).toBe(204);
    expect(cookieOf(reply)).toContain('pointsman_session=; Path=/; Expires=Thu, 01 Jan 1970');
    expect((await built.app.inject({ url: '/v1/me', headers: as })).statusCode).toBe(401);
    expect((await built.app.inject({ method: 'POST', url: '/auth/logout' })).statusCode).toBe(204);
  });

  test('what was done is in the audit log', async () => {
    const built = await start();
    await signIn(built, ADMIN);
    const log = await built.app.inject({
      url: '/v1/admin/audit?limit=1',
      headers: { authorization: `Bearer ${ADMIN}` },
    });
    expect(log.json().entries[0]).toMatchObject({ action: 'session.open', details: { how: 'key', role: 'admin' } });
  });
});

describe('by the identity provider', () => {
  const begin = async (built: GatewayApp, query = '') => {
    const reply = await built.app.inject({ url: `/auth/login${query}` });
    return { reply, url: String(reply.headers.location), cookie: pairOf(cookieOf(reply)) };
  };
  const back = (built: GatewayApp, query: string, headers: Record<string, string> = {}) =>
    built.app.inject({ url: `/auth/callback${query}`, headers });

  test('a person goes there and comes back signed in, at the dashboard', async () => {
    idp.person = { sub: 'u-1', name: 'Ada', groups: ['engineers'] };
    const built = await start({ oidc: oidcOf() });
    expect((await built.app.inject('/auth/methods')).json()).toEqual({ oidc: true, key: true, open: false });
    const { reply, url, cookie } = await begin(built);
    expect(reply.statusCode).toBe(302);
    expect(cookieOf(reply)).toMatch(/Path=\/auth\/callback; .*HttpOnly; SameSite=Lax; Secure$/);
    const done = await back(built, idp.visit(url), { cookie });
    expect([done.statusCode, done.headers.location]).toEqual([302, '/dashboard']);
    const [gone, session] = done.headers['set-cookie'] as unknown as string[];
    expect(gone).toMatch(/^pointsman_sign_in=; /);
    expect(session).toMatch(/SameSite=Strict; Secure$/);
    const me = await built.app.inject({ url: '/v1/me', headers: { cookie: pairOf(session!) } });
    expect(me.json()).toMatchObject({ kind: 'person', name: 'Ada', role: 'manager', team: 'search' });
    // Others may be called Ada, too.
    const admin = { authorization: `Bearer ${ADMIN}` };
    const log = await built.app.inject({ url: '/v1/admin/audit?limit=1', headers: admin });
    expect(log.json().entries[0]).toMatchObject({ action: 'session.open', actor: 'Ada <u-1>', actorKind: 'person' });
  });

  test('people of an archived team neither stay in nor come in', async () => {
    idp.person = { sub: 'u-4', name: 'Cy', groups: ['engineers'] };
    const built = await start({ oidc: oidcOf({ groups: { engineers: { role: 'manager', team: 'closing' } } }) });
    const admin = { authorization: `Bearer ${ADMIN}` };
    await built.app.inject({ method: 'POST', url: '/v1/admin/teams', headers: admin, payload: { name: 'closing' } });
    const enter = async () => {
      const { url, cookie } = await begin(built);
      return back(built, idp.visit(url), { cookie });
    };
    const session = pairOf(([(await enter()).headers['set-cookie']].flat() as string[]).at(-1)!);
    const me = () => built.app.inject({ url: '/v1/me', headers: { cookie: session } });
    expect((await me()).json()).toMatchObject({ name: 'Cy', team: 'closing' });
    await built.app.inject({ method: 'DELETE', url: '/v1/admin/teams/closing', headers: admin });
    expect((await me()).statusCode).toBe(401);
    const refused = await enter();
    expect([refused.statusCode, refused.json().error.message]).toEqual([403, expect.stringContaining('archived')]);
  });

  test('whoever is in no group is told so on a page, whatever they are called', async () => {
    idp.person = { sub: 'u-2', name: '<script>alert(1)</script>', groups: [] };
    const built = await start({ oidc: oidcOf() });
    const { url, cookie } = await begin(built);
    const reply = await back(built, idp.visit(url), { cookie, accept: 'text/html,*/*' });
    expect(reply.statusCode).toBe(403);
    expect(reply.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(reply.headers['content-security-policy']).toContain("default-src 'none'");
    expect(reply.body).toContain('&lt;script&gt;');
    expect(reply.body).not.toContain('<script>');
    expect([reply.headers['set-cookie']].flat()).toHaveLength(1);
  });

  test('programs are told as programs are', async () => {
    const built = await start({ oidc: oidcOf() });
    expect((await back(built, '?code=x&state=y')).json().error.code).toBe('INVALID_REQUEST');
    expect((await back(built, '')).json().error.code).toBe('INVALID_REQUEST');
    expect((await built.app.inject('/auth/login?team=')).json().error.code).toBe('INVALID_REQUEST');
  });

  test('a team that was asked for is the one they get, if they are of it', async () => {
    idp.person = { sub: 'u-3', name: 'Bo', groups: ['engineers', 'sellers'] };
    const groups = { engineers: { role: 'manager', team: 'search' }, sellers: { role: 'read-only', team: 'sales' } };
    const built = await start({ oidc: oidcOf({ groups }) });
    for (const [query, team, role] of [
      ['', 'search', 'manager'],
      ['?team=sales', 'sales', 'read-only'],
    ] as const) {
      const { url, cookie } = await begin(built, query);
      const done = await back(built, idp.visit(url), { cookie });
      const session = ([done.headers['set-cookie']].flat() as string[]).at(-1)!;
      const me = await built.app.inject({ url: '/v1/me', headers: { cookie: pairOf(session) } });
      expect(me.json()).toMatchObject({ team, role });
    }
  });
});

test('where nobody is asked for a key there is nothing to sign in to', async () => {
  const built = await start({ auth: 'none' });
  expect((await built.app.inject('/auth/methods')).json()).toEqual({ oidc: false, key: true, open: true });
  expect((await signIn(built, ADMIN)).statusCode).toBe(409);
  expect((await built.app.inject('/auth/login')).statusCode).toBe(409);
});

describe('failed attempts', () => {
  test('count for a window, by address, and those of one IPv6 network together', () => {
    let now = 0;
    const failed = new FailedAttempts({ most: 2, windowMs: 1000 }, () => now);
    failed.note('2001:db8::1');
    failed.note('2001:db8:0:0:ffff::2');
    expect(failed.waitMs('2001:db8::3')).toBe(1000);
    expect(failed.waitMs('2001:db8:0:1::1')).toBe(0);
    expect(failed.waitMs('::ffff:10.0.0.1')).toBe(0);
    now = 999;
    expect(failed.waitMs('2001:db8::1')).toBe(1);
    now = 1000;
    expect(failed.waitMs('2001:db8::1')).toBe(0);
    failed.note('2001:db8::1');
    expect(failed.waitMs('2001:db8::1')).toBe(0);
  });

  test('are remembered of so many addresses and no more', () => {
    const failed = new FailedAttempts({ most: 1, windowMs: 1000, addresses: 2 }, () => 0);
    for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) failed.note(address);
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((one) => failed.waitMs(one))).toEqual([0, 1000, 1000]);
  });
});
