/** Commands on a database that no gateway has open: they see what is there, change it, and leave alone what they did not read. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { operatorApp } from '../../../server/cli/operator-app.ts';
import { GatewayConfig } from '../../../server/config/index.ts';
import { refuseMoved } from '../../../server/db/moved.ts';
import { openStore } from '../../../server/db/store.ts';
import { Gateway } from '../../../server/gateway.ts';
import { EXAMPLE_POLICY } from '../../../server/governance/policies/example-document.ts';
import { tempDir } from '../db/stores.ts';
import { candidate, catalogOf, fakeRouter } from '../fakes.ts';

let config: GatewayConfig;
beforeAll(async () => {
  config = GatewayConfig.parse({ dataDir: await tempDir(), logLevel: 'silent' });
});
afterAll(() => rm(config.dataDir, { recursive: true, force: true }));

/** One command: opened, asked, closed. */
async function once(method: 'GET' | 'POST', url: string, body?: object) {
  const { app, close } = await operatorApp(config, {});
  try {
    const options: InjectOptions = { method, url, ...(body !== undefined && { payload: body }) };
    const reply = await app.inject(options);
    return { status: reply.statusCode, body: reply.json() };
  } finally {
    await close();
  }
}

test('a budget that one command made is there for the next', async () => {
  const made = await once('POST', '/v1/admin/limits', { kind: 'budget', name: 'app', usd: 5, period: 'day' });
  expect(made.status).toBe(201);
  const { body } = await once('GET', '/v1/admin/limits');
  expect(body.limits).toMatchObject([{ name: 'app', usd: 5 }]);
});

test('the policy that is printed to begin with passes its own examples, and can be put in force', async () => {
  const pushed = await once('POST', '/v1/admin/policies', { text: EXAMPLE_POLICY, comment: 'a beginning' });
  expect(pushed.body).toMatchObject({ examples: 5, version: { version: 1 } });
  expect((await once('POST', '/v1/admin/policies/1/activate')).status).toBe(200);
  expect((await once('GET', '/v1/admin/policies')).body.inForce).toMatchObject({ source: 'database', version: 1 });
});

test('one that never read what is spent does not say that all of it is written', async () => {
  const store = await openStore({ dataDir: config.dataDir });
  const rows = () => store.db.execute(sql`select * from limit_use order by limit_id, period`);
  const before = await rows();
  const models = [candidate('one/a')];
  const parts = { store, config, catalog: catalogOf(models), providers: new Map() };
  const gateway = new Gateway({ ...parts, holder: { current: fakeRouter(models) } });
  await new Promise((resolve) => setTimeout(resolve, 20));
  await gateway.close();
  expect(await rows()).toEqual(before);
  await store.close();
});

test('a database that was moved is not started again by mistake', async () => {
  const { writeFile } = await import('node:fs/promises');
  const file = join(config.dataDir, 'moved');
  await writeFile(file, 'to pointsman at db:5432, 2026-11-29T00:00:00.000Z\n');
  expect(() => refuseMoved(config)).toThrow(/was moved to pointsman at db:5432, .*: set DATABASE_URL, or delete/);
  expect(() => refuseMoved({ ...config, databaseUrl: 'postgres://db/pointsman' })).not.toThrow();
  await rm(file);
  expect(() => refuseMoved(config)).not.toThrow();
});
