/** How the first admin comes in, and who is asked for a key at all. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request as open } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ANYBODY } from '../../../../server/callers.ts';
import { GatewayConfig } from '../../../../server/config/index.ts';
import { clientKeys } from '../../../../server/db/schema.ts';
import { openStore } from '../../../../server/db/store.ts';
import { adminKeyFrom, ensureFirstAdmin } from '../../../../server/governance/access/first-admin.ts';
import { KeyDigests } from '../../../../server/governance/access/key-secret.ts';
import { createKey, importKeys, revokeKey, rotateKey, updateKey } from '../../../../server/governance/access/keys.ts';
import { createTeam, updateTeam } from '../../../../server/governance/access/teams.ts';
import { startGateway } from '../../../../server/main.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, gatewayOver, jsonOf } from '../../fakes.ts';
import { ADMIN, accessOver, problem } from './access.ts';

const folder = mkdtempSync(join(tmpdir(), 'pointsman-first-'));
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let folders = 0;
const newFolder = () => join(folder, String(++folders));

describe.each(storeKinds)('on $name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  const required = (more: object = {}) => {
    const { auth, host, allowPublic, keys, dataDir } = GatewayConfig.parse({
      auth: 'required',
      dataDir: newFolder(),
      ...more,
    });
    return { auth, host, allowPublic, keys, dataDir };
  };

  test('one of several replicas makes an admin’s key, and writes it for its owner alone', async () => {
    const second = kind.name === 'PostgreSQL' ? await openStore(opened.options) : opened.store;
    const replicas = [];
    for (const store of [opened.store, second]) {
      const access = accessOver(store);
      await access.ring.start();
      replicas.push({ store, access, options: required() });
    }
    const made = await Promise.all(replicas.map((one) => ensureFirstAdmin(one.store, one.access, one.options)));
    const [path] = made.flatMap((one) => one?.path ?? []);
    expect(made.filter((one) => one !== null)).toHaveLength(1);
    expect(statSync(path!).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path!, '..'))).toEqual(['admin-key']);
    const key = readFileSync(path!, 'utf8').trim();
    for (const { access } of replicas) {
      await access.ring.look();
      expect(access.ring.find(key)).toMatchObject({ role: 'admin', tenant: 'default' });
    }
    expect(await opened.store.db.select().from(clientKeys)).toHaveLength(1);
    // At the next start there is one.
    expect(await ensureFirstAdmin(second, replicas[1]!.access, required())).toBeNull();
    for (const { access } of replicas) await access.ring.stop();
    if (second !== opened.store) await second.close();
  });

  test('none is made where nobody is asked, or somebody may do everything already', async () => {
    await opened.store.db.delete(clientKeys);
    const access = accessOver(opened.store);
    await access.ring.start();
    const ensure = (options: ReturnType<typeof required>, more = {}) =>
      ensureFirstAdmin(opened.store, { ...access, ...more }, options);
    const key = { name: 'k', key: 'a-key-of-the-configuration' };
    const admin = { ...key, scopes: ['admin'] };
    expect(await ensure(required({ auth: 'auto' }))).toBeNull();
    expect(await ensure(required({ auth: 'none' }))).toBeNull();
    expect(await ensure(required({ auth: 'auto', host: '0.0.0.0', allowPublic: true }))).toBeNull();
    // Who has keys in the configuration is administered there.
    expect(await ensure(required({ auth: 'auto', host: '0.0.0.0', keys: [key] }))).toBeNull();
    expect(await ensure(required(), { hasAdminKey: true })).toBeNull();
    expect(
      await ensure(required(), { config: { ...access.config, keys: required({ keys: [admin] }).keys } }),
    ).toBeNull();
    expect(await opened.store.db.select().from(clientKeys)).toEqual([]);
    // Beyond this machine there has to be one.
    expect(await ensure(required({ auth: 'auto', host: '0.0.0.0' }))).not.toBeNull();
    await access.ring.stop();
  });

  test('of two who make the first key while nobody is asked one does, and the other is asked', async () => {
    await opened.store.db.delete(clientKeys);
    const second = kind.name === 'PostgreSQL' ? await openStore(opened.options) : opened.store;
    const both = await Promise.allSettled(
      [opened.store, second].map((store, i) =>
        createKey(accessOver(store), { name: `first ${i}`, role: 'admin' }, { actor: ANYBODY }),
      ),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find((one) => one.status === 'rejected')!.reason).toMatchObject({ code: 'UNAUTHORIZED' });
    const [row] = await opened.store.db.select().from(clientKeys);
    // From then on nobody changes anything without a key, whatever it is.
    const access = accessOver(second);
    const by = { actor: ANYBODY };
    for (const change of [
      () => updateKey(access, row!.id, { role: 'member', force: true }, by),
      () => rotateKey(access, row!.id, {}, by),
      () => revokeKey(access, row!.id, { ...by, force: true }),
      () => importKeys(access, [], by),
      () => createTeam(access, { name: 'late' }, by),
      () => updateTeam(access, 'default', { description: 'late' }, by),
    ]) {
      expect((await problem(change())).code).toBe('UNAUTHORIZED');
    }
    expect(await opened.store.db.select().from(clientKeys)).toEqual([row]);
    // A key that is not of the database counts alike; where nobody is ever asked, none does.
    await opened.store.db.delete(clientKeys);
    const first = { name: 'late', role: 'admin' } as const;
    expect((await problem(createKey({ ...access, hasAdminKey: true }, first, by))).code).toBe('UNAUTHORIZED');
    const open = accessOver(second, { config: { auth: 'none' } });
    for (const name of ['one', 'two']) await createKey(open, { ...first, name }, by);
    if (second !== opened.store) await second.close();
  });

  test('a file that cannot be written makes no key', async () => {
    await opened.store.db.delete(clientKeys);
    const access = accessOver(opened.store);
    const notAFolder = newFolder();
    writeFileSync(notAFolder, '');
    expect(await problem(ensureFirstAdmin(opened.store, access, required({ dataDir: notAFolder })))).toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining('POINTSMAN_ADMIN_KEY'),
    });
    expect(await opened.store.db.select().from(clientKeys)).toEqual([]);
    // Nor does a key that cannot be made leave a file.
    const dataDir = newFolder();
    const digests = new KeyDigests({ kind: 'postgres', dataDir });
    expect(
      (await problem(ensureFirstAdmin(opened.store, { ...access, digests }, required({ dataDir })))).message,
    ).toMatch('POINTSMAN_SECRET_KEY');
    expect(readdirSync(dataDir)).toEqual([]);
  });
});

describe('a key of the environment', () => {
  const key = 'k'.repeat(32);

  test('is taken from the variable or from the file that one names', () => {
    const file = newFolder();
    writeFileSync(file, `${key}\n`);
    expect(adminKeyFrom({})).toBeUndefined();
    expect(adminKeyFrom({ POINTSMAN_ADMIN_KEY: '' })).toBeUndefined();
    expect(adminKeyFrom({ POINTSMAN_ADMIN_KEY: key })).toBe(key);
    expect(adminKeyFrom({ POINTSMAN_ADMIN_KEY_FILE: file })).toBe(key);
  });

  test.each([
    [{ POINTSMAN_ADMIN_KEY: 'k'.repeat(31) }, /32 characters/],
    [{ POINTSMAN_ADMIN_KEY: `${key} ${key}` }, /no spaces/],
    [{ POINTSMAN_ADMIN_KEY_FILE: '/nowhere/at/all' }, /ENOENT/],
    [{ POINTSMAN_ADMIN_KEY: key, POINTSMAN_ADMIN_KEY_FILE: 'x' }, /one of them/],
  ])('%j is refused', (env, message) => {
    expect(() => adminKeyFrom(env)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringMatching(message) }),
    );
    expect(() => adminKeyFrom(env)).not.toThrow(/kkk/);
  });
});

async function start(overrides: object, env: Record<string, string> = {}) {
  const gateway = await startGateway({
    file: false,
    env,
    overrides: { port: 0, logLevel: 'silent', dataDir: newFolder(), ...overrides },
  });
  cleanUps.push(gateway.close);
  const me = async (key?: string) => {
    const response = await fetch(`${gateway.url}/v1/me`, { headers: key ? { authorization: `Bearer ${key}` } : {} });
    return { status: response.status, ...(await jsonOf(response)) };
  };
  return { ...gateway, me };
}

test('a gateway that requires keys says where the first admin’s is, and lets nobody else in', async () => {
  const { adminKeyFile, me, gateway } = await start({ auth: 'required' });
  expect(adminKeyFile).toBe(join(gateway.config.dataDir, 'admin-key'));
  expect(await me()).toMatchObject({ status: 401 });
  expect(await me(readFileSync(adminKeyFile!, 'utf8').trim())).toMatchObject({
    kind: 'key',
    role: 'admin',
    team: 'default',
  });
});

test('with a key of the environment no other is made, and that one does everything', async () => {
  const key = 'an-admin-key-of-thirty-two-chars';
  const { adminKeyFile, me } = await start({}, { POINTSMAN_ADMIN_KEY: key });
  expect(adminKeyFile).toBeNull();
  expect(await me()).toMatchObject({ status: 401 });
  expect(await me(key)).toMatchObject({
    kind: 'key',
    name: 'admin',
    role: 'admin',
    scopes: expect.arrayContaining(['admin', 'call']),
  });
});

describe('a gateway on this machine', () => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await storeKinds[0]!.open();
  });
  afterAll(() => opened.close());
  const over = async (config: object) => {
    const gateway = await gatewayOver([candidate('one/cheap')], {
      store: opened.store,
      config: { dataDir: newFolder(), ...config },
    });
    cleanUps.push(gateway.close);
    await gateway.gateway.governance.start();
    const ask = async (url: string, headers = {}, payload?: object) => {
      const method = payload === undefined ? 'GET' : 'POST';
      const type = payload === undefined ? {} : { 'content-type': 'application/json' };
      const asked = await gateway.app.inject({
        method,
        url,
        headers: { ...type, ...headers },
        ...(payload && { payload }),
      });
      return { status: asked.statusCode, body: asked.json() };
    };
    return { gateway, ask };
  };

  test('asks nobody until there is a key, and then everybody: so the first is an admin’s', async () => {
    const { ask } = await over({});
    expect(await ask('/v1/me')).toMatchObject({
      status: 200,
      body: { kind: 'anybody', name: null, role: 'admin', team: 'default' },
    });
    expect(await ask('/v1/admin/keys', {}, { name: 'first' })).toMatchObject({ status: 409 });
    const { body, status } = await ask('/v1/admin/keys', {}, { name: 'first', role: 'admin' });
    expect(status).toBe(201);
    expect((await ask('/v1/me')).status).toBe(401);
    const mine = { authorization: `Bearer ${body.secret}` };
    expect(await ask('/v1/me', mine)).toMatchObject({ status: 200, body: { name: 'first' } });
    expect(await ask('/v1/admin/audit', mine)).toMatchObject({
      body: { entries: [{ actor: 'anybody', action: 'key.create' }], next: null },
    });
    // A key that is over is one that was: nobody comes in without again.
    await opened.store.db.update(clientKeys).set({ revokedAt: new Date() });
    const again = await over({});
    expect((await again.ask('/v1/me')).status).toBe(401);
  });

  test('asks who began to send a request before the first key was made, and ended after', async () => {
    await opened.store.db.delete(clientKeys);
    const { gateway, ask } = await over({});
    const body = JSON.stringify({ name: 'second', role: 'admin' });
    const headers = { 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' };
    const late = open(`${gateway.url}/v1/admin/keys`, { method: 'POST', headers });
    const answered = once(late, 'response') as Promise<[IncomingMessage]>;
    // Its headers were read, and nobody was asked.
    await once(late, 'continue');
    expect((await ask('/v1/admin/keys', {}, { name: 'first', role: 'admin' })).status).toBe(201);
    late.end(body);
    const [response] = await answered;
    expect(response.statusCode).toBe(401);
    response.resume();
    expect(await opened.store.db.select({ name: clientKeys.name }).from(clientKeys)).toEqual([{ name: 'first' }]);
  });

  test('asks nobody at all where it is told so, and then answers to this machine alone', async () => {
    // Keys there are, in the database and in the configuration.
    await createKey(accessOver(opened.store), { name: 'another' }, { actor: ADMIN });
    const { ask } = await over({
      auth: 'none',
      allowPublic: true,
      keys: [{ name: 'k', key: 'a-key-of-the-configuration' }],
    });
    expect(await ask('/v1/me')).toMatchObject({ status: 200, body: { kind: 'anybody' } });
    expect((await ask('/v1/me', { host: 'rebound.example' })).status).toBe(403);
    expect((await ask('/v1/me', { origin: 'https://evil.example' })).status).toBe(403);
  });
});
