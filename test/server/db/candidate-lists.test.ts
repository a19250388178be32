/** What a decision weighed, in the database and back: packed or as builds before had it, and what becomes of the lists of names. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { eq, sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dropUnusedLists } from '../../../server/db/candidate-lists.ts';
import { DatabaseError } from '../../../server/db/connection.ts';
import { insertRows } from '../../../server/db/insert.ts';
import { type EncodedRow, encodeRow, rowToJson } from '../../../server/db/rows.ts';
import { candidateLists, decisions } from '../../../server/db/schema.ts';
import { Spool } from '../../../server/db/spool.ts';
import { type DecisionRecord, openStore } from '../../../server/db/store.ts';
import { Writer } from '../../../server/db/writer.ts';
import { labelOutcomes } from '../../../server/feedback/outcomes.ts';
import { rankedLines, rankedPages, readLog } from '../../../server/learning/log.ts';
import { writeFolder } from '../../../server/log-folder/write.ts';
import { EndUsers } from '../../../server/privacy/end-user.ts';
import { eraseUser } from '../../../server/privacy/erase.ts';
import { exportDecisions } from '../../../server/privacy/export.ts';
import { newestChoices } from '../../../server/usage/curve.ts';
import { aDecision, anAttempt, someFeedback } from './records.ts';
import { type OpenedStore, storeKinds, tempDir } from './stores.ts';

const ENCODER = 'ngram-1';

/** A decision among 46 candidates, of which the third answered. */
function weighed(id: string, over: Partial<DecisionRecord> = {}): DecisionRecord {
  const ranked = Array.from({ length: 46 }, (_, i) => ({
    ...{ model: `host/model-${(i * 7) % 46}`, like: i === 5 ? '(average)' : `host/model-${(i * 7) % 46}` },
    ...{ quality: 0.9 - i / 71, qualitySd: Math.fround(0.1 + i / 1e4), outputTokens: i % 9 === 0 ? 300.7 : 88.1 },
    ...{ costUsd: 1e-5 * 1.1 ** i, adequate: i < 20 },
  }));
  const distribution = ranked.map(({ model }, i) => ({ model, probability: i === 0 ? 0.1 + 0.2 : 0.7 / 45 }));
  const model = ranked[0]!.model;
  return aDecision({ id, ranked, distribution, model, executedModel: ranked[2]!.model, encoderId: ENCODER, ...over });
}

/** As builds before wrote it. */
const asBefore = (row: DecisionRecord): EncodedRow => ({
  table: 'decisions',
  json: rowToJson({ table: 'decisions', row }),
});

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  beforeEach(async () => {
    opened = await kind.open();
  });
  afterEach(() => opened.close());

  const select = async (text: string) =>
    (await opened.store.db.execute(sql.raw(text))) as unknown as Record<string, unknown>[];

  test('a decision comes back whole; the names of its candidates are kept once', async () => {
    const { store } = opened;
    for (let i = 0; i < 20; i++) store.record({ decision: weighed(`d${i}`) });
    await store.flush();
    expect((await store.getDecision('d7'))?.decision).toEqual(weighed('d7'));
    const [row] = await select(`select ranked, distribution, octet_length(candidates) as bytes from decisions limit 1`);
    // What sums in the database, and builds before, read of it: the model that answered.
    expect(row!.ranked).toEqual([weighed('d').ranked[2]]);
    expect(row!.distribution).toEqual([]);
    expect(row!.bytes).toBeLessThan(46 * 25);
    const lists = await select('select hash from candidate_lists');
    const used = await select('select distinct candidate_list as hash from decisions');
    expect(lists).toEqual(expect.arrayContaining(used));
    expect(used).toHaveLength(1);
  });

  test('rows of builds before are read as those of this one, by everybody', async () => {
    const { store } = opened;
    const out = await tempDir();
    const [before, now] = ['2026-05-01T10:00:00Z', '2026-05-02T10:00:00Z'].map((at) => new Date(at));
    await insertRows(store.db, [
      asBefore(weighed('before', { createdAt: before! })),
      encodeRow({ table: 'decisions', row: weighed('now', { createdAt: now! }) }),
      ...['before', 'now'].flatMap((id) => [
        encodeRow({
          table: 'attempts',
          row: anAttempt({ id: `${id}-0`, decisionId: id, model: weighed(id).executedModel!, purpose: 'answer' }),
        }),
        encodeRow({
          table: 'feedback',
          row: someFeedback({ id: `${id}-f`, decisionId: id, kind: 'verdict', weight: 1, tenant: null }),
        }),
      ]),
    ]);
    await labelOutcomes(store);
    const both = async <T>(read: (id: string) => Promise<T> | T) => [await read('before'), await read('now')] as const;

    const { ranked, distribution } = weighed('d');
    const [one, other] = await both((id) => store.getDecision(id));
    for (const found of [one, other]) expect(found!.decision).toMatchObject({ ranked, distribution });
    expect(Object.keys(other!.decision)).toEqual(Object.keys(one!.decision));

    const { lines } = await exportDecisions(store, { tenant: 'default', limit: 10, embeddings: false });
    const exported = lines.map((line) => JSON.parse(line));
    expect(Object.keys(exported[1])).toEqual(Object.keys(exported[0]));
    for (const line of exported) expect(line).toMatchObject({ ranked, distribution });

    const { samples } = await readLog(store, ENCODER);
    expect(samples.map(({ id }) => id)).toEqual(['before', 'now']);
    for (const sample of samples) expect(sample.distribution).toEqual(distribution);
    expect(Object.keys(samples[1]!)).toEqual(Object.keys(samples[0]!));
    for await (const page of rankedPages(store, samples))
      for (const sample of page) expect(sample.ranked).toEqual(ranked);
    const streamed = (await rankedLines(store, ENCODER, ['before', 'now'])).map((line) => JSON.parse(line));
    for (const line of streamed) expect(line).toMatchObject({ ranked, distribution });
    expect(Object.keys(streamed[1])).toEqual(Object.keys(streamed[0]));

    for (const choice of await newestChoices(store, null, 10)) expect(choice.ranked).toEqual(ranked);

    try {
      expect((await writeFolder(store, { out, embeddings: true })).damaged).toBe(0);
      const { asyncBufferFromFile, parquetReadObjects } = await import('hyparquet');
      const { compressors } = await import('hyparquet-compressors');
      for (const day of ['2026-05-01', '2026-05-02']) {
        const file = await asyncBufferFromFile(join(out, 'decisions', `date=${day}`, 'part-0.parquet'));
        const [row] = await parquetReadObjects({ file, compressors });
        expect(JSON.parse(row!.ranked as string)).toEqual(ranked);
        expect(JSON.parse(row!.distribution as string)).toEqual(distribution);
        expect(Object.keys(row!)).not.toContain('candidates');
      }
    } finally {
      await rm(out, { recursive: true, force: true });
    }
  });

  test('what only the spool has can be read once it is replayed, whichever file of it is left', async () => {
    const { store, options } = opened;
    await store.close();
    // The database is away: all stays on disk, in files of some rows each.
    const spool = new Spool(options.dataDir, { limitBytes: 200_000, exclusive: true });
    const writer = new Writer({ spool, insert: () => Promise.reject(new DatabaseError('connection refused')) });
    for (let i = 0; i < 20; i++) {
      writer.add([{ table: 'decisions', row: weighed(`d${i}`) }]);
      await writer.saved();
    }
    await writer.stop();
    const files = readdirSync(join(options.dataDir, 'spool'));
    expect(files.length).toBeGreaterThan(2);
    // The oldest has gone, as when the spool is full.
    await rm(join(options.dataDir, 'spool', files.sort()[0]!));
    opened = { ...opened, store: await openStore(options) };
    for (let waited = 0; opened.store.writer.spooled && waited < 30_000; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect((await opened.store.getDecision('d19'))?.decision).toEqual(weighed('d19'));
    expect(opened.store.writer.rejected).toBe(0);
    expect(existsSync(join(options.dataDir, 'spool', 'damaged.txt'))).toBe(false);
  });

  test('one that cannot be read takes nothing else with it, and says so', async () => {
    const { store } = opened;
    for (const id of ['cut', 'lost', 'whole']) {
      store.record({
        decision: weighed(id),
        attempt: anAttempt({ id: `${id}-0`, decisionId: id, model: weighed(id).executedModel!, purpose: 'answer' }),
        feedback: someFeedback({ id: `${id}-f`, decisionId: id, kind: 'verdict', weight: 1, tenant: null }),
      });
    }
    await store.flush();
    await labelOutcomes(store);
    await select(`update decisions set candidates = substr(candidates, 1, 300) where id = 'cut'`);
    await select(`update decisions set candidate_list = 'nowhere' where id = 'lost'`);

    const answering = [weighed('d').ranked[2]];
    const found = async (id: string) => (await store.getDecision(id))!.decision;
    expect(await found('cut')).toMatchObject({
      ...{ ranked: answering, distribution: [], model: weighed('d').model },
      damage: expect.stringMatching(/^RECORD_DAMAGED: .*300 bytes are there/),
    });
    expect(await found('lost')).toMatchObject({
      ...{ ranked: answering, distribution: [] },
      damage: 'RECORD_DAMAGED: the candidates of a decision: list nowhere is not on record',
    });
    expect(await found('whole')).toEqual(weighed('whole'));

    const { lines } = await exportDecisions(store, { tenant: 'default', limit: 10, embeddings: false });
    expect(lines.map((line) => JSON.parse(line).damage?.slice(0, 14))).toEqual([
      'RECORD_DAMAGED',
      'RECORD_DAMAGED',
      undefined,
    ]);
    expect(await newestChoices(store, null, 10)).toHaveLength(1);
    // They teach what came of them, and no estimate rests on them: nobody knows what else could have been drawn.
    const { samples } = await readLog(store, ENCODER);
    const odds = Object.fromEntries(samples.map(({ id, distribution }) => [id, distribution.length]));
    expect(odds).toEqual({ cut: 0, lost: 0, whole: 46 });
    expect(await rankedLines(store, ENCODER, ['cut', 'lost', 'whole'])).toHaveLength(3);
    const out = await tempDir();
    expect((await writeFolder(store, { out, embeddings: false })).damaged).toBe(2);
    await rm(out, { recursive: true, force: true });
  });

  test('who is erased is erased in either form, also by a build that knows nothing of the other', async () => {
    const { store } = opened;
    store.record({ decision: weighed('mine', { session: 'u1' }) });
    store.record({ decision: weighed('theirs', { session: 'u2' }) });
    await store.flush();
    await eraseUser(store, new EndUsers('a secret of its own'), 'default', 'u1');
    // As the build before erases.
    await store.db
      .update(decisions)
      .set({ session: null, embedding: null, facts: {}, ranked: [], filtered: [], distribution: [] })
      .where(eq(decisions.id, 'theirs'));
    expect(await select('select id, candidates, candidate_list from decisions order by id')).toEqual([
      { id: 'mine', candidates: null, candidate_list: null },
      { id: 'theirs', candidates: null, candidate_list: null },
    ]);
    for (const id of ['mine', 'theirs']) {
      expect((await store.getDecision(id))!.decision).toMatchObject({ ranked: [], distribution: [] });
    }
  });

  test('a list goes when no decision can use it, a day after the last one that did', async () => {
    const { store } = opened;
    const hashes = async () => (await select('select hash from candidate_lists order by hash')).map(({ hash }) => hash);
    store.record({ decision: weighed('old', { createdAt: new Date(Date.now() - 40 * 86_400_000) }) });
    await store.flush();
    const [used] = await hashes();
    const at = (days: number) => new Date(Date.now() - days * 86_400_000);
    await store.db.insert(candidateLists).values([
      { hash: 'before it', models: ['a'], usedAt: at(41.5) },
      { hash: 'about then', models: ['b'], usedAt: at(40.5) },
      { hash: 'since', models: ['c'], usedAt: at(20) },
    ]);
    expect(await dropUnusedLists(store.db)).toBe(1);
    expect(await hashes()).toEqual([used, 'about then', 'since'].sort());
    // Without any decision all but those of the last day go.
    await select('delete from decisions');
    expect(await dropUnusedLists(store.db)).toBe(2);
    expect(await hashes()).toEqual([used]);
  });

  test('a list that is in use is written once an hour, and again where it has gone', async () => {
    const { store } = opened;
    const listed = new Map<string, number>();
    const row = encodeRow({ table: 'decisions', row: weighed('d0') });
    await insertRows(store.db, [row], listed);
    expect([...listed.keys()]).toEqual([row.list!.hash]);
    await select(`update candidate_lists set used_at = '2026-01-01T00:00:00Z'`);
    const year = async () => (await select(`select extract(year from used_at)::int as y from candidate_lists`))[0]?.y;
    await insertRows(store.db, [encodeRow({ table: 'decisions', row: weighed('d1') })], listed);
    const before = await year();
    listed.set(row.list!.hash, Date.now() - 3_600_001);
    await select('delete from candidate_lists');
    await insertRows(store.db, [encodeRow({ table: 'decisions', row: weighed('d2') })], listed);
    expect(before).toBe(2026);
    expect(await select('select hash from candidate_lists')).toEqual([{ hash: row.list!.hash }]);
  });
});

test('each file of the spool has the lists of its rows, once', async () => {
  const dataDir = await tempDir();
  const spool = new Spool(dataDir);
  const row = (id: string) => encodeRow({ table: 'decisions', row: weighed(id) });
  const tables = (path: string) =>
    readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).table);
  const first = await spool.append([row('d0'), row('d1')]);
  await spool.append([row('d2')]);
  expect(tables(first.path)).toEqual(['candidate_lists', 'decisions', 'decisions', 'decisions']);
  // In the database by now, the file is emptied: the next row needs its list again.
  spool.settle(first, 3);
  await spool.append([row('d3')]);
  expect(tables(first.path)).toEqual(['candidate_lists', 'decisions']);
  await spool.close();
  await rm(dataDir, { recursive: true, force: true });
});
