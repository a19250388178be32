/** Roll-ups: whatever comes in whatever order, they say what the log itself says. */
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Caller } from '../../../server/callers.ts';
import { ANYBODY } from '../../../server/callers.ts';
import { insertRows } from '../../../server/db/insert.ts';
import type { AttemptRecord, DecisionRecord, FeedbackRecord } from '../../../server/db/records.ts';
import { type Row, rowToJson } from '../../../server/db/rows.ts';
import { deleteExpired } from '../../../server/privacy/retention.ts';
import { savedFigures } from '../../../server/report/savings.ts';
import type { UsageQuery } from '../../../server/usage/contract.ts';
import { binOf, quantile } from '../../../server/usage/histogram.ts';
import { Portion } from '../../../server/usage/portion.ts';
import { calibration, callLatency, totalUsage, usageBy, usageSeries } from '../../../server/usage/questions.ts';
import { daysUpTo, ROLL_UP_LOCK, rolledUpTo, rollUp } from '../../../server/usage/roll-up.ts';
import { isDue } from '../../../server/usage/rolling.ts';
import { scopeOf } from '../../../server/usage/scope.ts';
import { dropPieces } from '../../../server/usage/spans.ts';
import { aDecision, anAttempt, someFeedback } from '../db/records.ts';
import { type OpenedStore, storeKinds } from '../db/stores.ts';
import { rollUpAsBefore, someHoursAsBefore, takeMarksAsBefore } from './roll-up-before.ts';

const START = Date.UTC(2026, 2, 1);
const HOUR = 3_600_000;
const LAST_HOUR = Math.floor(Date.now() / HOUR) * HOUR - HOUR;
const RANGE = { from: '2026-02-28T00:00:00Z', to: '2026-03-10T00:00:00Z' };

interface Request {
  readonly decision: DecisionRecord;
  readonly attempts: readonly AttemptRecord[];
  readonly verdict: FeedbackRecord | null;
}

const MODELS = ['a/one', 'b/two', 'c/three'];

/** One request with its calls; what does not matter to sums is fixed. */
const aRequest = fc
  .record({
    // Most of one team in one hour, so that its pieces are made at different times, and by either build.
    hour: fc.constantFrom(1, 1, 1, 1, 0, 23, 24, 60),
    minute: fc.constantFrom(0, 2, 3, 30, 59),
    second: fc.constantFrom(1, 2, 50),
    team: fc.constantFrom('red', 'red', 'red', 'blue', 'green'),
    key: fc.constantFrom(null, 'k1', 'k2'),
    project: fc.constantFrom(null, 'p'),
    routed: fc.boolean(),
    cached: fc.boolean(),
    blocked: fc.constantFrom(null, 'noticed' as const, 'blocked' as const),
    executed: fc.constantFrom(null, ...MODELS),
    baseline: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }),
    artifact: fc.constantFrom('r1', 'r2', null),
    calls: fc.array(
      fc.record({
        model: fc.constantFrom(...MODELS),
        status: fc.constantFrom('ok' as const, 'error' as const, 'cancelled' as const, 'partial' as const),
        purpose: fc.constantFrom('answer' as const, 'hedge' as const, 'check' as const, 'audit' as const),
        provider: fc.constantFrom('a', 'b', 'sandbox'),
        costUsd: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }),
        tokens: fc.option(fc.integer({ min: 0, max: 1e6 }), { nil: null }),
        // In the middle of steps: at their ends rounding decides.
        totalMs: fc.constantFrom(3, 12, 60, 500, 7000, 1e6),
      }),
      { maxLength: 3 },
    ),
    score: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }),
    predicted: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }),
  })
  .map((r) => (id: string, start: number): Request => {
    const at = start + r.hour * HOUR + r.minute * 60_000 + r.second * 1000;
    return {
      decision: aDecision({
        id,
        createdAt: new Date(at),
        tenant: r.team,
        key: r.key,
        project: r.project,
        session: null,
        routed: r.routed,
        cached: r.cached,
        guards:
          r.blocked === null ? null : [{ guard: 'pii', found: 'email', where: 'prompt', action: r.blocked, count: 1 }],
        model: 'a/one',
        executedModel: r.executed,
        baselineCostUsd: r.baseline,
        artifact: r.artifact,
        ranked:
          r.predicted === null
            ? []
            : MODELS.map((model) => ({
                ...{ model, like: model, quality: r.predicted!, qualitySd: 0, outputTokens: 1, costUsd: 0 },
                adequate: true,
              })),
      }),
      attempts: r.calls.map(({ tokens, ...call }, ordinal) =>
        anAttempt({
          ...{ id: `${id}-${ordinal}`, decisionId: id, ordinal, deployment: 'd', firstByteMs: null },
          startedAt: new Date(at + 10 * ordinal),
          inputTokens: tokens,
          outputTokens: tokens,
          ...call,
        }),
      ),
      verdict:
        r.score === null
          ? null
          : someFeedback({ id: `f${id}`, decisionId: id, score: r.score, kind: 'verdict', weight: 1, tenant: r.team }),
    };
  });

const json = (row: Row) => ({ table: row.table, json: rowToJson(row) });
const rowsOf = ({ decision, attempts, verdict }: Request) => [
  json({ table: 'decisions', row: decision }),
  ...attempts.map((row) => json({ table: 'attempts', row })),
  ...(verdict === null ? [] : [json({ table: 'feedback', row: verdict })]),
];

const answerOf = ({ decision, attempts }: Request) =>
  attempts.findLast(
    ({ model, status, purpose }) =>
      model === decision.executedModel && status !== 'error' && purpose !== 'audit' && purpose !== 'check',
  );

/** The same sums from the records themselves. */
function expected(requests: readonly Request[]) {
  const sum = (of: (r: Request) => number) => requests.reduce((s, r) => s + of(r), 0);
  const count = (is: (r: Request) => boolean) => sum((r) => (is(r) ? 1 : 0));
  const isBlocked = ({ decision }: Request) => decision.guards?.some(({ action }) => action === 'blocked') ?? false;
  const judged = requests.filter(({ decision, verdict }) => verdict !== null && decision.executedModel !== null);
  const forecast = judged.filter(({ decision }) => decision.ranked.length > 0);
  const mean = (xs: number[]) => (xs.length === 0 ? null : xs.reduce((a, b) => a + b, 0) / xs.length);
  const bins = new Array(28).fill(0);
  for (const r of requests) {
    const answer = answerOf(r);
    if (answer === undefined) continue;
    bins[binOf(answer.totalMs + answer.startedAt.getTime() - r.attempts[0]!.startedAt.getTime())]++;
  }
  const routed = requests.filter(
    ({ decision, ...r }) => decision.routed && (answerOf({ decision, ...r }) ?? r.attempts[0])?.provider !== 'sandbox',
  );
  // As a report counts savings.
  const saved = savedFigures(
    routed.map(({ decision, attempts }) => ({
      ...{ id: decision.id, at: 0, tenant: decision.tenant, session: null, surface: 'chat', routed: true },
      ...{ model: decision.model, executed: decision.executedModel, baselineModel: null, observed: null },
      baselineCostUsd: decision.baselineCostUsd,
      calls: attempts.map((call) => ({ ...call, startedAt: call.startedAt.getTime() })),
    })),
    { replicates: 200, seed: 1 },
  );
  return {
    requests: requests.length,
    routed: count(({ decision }) => decision.routed),
    errors: count((r) => {
      if (isBlocked(r) || r.decision.cached) return false;
      if (r.decision.executedModel !== null) return answerOf(r)?.status === 'partial';
      const last = r.attempts.findLast(({ purpose }) => purpose !== 'audit');
      return last !== undefined && last.status !== 'cancelled';
    }),
    cached: count(({ decision }) => decision.cached === true),
    answered: count((r) => answerOf(r) !== undefined),
    guarded: count(({ decision }) => decision.guards !== null),
    blocked: count(isBlocked),
    inputTokens: sum(({ attempts }) => attempts.reduce((s, { inputTokens }) => s + (inputTokens ?? 0), 0)),
    outputTokens: sum(({ attempts }) => attempts.reduce((s, { outputTokens }) => s + (outputTokens ?? 0), 0)),
    costUsd: sum(({ attempts }) => attempts.reduce((s, { costUsd }) => s + (costUsd ?? 0), 0)),
    comparedRequests: saved.requests,
    comparedCostUsd: saved.paidUsd,
    baselineCostUsd: saved.baselineUsd,
    savingUsd: saved.baselineUsd - saved.paidUsd,
    judged: judged.length,
    quality: mean(judged.map(({ verdict }) => verdict!.score)),
    predictedQuality: mean(forecast.map(({ decision }) => decision.ranked[0]!.quality)),
    p50Ms: quantile(bins, 0.5),
    p99Ms: quantile(bins, 0.99),
  };
}

function expectUsage(found: object | undefined, requests: readonly Request[]): void {
  const wanted = expected(requests);
  const told = Object.fromEntries(Object.keys(wanted).map((name) => [name, (found as never)?.[name]]));
  expect(near(told, wanted)).toEqual([]);
}

/** What differs by more than rounding. */
const near = (a: Record<string, unknown>, b: Record<string, unknown>): string[] =>
  Object.keys(b).flatMap((name) => {
    const [x, y] = [a[name], b[name]];
    const same = typeof x === 'number' && typeof y === 'number' ? Math.abs(x - y) <= 1e-9 * (1 + Math.abs(y)) : x === y;
    return same ? [] : [`${name}: ${x}, wanted ${y}`];
  });

const teamOf = (tenant: string): Caller => ({ ...ANYBODY, tenant, scopes: new Set(['usage']) });
const admin = (query: UsageQuery = {}) => scopeOf(ANYBODY, { ...RANGE, ...query });

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(empty);

  async function empty(): Promise<void> {
    await opened.store.db.execute(sql`
      truncate decisions, attempts, feedback, outcomes, texts, usage_cells, usage_slices, usage_calls,
        usage_calibration, usage_calibration_pieces, usage_touched, usage_pending, usage_state, usage_kept`);
  }

  /** All sums that pages can be made of, by what they are of. */
  async function allSums(): Promise<Map<string, Record<string, unknown>>> {
    const rows = (await opened.store.db.execute(sql`
      select 'cells' as of, to_jsonb(c) as row from usage_cells c where step = 'hour'
      union all select 'slices', to_jsonb(s) from usage_slices s where step = 'hour' and dimension <> 'pieced'
      union all select 'calls', to_jsonb(c) from usage_calls c where step = 'hour'
      union all select 'calibration', to_jsonb(c) from usage_calibration c
      union all select 'days', to_jsonb(c) from usage_cells c
        where step = 'day' and at < (select at from usage_state where name = 'days')`)) as unknown as {
      of: string;
      row: Record<string, unknown>;
    }[];
    const named = rows.map(({ of, row }): [string, Record<string, unknown>] => {
      const name = Object.entries(row).filter(([column, value]) => typeof value === 'string' || column === 'bin');
      return [`${of} ${JSON.stringify(name.sort())}`, row];
    });
    expect(new Set(named.map(([name]) => name)).size).toBe(named.length);
    return new Map(named);
  }

  test.each([
    ['long past', () => START],
    ['of the last day, and of the next', () => Math.floor(Date.now() / HOUR) * HOUR - 24 * HOUR],
  ])(
    'of any log %s, written in any order and rolled up at any time, by either build, they are the sums of its rows',
    async (_, startOf) => {
      const start = startOf();
      const RANGE = { from: new Date(start - 24 * HOUR).toISOString(), to: new Date(start + 96 * HOUR).toISOString() };
      const admin = (query: UsageQuery = {}) => scopeOf(ANYBODY, { ...RANGE, ...query });
      await fc.assert(
        fc.asyncProperty(
          fc.array(aRequest, { minLength: 1, maxLength: 30, size: 'max' }),
          fc.infiniteStream(fc.noBias(fc.nat())),
          async (made, chance) => {
            await empty();
            const { db } = opened.store;
            const requests = made.map((make, i) => make(`d${i}`, start));
            const draw = () => chance.next().value as number;
            const rows = requests.flatMap(rowsOf).map((row) => ({ row, place: draw() }));
            rows.sort((a, b) => a.place - b.place);
            while (rows.length > 0) {
              await insertRows(
                db,
                rows.splice(0, 1 + (draw() % 20)).map(({ row }) => row),
              );
              const what = draw() % 9;
              // Of a few requests a statement, or of all.
              const portion = new Portion(1 + (draw() % 6));
              if (what < 3) await rollUp(opened.store, { portion });
              else if (what === 3) await rollUp(opened.store);
              else if (what === 4) await rollUpAsBefore(opened.store);
              // One that ends in the middle, for the other to go on from.
              else if (what === 5) await opened.store.alone(ROLL_UP_LOCK, takeMarksAsBefore);
              else if (what === 6) await opened.store.alone(ROLL_UP_LOCK, someHoursAsBefore);
              else if (what === 7) await rollUp(opened.store, { portion, budgetMs: 0 });
            }
            await rollUp(opened.store);
            const sums = await allSums();
            await db.execute(sql`
            truncate usage_cells, usage_slices, usage_calls, usage_calibration, usage_calibration_pieces, usage_state`);
            await rollUp(opened.store);
            const anew = await allSums();
            expect([...sums.keys()].sort()).toEqual([...anew.keys()].sort());
            for (const [name, row] of anew) expect(near(sums.get(name)!, row), name).toEqual([]);
            expectUsage(await totalUsage(db, admin()), requests);
            for (const team of ['red', 'blue']) {
              expectUsage(
                await totalUsage(db, scopeOf(teamOf(team), RANGE)),
                requests.filter(({ decision }) => decision.tenant === team),
              );
            }
            const { rows: byModel } = await usageBy(db, admin(), 'model', 1000);
            const modelOf = ({ decision }: Request) => decision.executedModel ?? decision.model;
            expect(byModel.map(({ group }) => group).sort()).toEqual([...new Set(requests.map(modelOf))].sort());
            for (const row of byModel)
              expectUsage(
                row,
                requests.filter((r) => modelOf(r) === row.group),
              );
            // Two dimensions: from the cells.
            const { rows: byKey } = await usageBy(db, admin({ model: 'a/one', project: 'p' }), 'key', 1000);
            const some = requests.filter((r) => modelOf(r) === 'a/one' && r.decision.project === 'p');
            expect(byKey.length).toBe(new Set(some.map(({ decision }) => decision.key)).size);
            for (const row of byKey)
              expectUsage(
                row,
                some.filter(({ decision }) => (decision.key ?? '') === row.group),
              );
            const { points } = await usageSeries(db, admin(), 'hour', null, 10);
            const hourOf = ({ decision }: Request) => Math.floor(decision.createdAt.getTime() / HOUR) * HOUR;
            expect(points.map(({ at }) => Date.parse(at))).toEqual(
              [...new Set(requests.map(hourOf))].sort((a, b) => a - b),
            );
            for (const point of points)
              expectUsage(
                point,
                requests.filter((r) => hourOf(r) === Date.parse(point.at)),
              );
          },
        ),
        { numRuns: kind.name === 'PostgreSQL' ? 8 : 3, endOnFailure: true },
      );
    },
    120_000,
  );

  test('rows of an outage count in the hour of their own, however late they come, and verdicts days later', async () => {
    const { db } = opened.store;
    const at = (hours: number) => new Date(START + hours * HOUR);
    const write = (id: string, createdAt: Date) =>
      insertRows(db, [
        json({ table: 'decisions', row: aDecision({ id, createdAt, tenant: 'red' }) }),
        json({
          table: 'attempts',
          row: anAttempt({ id: `${id}-0`, decisionId: id, startedAt: createdAt, costUsd: 2, purpose: 'answer' }),
        }),
      ]);
    await write('new', at(50));
    await rollUp(opened.store);
    await write('late', at(2));
    await rollUp(opened.store);
    const verdict = someFeedback({
      id: 'f',
      decisionId: 'late',
      score: 0.25,
      kind: 'verdict',
      weight: 1,
      tenant: 'red',
      createdAt: at(70),
    });
    await insertRows(db, [json({ table: 'feedback', row: verdict })]);
    await rollUp(opened.store);
    const { points } = await usageSeries(db, admin(), 'hour', null, 10);
    expect(
      points.map(({ at, requests, costUsd, quality, judged }) => ({ at, requests, costUsd, quality, judged })),
    ).toEqual([
      { at: '2026-03-01T02:00:00Z', requests: 1, costUsd: 2, quality: 0.25, judged: 1 },
      { at: '2026-03-03T02:00:00Z', requests: 1, costUsd: 2, quality: null, judged: 0 },
    ]);
    // Predicted 2/3 of what turned out to be 0.25.
    const { versions } = await calibration(db, admin());
    expect(versions).toEqual([
      { artifact: 'abc', judged: 1, ece: 2 / 3 - 0.25, bins: [{ predicted: 2 / 3, observed: 0.25, count: 1 }] },
    ]);
    expect((await callLatency(db, admin(), 10)).rows).toMatchObject([
      { provider: 'a', model: 'a/small', calls: 2, errors: 0, errorRate: 0 },
    ]);
    expect((await rolledUpTo(db))!.getTime()).toBeGreaterThan(Date.now() - 60_000);
    // Nothing new: nothing to do.
    expect(await rollUp(opened.store)).toEqual({ hours: 0, complete: true });
  });

  /** A request of red, so many minutes into the hour before this one (of when the tests began). */
  const inLastHour = (id: string, minute: number) => {
    const createdAt = new Date(LAST_HOUR + minute * 60_000);
    return insertRows(opened.store.db, [
      json({ table: 'decisions', row: aDecision({ id, createdAt, tenant: 'red' }) }),
      json({ table: 'attempts', row: anAttempt({ id: `${id}-0`, decisionId: id, startedAt: createdAt, costUsd: 2 }) }),
    ]);
  };
  const requestsOfNow = async () =>
    (await totalUsage(opened.store.db, scopeOf(ANYBODY, { from: new Date(Date.now() - 48 * HOUR).toISOString() })))
      .requests;
  const isPieced = async () => {
    const rows = await opened.store.db.execute(sql`select 1 from usage_slices where dimension = 'pieced'`);
    return (rows as unknown as unknown[]).length === 1;
  };

  test('of an hour of the last day the pieces alone are made anew that something came into', async () => {
    const { db } = opened.store;
    await inLastHour('a', 1);
    await inLastHour('b', 40);
    await rollUp(opened.store);
    // Behind the back of the marks: who counts this piece anew does not find it.
    await db.execute(sql`delete from decisions where id = 'a'`);
    await inLastHour('c', 41);
    expect(await rollUp(opened.store)).toEqual({ hours: 1, complete: true });
    expect(await requestsOfNow()).toBe(3);
  });

  test.each([
    ['of the last day, of which the piece is kept', () => LAST_HOUR, 1],
    ['long past, of which none is', () => START, 0],
  ])(
    'more requests of three minutes than a statement takes are counted in parts, which leave nothing behind: %s',
    async (_, hourOf, pieces) => {
      const { db } = opened.store;
      for (let i = 0; i < 5; i++) {
        const decision = aDecision({ id: `d${i}`, createdAt: new Date(hourOf() + 7000 * i), tenant: 'red' });
        await insertRows(db, [json({ table: 'decisions', row: decision })]);
      }
      await rollUp(opened.store, { portion: new Portion(2) });
      const steps = await db.execute(sql`
        select step, count(*)::int as cells, sum(requests)::int as requests from usage_cells
        where step <> 'day' group by step order by step`);
      expect(steps).toEqual([
        { step: 'hour', cells: 1, requests: 5 },
        ...(pieces === 0 ? [] : [{ step: 'piece', cells: pieces, requests: 5 }]),
      ]);
    },
  );

  test.runIf(kind.name === 'PostgreSQL')('where another replica rolls up, nobody waits for it to end', async () => {
    const { store } = opened;
    expect(await isDue(store)).toBe(true);
    expect(await store.alone(ROLL_UP_LOCK, () => isDue(store))).toBe(false);
    expect(await store.alone(ROLL_UP_LOCK + 1, () => isDue(store))).toBe(true);
  });

  test('pieces are not trusted once another build has made their hour, or has taken marks of it', async () => {
    await inLastHour('a', 1);
    await rollUp(opened.store);
    expect(await isPieced()).toBe(true);
    await inLastHour('b', 20);
    await rollUpAsBefore(opened.store);
    expect(await isPieced()).toBe(false);
    await inLastHour('c', 40);
    await rollUp(opened.store);
    expect([await requestsOfNow(), await isPieced()]).toEqual([3, true]);
    // It takes the mark of one piece and dies; the other one is all that this build hears of.
    await inLastHour('d', 20);
    await opened.store.alone(ROLL_UP_LOCK, takeMarksAsBefore);
    await inLastHour('e', 40);
    await rollUp(opened.store);
    expect(await requestsOfNow()).toBe(5);
  });

  test('pieces go after a day, and their hour is made whole from then on', async () => {
    const { db } = opened.store;
    await inLastHour('a', 1);
    await inLastHour('b', 40);
    await rollUp(opened.store);
    await dropPieces(db, new Date());
    const rows = await db.execute(sql`
      select 1 from usage_cells where step = 'piece' union all select 1 from usage_calls where step = 'piece'
      union all select 1 from usage_calibration_pieces`);
    expect([await isPieced(), rows]).toEqual([false, []]);
    await inLastHour('c', 20);
    await rollUp(opened.store);
    expect(await requestsOfNow()).toBe(3);
  });

  test('a day that was over while nobody rolled up is summed up before pages read it', async () => {
    const { db } = opened.store;
    const today = Math.floor(Date.now() / (24 * HOUR)) * 24 * HOUR;
    await insertRows(db, [
      json({ table: 'decisions', row: aDecision({ id: 'a', createdAt: new Date(today - 20 * HOUR) }) }),
    ]);
    await rollUp(opened.store);
    // As if yesterday were still going on.
    await db.execute(sql`update usage_state set at = at - interval '1 day' where name = 'days'`);
    await db.execute(sql`delete from usage_cells where step = 'day'`);
    await db.execute(sql`delete from usage_slices where step = 'day'`);
    expect(await requestsOfNow()).toBe(1);
    await rollUp(opened.store);
    expect((await daysUpTo(db))!.getTime()).toBeGreaterThanOrEqual(today);
    expect(await requestsOfNow()).toBe(1);
    const [row] = (await db.execute(sql`select requests::int from usage_cells where step = 'day'`)) as unknown as {
      requests: number;
    }[];
    expect(row?.requests).toBe(1);
  });

  test('a log that was there before there were roll-ups is rolled up once', async () => {
    const { db } = opened.store;
    for (const hours of [0, 30, 31]) {
      const decision = aDecision({ id: `d${hours}`, createdAt: new Date(START + hours * HOUR) });
      await insertRows(db, [json({ table: 'decisions', row: decision })]);
    }
    await db.execute(sql`truncate usage_touched`);
    expect(await rollUp(opened.store)).toEqual({ hours: 3, complete: true });
    expect((await totalUsage(db, admin())).requests).toBe(3);
  });

  test('what was deleted for its age stays in the sums, also when something late touches its hour', async () => {
    const { db } = opened.store;
    for (const [id, hours] of [
      ['old', 1],
      ['older', 1],
      ['young', 60],
    ] as const) {
      const decision = aDecision({ id, tenant: 'red', createdAt: new Date(START + hours * HOUR) });
      await insertRows(db, [json({ table: 'decisions', row: decision })]);
    }
    await rollUp(opened.store);
    const privacy = { retentionDays: 2, embeddingDays: null, textDays: null } as never;
    const deleted = await deleteExpired(opened.store, { privacy, teams: {} }, new Date(START + 72 * HOUR));
    expect(deleted.decisions).toBe(2);
    const decision = aDecision({ id: 'late', tenant: 'red', createdAt: new Date(START + HOUR + 5) });
    await insertRows(db, [json({ table: 'decisions', row: decision })]);
    await rollUp(opened.store);
    const { points } = await usageSeries(db, admin(), 'hour', null, 10);
    expect(points.map(({ requests }) => requests)).toEqual([2, 1]);
  });

  test('days that vary make an interval; two days make none', async () => {
    const { db } = opened.store;
    const day = async (n: number, baseline: number) => {
      const createdAt = new Date(START + n * 24 * HOUR);
      const decision = aDecision({
        id: `d${n}`,
        createdAt,
        baselineCostUsd: baseline,
        executedModel: 'a/small',
        cached: false,
      });
      const attempt = anAttempt({
        id: `a${n}`,
        decisionId: `d${n}`,
        startedAt: createdAt,
        costUsd: 1,
        purpose: 'answer',
      });
      await insertRows(db, [json({ table: 'decisions', row: decision }), json({ table: 'attempts', row: attempt })]);
    };
    await day(0, 2);
    await day(1, 3);
    await rollUp(opened.store);
    expect(await totalUsage(db, admin())).toMatchObject({ savingUsd: 3, savingLowUsd: null, savingHighUsd: null });
    await day(2, 4);
    await rollUp(opened.store);
    // Savings 1, 2, 3: sum 6, s² = 1, so 6 ± 4.303 · √3 = 6 ± 7.453.
    const { savingUsd, savingLowUsd, savingHighUsd } = await totalUsage(db, admin());
    expect(savingUsd).toBe(6);
    expect(savingLowUsd! / (6 - 7.453)).toBeCloseTo(1, 1);
    expect(savingHighUsd! / (6 + 7.453)).toBeCloseTo(1, 1);
  });
});
