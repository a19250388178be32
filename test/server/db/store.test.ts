import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decisions } from '../../../server/db/schema.ts';
import { openStore } from '../../../server/db/store.ts';
import { aDecision, anAttempt, someFeedback } from './records.ts';
import { type OpenedStore, storeKinds } from './stores.ts';

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  beforeEach(async () => {
    opened = await kind.open();
  });
  afterEach(() => opened.close());

  const rows = async (table: string): Promise<number> => {
    const [row] = (await opened.store.db.execute(sql.raw(`select count(*)::int as n from ${table}`))) as {
      n: number;
    }[];
    return row!.n;
  };

  test('gives back what was recorded, every number to the last bit', async () => {
    const { store } = opened;
    store.record({ decision: aDecision(), attempt: anAttempt(), feedback: someFeedback() });
    await store.flush();
    expect(store.writer.queued).toBe(0);
    expect(await store.getDecision('d1')).toEqual({
      decision: aDecision(),
      attempts: [anAttempt()],
      feedback: [someFeedback()],
    });
  });

  test('keeps nulls and empty lists apart from values', async () => {
    const { store } = opened;
    const bare = aDecision({
      id: 'bare',
      session: null,
      executedModel: null,
      routed: false,
      distribution: [],
      ranked: [],
      filtered: [],
      difficulty: null,
      outOfDomain: null,
      artifact: null,
      encoderId: null,
      embedding: null,
      baselineModel: null,
      baselineCostUsd: null,
      routerMs: null,
    });
    store.record({ decision: bare });
    await store.flush();
    expect((await store.getDecision('bare'))?.decision).toEqual(bare);
  });

  test('shows rows before they are written, and merges them with those that are', async () => {
    const { store } = opened;
    store.record({ decision: aDecision(), attempt: anAttempt({ id: 'a2', ordinal: 1 }) });
    expect((await store.getDecision('d1'))?.attempts.map(({ id }) => id)).toEqual(['a2']);
    await store.flush();
    store.record({ attempt: anAttempt() });
    store.record({ feedback: someFeedback() });
    const seen = await store.getDecision('d1');
    expect(seen?.attempts.map(({ id }) => id)).toEqual(['a1', 'a2']);
    expect(seen?.feedback).toHaveLength(1);
  });

  test('answers null for a decision that was never made', async () => {
    expect(await opened.store.getDecision('nobody')).toBeNull();
  });

  test('writes an id once, however often it is recorded', async () => {
    const { store } = opened;
    for (let i = 0; i < 3; i++) store.record({ decision: aDecision(), attempt: anAttempt(), feedback: someFeedback() });
    await store.flush();
    store.record({ decision: aDecision({ model: 'b/large' }) });
    await store.flush();
    expect([await rows('decisions'), await rows('attempts'), await rows('feedback')]).toEqual([1, 1, 1]);
    expect((await store.getDecision('d1'))?.decision.model).toBe('a/small');
  });

  test('takes feedback that comes before its decision', async () => {
    const { store } = opened;
    store.record({ feedback: someFeedback() });
    await store.flush();
    expect(await store.getDecision('d1')).toBeNull();
    store.record({ decision: aDecision() });
    await store.flush();
    expect((await store.getDecision('d1'))?.feedback).toHaveLength(1);
  });

  test('writes without being asked, in far fewer statements than rows', async () => {
    const { store } = opened;
    for (let i = 0; i < 1000; i++) store.record({ decision: aDecision({ id: `d${i}` }) });
    for (let waited = 0; store.writer.queued > 0 && waited < 10_000; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await rows('decisions')).toBe(1000);
    // A row's system column xmin is the transaction that wrote it.
    const [{ n }] = (await store.db.execute(
      sql`select count(distinct xmin::text)::int as n from decisions`,
    )) as unknown as [{ n: number }];
    expect(n).toBeLessThanOrEqual(10);
  });

  test('stores text that PostgreSQL refuses, with the impossible characters replaced', async () => {
    const { store } = opened;
    store.record({
      decision: aDecision({ session: 'a\0b', facts: { note: 'x\0\ud800y', 'k\0': '\udc00', ok: '👍' } }),
    });
    await store.flush();
    const { decision } = (await store.getDecision('d1'))!;
    expect(decision.session).toBe('a\ufffdb');
    expect(decision.facts).toEqual({ note: 'x\ufffd\ufffdy', 'k\ufffd': '\ufffd', ok: '👍' });
    expect(store.writer.rejected).toBe(0);
  });

  test('puts a row that no database takes aside, and writes its neighbours', async () => {
    const { store, options } = opened;
    for (let i = 0; i < 9; i++) store.record({ attempt: anAttempt({ id: `a${i}`, ordinal: i === 4 ? 2 ** 40 : i }) });
    await store.flush();
    expect(await rows('attempts')).toBe(8);
    expect(store.writer.rejected).toBe(1);
    const rejected = JSON.parse(await readFile(join(options.dataDir, 'spool', 'rejected.jsonl'), 'utf8'));
    expect(rejected.row.row.id).toBe('a4');
    expect(rejected.why).toMatch(/integer/);
  });

  test('closing writes what is queued; opening again finds it and migrates nothing twice', async () => {
    const { store, options } = opened;
    for (let i = 0; i < 450; i++) store.record({ decision: aDecision({ id: `d${i}` }) });
    await store.close();
    await store.close();
    opened.store.record({ decision: aDecision() }); // too late, and harmless
    const again = await openStore(options);
    try {
      expect(await again.db.$count(decisions)).toBe(450);
      const [{ n }] = (await again.db.execute(
        sql`select count(*)::int as n from drizzle.__drizzle_migrations`,
      )) as unknown as [{ n: number }];
      const { migrationList } = await import('../../../server/db/migrate.ts');
      expect(n).toBe(migrationList().length);
    } finally {
      await again.close();
    }
  });

  test('is ready while open, and not once closed', async () => {
    expect(await opened.store.ready()).toBe(true);
    await opened.store.close();
    expect(await opened.store.ready()).toBe(false);
  });

  test('says so with a code when it is asked after closing', async () => {
    await opened.store.close();
    await expect(opened.store.getDecision('d1')).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(existsSync(join(opened.options.dataDir, 'lock.json'))).toBe(false);
  });
});
