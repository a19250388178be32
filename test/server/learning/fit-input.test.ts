/** What fitting reads: every judged answer once and newest first, whatever the pages, with the prompts that are kept. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { insertRows } from '../../../server/db/insert.ts';
import type { DecisionRecord } from '../../../server/db/records.ts';
import { type EncodedRow, rowToJson } from '../../../server/db/rows.ts';
import { FitInbox, fitInput } from '../../../server/learning/fit-input.ts';
import { indexLog, readLog, type Sample, samplesOf, scanLog } from '../../../server/learning/log.ts';
import { aDecision, anAttempt } from '../db/records.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';

const ENCODER = 'ngram-1';
const START = Date.UTC(2026, 0, 1);

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(() => opened.store.db.execute(sql`truncate decisions, attempts, outcomes, texts, alarms`));

  /** n judged answers, four to a moment. */
  async function write(n: number, more: (i: number) => Partial<DecisionRecord> = () => ({})): Promise<void> {
    const rows = Array.from({ length: n }, (_, i): EncodedRow[] => {
      const id = `d${String((i * 37) % n).padStart(4, '0')}`;
      const decision = aDecision({
        id,
        createdAt: new Date(START + Math.floor(i / 4) * 1000),
        embedding: Float32Array.of(i, -i, 0.1),
        encoderId: ENCODER,
        ...more(i),
      });
      const attempt = anAttempt({ id: `${id}-0`, decisionId: id });
      return [
        { table: 'decisions', json: rowToJson({ table: 'decisions', row: decision }) },
        { table: 'attempts', json: rowToJson({ table: 'attempts', row: attempt }) },
      ];
    });
    await insertRows(opened.store.db, rows.flat());
    await opened.store.db.execute(sql`
      insert into outcomes (decision_id, model_id, quality, sources, first_labelled_at)
      select id, executed_model, 0.5, 1, now() from decisions`);
  }

  const read = async (limit: number, page: number): Promise<{ samples: Sample[]; limited: boolean }> => {
    const scan = scanLog(opened.store, ENCODER, { limit, page });
    const samples: Sample[] = [];
    for await (const found of scan.pages) samples.push(...samplesOf(found));
    return { samples, limited: scan.limited };
  };

  test('every answer comes once and newest first, also where pages end within one moment', async () => {
    await write(50);
    const { samples: whole } = await read(1000, 1000);
    expect(whole.length).toBe(50);
    expect(whole.map(({ createdAt, id }) => [-createdAt, id])).toEqual(
      [...whole]
        .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1))
        .map(({ createdAt, id }) => [-createdAt, id]),
    );
    for (const page of [1, 3, 7, 25, 50]) expect((await read(1000, page)).samples).toEqual(whole);
    expect((await readLog(opened.store, ENCODER)).samples).toEqual([...whole].reverse());
  });

  test('of more than the limit the newest are read, and that there are more is said', async () => {
    await write(50);
    const { samples: whole } = await read(1000, 1000);
    for (const page of [7, 10, 1000]) {
      expect(await read(10, page)).toEqual({ samples: whole.slice(0, 10), limited: true });
      expect(await read(50, page)).toEqual({ samples: whole, limited: false });
    }
    const index = await indexLog(opened.store, ENCODER, 10);
    expect(index).toMatchObject({ limited: true });
    expect(index.ids).toEqual(
      whole
        .slice(0, 10)
        .map(({ id }) => id)
        .reverse(),
    );
  });

  test('hints come only where they are asked for, and count towards the limit only then', async () => {
    await write(60);
    // The newest two thirds.
    await opened.store.db.execute(sql`
      update outcomes set kind = 'hint' from decisions
      where id = decision_id and created_at >= ${new Date(START + 5000).toISOString()}::timestamptz`);
    const kindsOf = async (hints: boolean, limit: number) => {
      const inbox = new FitInbox();
      for await (const message of fitInput(opened.store, { encoderId: ENCODER, maxSamples: limit, hints })) {
        const got = inbox.take(message);
        if (got !== null) return [got.data.samples.map(({ kind }) => kind), got.rest.limited];
      }
      return null;
    };
    const of = (verdicts: number, hints: number) => [
      ...new Array<string>(verdicts).fill('verdict'),
      ...new Array<string>(hints).fill('hint'),
    ];
    expect(await kindsOf(false, 20)).toEqual([of(20, 0), false]);
    expect(await kindsOf(false, 19)).toEqual([of(19, 0), true]);
    expect(await kindsOf(true, 50)).toEqual([of(10, 40), true]);
    expect(await kindsOf(true, 60)).toEqual([of(20, 40), false]);
    const { ids, limited } = await indexLog(opened.store, ENCODER, 20);
    expect([ids.length, limited]).toEqual([20, false]);
  });

  test('an embedding of another length than the others is of no use, and neither is half a number', async () => {
    await write(20, (i) => (i === 3 ? { embedding: Float32Array.of(1, 2) } : {}));
    await opened.store.db.execute(sql`update decisions set embedding = '\x0102'::bytea where id = 'd0000'`);
    const scan = scanLog(opened.store, ENCODER);
    let count = 0;
    for await (const page of scan.pages) {
      for (const { embedding } of samplesOf(page)) expect(embedding.length).toBe(3);
      count += page.rows.length;
    }
    expect(count).toBe(18);
    expect(scan.leftOut).toEqual({ notAnswered: 0, sandbox: 0, notRouted: 0, otherEncoder: 2 });
    expect((await indexLog(opened.store, ENCODER)).leftOut).toEqual(scan.leftOut);
  });

  test('answers, changes of models and who did not judge come through the messages as they are', async () => {
    await write(40);
    await opened.store.db.execute(sql`delete from outcomes where decision_id like '%5'`);
    await opened.store.db.execute(sql`
      insert into alarms (raised_at, kind, subject, details, changed_at, cleared_at) values
      (now(), 'model-change', 'a/small', '{}', ${new Date(START).toISOString()}::timestamptz, now()),
      (now(), 'input', null, '{}', null, null)`);
    const inbox = new FitInbox();
    let got: ReturnType<FitInbox['take']> = null;
    for await (const message of fitInput(opened.store, { encoderId: ENCODER, maxSamples: 1000 })) {
      expect(got).toBeNull();
      got = inbox.take(structuredClone(message));
    }
    const { data, rest } = got!;
    expect(data.samples).toEqual((await readLog(opened.store, ENCODER)).samples);
    expect(data.samples.length).toBe(36);
    expect(data.unjudged!.rows.length).toBe(4);
    expect(data.changes).toEqual([{ model: 'a/small', changedAt: START }]);
    expect(rest).toMatchObject({ limited: false, leftOut: { otherEncoder: 0 } });
    expect(data.texts!.size).toBe(0);
  });

  test('prompts come only where they are asked for, and only those that are kept', async () => {
    await write(10);
    await opened.store.db.execute(sql`
      insert into texts (decision_id, created_at, redacted, prompt) values
      ('d0001', now(), false, 'a question'), ('d0002', now(), true, '  '), ('other', now(), false, 'of nobody judged')`);
    const textsOf = async (texts: boolean) => {
      const inbox = new FitInbox();
      for await (const message of fitInput(opened.store, { encoderId: ENCODER, maxSamples: 1000, texts })) {
        const got = inbox.take(message);
        if (got !== null) return [...got.data.texts!];
      }
      return null;
    };
    expect(await textsOf(true)).toEqual([['d0001', 'a question']]);
    expect(await textsOf(false)).toEqual([]);
  });

  test('an empty log is one message', async () => {
    const messages: unknown[] = [];
    for await (const message of fitInput(opened.store, { encoderId: ENCODER, maxSamples: 1000 }))
      messages.push(message);
    expect(messages).toMatchObject([{ rest: { unjudged: null, changes: [], limited: false } }]);
  });
});
