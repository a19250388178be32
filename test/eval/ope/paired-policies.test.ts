import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LEAST_EFFECTIVE_CHANGE, type PairedUnits, pairPolicies } from '../../../eval/ope/paired-policies.ts';

const f = (...values: number[]) => Float64Array.from(values);
const options = { replicates: 200, seed: 1, qualityPerUsd: null };
const NAMES = ['a', 'b'];

/** Units alike but for what was drawn and what came of it. */
function unitsOf(
  sampled: readonly number[],
  rewards: readonly number[],
  { logging = f(0.5, 0.5), old = f(1, 0), fresh = f(0, 1), forecasts = f(0.5, 0.5) } = {},
): PairedUnits {
  const each = <T>(value: T) => sampled.map(() => value);
  return {
    models: each(NAMES),
    logging: each(logging),
    sampled: Int32Array.from(sampled),
    propensities: Float64Array.from(sampled, (a) => (a < 0 ? 0.5 : logging[a]!)),
    old: each(old),
    fresh: each(fresh),
    quality: { of: Float64Array.from(rewards), forecasts: each(forecasts) },
    cost: null,
  };
}

describe('two policies on the same units', () => {
  test('differ by what the drawn models brought beyond their forecasts, weighed, plus what the forecasts say', () => {
    // w_new − w_old = −2, +2, with r − r̂ = 0.5, −0.5, +0.5, 0.5: −1, −1, 1, 1 → mean 0; forecasts 0.7 − 0.4 = 0.3
    const units = unitsOf([0, 0, 1, 1], [0.9, 0.9, 1.2, 1.2], { forecasts: f(0.4, 0.7) });
    const paired = pairPolicies(units, options);
    expect([...paired.rows.quality].map((v) => Number(v.toFixed(9)))).toEqual([-0.7, -0.7, 1.3, 1.3]);
    expect(paired.quality.value).toBeCloseTo(0.3);
    expect(paired.qualityOld).toBeCloseTo(0.9); // 0.4 + mean(2 · 0.5, 2 · 0.5, 0, 0)
    expect(paired.qualityNew).toBeCloseTo(1.2);
    expect(paired.snipsNew).toEqual({ value: 1.2, ess: 2 });
    expect(paired.change).toEqual({ share: 1, thin: 0, unseen: 0, effective: 4 });
  });

  test('count money at what it is worth', () => {
    const units = {
      ...unitsOf([0, 1], [1, 1]),
      cost: { of: f(0.02, 0.01), forecasts: [f(0.02, 0.01), f(0.02, 0.01)] },
    };
    const { costUsd, utility } = pairPolicies(units, { ...options, qualityPerUsd: 10 });
    expect(costUsd!.value).toBeCloseTo(-0.01);
    expect(utility!.value).toBeCloseTo(0 + 10 * 0.01);
    expect(pairPolicies(units, options).utility).toBeNull();
  });

  test('that do the same differ by 0 exactly, whatever the log', () => {
    const { quality, change, exact } = pairPolicies(
      unitsOf([0, 1, 0], [1, 0, 1], { old: f(0.9, 0.1), fresh: f(0.9, 0.1) }),
      options,
    );
    expect(quality).toEqual({ value: 0, low: 0, high: 0 });
    expect(change).toMatchObject({ share: 0, effective: 0 });
    expect(exact).toBeNull();
  });

  test('a model that is gone has no weight, and its rows stay in the mean', () => {
    const with2 = pairPolicies(unitsOf([0, 1], [1, 0], { logging: f(0.25, 0.25) }), options);
    const with4 = pairPolicies(unitsOf([0, 1, -1, -1], [1, 0, 1, 1], { logging: f(0.25, 0.25) }), options);
    expect(with2.fresh!.meanWeight).toBe(2);
    expect(with4.fresh!.meanWeight).toBe(1);
  });

  test('effective units of the change are those expected, where the log happened to draw no rare model', () => {
    // 100 units, all of the likely model: v = −1/0.98 each, as if 100 told them apart.
    // Expected: (Σ|π_new − π_old|)² / Σ (…)²/p = (2 · 100)² / (100 · (1/0.98 + 1/0.02)) = 7.84
    const { change, isFew, exact } = pairPolicies(
      unitsOf(new Array(100).fill(0), new Array(100).fill(1), { logging: f(0.98, 0.02) }),
      options,
    );
    expect(change.effective).toBeCloseTo(7.84);
    expect(change.effective).toBeLessThan(LEAST_EFFECTIVE_CHANGE);
    expect(change.unseen).toBeCloseTo(1); // the other model was never drawn anywhere
    expect([isFew, exact]).toEqual([true, null]);
  });

  test('few units get bounds that hold for few, wider than the interval', () => {
    const sampled = Array.from({ length: 120 }, (_, i) => i % 2);
    const rewards = sampled.map((a, i) => (a === 1 ? (i % 12 === 1 ? 0 : 1) : i % 6 === 0 ? 1 : 0));
    const { quality, exact, isFew } = pairPolicies(unitsOf(sampled, rewards), options);
    expect(isFew).toBe(true);
    expect(quality.value).toBeCloseTo(5 / 6 - 1 / 3);
    expect(exact!.low).toBeLessThan(quality.low!);
    expect(exact!.low).toBeGreaterThan(0);
    expect(exact!.high).toBeGreaterThan(quality.high!);
  });

  test('a policy that takes nothing that was logged has no weights to be judged by', () => {
    const { old, fresh, snips, snipsNew } = pairPolicies(unitsOf([0, 0], [1, 1], { logging: f(1, 0) }), options);
    expect(old).not.toBeNull();
    expect([fresh, snips, snipsNew]).toEqual([null, null, null]);
  });

  test('the other way round they differ by the opposite, with as much to go by', () => {
    const unit = fc.record({
      sampled: fc.integer({ min: 0, max: 1 }),
      reward: fc.double({ min: 0, max: 1, noNaN: true }),
      logged: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      old: fc.double({ min: 0, max: 1, noNaN: true }),
      fresh: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(unit, { minLength: 1, maxLength: 20 }), (list) => {
        const odds = (p: number) => f(p, 1 - p);
        const units: PairedUnits = {
          models: list.map(() => NAMES),
          logging: list.map(({ logged }) => odds(logged)),
          sampled: Int32Array.from(list, ({ sampled }) => sampled),
          propensities: Float64Array.from(list, ({ sampled, logged }) => (sampled === 0 ? logged : 1 - logged)),
          old: list.map(({ old }) => odds(old)),
          fresh: list.map(({ fresh }) => odds(fresh)),
          quality: { of: Float64Array.from(list, ({ reward }) => reward), forecasts: list.map(() => f(0.4, 0.6)) },
          cost: null,
        };
        const there = pairPolicies(units, { ...options, replicates: 20 });
        const back = pairPolicies({ ...units, old: units.fresh, fresh: units.old }, { ...options, replicates: 20 });
        expect(back.quality.value!).toBeCloseTo(-there.quality.value!, 9);
        expect(back.change.effective).toBeCloseTo(there.change.effective, 6);
        expect(there.qualityNew - there.qualityOld).toBeCloseTo(there.quality.value!, 9);
        expect(there.change.effective).toBeLessThanOrEqual(list.length + 1e-9);
      }),
      { numRuns: 50 },
    );
  });

  test('no unit, and a propensity that is none, are refused', () => {
    expect(() => pairPolicies(unitsOf([], []), options)).toThrow(/no unit/);
    expect(() => pairPolicies({ ...unitsOf([0], [1]), propensities: f(0) }, options)).toThrow(/propensity 0/);
  });
});
