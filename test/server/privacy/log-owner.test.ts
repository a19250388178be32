/** What a team may do with its part of the log, what goes with age, and what is kept of texts: on both databases. */
import { afterEach, describe, expect, test } from 'vitest';
import { GatewayConfig } from '../../../server/config/index.ts';
import type { DecisionRecord } from '../../../server/db/records.ts';
import { vectorOf } from '../../../server/db/schema.ts';
import { EndUsers } from '../../../server/privacy/end-user.ts';
import { eraseUser } from '../../../server/privacy/erase.ts';
import { exportDecisions } from '../../../server/privacy/export.ts';
import { deleteExpired } from '../../../server/privacy/retention.ts';
import { aDecision, anAttempt, someFeedback } from '../db/records.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';
import { candidate, chat, completion, gatewayOver, hello, jsonOf, sendJson, upstream } from '../fakes.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const NOW = new Date('2026-11-20T00:00:00Z');
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000);

function write({ store }: OpenedStore, id: string, over: Partial<DecisionRecord> = {}): void {
  const createdAt = over.createdAt ?? NOW;
  store.record({
    decision: aDecision({ id, ...over, createdAt }),
    attempt: anAttempt({ id: `${id}-0`, decisionId: id, startedAt: createdAt }),
    feedback: someFeedback({ id: `${id}-f`, decisionId: id, createdAt }),
    text: { decisionId: id, createdAt, redacted: false, prompt: `p ${id}`, answer: null },
  });
}

/** @returns whether rows wait on disk: a busy machine does not take all of them in one go */
async function written({ store }: OpenedStore): Promise<boolean> {
  await store.flush();
  return store.writer.spooled;
}

const rowsOf = async ({ store }: OpenedStore, table: string) =>
  (await store.db.execute(`select * from ${table} order by 1`)) as unknown as Record<string, unknown>[];

describe.each(storeKinds)('$name', (kind) => {
  async function opened(): Promise<OpenedStore> {
    const database = await kind.open();
    open.push(database);
    return database;
  }

  test('rows go when they are past their team’s age, with all that belongs to them', async () => {
    const database = await opened();
    write(database, 'old', { createdAt: daysAgo(101) });
    write(database, 'new', { createdAt: daysAgo(99) });
    write(database, 'strict', { tenant: 'strict', createdAt: daysAgo(8) });
    write(database, 'lenient', { tenant: 'lenient', createdAt: daysAgo(300) });
    for (let i = 0; i < 510; i++) write(database, `many-${i}`, { createdAt: daysAgo(200) });
    database.store.record({ feedback: someFeedback({ id: 'orphan', decisionId: 'never', createdAt: daysAgo(200) }) });
    await expect.poll(() => written(database)).toBe(false);
    const settings = GatewayConfig.parse({
      privacy: { retentionDays: 100, textDays: null },
      teams: { strict: { retentionDays: 7 }, lenient: { retentionDays: 400 } },
    });
    expect(await deleteExpired(database.store, settings, NOW)).toEqual({ decisions: 512, embeddings: 0, texts: 0 });
    for (const [table, column] of [
      ['decisions', 'id'],
      ['attempts', 'decision_id'],
      ['feedback', 'decision_id'],
      ['texts', 'decision_id'],
    ] as const) {
      const left = (await rowsOf(database, table)).map((row) => row[column]);
      expect([table, left.sort()]).toEqual([table, ['lenient', 'new']]);
    }
    expect(await deleteExpired(database.store, settings, NOW)).toEqual({ decisions: 0, embeddings: 0, texts: 0 });
  });

  test('embeddings and texts go on days of their own, and nothing goes where nothing was said', async () => {
    const database = await opened();
    write(database, 'a', { createdAt: daysAgo(40) });
    write(database, 'b', { createdAt: daysAgo(20) });
    await database.store.flush();
    const keep = GatewayConfig.parse({ privacy: { textDays: null } });
    expect(await deleteExpired(database.store, keep, NOW)).toEqual({ decisions: 0, embeddings: 0, texts: 0 });
    const settings = GatewayConfig.parse({ privacy: { embeddingDays: 30 } });
    expect(await deleteExpired(database.store, settings, NOW)).toEqual({ decisions: 0, embeddings: 1, texts: 1 });
    const rows = await rowsOf(database, 'decisions');
    expect(rows.map(({ id, embedding }) => [id, embedding !== null])).toEqual([
      ['a', false],
      ['b', true],
    ]);
    expect((await rowsOf(database, 'texts')).map((row) => row.decision_id)).toEqual(['b']);
  });

  test('an export gives every row of the team once, page after page, and no other team’s', async () => {
    const database = await opened();
    // Some at the same moment: the place is moment and id.
    for (let i = 0; i < 25; i++) write(database, `r${i}`, { tenant: 'ours', createdAt: daysAgo(i >> 2) });
    write(database, 'theirs', { tenant: 'theirs' });
    await database.store.flush();
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await exportDecisions(database.store, { tenant: 'ours', limit: 7, cursor, embeddings: false });
      for (const line of page.lines) {
        const row = JSON.parse(line);
        expect(row).not.toHaveProperty('embedding');
        expect(row.attempts).toHaveLength(1);
        expect(row.feedback).toMatchObject([{ id: `${row.id}-f` }]);
        ids.push(row.id);
      }
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    expect(ids).toHaveLength(25);
    expect(new Set(ids).size).toBe(25);
    const some = await exportDecisions(database.store, {
      tenant: 'ours',
      limit: 100,
      from: daysAgo(2),
      to: daysAgo(0),
      embeddings: true,
    });
    expect(some.lines).toHaveLength(8);
    const { embedding } = JSON.parse(some.lines[0]!);
    expect(vectorOf(Buffer.from(embedding, 'base64'))).toEqual(aDecision().embedding);
    await expect(
      exportDecisions(database.store, { tenant: 'ours', limit: 1, cursor: 'x', embeddings: false }),
    ).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  test('erasing a user leaves what was called and what it cost, and nothing of the person', async () => {
    const database = await opened();
    const users = new EndUsers('a secret');
    const bob = users.hash('ours', 'bob');
    write(database, 'one', { tenant: 'ours', endUser: bob, session: 's' });
    // From before the secret was set, and where the user was all that named the session.
    write(database, 'two', { tenant: 'ours', endUser: new EndUsers().hash('ours', 'bob') });
    write(database, 'three', { tenant: 'ours', endUser: null, session: 'bob' });
    write(database, 'ann', { tenant: 'ours', endUser: users.hash('ours', 'ann') });
    write(database, 'other', { tenant: 'theirs', endUser: users.hash('theirs', 'bob'), session: 'bob' });
    expect(await eraseUser(database.store, users, 'ours', 'bob')).toEqual({ decisions: 3, feedback: 3, texts: 3 });
    expect(await eraseUser(database.store, users, 'ours', 'bob')).toEqual({ decisions: 0, feedback: 0, texts: 0 });
    const rows = await rowsOf(database, 'decisions');
    const erased = rows.filter(({ embedding }) => embedding === null);
    expect(erased.map(({ id }) => id)).toEqual(['one', 'three', 'two']);
    for (const row of erased) {
      expect(row).toMatchObject({ end_user: null, session: null, facts: {}, ranked: [], model: 'a/small' });
    }
    for (const table of ['feedback', 'texts']) {
      expect((await rowsOf(database, table)).map((row) => row.decision_id).sort()).toEqual(['ann', 'other']);
    }
    expect(await rowsOf(database, 'attempts')).toHaveLength(5);
  });
});

describe('over HTTP', () => {
  const secret = (name: string) => `${name}-${'k'.repeat(20)}`;
  const keys = [
    { name: 'app', key: secret('app'), tenant: 'ours' },
    { name: 'auditor', key: secret('auditor'), tenant: 'ours', scopes: ['export'] },
    { name: 'science', key: secret('science'), tenant: 'ours', scopes: ['export:embeddings'] },
    { name: 'officer', key: secret('officer'), tenant: 'ours', scopes: ['erase'] },
    { name: 'stranger', key: secret('stranger'), tenant: 'theirs', scopes: ['export:embeddings', 'erase'] },
  ];
  const as = (name: string) => ({ authorization: `Bearer ${secret(name)}` });

  async function start(config: object = {}) {
    const database = await storeKinds[0]!.open();
    open.push(database);
    const provider = await upstream((_, response) => sendJson(response, completion('mail me at c@d.example')));
    open.push(provider);
    const gateway = await gatewayOver([candidate('one/model')], {
      store: database.store,
      upstreams: { one: provider.url },
      config: { keys, ...config },
    });
    open.push(gateway);
    return { ...gateway, database };
  }

  test('each key may do what its scopes say, in its own team', async () => {
    const { url } = await start();
    await chat(url, { ...hello('auto'), user: 'bob' }, as('app'));
    const exported = (name: string, query = '') => fetch(`${url}/v1/export/decisions${query}`, { headers: as(name) });
    expect((await exported('app')).status).toBe(403);
    expect((await exported('officer')).status).toBe(403);
    const lines = (await (await exported('auditor')).text()).trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ tenant: 'ours', key: 'app', requestedModel: 'auto' });
    expect(lines[0]).not.toContain('"embedding"');
    expect(lines[0]).not.toContain('bob');
    expect((await exported('auditor', '?embeddings=true')).status).toBe(403);
    expect(await (await exported('science', '?embeddings=true')).text()).toContain('"embedding":"');
    expect(await (await exported('stranger')).text()).toBe('');
    expect(await jsonOf(exported('auditor', '?limit=0'))).toMatchObject({ error: { code: 'INVALID_REQUEST' } });
    expect(await jsonOf(exported('auditor', '?form=2026-01-01T00:00:00Z'))).toMatchObject({ error: { param: 'form' } });

    const erase = (name: string, body: unknown = { user: 'bob' }) =>
      fetch(`${url}/v1/erase`, {
        method: 'POST',
        headers: { ...as(name), 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    expect((await erase('auditor')).status).toBe(403);
    expect(await jsonOf(erase('stranger'))).toEqual({ decisions: 0, feedback: 0, texts: 0 });
    expect((await erase('officer', {})).status).toBe(400);
    expect(await jsonOf(erase('officer'))).toEqual({ decisions: 1, feedback: 0, texts: 0 });
  });

  test('texts are kept where the team wants them, masked where it wants that', async () => {
    const say = async (mode: string) => {
      const { url, database } = await start({ teams: { ours: { privacy: mode } } });
      await chat(url, { model: 'auto', messages: [{ role: 'user', content: 'I am a@b.example' }] }, as('app'));
      await expect
        .poll(async () => (await written(database)) || (await rowsOf(database, 'texts')).length)
        .toBe(mode === 'facts' || mode === 'embeddings' ? 0 : 1);
      const [decision] = await rowsOf(database, 'decisions');
      return { text: (await rowsOf(database, 'texts'))[0], embedding: decision!.embedding };
    };
    expect(await say('facts')).toEqual({ text: undefined, embedding: null });
    expect((await say('embeddings')).embedding).not.toBeNull();
    expect((await say('redacted')).text).toMatchObject({
      redacted: true,
      prompt: 'I am [EMAIL]',
      answer: 'mail me at [EMAIL]',
    });
    expect((await say('text')).text).toMatchObject({ redacted: false, prompt: 'I am a@b.example' });
  });
});
