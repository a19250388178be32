import { existsSync, readdirSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DatabaseError } from '../../../server/db/connection.ts';
import type { Row } from '../../../server/db/rows.ts';
import { decisions } from '../../../server/db/schema.ts';
import { Spool } from '../../../server/db/spool.ts';
import { openStore } from '../../../server/db/store.ts';
import { Writer } from '../../../server/db/writer.ts';
import { aDecision, anAttempt, someFeedback } from './records.ts';
import { type PostgresServer, startPostgres, tempDir } from './stores.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await tempDir();
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

/** Files of the spool that hold something: the open one stays, empty, where nothing waits. */
function spooled(): string[] {
  const folder = join(dataDir, 'spool');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => statSync(join(folder, name)).size > 0);
}

describe('PostgreSQL goes away', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.remove());

  test('and comes back: nothing is lost, and nothing is there twice', async () => {
    const problems: string[] = [];
    const options = { databaseUrl: await server.createDatabase(), dataDir, onProblem: (m: string) => problems.push(m) };
    const store = await openStore(options);
    const record = (from: number, to: number) => {
      for (let i = from; i < to; i++) store.record({ decision: aDecision({ id: `d${i}` }) });
    };
    record(0, 300);
    await store.flush();
    record(300, 600); // some of these are on their way when it stops
    await server.stop();
    record(600, 900);
    expect(await store.ready()).toBe(false);
    await expect(store.getDecision('d0')).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await store.flush(); // to the spool
    expect(store.writer).toMatchObject({ queued: 0, spooled: true, dropped: 0 });
    record(900, 1000);
    await server.start();
    await expect.poll(() => store.writer).toMatchObject({ queued: 0, spooled: false });
    expect(await store.ready()).toBe(true);
    expect(await store.db.$count(decisions)).toBe(1000);
    await expect.poll(spooled).toEqual([]);
    expect(problems.some((m) => /wait in memory/.test(m)) && problems.some((m) => /is back/.test(m))).toBe(true);
    await store.close();
    expect(readdirSync(join(dataDir, 'spool'))).toEqual([]);
  });

  test('and the gateway stops meanwhile: the next start writes what was spooled', async () => {
    const options = { databaseUrl: await server.createDatabase(), dataDir, onProblem: () => {} };
    const store = await openStore(options);
    await server.stop();
    store.record({ decision: aDecision(), attempt: anAttempt(), feedback: someFeedback() });
    await store.close();
    expect(spooled()).toHaveLength(1);
    await expect(openStore(options)).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      message: expect.not.stringContaining('postgres:postgres'),
    });
    await server.start();
    const again = await openStore(options);
    await expect.poll(() => again.writer.spooled).toBe(false);
    expect(await again.getDecision('d1')).toEqual({
      decision: aDecision(),
      attempts: [anAttempt()],
      feedback: [someFeedback()],
    });
    await again.close();
  });

  test('many start at once on an empty database: one migrates, all work', async () => {
    const databaseUrl = await server.createDatabase();
    const stores = await Promise.all(Array.from({ length: 5 }, () => openStore({ databaseUrl, dataDir })));
    for (const [i, store] of stores.entries()) store.record({ decision: aDecision({ id: `d${i}` }) });
    await Promise.all(stores.map((store) => store.flush()));
    expect(await stores[0]!.db.$count(decisions)).toBe(5);
    await Promise.all(stores.map((store) => store.close()));
  });

  test.each([
    ['postgres://nobody:secret@127.0.0.1:1/none', /none at 127\.0\.0\.1:1/],
    ['not a url', /DATABASE_URL is not a URL/],
  ])('an address that leads nowhere (%s) is named without its password', async (databaseUrl, message) => {
    const failure = await openStore({ databaseUrl, dataDir }).catch((error: Error) => error);
    expect(failure).toMatchObject({ code: 'DATABASE_UNAVAILABLE', message: expect.stringMatching(message) });
    expect((failure as Error).message).not.toContain('secret');
  });
});

describe('the writer', () => {
  const row = (i: number): Row => ({ table: 'decisions', row: aDecision({ id: `d${i}` }) });
  const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i));
  const away = () => new DatabaseError('connection refused');

  test('keeps memory bounded while the database is away: the rest waits on disk', async () => {
    const spool = new Spool(dataDir);
    const writer = new Writer({
      spool,
      maxQueued: 100,
      insert: async () => {
        throw away();
      },
    });
    writer.add(rows(0, 50));
    await expect.poll(() => writer.state.lastError).toMatch(/refused/);
    expect(writer.state).toMatchObject({ queued: 50, spooled: false });
    for (let i = 50; i < 1000; i += 50) {
      writer.add(rows(i, i + 50));
      await writer.saved();
      await expect.poll(() => writer.state.queued).toBeLessThanOrEqual(150);
    }
    expect(writer.state).toMatchObject({ spooled: true, dropped: 0 });
    await writer.flush();
    await writer.stop();
    const seen = new Set<string>();
    const reader = new Spool(dataDir);
    await reader.find();
    for (let batch = await reader.nextLeftovers(); batch !== null; batch = await reader.nextLeftovers()) {
      for (const { json } of batch) seen.add(JSON.parse(json).id);
    }
    expect(seen.size).toBe(1000);
    await reader.close();
  });

  test('a database that hangs does not hold up a flush', async () => {
    const writer = new Writer({ spool: new Spool(dataDir), insert: () => new Promise(() => {}) });
    writer.add(rows(0, 10));
    await writer.flush();
    expect(writer.state).toMatchObject({ queued: 0, spooled: true });
    await writer.stop();
  });

  test('when the disk fails too, flush says so and the rows stay in memory', async () => {
    await writeFile(join(dataDir, 'spool'), 'a file where the folder should be');
    const problems: string[] = [];
    const insert = { now: async (): Promise<void> => Promise.reject(away()) };
    const writer = new Writer({
      spool: new Spool(dataDir),
      insert: () => insert.now(),
      onProblem: (message) => problems.push(message),
    });
    writer.add(rows(0, 10));
    await expect(writer.flush()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(writer.state).toMatchObject({ queued: 10, dropped: 0 });
    insert.now = async () => {};
    await writer.flush();
    expect(writer.state).toMatchObject({ queued: 0, dropped: 0 });
    await writer.stop();
  });

  test('rows that arrive while a batch fails half-way are written once it works', async () => {
    const written: string[] = [];
    let calls = 0;
    const writer = new Writer({
      spool: new Spool(dataDir),
      insert: async (batch) => {
        calls++;
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (calls % 3 === 1) throw away();
        written.push(...batch.map(({ json }) => JSON.parse(json).id));
      },
    });
    for (let i = 0; i < 2000; i += 100) {
      writer.add(rows(i, i + 100));
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    await expect.poll(() => writer.state).toMatchObject({ queued: 0, spooled: false });
    expect(new Set(written).size).toBe(2000);
    await writer.stop();
  });
});
