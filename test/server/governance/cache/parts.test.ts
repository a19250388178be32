/** Memory and database of the response cache, each by itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AnswerMemory, type Entry } from '../../../../server/governance/cache/memory.ts';
import { deleteAnswersOf, SharedAnswers } from '../../../../server/governance/cache/shared-answers.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';

const NOW = Date.UTC(2026, 10, 1);
/** Longer than a busy machine takes. */
const PATIENT = () => 10_000;

const entry = (more: Partial<Entry> = {}): Entry => ({
  tenant: 'a',
  endUser: null,
  model: 'one/cheap',
  provider: 'one',
  createdAt: new Date(NOW),
  expiresAt: new Date(NOW + 60_000),
  costUsd: 0.001,
  inputTokens: 10,
  outputTokens: 5,
  body: Buffer.alloc(400, 'x'),
  ...more,
});

describe('answers in memory', () => {
  test('make room for new ones, the least recently used first', () => {
    // Each takes 400 bytes and 600 for its place: two fit into 2 500.
    const memory = new AnswerMemory(() => 2500);
    memory.set('a', entry(), NOW);
    memory.set('b', entry(), NOW);
    expect(memory.get('a', NOW)).not.toBeNull();
    memory.set('c', entry(), NOW);
    expect([memory.get('a', NOW), memory.get('b', NOW), memory.get('c', NOW)].map((one) => one !== null)).toEqual([
      true,
      false,
      true,
    ]);
    expect(memory.bytes).toBe(2000);
    memory.set('c', entry({ body: Buffer.alloc(100) }), NOW);
    expect(memory.bytes).toBe(1700);
    memory.set('d', entry({ body: Buffer.alloc(5000) }), NOW);
    expect(memory.get('d', NOW)).toBeNull();
    expect(memory.size).toBe(2);
  });

  test('are gone when their time is over, and when there is less room than there was', () => {
    let room = 10_000;
    const memory = new AnswerMemory(() => room);
    memory.set('a', entry(), NOW);
    memory.set('b', entry({ expiresAt: new Date(NOW + 1000) }), NOW);
    expect(memory.get('b', NOW + 999)).not.toBeNull();
    expect(memory.get('b', NOW + 1000)).toBeNull();
    expect(memory.size).toBe(1);
    memory.sweep(NOW + 59_999);
    expect(memory.size).toBe(1);
    room = 500;
    memory.sweep(NOW);
    expect([memory.size, memory.bytes]).toEqual([0, 0]);
  });
});

describe.each(storeKinds)('answers in $name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(async () => {
    await opened.close();
  });

  test('come back as they were, to their own tenant alone, until their time is over', async () => {
    let now = NOW;
    const shared = new SharedAnswers(opened.store, PATIENT, () => now);
    const body = Buffer.from('data: {"a":"\\u0000 é \u{1F600}"}\n\n');
    const kept = entry({ body, endUser: 'hash' });
    shared.write('key', kept);
    await shared.written();
    expect(await shared.find('key', 'a')).toEqual(kept);
    expect(await shared.find('key', 'b')).toBeNull();
    expect(await shared.find('other', 'a')).toBeNull();
    now += 60_000;
    expect(await shared.find('key', 'a')).toBeNull();
    expect(await shared.deleteExpired()).toBe(1);
    expect(await shared.deleteExpired()).toBe(0);
  });

  test('are written over by newer ones', async () => {
    const shared = new SharedAnswers(opened.store, PATIENT, () => NOW);
    shared.write('twice', entry());
    await shared.written();
    shared.write('twice', entry({ costUsd: 2 }));
    await shared.written();
    expect(await shared.find('twice', 'a')).toMatchObject({ costUsd: 2 });
  });

  test('of a person are deleted by any hash of it, those of others stay', async () => {
    const shared = new SharedAnswers(opened.store, PATIENT, () => NOW);
    shared.write('one', entry({ endUser: 'u1' }));
    shared.write('two', entry({ endUser: 'u2' }));
    shared.write('three', entry({ endUser: 'u1', tenant: 'b' }));
    shared.write('four', entry());
    await shared.written();
    expect(await deleteAnswersOf(opened.store.db, 'a', ['u0', 'u1'])).toBe(1);
    expect(await shared.find('one', 'a')).toBeNull();
    for (const [key, tenant] of [
      ['two', 'a'],
      ['three', 'b'],
      ['four', 'a'],
    ] as const)
      expect(await shared.find(key, tenant)).not.toBeNull();
  });
});

test('a database that fails is left alone for a while, and asked again', async () => {
  let now = NOW;
  let asked = 0;
  const select = () => ({
    from: () => ({
      where: () => {
        asked++;
        return Promise.reject(new Error('away'));
      },
    }),
  });
  const shared = new SharedAnswers({ kind: 'postgres', db: { select } } as never, PATIENT, () => now);
  for (let i = 0; i < 5; i++) expect(await shared.find('key', 'a')).toBeUndefined();
  expect(asked).toBe(3);
  // What is to be written meanwhile is let go.
  shared.write('key', entry());
  expect(shared).toMatchObject({ failures: 3, dropped: 1 });
  now += 5000;
  await shared.find('key', 'a');
  expect(asked).toBe(4);
});

test('a database that hangs is not waited for', async () => {
  const hanging = { from: () => ({ where: () => new Promise(() => {}) }) };
  const shared = new SharedAnswers({ kind: 'postgres', db: { select: () => hanging } } as never, () => 20);
  expect(await shared.find('key', 'a')).toBeUndefined();
  expect(shared.failures).toBe(1);
});
