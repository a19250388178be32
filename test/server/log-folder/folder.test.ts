/** The log as a folder of Parquet: other engines read it as it is, and learning reads it as it reads the database. */
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labelOutcomes } from '../../../server/feedback/outcomes.ts';
import { FitInbox, type FitMessage, fitInput } from '../../../server/learning/fit-input.ts';
import { rankedPages, readLog } from '../../../server/learning/log.ts';
import { folderLog } from '../../../server/log-folder/read.ts';
import { writeFolder } from '../../../server/log-folder/write.ts';
import { aDecision, anAttempt, someFeedback } from '../db/records.ts';
import { type OpenedStore, storeKinds, tempDir } from '../db/stores.ts';

const ENCODER = 'ngram-1';
const START = Date.UTC(2026, 4, 1);
const HOUR = 3_600_000;
const SECRET = 'a prompt that nobody else may read';

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  let out: string;
  beforeAll(async () => {
    opened = await kind.open();
    out = await tempDir();
    const { store } = opened;
    for (let i = 0; i < 60; i++) {
      const id = `d${String((i * 37) % 60).padStart(3, '0')}`;
      const createdAt = new Date(START + i * HOUR);
      store.record({
        decision: aDecision({
          id,
          createdAt,
          tenant: i % 3 === 0 ? 'red' : 'blue',
          requestedModel: `=cmd|"é\n${i}`,
          executedModel: i % 10 === 9 ? null : 'a/small',
          embedding: i % 7 === 6 ? null : Float32Array.of(i, -i, 0.1),
          encoderId: i % 11 === 10 ? 'other' : ENCODER,
          facts: { inputTokens: 3, chars: 10 + i },
        }),
        attempt: anAttempt({ id: `${id}-0`, decisionId: id, startedAt: createdAt, costUsd: i / 7, purpose: 'answer' }),
        text: { decisionId: id, createdAt, redacted: false, prompt: SECRET, answer: SECRET },
        ...(i % 2 === 0 && {
          feedback: someFeedback({
            ...{ id: `f${i}`, decisionId: id, createdAt: new Date(START + 90 * HOUR), tenant: null, weight: 1 },
            ...{ kind: 'verdict', score: i / 60 },
          }),
        }),
      });
    }
    await store.flush();
    await labelOutcomes(store);
    await store.db.execute(sql`
      insert into alarms (raised_at, kind, subject, details, changed_at)
      values (now(), 'model-change', 'a/small', '{}', '2026-05-02T00:00:00.125Z')`);
    await writeFolder(store, { out, embeddings: true });
  });
  afterAll(async () => {
    await opened.close();
    await rm(out, { recursive: true, force: true });
  });

  const fromDatabase = async (text: string) =>
    (await opened.store.db.execute(sql.raw(text))) as unknown as Record<string, unknown>[];

  test('DuckDB reads it by day, with types, and finds the sums of the database', async () => {
    const duck = await (await DuckDBInstance.create()).connect();
    const ask = async (text: string) => (await duck.runAndReadAll(text)).getRowObjectsJson();
    const table = (name: string) => `read_parquet('${out}/${name}/**/*.parquet', hive_partitioning = true)`;
    const days = await ask(
      `select strftime(date, '%Y-%m-%d') as day, count(*)::int as n, sum(propensity) as p, max(created_at)::varchar as newest
       from ${table('decisions')} group by 1 order by 1`,
    );
    expect(days.map(({ day, n }) => [day, n])).toEqual([
      ['2026-05-01', 24],
      ['2026-05-02', 24],
      ['2026-05-03', 12],
    ]);
    expect(days[2]!.newest).toMatch(/^2026-05-03 11:00:00/);
    const [mine] = await fromDatabase(
      `select sum(cost_usd) as cost, sum(output_tokens)::float8 as tokens, count(*)::int as n from attempts`,
    );
    const [theirs] = await ask(
      `select sum(cost_usd) as cost, sum(output_tokens)::double as tokens, count(*)::int as n from ${table('attempts')}`,
    );
    expect(theirs!.cost).toBeCloseTo(mine!.cost as number, 9);
    expect([theirs!.tokens, theirs!.n]).toEqual([mine!.tokens, mine!.n]);
    // Under the day of its decision, and with it.
    const [joined] = await ask(
      `select count(*)::int as n, sum(o.quality) as q from ${table('outcomes')} o
       join ${table('decisions')} d on d.id = o.decision_id and d.date = o.date`,
    );
    const [outcomes] = await fromDatabase('select count(*)::int as n, sum(quality) as q from outcomes');
    expect(joined!.n).toBe(outcomes!.n);
    expect(joined!.q).toBeCloseTo(outcomes!.q as number, 9);
    const [inside] = await ask(
      `select (distribution::json->0->>'probability')::double as p, requested_model, propensity from ${table('decisions')} where id = 'd000'`,
    );
    expect(inside).toEqual({ p: 0.1 + 0.2, requested_model: '=cmd|"é\n0', propensity: 0.1 + 0.2 });
    duck.closeSync();
  });

  test('holds no text of a prompt or an answer, and no embedding unless asked for', async () => {
    const bare = await tempDir();
    try {
      const { rows } = await writeFolder(opened.store, { out: bare, embeddings: false, team: 'red' });
      expect(rows.decisions).toBe(20);
      for (const folder of [out, bare]) {
        for (const name of await readdir(folder, { recursive: true })) {
          if (name.endsWith('.parquet'))
            expect(readFileSync(join(folder, name)).includes(SECRET.slice(0, 12))).toBe(false);
        }
      }
      expect((await folderLog(bare).read(ENCODER)).samples).toEqual([]);
      expect(existsSync(join(bare, 'texts'))).toBe(false);
    } finally {
      await rm(bare, { recursive: true, force: true });
    }
  });

  const taken = async (messages: AsyncIterable<FitMessage>) => {
    const inbox = new FitInbox();
    let all: ReturnType<FitInbox['take']> = null;
    for await (const message of messages) all = inbox.take(message);
    return all!;
  };

  test.each([1000, 7])(
    'fitting gets from it what it gets from the database, %i samples at most',
    async (maxSamples) => {
      const asked = { encoderId: ENCODER, maxSamples };
      const [mine, theirs] = [await taken(fitInput(opened.store, asked)), await taken(folderLog(out).fitInput(asked))];
      expect(theirs).toEqual(mine);
      expect(theirs.data.samples.length).toBeGreaterThan(5);
      expect(theirs.data.changes).toHaveLength(1);
      expect(theirs.rest.leftOut.notAnswered).toBe(0);
    },
  );

  test('evaluation reads the same judged answers, with what was forecast', async () => {
    const mine = await readLog(opened.store, ENCODER);
    const ranked = [];
    for await (const page of rankedPages(opened.store, mine.samples)) ranked.push(...page);
    expect(await folderLog(out).read(ENCODER)).toEqual({ ...mine, samples: ranked });
  });

  test('an export that was interrupted goes on where it was; one with other options is refused', async () => {
    const half = await tempDir();
    try {
      const seen: string[] = [];
      const stopped = writeFolder(opened.store, {
        ...{ out: half, embeddings: false },
        onDay(day) {
          seen.push(day);
          if (seen.length === 2) throw new Error('killed');
        },
      });
      await expect(stopped).rejects.toThrow('killed');
      await expect(writeFolder(opened.store, { out: half, embeddings: true })).rejects.toMatchObject({
        code: 'INVALID_REQUEST',
      });
      const done = await writeFolder(opened.store, { out: half, embeddings: false });
      expect([done.days, done.resumed, done.rows.decisions]).toEqual([3, 2, 12]);
      // Whole, it begins anew: verdicts may have come since.
      expect((await writeFolder(opened.store, { out: half, embeddings: false })).resumed).toBe(0);
    } finally {
      await rm(half, { recursive: true, force: true });
    }
  });

  test('a time is cut out to the moment', async () => {
    const some = await tempDir();
    try {
      const from = new Date(START + 30 * HOUR);
      const { rows } = await writeFolder(opened.store, {
        out: some,
        embeddings: false,
        from,
        to: new Date(START + 50 * HOUR),
      });
      expect(rows.decisions).toBe(20);
    } finally {
      await rm(some, { recursive: true, force: true });
    }
  });
});

describe('a folder that is none', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await tempDir();
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test('is told by name', async () => {
    expect(() => folderLog(join(dir, 'nothing'))).toThrow(expect.objectContaining({ code: 'MISSING_FILE' }));
    expect(() => folderLog(dir)).toThrow(expect.objectContaining({ code: 'WRONG_FORMAT' }));
  });

  test('a file that is cut short is told with its name', async () => {
    const opened = await storeKinds[0]!.open();
    try {
      const createdAt = new Date(START);
      opened.store.record({
        decision: aDecision({ id: 'd', createdAt }),
        feedback: someFeedback({ decisionId: 'd', tenant: null }),
      });
      await writeFolder(opened.store, { out: dir, embeddings: true });
      const path = join(dir, 'decisions', 'date=2026-05-01', 'part-0.parquet');
      await truncate(path, 100);
      await expect(folderLog(dir).read(ENCODER)).rejects.toMatchObject({ code: 'TRUNCATED_FILE' });
      await writeFile(path, 'no parquet');
      await expect(folderLog(dir).read(ENCODER)).rejects.toMatchObject({ code: 'TRUNCATED_FILE' });
    } finally {
      await opened.close();
    }
  });
});
