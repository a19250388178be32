/** Two gateways over one PostgreSQL: a key that is made or revoked at one is so at the other, and goes on working while the database is away. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore, type SqlStore } from '../../../../server/db/store.ts';
import { ACCESS_CHANNEL, KeyRing } from '../../../../server/governance/access/key-ring.ts';
import { createKey, revokeKey } from '../../../../server/governance/access/keys.ts';
import { createTeam, updateTeam } from '../../../../server/governance/access/teams.ts';
import { type PostgresServer, startPostgres, tempDir } from '../../db/stores.ts';
import { candidate, gatewayOver, type TestGateway, until } from '../../fakes.ts';
import { ADMIN, accessOver, SECRET } from './access.ts';

let server: PostgresServer;
let databaseUrl: string;
const stores: SqlStore[] = [];
const gateways: TestGateway[] = [];
beforeAll(async () => {
  server = await startPostgres();
  databaseUrl = await server.createDatabase();
  for (let i = 0; i < 2; i++) {
    const dataDir = await tempDir();
    stores.push(await openStore({ databaseUrl, dataDir, onProblem: () => {} }));
    gateways.push(
      await gatewayOver([candidate('one/cheap')], {
        store: stores[i]!,
        secret: SECRET,
        config: { databaseUrl, dataDir, auth: 'required' },
      }),
    );
    await gateways[i]!.gateway.governance.start();
  }
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.close();
  for (const store of stores) await store.close();
  await server.remove();
});

const by = { actor: ADMIN };
const state = (i: number, key: string) => {
  try {
    return gateways[i]!.gateway.setup.callers.find(key).name;
  } catch (error) {
    return (error as Error).message;
  }
};

test('what is changed at one gateway holds at the other within seconds', async () => {
  const [here, there] = [gateways[0]!.app, gateways[1]!.app];
  const root = await createKey(accessOver(stores[0]!), { name: 'root', role: 'admin' }, by);
  await until(() => state(0, root.secret) === 'root' && state(1, root.secret) === 'root');
  const headers = { authorization: `Bearer ${root.secret}`, 'content-type': 'application/json' };
  const made = await here.inject({ method: 'POST', url: '/v1/admin/keys', headers, payload: { name: 'one' } });
  const { key, secret } = made.json();
  await until(() => state(1, secret) === 'one');
  const revoked = await there.inject({
    method: 'DELETE',
    url: `/v1/admin/keys/${key.id}`,
    headers: { authorization: headers.authorization },
  });
  expect(revoked.statusCode).toBe(200);
  // There at once, here when it is heard of.
  expect(state(1, secret)).toBe('this API key was revoked');
  await until(() => state(0, secret) === 'this API key was revoked');
});

test('teams are told as keys are', async () => {
  const access = accessOver(stores[0]!);
  await createTeam(access, { name: 'far', retentionDays: 9 }, by);
  const { secret } = await createKey(access, { name: 'k', team: 'far' }, by);
  await until(() => state(1, secret) === 'k');
  expect(gateways[1]!.gateway.teams).toMatchObject({ far: { retentionDays: 9, exploration: false, canary: true } });
  await updateTeam(access, 'far', { archived: true }, by);
  await until(() => state(1, secret) === 'the team of this API key is archived');
});

test('a ring that hears no notice asks', async () => {
  const access = accessOver(stores[0]!);
  const deaf = new KeyRing({ store: stores[1]!, digests: access.digests });
  await deaf.start();
  const { secret } = await createKey(access, { name: 'asked', team: 'default' }, by);
  await until(() => deaf.find(secret) !== null);
  await deaf.stop();
});

test('a change that was dated long before it could be seen is not missed', async () => {
  const access = accessOver(stores[0]!);
  const { key, secret } = await createKey(access, { name: 'slow', team: 'default' }, by);
  await until(() => state(1, secret) === 'slow');
  // As of a transaction that took half a minute.
  await stores[0]!.db.execute(
    `update client_keys set revoked_at = now(), changed_at = clock_timestamp() - interval '30 seconds' where id = '${key.id}'`,
  );
  await until(() => state(1, secret) === 'this API key was revoked');
});

test('keys of a secret that is not here open nothing, and are told of', async () => {
  const { KeyDigests } = await import('../../../../server/governance/access/key-secret.ts');
  const digests = new KeyDigests({ kind: 'postgres', dataDir: '/nowhere', secret: `another ${SECRET}` });
  const other = new KeyRing({ store: stores[1]!, digests });
  await other.look();
  expect(other.unreadable).toBeGreaterThan(0);
  expect(gateways[1]!.gateway.governance.keys.unreadable).toBe(0);
  expect(other.isEmpty).toBe(false);
});

test('while the database is away keys are found in memory; afterwards what was missed is heard of', async () => {
  expect(ACCESS_CHANNEL).toBe('pointsman_access');
  const access = accessOver(stores[0]!);
  const { key, secret } = await createKey(access, { name: 'steady', team: 'default' }, by);
  await until(() => state(1, secret) === 'steady');
  const problems: string[] = [];
  gateways[1]!.gateway.governance.keys.onProblem = ({ message }) => problems.push(message);
  await server.stop();
  await until(() => problems.length > 0);
  expect(state(1, secret)).toBe('steady');
  expect(() => gateways[1]!.gateway.setup.callers.find(`${secret}x`)).toThrow('not known');
  const refused = await gateways[1]!.app.inject({
    url: '/v1/admin/keys',
    headers: { authorization: `Bearer ${secret}` },
  });
  // Who may not manage is told so without the database.
  expect(refused.statusCode).toBe(403);
  await server.start();
  await until(() => state(1, secret) === 'steady');
  const again = await openStore({ databaseUrl, dataDir: await tempDir(), onProblem: () => {} });
  await revokeKey(accessOver(again), key.id, by);
  await again.close();
  await until(() => state(1, secret) === 'this API key was revoked');
});
