/** Which rows of the log may say something of choices that were not made, and what a session is. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Artifact } from '../../../router/artifact/artifact.ts';
import { refitHeads } from '../../../router/training/refit-heads.ts';
import { type CompareOptions, compare } from '../../../server/learning/compare.ts';
import { decisionTimes } from '../../../server/learning/decision-times.ts';
import { embeddingsOf, logTable, type Sample } from '../../../server/learning/log.ts';
import { aSample } from './samples.ts';
import { candidates, logOf } from './synthetic-log.ts';

let artifact: Artifact;
/** 60 answers in 30 sessions, the second turn of each as free to explore as the first. */
let log: Sample[];

beforeAll(async () => {
  const made = await logOf({ seed: 5, decisions: 60, truth: (_, predicted) => predicted });
  artifact = made.artifact;
  log = made.entries.map(({ decision, feedback }, i) =>
    aSample({
      id: decision.id,
      group: decision.session!,
      executed: decision.model,
      sampled: decision.model,
      propensity: decision.propensity,
      distribution: decision.distribution,
      facts: decision.facts as Sample['facts'],
      embedding: decision.embedding!,
      quality: feedback.score!,
      latencyMs: 100,
      firstLabelledAt: i,
    }),
  );
});

/** Heads that were fitted on nothing of it are as good where only rows and units are counted. */
const compared = (samples: readonly Sample[], over: Partial<CompareOptions> = {}) =>
  compare([], samples, {
    incumbent: artifact.heads,
    candidates,
    policy: artifact.policy,
    refit: () => artifact.heads,
    seed: 1,
    ...over,
  })!;
const refit = (some: readonly Sample[]) =>
  refitHeads(artifact.heads, logTable(some), embeddingsOf(some), {
    seed: 1,
    likeOf: (id) => candidates.find((c) => c.id === id)!.like,
  });

describe('a unit of the comparison of choices', () => {
  test('is a session: its first draw, and the mean of what came of it', () => {
    const first = compared(log);
    expect(first.rows).toBe(60);
    expect(first.groups).toBe(30);
    expect(first.value!.rows).toBe(30);
    // Had the second turn brought what the first did, the mean would be the first's.
    const same = log.map((s, i) => ({ ...s, quality: log[i - (i % 2)]!.quality }));
    const alone = same.map((s, i) => (i % 2 === 0 ? s : { ...s, kind: 'hint' as const }));
    expect(compared(same).value!.snipsOld!.value).toBeCloseTo(compared(alone).value!.snipsOld!.value, 12);
  });

  test('begins with the first row that was left to chance; without one it is none', () => {
    const unitsWith = (over: (i: number) => Partial<Sample>) =>
      compared(log.map((s, i) => ({ ...s, ...over(i) }))).value?.rows ?? 0;
    const critical = (is: boolean) => (is ? { facts: { ...log[0]!.facts, critical: true as const } } : {});
    expect(unitsWith((i) => critical(i % 2 === 0))).toBe(30); // the second turn's draw
    expect(unitsWith((i) => critical(i < 20))).toBe(20);
    expect(unitsWith((i) => ({ explorable: i >= 20 }))).toBe(20);
    expect(unitsWith((i) => (i < 20 ? { propensity: 0 } : {}))).toBe(20);
    expect(unitsWith(() => ({ explorable: false }))).toBe(0);
    // They teach and judge forecasts all the same.
    const none = compared(log.map((s) => ({ ...s, explorable: false })));
    expect(none).toMatchObject({ rows: 60, value: null, slices: [] });
  });

  test('counts for the model drawn, though another answered', () => {
    const fellBack = log.map((s) => ({ ...s, executed: 'lab/middle' }));
    const { value, rows } = compared(fellBack);
    expect(rows).toBe(60);
    expect(value!.rows).toBe(30);
    // The same draws, the same rewards: what was weighed is the same. Only forecasts, which learn from the executed, differ.
    expect(value!.snipsOld).toEqual(compared(log).value!.snipsOld);
  });

  test('stays with a model that is gone, at no weight', () => {
    const gone = log.map((s) => {
      const half = s.distribution.map((d) => ({ ...d, probability: d.probability / 2 }));
      return { ...s, propensity: s.propensity / 2, distribution: [...half, { model: 'lab/gone', probability: 0.5 }] };
    });
    const drewIt = gone.map((s, i) => (i < 10 ? { ...s, sampled: 'lab/gone', propensity: 0.5 } : s));
    const { value } = compared(drewIt);
    expect(value!.rows).toBe(30);
    expect(value!.overlap.old!.rows).toBe(30);
  });
});

test('what only a hint judged teaches and judges nothing', () => {
  const hinted = log.map((s, i) => (i < 20 ? { ...s, kind: 'hint' as const } : s));
  expect(compared(hinted)).toMatchObject({ rows: 40, groups: 20, value: { rows: 20 } });
});

test('tells slices, lengths and latencies, and protected teams though the log has none of them', () => {
  const told = log.map((s) => ({ ...s, tenant: 'search', outputTokens: 200 }));
  const { slices, costForecast, value, calibration } = compared(told, { protectedTeams: ['silent'], refit });
  expect(slices).toMatchObject([{ name: 'team silent', isProtected: true, units: 0 }]);
  expect(costForecast).toMatchObject({ calls: 60 });
  expect(costForecast!.forecastNewUsd).toBeGreaterThan(0);
  // Every model answers after 100 ms.
  expect(value!.latency!.oldMs).toBeCloseTo(100, 6);
  expect(calibration.fresh.low).toBeLessThanOrEqual(calibration.fresh.value!);
});

test('money is counted where the policy says what it is worth and costs are known', () => {
  const paid = log.map((s) => ({ ...s, costUsd: 0.001 }));
  const policy = { ...artifact.policy, qualityPerUsd: 5 };
  expect(compared(paid, { policy }).value!.utility).not.toBeNull();
  expect(compared(paid).value!.utility).toBeNull();
  expect(compared(log, { policy }).value).toMatchObject({ utility: null, costUsd: null });
});

test('says nothing of one session, or of models that are no candidates', () => {
  expect(compared(log.map((s) => ({ ...s, group: 'one' })))).toBeNull();
  expect(compared(log, { candidates: [] })).toBeNull();
});

test('times a decision of both', () => {
  const times = decisionTimes(artifact.heads, artifact.heads, log, candidates, artifact.policy)!;
  expect(times.newP50).toBeGreaterThan(0);
  expect(times.newP99).toBeGreaterThanOrEqual(times.newP50);
  expect(decisionTimes(artifact.heads, artifact.heads, [], candidates, artifact.policy)).toBeNull();
  expect(decisionTimes(artifact.heads, artifact.heads, log, [], artifact.policy)).toBeNull();
});
