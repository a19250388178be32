import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { DatabaseError } from '../../../server/db/connection.ts';
import type { AttemptRecord, DecisionRecord } from '../../../server/db/records.ts';
import { type EncodedRow, type Row, rowToJson } from '../../../server/db/rows.ts';
import { attempts, decisions, feedback, storable } from '../../../server/db/schema.ts';
import { Spool } from '../../../server/db/spool.ts';
import { openStore } from '../../../server/db/store.ts';
import { Writer } from '../../../server/db/writer.ts';
import { compiledFile } from '../../run/shared.ts';
import { aDecision, anAttempt } from './records.ts';
import { storeKinds, tempDir } from './stores.ts';

const HOLDER = await compiledFile('test/server/db/holder.ts');
const LIMITED = await compiledFile('test/server/db/limited.ts');

/** On a busy machine. */
const SOON = { timeout: 50_000 };

let dataDir: string;
beforeEach(async () => {
  dataDir = await tempDir();
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const row = (i: number): Row => ({ table: 'decisions', row: aDecision({ id: `d${i}` }) });
const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i));
const away = async (_: readonly EncodedRow[]): Promise<void> => Promise.reject(new DatabaseError('connection refused'));

/** Starts a process that answers requests, kills it some time after its first answer. @returns what it had answered */
function answeredUntilKilled(how: 'answer' | 'answer-away', prefix: string, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [HOLDER, dataDir, how, prefix], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), afterMs));
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  return new Promise((resolve) => {
    // What follows the last line end was not said to its end.
    child.once('close', () => resolve(text.split('\n').slice(0, -1)));
  });
}

test('what was answered before a kill -9 is there exactly once afterwards, twenty times over', async () => {
  const random = seededRandom(1);
  const answered: string[] = [];
  for (let i = 0; i < 20; i++) {
    // Five with the database, the others while it is away: those start faster.
    const how = i % 4 === 0 ? 'answer' : 'answer-away';
    answered.push(...(await answeredUntilKilled(how, `run${i}`, 150 * random())));
  }
  expect(answered.length).toBeGreaterThan(100);
  const store = await openStore({ dataDir });
  try {
    await expect.poll(() => store.writer.spooled, { timeout: 60_000 }).toBe(false);
    for (const [table, column] of Object.entries({
      decisions: 'id',
      attempts: 'decision_id',
      feedback: 'decision_id',
    })) {
      const found = (await store.db.execute(
        `select ${column} as id, count(*)::int as n from ${table} group by 1`,
      )) as unknown as { id: string; n: number }[];
      const times = new Map(found.map(({ id, n }) => [id, n]));
      expect(answered.filter((id) => times.get(id) !== 1)).toEqual([]);
    }
    expect(store.writer).toMatchObject({ rejected: 0, dropped: 0 });
  } finally {
    await store.close();
  }
  // Lines cut short are kept aside; nothing else is left.
  expect((await readdir(join(dataDir, 'spool'))).filter((name) => name !== 'damaged.txt')).toEqual([]);
}, 400_000);

describe('saved', () => {
  /** A spool that counts its writes. */
  function counting() {
    const spool = new Spool(dataDir);
    return { spool, append: vi.spyOn(spool, 'append') };
  }

  test('has every row on disk when it resolves, whatever the database does', async () => {
    const { spool } = counting();
    const writer = new Writer({ spool, insert: () => new Promise(() => {}) });
    writer.add(rows(0, 3));
    expect(writer.state).toMatchObject({ queued: 3, unsaved: 3 });
    await writer.saved();
    expect(writer.state).toMatchObject({ queued: 3, unsaved: 0 });
    const [file] = await readdir(join(dataDir, 'spool'));
    const lines = readFileSync(join(dataDir, 'spool', file!), 'utf8')
      .trimEnd()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line).row.id)).toEqual(['d0', 'd1', 'd2']);
    await writer.stop();
  });

  test('what gathers during a write goes with the next one, all of it', async () => {
    const { spool, append } = counting();
    const writer = new Writer({ spool, insert: away });
    const all: Promise<void>[] = [];
    for (let i = 0; i < 100; i++) {
      writer.add([row(i)]);
      all.push(writer.saved());
      // From the second on, they come while the first is written.
      if (i === 0) await new Promise((resolve) => process.nextTick(resolve));
    }
    await Promise.all(all);
    expect(append.mock.calls.map(([batch]) => batch.length)).toEqual([1, 99]);
    await writer.saved();
    expect(append).toHaveBeenCalledTimes(2);
    await writer.stop();
  });

  test('rows that nobody waits for reach the disk soon all the same', async () => {
    const writer = new Writer({ spool: new Spool(dataDir), insert: () => new Promise(() => {}) });
    writer.add(rows(0, 3));
    await expect.poll(() => writer.state.unsaved, SOON).toBe(0);
    await writer.stop();
  });

  test('resolves although the disk fails, which is told once; rows go on to the database', async () => {
    await writeFile(join(dataDir, 'spool'), 'a file where the folder should be');
    const problems: string[] = [];
    const written: EncodedRow[] = [];
    const writer = new Writer({
      spool: new Spool(dataDir),
      insert: async (batch) => void written.push(...batch),
      onProblem: (message) => problems.push(message),
    });
    for (let i = 0; i < 10; i++) {
      writer.add([row(i)]);
      await writer.saved();
    }
    expect(problems).toEqual([expect.stringMatching(/only in memory .* the spool takes none: E(EXIST|NOTDIR)/)]);
    // One that failed; then the disk was left alone.
    expect(writer.state).toMatchObject({ diskErrors: 1, unsaved: 10 });
    await writer.flush();
    expect(written).toHaveLength(10);
    expect(writer.state).toMatchObject({ queued: 0, unsaved: 0, dropped: 0 });
    await writer.stop();
  });

  test('a disk that comes back gets what it missed', async () => {
    await writeFile(join(dataDir, 'spool'), 'in the way');
    const problems: string[] = [];
    const writer = new Writer({ spool: new Spool(dataDir), insert: away, onProblem: (m) => problems.push(m) });
    writer.add(rows(0, 10));
    await writer.saved();
    await rm(join(dataDir, 'spool'));
    await expect.poll(() => writer.state.unsaved, SOON).toBe(0);
    expect(problems).toContainEqual(expect.stringMatching(/takes rows again/));
    expect(writer.state).toMatchObject({ queued: 10, dropped: 0 });
    await writer.stop();
  });

  test('a disk that hangs holds no answer up for long, and is left alone until it answers', async () => {
    const { spool, append } = counting();
    let answer = () => {};
    const hanging = new Promise<void>((resolve) => {
      answer = resolve;
    });
    append.mockImplementationOnce(async (batch) => {
      await hanging;
      return Spool.prototype.append.call(spool, batch);
    });
    const problems: string[] = [];
    const insert = { now: away };
    const written: string[] = [];
    const writer = new Writer({ spool, insert: (batch) => insert.now(batch), onProblem: (m) => problems.push(m) });
    writer.add(rows(0, 3));
    await writer.saved();
    writer.add(rows(3, 5));
    await writer.saved();
    expect(writer.state).toMatchObject({ queued: 5, unsaved: 5, diskErrors: 1 });
    expect(problems).toContainEqual(expect.stringMatching(/takes none: no answer within 1000 ms/));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(append).toHaveBeenCalledTimes(1);
    answer();
    await expect.poll(() => writer.state.unsaved, SOON).toBe(0);
    insert.now = async (batch) => void written.push(...batch.map(({ json }) => JSON.parse(json).id));
    await expect.poll(() => writer.state, SOON).toMatchObject({ queued: 0, spooled: false });
    expect([...new Set(written)].sort()).toEqual(['d0', 'd1', 'd2', 'd3', 'd4']);
    await writer.stop();
    expect(await readdir(join(dataDir, 'spool'))).toEqual([]);
  });

  test('where database and disk both fail, memory stays bounded: the oldest rows are dropped and counted', async () => {
    await writeFile(join(dataDir, 'spool'), 'in the way');
    const problems: string[] = [];
    const writer = new Writer({
      spool: new Spool(dataDir),
      insert: away,
      maxQueued: 10,
      onProblem: (m) => problems.push(m),
    });
    writer.add(rows(0, 30));
    await writer.saved();
    writer.add(rows(30, 65));
    // Forty stay.
    expect(writer.state).toMatchObject({ queued: 40, dropped: 25 });
    expect(writer.state.droppedSince).toBeInstanceOf(Date);
    expect(writer.pending[0]!.row).toMatchObject({ id: 'd25' });
    expect(problems).toContainEqual(expect.stringMatching(/^25 rows are lost/));
    await expect(writer.flush()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await writer.stop();
    expect(writer.state.dropped).toBe(65);
  });

  test('a full spool counts what it drops, oldest first, and says so', async () => {
    const problems: string[] = [];
    const spool = new Spool(dataDir, { limitBytes: 40_000, onLoss: (loss) => writer.lost(loss) });
    const writer: Writer = new Writer({ spool, insert: away, maxQueued: 5, onProblem: (m) => problems.push(m) });
    for (let i = 0; i < 100; i++) {
      writer.add([row(i)]);
      await writer.saved();
    }
    const { dropped, droppedSince, queued, spoolBytes } = writer.state;
    expect(spoolBytes).toBeLessThanOrEqual(40_000);
    expect(droppedSince).toBeInstanceOf(Date);
    expect(problems).toContainEqual(
      expect.stringMatching(/spool is full: its oldest \d+ rows .* from 20\S+Z to 20\S+Z/),
    );
    await writer.flush();
    expect(queued).toBeLessThanOrEqual(10);
    await writer.stop();
    const left: string[] = [];
    const next = new Spool(dataDir);
    await next.find();
    for (let batch = await next.nextLeftovers(); batch !== null; batch = await next.nextLeftovers()) {
      left.push(...batch.map(({ json }) => JSON.parse(json).id));
    }
    expect(left).toEqual(Array.from({ length: 100 - dropped }, (_, i) => `d${i + dropped}`));
    await next.close();
  });

  test('a row that has no JSON is counted and reported, and harms no other', async () => {
    const problems: string[] = [];
    const written: EncodedRow[] = [];
    const writer = new Writer({
      spool: new Spool(dataDir),
      insert: async (batch) => void written.push(...batch),
      onProblem: (m) => problems.push(m),
    });
    const cycle: { self?: object } = {};
    cycle.self = cycle;
    writer.add([row(1), { table: 'decisions', row: aDecision({ id: 'bad', facts: cycle }) }, row(2)]);
    await writer.flush();
    expect(written.map(({ json }) => JSON.parse(json).id)).toEqual(['d1', 'd2']);
    expect(writer.state.rejected).toBe(1);
    expect(problems).toEqual([expect.stringMatching(/decisions is lost, it cannot be written as JSON: .*circular/)]);
    await writer.stop();
  });
});

test.runIf(existsSync('/bin/sh'))(
  'a disk that is full in the middle of a write leaves no torn line, and no answer waiting',
  async () => {
    // Files of that process end at 16 × 512 or 16 × 1024 bytes, as the shell counts: in the middle of a row.
    const child = spawn('/bin/sh', ['-c', `ulimit -f 16 && exec "$0" "$1" "$2"`, process.execPath, LIMITED, dataDir]);
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.stderr.on('data', (chunk) => {
      text += chunk;
    });
    expect(await new Promise((resolve) => child.once('close', resolve)), text).toBe(0);
    const { saved, state, problems } = JSON.parse(text);
    expect(saved).toBe(20);
    expect(state.diskErrors).toBe(1);
    expect(problems).toEqual([expect.stringMatching(/the spool takes none: EFBIG/)]);
    const spool = new Spool(dataDir);
    await spool.find();
    const left: string[] = [];
    for (let batch = await spool.nextLeftovers(); batch !== null; batch = await spool.nextLeftovers()) {
      left.push(...batch.map(({ json }) => JSON.parse(json).id));
    }
    expect(left).toEqual(Array.from({ length: 20 - state.unsaved }, (_, i) => `d${i}`));
    await spool.close();
    expect(existsSync(join(dataDir, 'spool', 'damaged.txt'))).toBe(false);
  },
);

describe.each(storeKinds)('$name', (kind) => {
  const text = fc.string({ unit: 'binary' });
  const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0);
  const count = fc.option(fc.integer({ min: 0, max: 2 ** 40 }));
  const moment = fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
  const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value).replaceAll('-0', '0')));
  const decision = fc.record<Omit<DecisionRecord, 'id'>>({
    createdAt: moment,
    tenant: text,
    key: fc.option(text),
    surface: text,
    tags: fc.array(text),
    session: fc.option(text),
    requestedModel: text,
    routed: fc.boolean(),
    model: text,
    executedModel: fc.option(text),
    reason: fc.constantFrom('explored', 'fallback'),
    propensity: number,
    explored: fc.boolean(),
    floor: number,
    distribution: fc.array(fc.record({ model: text, probability: number })),
    ranked: fc.constant([]),
    filtered: fc.array(fc.record({ model: text, reason: text })),
    facts: fc.dictionary(text, json),
    difficulty: fc.option(number),
    outOfDomain: fc.option(number),
    artifact: fc.constantFrom(null, 'abc'),
    encoderId: fc.constantFrom(null, 'ngram-1'),
    embedding: fc.option(fc.float32Array({ noNaN: true, noDefaultInfinity: false })),
    priceDate: fc.constant('2026-11-20'),
    baselineModel: fc.option(text),
    baselineCostUsd: fc.option(number),
    routerMs: fc.option(number),
    observed: fc.constantFrom(null, aDecision().observed),
    explorable: fc.boolean(),
    endUser: fc.constantFrom(null, 'abc'),
    trial: fc.option(fc.integer({ min: 0, max: 2 ** 40 })),
    arm: fc.constantFrom(null, 'candidate', 'incumbent'),
    armProbability: fc.option(number),
    shadow: fc.constantFrom(null, aDecision().observed),
    auditProbability: fc.option(number),
    audited: fc.boolean(),
    keyId: fc.constantFrom(null, 'k1'),
    project: fc.option(text),
    policyVersion: fc.option(fc.integer({ min: 1, max: 2 ** 40 })),
    guards: fc.constantFrom(null, aDecision().guards),
    cached: fc.boolean(),
  });
  const attempt = fc.record<Omit<AttemptRecord, 'id' | 'decisionId'>>({
    ordinal: fc.integer({ min: 0, max: 100 }),
    provider: text,
    model: text,
    deployment: text,
    purpose: fc.constantFrom('answer', 'hedge', 'escalation', 'check', 'audit'),
    startedAt: moment,
    status: fc.constantFrom('ok', 'error', 'cancelled', 'partial'),
    httpStatus: fc.option(fc.integer({ min: 100, max: 599 })),
    errorCode: fc.option(text),
    inputTokens: count,
    cachedInputTokens: count,
    cacheWriteTokens: count,
    outputTokens: count,
    reasoningTokens: count,
    costUsd: fc.option(number),
    firstByteMs: fc.option(number),
    totalMs: number,
  });

  /** What of a record the database can hold: texts without NUL and halves of surrogate pairs. */
  const expected = <T extends object>(record: T): T => {
    const plain = Object.fromEntries(
      Object.entries(record).map(([key, value]) => [
        key,
        value instanceof Date || value instanceof Float32Array ? value : storable(value),
      ]),
    );
    return plain as T;
  };

  test('any record comes back as it was, straight or by way of the spool', async () => {
    const opened = await kind.open();
    try {
      let made = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(decision, attempt), { minLength: 1, maxLength: 12 }), async (records) => {
          const entries = records.map(([d, a]) => {
            const id = `d${++made}`;
            return { decision: { ...d, id }, attempt: { ...a, id: `a${made}`, decisionId: id } };
          });
          for (const entry of entries) opened.store.record(entry);
          await opened.store.flush();
          for (const entry of entries) {
            const found = (await opened.store.getDecision(entry.decision.id))!;
            expect(found.decision).toEqual(expected(entry.decision));
            expect(found.attempts).toEqual([expected(entry.attempt)]);
          }
        }),
        { numRuns: 8 },
      );
      expect(opened.store.writer).toMatchObject({ rejected: 0, dropped: 0, diskErrors: 0 });
    } finally {
      await opened.close();
    }
  });

  test('a line that an earlier build left in the spool gets the defaults of columns it did not know', async () => {
    const opened = await kind.open();
    const { options } = opened;
    await opened.store.close();
    const spool = new Spool(options.dataDir);
    const { key, surface, tags, observed, ...older } = JSON.parse(rowToJson(row(1)));
    const { deployment, purpose, cache_write_tokens, ...olderAttempt } = JSON.parse(
      rowToJson({ table: 'attempts', row: anAttempt() }),
    );
    expect([key, surface, tags, observed, deployment, purpose, cache_write_tokens]).not.toContain(undefined);
    await spool.append([
      { table: 'decisions', json: JSON.stringify(older) },
      { table: 'attempts', json: JSON.stringify({ ...olderAttempt, decision_id: 'd1' }) },
    ]);
    await spool.close();
    const store = await openStore(options);
    try {
      await expect.poll(() => store.writer.spooled, SOON).toBe(false);
      const found = await store.getDecision('d1');
      expect(found?.decision).toEqual(aDecision({ key: null, surface: 'chat', tags: [], observed: null }));
      expect(found?.attempts).toEqual([anAttempt({ deployment: '', purpose: 'answer', cacheWriteTokens: null })]);
      expect(store.writer.rejected).toBe(0);
    } finally {
      await store.close();
      await opened.close();
    }
  });

  test('rows that were saved and never inserted are written by the next start', async () => {
    const opened = await kind.open();
    const { options } = opened;
    await opened.store.close();
    const spool = new Spool(options.dataDir);
    const writer = new Writer({ spool, insert: away });
    writer.add(rows(0, 250));
    await writer.saved();
    await writer.stop();
    const store = await openStore(options);
    try {
      await expect.poll(() => store.writer.spooled, SOON).toBe(false);
      expect(await store.db.$count(decisions)).toBe(250);
      expect([await store.db.$count(attempts), await store.db.$count(feedback)]).toEqual([0, 0]);
    } finally {
      await store.close();
      await opened.close();
    }
  });
});
