import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RolloutConfig } from '../../../../server/config/loop-schema.ts';
import {
  activeArtifact,
  activeTrial,
  addPromotion,
  history,
  rollback,
  standing,
  stopTrial,
} from '../../../../server/learning/promotions.ts';
import { historyText, rollbackText } from '../../../../server/learning/report.ts';
import { beginRollout, type RolloutRequest, wasTurnedDown } from '../../../../server/learning/rollout/begin.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';

const [A, B] = ['a'.repeat(32), 'b'.repeat(32)];

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(() => opened.store.db.execute(sql`truncate promotions`));

  const begin = (asked: Partial<RolloutRequest> = {}, rollout: Parameters<typeof RolloutConfig.parse>[0] = {}) =>
    beginRollout(
      { store: opened.store, rollout: RolloutConfig.parse(rollout) },
      { artifact: A, previous: null, gate: 'promote', verdict: { reasons: ['better'], trainedThrough: 7 }, ...asked },
    );

  test('what the gate passes is in force at once, or begins where the configuration says', async () => {
    expect(await begin()).toMatchObject({ kind: 'promoted', artifact: A, previous: null, trial: null });
    expect(await standing(opened.store)).toMatchObject({ inForce: A, trial: null });
    const canary = await begin(
      { artifact: B, previous: A },
      { start: 'canary', canaryShare: 0.2, canaryTeams: ['red'] },
    );
    expect(canary).toMatchObject({
      kind: 'canary',
      artifact: A,
      previous: A,
      trial: { artifact: B, share: 0.2, teams: ['red'] },
      verdict: { trainedThrough: 7, rollout: { gate: 'promote' } },
    });
    expect(await activeArtifact(opened.store)).toBe(A);
    expect(await activeTrial(opened.store)).toMatchObject({ kind: 'canary', beside: B });
  });

  test('a shadow has no request', async () => {
    await begin({}, { start: 'shadow' });
    expect(await activeTrial(opened.store)).toMatchObject({
      kind: 'shadow',
      beside: A,
      terms: { artifact: A, share: 0, teams: [] },
    });
    expect(await activeArtifact(opened.store)).toBeNull();
  });

  test('with a holdback a promotion is in force and on trial against the one before', async () => {
    await begin();
    await begin({ artifact: B, previous: A }, { holdback: 0.1 });
    expect(await standing(opened.store)).toMatchObject({
      inForce: B,
      trial: { kind: 'watch', beside: A, terms: { artifact: B, share: 0.9 } },
    });
  });

  test('where the log cannot tell a canary decides, unless that is switched off; a refusal is a row and nothing else', async () => {
    expect((await begin({ gate: 'insufficient' }, { trialOnInsufficient: false })).kind).toBe('refused');
    expect((await begin({ gate: 'refuse' })).kind).toBe('refused');
    expect((await begin({ gate: 'refuse', artifact: null })).kind).toBe('refused');
    expect(await standing(opened.store)).toEqual({ ordinal: 0, inForce: null, trial: null });
    expect(await begin({ gate: 'insufficient' })).toMatchObject({ kind: 'canary', trial: { share: 0.1 } });
  });

  test('one trial at a time: another candidate is refused, one to be promoted at once ends it', async () => {
    await begin({ gate: 'insufficient' });
    const second = await begin({ artifact: B, gate: 'insufficient' });
    expect(second).toMatchObject({
      kind: 'refused',
      verdict: { reasons: [expect.stringMatching(/aaaaaaaaaaaa is on trial; one at a time/), 'better'] },
    });
    expect(await activeTrial(opened.store)).toMatchObject({ beside: A });
    expect(await begin({ artifact: B })).toMatchObject({ kind: 'promoted' });
    expect(await standing(opened.store)).toMatchObject({ inForce: B, trial: null });
  });

  test('a job’s verdict stands once, however often it was begun', async () => {
    const first = await begin({ jobId: 'job-1', gate: 'insufficient' });
    const again = await begin({ jobId: 'job-1', gate: 'insufficient', artifact: B });
    expect(again.ordinal).toBe(first.ordinal);
    expect(again.trial).toMatchObject({ artifact: A });
    expect((await history(opened.store)).length).toBe(1);
    const refused = await begin({ jobId: 'job-2', gate: 'refuse' });
    expect((await begin({ jobId: 'job-2' })).ordinal).toBe(refused.ordinal);
  });

  test('what a job was judged against must still be in force', async () => {
    await begin();
    await expect(begin({ artifact: B })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await expect(begin({ artifact: B, gate: 'insufficient' })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    expect(await activeArtifact(opened.store)).toBe(A);
  });

  test('what was rolled back or turned down does not return, what was stopped by hand may', async () => {
    await begin();
    await rollback(opened.store);
    expect(await begin()).toMatchObject({
      kind: 'refused',
      verdict: { reasons: [expect.stringMatching(/was turned down before/), 'better'] },
    });
    await begin({ artifact: B, gate: 'insufficient' });
    await stopTrial(opened.store);
    expect(await wasTurnedDown(opened.store, B)).toBe(false);
    const { ordinal } = await begin({ artifact: B, gate: 'insufficient' });
    await addPromotion(opened.store, {
      kind: 'stopped',
      artifact: null,
      previous: null,
      verdict: { reasons: ['worse'], onTrial: B, turnedDown: true },
      after: ordinal,
    });
    expect(await wasTurnedDown(opened.store, B)).toBe(true);
    expect((await begin({ artifact: B })).kind).toBe('refused');
  });

  test('a step back ends the trial first, then what is in force; each says what it did', async () => {
    await begin();
    await begin({ artifact: B, previous: A, gate: 'insufficient' });
    const first = await rollback(opened.store);
    expect(first).toEqual({ from: B, to: A, stopped: true });
    expect(rollbackText(first)).toMatch(/Stopped the trial of bbbbbbbbbbbb; aaaaaaaaaaaa is in force and has all/);
    expect(await standing(opened.store)).toMatchObject({ inForce: A, trial: null });
    expect(await rollback(opened.store)).toEqual({ from: A, to: null, stopped: false });
    await expect(rollback(opened.store)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(stopTrial(opened.store)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a promotion that is watched is taken back in one step; stopping its watch leaves it in force', async () => {
    await begin({}, { holdback: 0.2 });
    expect(await stopTrial(opened.store)).toEqual({ from: A, to: A, stopped: true });
    expect(await standing(opened.store)).toMatchObject({ inForce: A, trial: null });
    await begin({ artifact: B, previous: A }, { holdback: 0.2 });
    expect(await rollback(opened.store)).toEqual({ from: B, to: A, stopped: false });
    expect(await standing(opened.store)).toMatchObject({ inForce: A, trial: null });
  });

  test('of ten who act on the same finding one does', async () => {
    const { ordinal } = await begin({ gate: 'insufficient' });
    const row = { kind: 'promoted', artifact: A, previous: null, verdict: {}, after: ordinal } as const;
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => addPromotion(opened.store, row)));
    expect(all.filter(({ status }) => status === 'fulfilled').length).toBe(1);
    expect((await history(opened.store)).filter(({ kind }) => kind === 'promoted').length).toBe(1);
  });

  test('a row that others wrote into the table is no trial where its terms are none', async () => {
    const insert = (trial: string) =>
      opened.store.db.execute(
        sql`insert into promotions (created_at, kind, verdict, trial) values (now(), 'canary', '{}', ${trial}::jsonb)`,
      );
    for (const trial of ['{"artifact": "x", "share": 3, "teams": []}', '{"share": 0.1}', '7', 'null', '[]']) {
      await insert(trial);
      expect((await standing(opened.store)).trial).toBeNull();
    }
    await opened.store.db.execute(
      sql`insert into promotions (created_at, kind, verdict, trial) values (now(), 'constructor', '{}', '{"artifact": "x", "share": 1, "teams": []}')`,
    );
    expect((await standing(opened.store)).trial).toBeNull();
  });

  test('the history shows trials, what is watched and why', async () => {
    await begin({}, { holdback: 0.1 });
    await stopTrial(opened.store);
    await begin({ artifact: B, previous: A, gate: 'insufficient', verdict: { reasons: ['too few answers'] } });
    const text = historyText({ active: A, history: await history(opened.store) });
    expect(text).toMatch(/In force: aaaaaaaaaaaa\n {2}On trial: bbbbbbbbbbbb, with 10\.0 % of the requests \(canary\)/);
    expect(text).toMatch(/canary +bbbbbbbbbbbb +too few answers/);
    expect(text).toMatch(/stopped +aaaaaaaaaaaa +by hand/);
    expect(text).toMatch(/promoted +aaaaaaaaaaaa +better/);
  });
});
