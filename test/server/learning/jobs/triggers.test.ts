/** When the gateway retrains by itself. */
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { claimJob, finishJob, listJobs, requestJob } from '../../../../server/learning/jobs/rows.ts';
import {
  dueBecause,
  type TriggerFacts,
  type TriggerOptions,
  triggerFacts,
  watchTriggers,
} from '../../../../server/learning/jobs/triggers.ts';
import { aDecision, someFeedback } from '../../db/records.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';

const HOUR = 3_600_000;
const now = new Date('2026-11-29T12:00:00Z');
const ago = (hours: number) => new Date(now.getTime() - hours * HOUR);
const never: TriggerOptions = { everyHours: null, afterOutcomes: null, onDrift: false };
const nothing: TriggerFacts = {
  now,
  isUnderWay: false,
  ended: null,
  seenAt: null,
  firstDecisionAt: null,
  newAnswers: 0,
  alarmAt: null,
};

describe('the rule', () => {
  test('by the clock: so many hours after the last retraining began, the first time after the first request', () => {
    const daily = { ...never, everyHours: 24 };
    expect(dueBecause(daily, nothing)).toBeNull();
    expect(dueBecause(daily, { ...nothing, firstDecisionAt: ago(23.9) })).toBeNull();
    expect(dueBecause(daily, { ...nothing, firstDecisionAt: ago(24) })).toBe('schedule');
    expect(dueBecause(daily, { ...nothing, firstDecisionAt: ago(100), seenAt: ago(23.9) })).toBeNull();
    expect(dueBecause(daily, { ...nothing, firstDecisionAt: ago(100), seenAt: ago(24) })).toBe('schedule');
  });

  test('by count: as soon as so many new answers are judged', () => {
    const each100 = { ...never, afterOutcomes: 100 };
    expect(dueBecause(each100, { ...nothing, newAnswers: 99 })).toBeNull();
    expect(dueBecause(each100, { ...nothing, newAnswers: 100 })).toBe('outcomes');
  });

  test('by drift: when an alarm is open that no retraining has seen', () => {
    const onDrift = { ...never, onDrift: true };
    expect(dueBecause(onDrift, { ...nothing, alarmAt: ago(1) })).toBe('drift');
    expect(dueBecause(onDrift, { ...nothing, alarmAt: ago(1), seenAt: ago(2) })).toBe('drift');
    expect(dueBecause(onDrift, { ...nothing, alarmAt: ago(2), seenAt: ago(1) })).toBeNull();
    expect(dueBecause(never, { ...nothing, alarmAt: ago(1) })).toBeNull();
  });

  test('after a failure it waits for an hour, and then begins again', () => {
    const each100 = { ...never, afterOutcomes: 100 };
    const failed = (hours: number) => ({
      ...nothing,
      newAnswers: 100,
      ended: { state: 'failed' as const, finishedAt: ago(hours) },
    });
    expect(dueBecause(each100, failed(0.99))).toBeNull();
    expect(dueBecause(each100, failed(1))).toBe('outcomes');
  });

  const moment = fc.option(fc.integer({ min: -500, max: 0 }).map(ago));
  const facts: fc.Arbitrary<TriggerFacts> = fc.record({
    now: fc.constant(now),
    isUnderWay: fc.boolean(),
    ended: fc.option(
      fc.record({
        state: fc.constantFrom('done' as const, 'failed' as const),
        finishedAt: fc.integer({ min: 0, max: 500 }).map(ago),
      }),
    ),
    seenAt: moment,
    firstDecisionAt: moment,
    newAnswers: fc.nat(1000),
    alarmAt: moment,
  });

  test('never with all of it off, never while one is under way', () => {
    fc.assert(
      fc.property(
        facts,
        fc.record({
          everyHours: fc.option(fc.integer({ min: 1 })),
          afterOutcomes: fc.option(fc.nat(1000)),
          onDrift: fc.boolean(),
        }),
        (given, options) => {
          expect(dueBecause(never, given)).toBeNull();
          expect(dueBecause(options, { ...given, isUnderWay: true })).toBeNull();
        },
      ),
    );
  });
});

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    await opened.store.db.execute(sql`truncate jobs, alarms, decisions, feedback, promotions`);
  });

  const judge = async (...ids: string[]) => {
    for (const id of ids) {
      const [decisionId] = id.split('/');
      opened.store.record({ feedback: someFeedback({ id, decisionId: decisionId!, createdAt: new Date() }) });
    }
    await opened.store.flush();
  };
  const doJob = async () => {
    const { job } = (await requestJob(opened.store, { reason: 'hand' }))!;
    await finishJob(opened.store, (await claimJob(opened.store, job.id))!, { result: null });
  };

  test('answers judged since the last retraining are counted once each, and hints are not', async () => {
    const options = { ...never, afterOutcomes: 10 };
    await judge('a', 'b', 'b/again');
    opened.store.record({ feedback: someFeedback({ id: 'h', decisionId: 'c', kind: 'hint', createdAt: new Date() }) });
    await opened.store.flush();
    expect((await triggerFacts(opened.store, options)).newAnswers).toBe(2);
    expect((await triggerFacts(opened.store, { ...options, afterOutcomes: 1 })).newAnswers).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await doJob();
    expect((await triggerFacts(opened.store, options)).newAnswers).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await judge('d');
    expect((await triggerFacts(opened.store, options)).newAnswers).toBe(1);
  });

  test('an alarm that is open is a reason, one that was cleared is none', async () => {
    const options = { ...never, onDrift: true };
    await opened.store.db.execute(
      sql`insert into alarms (raised_at, kind, details, cleared_at) values (now(), 'price', '{}', now())`,
    );
    expect((await triggerFacts(opened.store, options)).alarmAt).toBeNull();
    await opened.store.db.execute(
      sql`insert into alarms (raised_at, kind, details) values (now(), 'model-change', '{}')`,
    );
    const watch = watchTriggers(opened.store, () => options, { lookMs: HOUR });
    expect(await watch.look()).toBe('1');
    watch.stop();
    expect(await listJobs(opened.store, 10)).toMatchObject([{ reason: 'drift', state: 'queued' }]);
  });

  test('the first request is what the clock starts at', async () => {
    opened.store.record({ decision: aDecision({ createdAt: ago(30) }) });
    await opened.store.flush();
    expect((await triggerFacts(opened.store, never)).firstDecisionAt).toEqual(ago(30));
  });

  test('of replicas that find the same reason at once one gets a job in', async () => {
    await judge('a', 'b', 'c');
    const options = { ...never, afterOutcomes: 3 };
    const watches = Array.from({ length: 6 }, () => watchTriggers(opened.store, () => options, { lookMs: HOUR }));
    const made = await Promise.all(watches.map((watch) => watch.look()));
    expect(made.filter((id) => id !== null)).toEqual(['1']);
    // Nor does a late one, after the job is done.
    await finishJob(opened.store, (await claimJob(opened.store, '1'))!, { result: null });
    expect(await Promise.all(watches.map((watch) => watch.look()))).toEqual(Array(6).fill(null));
    for (const watch of watches) watch.stop();
    expect(await listJobs(opened.store, 10)).toHaveLength(1);
  });
});
