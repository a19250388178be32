/** Trials by what the database holds of them: conversations as a gateway writes them, with verdicts on both arms. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../../../../datasets/index.ts';
import { RolloutConfig as RolloutOptions } from '../../../../server/config/loop-schema.ts';
import type { SqlStore } from '../../../../server/db/store.ts';
import { activeTrial, history, type Promotion, standing } from '../../../../server/learning/promotions.ts';
import {
  beginRollout,
  type GateSays,
  type RolloutConfig,
  wasTurnedDown,
} from '../../../../server/learning/rollout/begin.ts';
import { shadowNumbers, trialUnits } from '../../../../server/learning/rollout/evidence.ts';
import { type Trial, Trials } from '../../../../server/learning/rollout/trials.ts';
import { TrialWatch } from '../../../../server/learning/rollout/watch.ts';
import { aDecision, anAttempt, someFeedback } from '../../db/records.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, fakeRouter } from '../../fakes.ts';

const A = 'a'.repeat(32);
const LIMITS = { canaryShare: 0.5, canaryOutcomes: 40, maxOutcomes: 400, shadowDecisions: 20, maxQualityLoss: 0.2 };
const TRAINED_THROUGH = 1_700_000_000_000;

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  let store: SqlStore;
  beforeAll(async () => {
    opened = await kind.open();
    ({ store } = opened);
  });
  afterAll(() => opened.close());
  beforeEach(() => store.db.execute(sql`truncate decisions, attempts, feedback, outcomes, promotions`));

  const begin = async (gate: GateSays, rollout: Partial<RolloutConfig> = {}): Promise<Promotion> =>
    beginRollout(
      { store, rollout: RolloutOptions.parse({ start: 'canary', ...LIMITS, ...rollout }) },
      { artifact: A, previous: null, gate, verdict: { reasons: ['said the gate'], trainedThrough: TRAINED_THROUGH } },
    );

  /** A replica that has taken up what is on trial. */
  const replica = async (rollout: Partial<RolloutConfig> = {}, on: SqlStore = store) => {
    const trials = new Trials();
    const takeUp = async () => {
      const trial = await activeTrial(on);
      trials.current = trial === null ? null : { ...trial, router: fakeRouter([candidate('one/a')]) };
    };
    await takeUp();
    const limits = RolloutOptions.parse({ ...LIMITS, ...rollout });
    return { trials, takeUp, watch: new TrialWatch(on, trials, () => limits) };
  };

  let made = 0;
  /** As many conversations of one turn as asked for, each judged, drawn by the trial's share. */
  const converse = async (
    ordinal: number,
    count: number,
    share: number,
    quality: (arm: string) => number,
    { seed = 1, weight = 1 } = {},
  ) => {
    const random = seededRandom(seed);
    for (let i = 0; i < count; i++) {
      const id = `d${++made}`;
      const isIn = random() < share;
      const arm = isIn ? 'candidate' : 'incumbent';
      store.record({
        decision: aDecision({
          id,
          createdAt: new Date(),
          session: null,
          facts: { inputTokens: 1, trialUnit: `u${id}` },
          trial: ordinal,
          arm,
          armProbability: isIn ? share : 1 - share,
        }),
        attempt: anAttempt({ id: `t${id}`, decisionId: id }),
        feedback: someFeedback({
          id: `f${id}`,
          decisionId: id,
          score: random() < quality(arm) ? 1 : 0,
          weight,
          createdAt: new Date(),
        }),
      });
    }
    await store.flush();
  };

  test('one the gate passed is promoted when enough was judged, and the verdict has the numbers', async () => {
    const { ordinal } = await begin('promote');
    const { watch } = await replica();
    expect(await watch.look()).toBeNull();
    await converse(ordinal, 120, 0.5, () => 0.8);
    const row = await watch.look();
    expect(row).toMatchObject({
      kind: 'promoted',
      artifact: A,
      previous: null,
      trial: null,
      verdict: {
        onTrial: A,
        turnedDown: false,
        trainedThrough: TRAINED_THROUGH,
        reasons: [expect.stringMatching(/passed the gate, and \d+ judged conversations do not speak against it/)],
        rollout: { gate: 'promote', trial: ordinal, numbers: { difference: expect.any(Number) } },
      },
    });
    expect(await standing(store)).toMatchObject({ inForce: A, trial: null });
    expect(await watch.look()).toBeNull();
  });

  test('a worse one is stopped and does not return', async () => {
    const { ordinal } = await begin('promote');
    const { watch } = await replica({ canaryOutcomes: 1000 });
    await converse(ordinal, 300, 0.5, (arm) => (arm === 'candidate' ? 0.2 : 0.9));
    expect(await watch.look()).toMatchObject({
      kind: 'stopped',
      artifact: null,
      verdict: { turnedDown: true, reasons: [expect.stringMatching(/worse answers/)] },
    });
    expect(await standing(store)).toMatchObject({ inForce: null, trial: null });
    expect(await wasTurnedDown(store, A)).toBe(true);
  });

  test('one of which nothing is told ends without effect', async () => {
    const { ordinal } = await begin('insufficient');
    const { watch } = await replica({ maxOutcomes: 100 });
    await converse(ordinal, 99, 0.5, () => 0.7);
    expect(await watch.look()).toBeNull();
    await converse(ordinal, 1, 0.5, () => 0.7, { seed: 2 });
    expect(await watch.look()).toMatchObject({ kind: 'stopped', verdict: { turnedDown: false } });
    expect(await wasTurnedDown(store, A)).toBe(false);
  });

  test('a promotion with a holdback is taken back by itself when it turns out worse', async () => {
    const { ordinal } = await begin('promote', { start: 'full', holdback: 0.5 });
    expect((await standing(store)).inForce).toBe(A);
    const { watch } = await replica();
    await converse(ordinal, 300, 0.5, (arm) => (arm === 'candidate' ? 0.3 : 0.9));
    expect(await watch.look()).toMatchObject({
      kind: 'rolled-back',
      artifact: null,
      previous: A,
      verdict: { turnedDown: true, rollout: { numbers: { high: expect.any(Number) } } },
    });
    expect(await standing(store)).toMatchObject({ inForce: null, trial: null });
    expect(await wasTurnedDown(store, A)).toBe(true);
  });

  test('a promotion by canary is watched where requests are held back', async () => {
    const { ordinal } = await begin('promote');
    const { watch } = await replica({ holdback: 0.1 });
    await converse(ordinal, 120, 0.5, () => 0.8);
    expect(await watch.look()).toMatchObject({ kind: 'promoted', trial: { artifact: A, share: 0.9 } });
    expect((await standing(store)).trial).toMatchObject({ kind: 'watch', beside: null });
  });

  test('several replicas act once', async () => {
    const { ordinal } = await begin('promote');
    await converse(ordinal, 120, 0.5, () => 0.8);
    const replicas = await Promise.all([1, 2, 3, 4].map(() => replica()));
    const rows = await Promise.all(replicas.map(({ watch }) => watch.look()));
    expect(rows.filter((row) => row !== null).length).toBe(1);
    expect((await history(store)).map(({ kind }) => kind)).toEqual(['promoted', 'canary']);
  });

  test('a replica that could not take the router up does not promote it, but stops one that is worse', async () => {
    const { ordinal } = await begin('promote');
    const { watch, trials } = await replica();
    trials.current = null;
    await converse(ordinal, 120, 0.5, () => 0.8);
    expect(await watch.look()).toBeNull();
    await converse(ordinal, 250, 0.5, (arm) => (arm === 'candidate' ? 0 : 1), { seed: 3 });
    expect(await watch.look()).toMatchObject({ kind: 'stopped' });
  });

  test('a conversation counts once, by its mean; hints and what others judge do not count; no answer counts as 0', async () => {
    const { ordinal } = await begin('insufficient');
    const trial = (await activeTrial(store))!;
    const turn = (
      id: string,
      unit: string,
      over: object,
      verdict: object | null,
      status: 'ok' | 'error' | 'cancelled' = 'ok',
    ) =>
      store.record({
        decision: aDecision({
          id,
          createdAt: new Date(),
          facts: { trialUnit: unit },
          trial: ordinal,
          arm: 'candidate',
          armProbability: 0.1,
          ...over,
        }),
        attempt: anAttempt({ id: `a${id}`, decisionId: id, status }),
        ...(verdict !== null && {
          feedback: someFeedback({ id: `f${id}`, decisionId: id, createdAt: new Date(), weight: 1, ...verdict }),
        }),
      });
    turn('1', 'talk', {}, { score: 1 });
    turn('2', 'talk', {}, { score: 0.5 });
    turn('3', 'talk', {}, null);
    turn('4', 'hinted', {}, { score: 0, kind: 'hint', source: 'hint:asked-again', weight: 0.3 });
    turn('5', 'weightless', {}, { score: 0, weight: 0 });
    turn('6', 'failed', { arm: 'incumbent', armProbability: 0.9, executedModel: null }, null, 'error');
    turn('7', 'left', { executedModel: null }, null, 'cancelled');
    turn('8', 'elsewhere', { trial: ordinal + 1 }, { score: 0 });
    turn('9', 'nowhere', { trial: null, arm: null, armProbability: null }, { score: 0 });
    await store.flush();
    const { watch } = await replica();
    await watch.look();
    const units = await trialUnits(store, trial);
    expect(units.length).toBe(2);
    expect(units).toContainEqual({ arm: 'candidate', armProbability: 0.1, quality: 0.75, team: 'default' });
    expect(units).toContainEqual({ arm: 'incumbent', armProbability: 0.9, quality: 0, team: 'default' });
  });

  test('conversations whose verdicts weigh little count as often as they weigh, and are not made milder', async () => {
    const { ordinal } = await begin('insufficient');
    await converse(ordinal, 400, 0.5, (arm) => (arm === 'candidate' ? 0 : 1), { weight: 0.1 });
    const { watch } = await replica();
    await watch.look();
    const trial = { ordinal, createdAt: new Date() } as never;
    const units = await trialUnits(store, trial);
    // 40 of 400, give or take four standard deviations of 6.
    expect(Math.abs(units.length - 40)).toBeLessThan(24);
    expect(units.every(({ arm, quality }) => quality === (arm === 'candidate' ? 0 : 1))).toBe(true);
  });

  test('a shadow advances to the canary, without the feedback of anybody', async () => {
    const { ordinal } = await begin('promote', { start: 'shadow' });
    const choice = { quality: 0.5, outputTokens: 1, costUsd: 1 };
    const shadow = { model: 'b/large', reason: 'x', propensity: 1, artifact: A, chosen: choice, named: null };
    const decide = (count: number, over: object) => {
      for (let i = 0; i < count; i++) {
        store.record({
          decision: aDecision({ id: `s${++made}`, createdAt: new Date(), trial: ordinal, routerMs: 4, ...over }),
        });
      }
      return store.flush();
    };
    await decide(10, { shadow: { ...shadow, routerMs: 2 } });
    await decide(10, { shadow: { ...shadow, model: 'a/small', routerMs: 6 } });
    expect(await shadowNumbers(store, (await activeTrial(store))!)).toMatchObject({
      decisions: 20,
      missing: 0,
      p99Ms: 6,
      p99InForceMs: 4,
      changed: 0.5,
    });
    const { watch } = await replica({ canaryShare: 0.3, canaryTeams: ['red'] });
    expect(await watch.look()).toMatchObject({
      kind: 'canary',
      artifact: null,
      trial: { artifact: A, share: 0.3, teams: ['red'] },
      verdict: { trainedThrough: TRAINED_THROUGH, rollout: { gate: 'promote', numbers: { decisions: 20 } } },
    });
  });

  test('a shadow that fails once, or is late too often, is stopped', async () => {
    await begin('promote', { start: 'shadow' });
    const one = await replica();
    one.trials.fail(
      (one.trials.current as Trial).ordinal,
      Object.assign(new Error('no'), { code: 'ARTIFACT_DAMAGED' }),
    );
    expect(await one.watch.look()).toMatchObject({
      kind: 'stopped',
      verdict: { turnedDown: true, reasons: [expect.stringMatching(/in the shadow \(ARTIFACT_DAMAGED\)/)] },
    });
    await store.db.execute(sql`truncate promotions`);
    const { ordinal } = await begin('promote', { start: 'shadow' });
    for (let i = 0; i < 20; i++) {
      store.record({ decision: aDecision({ id: `l${++made}`, createdAt: new Date(), trial: ordinal, shadow: null }) });
    }
    await store.flush();
    const other = await replica();
    expect(await other.watch.look()).toMatchObject({ kind: 'stopped', verdict: { turnedDown: false } });
  });

  test('goes on after the database was away, and looks by itself', async () => {
    const { ordinal } = await begin('promote');
    await converse(ordinal, 120, 0.5, () => 0.8);
    const { trials } = await replica();
    let failures = 2;
    const flaky: SqlStore = Object.create(store, {
      db: {
        get() {
          if (failures-- > 0) throw Object.assign(new Error('away'), { code: 'DATABASE_UNAVAILABLE' });
          return store.db;
        },
      },
    });
    const problems: unknown[] = [];
    const moved = new Promise<Promotion>((resolve) => {
      const watch = new TrialWatch(flaky, trials, () => RolloutOptions.parse(LIMITS), {
        intervalMs: 10,
        onMove(row) {
          void watch.stop();
          resolve(row);
        },
        onProblem: (error) => problems.push(error),
      });
      watch.start();
    });
    expect(await moved).toMatchObject({ kind: 'promoted' });
    expect(problems.length).toBe(2);
  });
});
