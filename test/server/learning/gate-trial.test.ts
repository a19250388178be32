/** Does the gate keep its promises? Counted on many logs of worlds whose truth is known. */
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { simulateGate, type TrialWorld } from '../../../server/learning/gate-trial.ts';

const PROMPTS = 1000;
const RUNS = 300;
/** Share of the prompts that the candidate would send to the other model. */
const MOVED = 0.1;

/**
 * Two models, the other drawn with `propensity`. Half of the prompts are easy and half are hard, and forecasts know. On a
 * tenth the candidate takes the other model, which there is so much better or worse that all prompts gain `effect`.
 */
function worldOf(effect: number, propensity = 0.5, hard = 0.1): TrialWorld {
  const random = seededRandom(11);
  const quality = new Float64Array(2 * PROMPTS);
  const forecasts = new Float64Array(2 * PROMPTS);
  const logging = new Float64Array(2 * PROMPTS);
  const incumbent = new Float64Array(2 * PROMPTS);
  const candidate = new Float64Array(2 * PROMPTS);
  for (let i = 0; i < PROMPTS; i++) {
    const q = random() < 0.5 ? hard : 1 - hard;
    const moves = i % (1 / MOVED) === 0;
    quality.set([q, moves ? q + effect / MOVED : q], 2 * i);
    forecasts.set([q, q], 2 * i);
    logging.set([1 - propensity, propensity], 2 * i);
    incumbent.set([1, 0], 2 * i);
    candidate.set(moves ? [0, 1] : [1, 0], 2 * i);
  }
  return { modelIds: ['a', 'b'], quality, forecasts, logging, incumbent, candidate };
}

const trials = (world: TrialWorld, rows: number, runs = RUNS) =>
  Array.from({ length: runs }, (_, k) => simulateGate(world, { rows, seed: k + 1, replicates: 200 }));
const share = <T>(list: readonly T[], of: (item: T) => boolean) => list.filter(of).length / list.length;

describe('on logs that cover the change', () => {
  test('a router truly better by a point passes in four of five where the power says so, and the interval holds the truth', () => {
    const runs = trials(worldOf(0.01), 2500);
    expect(runs[0]!.truth).toBeCloseTo(0.01, 9);
    const able = runs.filter(({ power }) => power >= 0.8);
    expect(able.length / runs.length).toBeGreaterThan(0.9);
    const passed = share(able, ({ kind }) => kind === 'promote');
    const covered = share(
      runs.filter(({ overlap }) => overlap),
      (run) => run.covered,
    );
    console.log(
      `better by a point: ${able.length} of ${RUNS} logs have the power, ${passed} of them pass; coverage ${covered}`,
    );
    expect(passed).toBeGreaterThanOrEqual(0.8);
    expect(covered).toBeGreaterThanOrEqual(0.93);
    expect(covered).toBeLessThanOrEqual(0.97);
  }, 180_000);

  test('one truly worse by half a point passes in at most one of twenty', () => {
    const runs = trials(worldOf(-0.005), 2500);
    const passed = share(runs, ({ kind }) => kind === 'promote');
    console.log(`worse by half a point: ${passed} pass`);
    expect(passed).toBeLessThanOrEqual(0.05);
  }, 180_000);

  test('too short a log says that it cannot tell, and how long one could', () => {
    // σ² = 0.16, Σ (π_new − π_old)²/p = 0.1 · 4: SE = √(0.064 / 1500), power Φ(0.015 / SE − 1.96) = 0.63
    const world = worldOf(0.01, 0.5, 0.2);
    const runs = trials(world, 1500, 60);
    const power = runs.reduce((sum, run) => sum + run.power / runs.length, 0);
    expect(power).toBeGreaterThan(0.55);
    expect(power).toBeLessThan(0.7);
    const open = runs.filter(({ kind }) => kind !== 'promote');
    expect(open.length).toBeGreaterThan(0);
    expect(share(open, ({ kind }) => kind === 'insufficient')).toBe(1);
    // (2.80 / 0.015)² · 0.064 = 2 230
    const needed = runs.map((run) => run.unitsNeeded);
    expect(Math.min(...needed)).toBeGreaterThan(1800);
    const longer = simulateGate(world, { rows: Math.max(...needed), seed: 1, replicates: 50 });
    expect(longer.power).toBeGreaterThan(0.78);
  }, 60_000);
});

test('what the log made once in 200 requests is no ground for a verdict, whatever it says', () => {
  const runs = trials(worldOf(0.05, 0.005), 2500, 40);
  expect(share(runs, ({ overlap }) => overlap)).toBe(0);
  expect(share(runs, ({ kind }) => kind === 'insufficient')).toBe(1);
  expect(runs[0]!.power).toBe(0);
  expect(runs[0]!.reasons.join()).toMatch(/no overlap: \d+\.\d % of the choices change/);
}, 60_000);

test('money counts at what it is worth: as good and cheaper is better', () => {
  const world = worldOf(0);
  const costUsd = Float64Array.from(world.quality, (_, at) => (at % 2 === 0 ? 0.01 : 0.002));
  const trial = simulateGate({ ...world, costUsd }, { rows: 2500, seed: 3, qualityPerUsd: 10, replicates: 200 });
  // A tenth saves 0.008 USD: 0.1 · 0.008 · 10
  expect(trial.truth).toBeCloseTo(0.008, 9);
  expect(trial.reasons.join()).toMatch(/utility/);
  expect(trial.estimate.value).not.toBeNull();
});

test('without forecasts of its own each model’s mean is one', () => {
  const { forecasts: _, ...world } = worldOf(0.01);
  const trial = simulateGate(world, { rows: 800, seed: 1, replicates: 100 });
  expect(trial.truth).toBeCloseTo(0.01, 9);
  expect(Math.abs(trial.estimate.value!)).toBeLessThan(0.1);
});

test.each([
  [
    'a policy that is no distribution',
    { candidate: new Float64Array(2 * PROMPTS) },
    /candidate is no distribution for prompt 0/,
  ],
  ['columns of another length', { logging: new Float64Array(2) }, /logging is not n × m/],
  ['no prompt', { quality: new Float64Array(0) }, /quality is not n × m/],
])('%s is refused', (_, over, message) => {
  expect(() => simulateGate({ ...worldOf(0), ...over }, { rows: 10, seed: 1 })).toThrow(message);
});
