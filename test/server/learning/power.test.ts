import { expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { differenceRows } from '../../../eval/ope/difference.ts';
import { normalCdf, normalQuantile } from '../../../eval/ope/normal.ts';
import { designError, gatePower } from '../../../server/learning/power.ts';

test('the normal distribution agrees with its tables', () => {
  expect(normalCdf(0)).toBe(0.5);
  expect(normalCdf(1.959963984540054)).toBeCloseTo(0.975, 12);
  expect(normalCdf(-3)).toBeCloseTo(0.0013498980316301, 12);
  expect(normalQuantile(0.8)).toBeCloseTo(0.8416212335729143, 9);
  expect([normalCdf(-40), normalCdf(40)]).toEqual([0, 1]);
});

test('power by hand', () => {
  // SE 0.01, δ − θ = 0.015: Φ(1.5 − 1.95996) = 0.3228; units 1000 · (0.01 · 2.80159 / 0.015)² = 3488.4
  const { power, unitsNeeded } = gatePower(0.01, 1000, { effect: 0.01, threshold: -0.005 });
  expect(power).toBeCloseTo(0.3228, 4);
  expect(unitsNeeded).toBe(3489);
  // As many units as are needed have the power that is wanted: SE falls with their root.
  expect(gatePower(0.01 / Math.sqrt(3.4884), 3489, { effect: 0.01, threshold: -0.005 }).power).toBeCloseTo(0.8, 3);
  expect(gatePower(0, 10, { effect: 0.01, threshold: 0 }).power).toBe(1);
});

test('the standard error by hand', () => {
  // Two units. First: π_new − π_old = −1, +1 over p = 0.8, 0.2: 1/0.8 + 1/0.2 = 6.25. Second: no change.
  // σ² = 0.2; forecasts 0.1 and 0: their squares about 0.05 sum to 0.005. SE = √(0.2 · 6.25 + 0.005) / 2
  const f = (...v: number[]) => Float64Array.from(v);
  const error = designError({
    fresh: [f(0, 1), f(1, 0)],
    old: [f(1, 0), f(1, 0)],
    logging: [f(0.8, 0.2), f(0.8, 0.2)],
    residualVariance: 0.2,
    forecastDifference: f(0.1, 0),
  });
  expect(error).toBeCloseTo(Math.sqrt(1.255) / 2, 12);
});

test('an effect below the threshold and an empty log are refused', () => {
  expect(() => gatePower(0.01, 10, { effect: 0, threshold: 0 })).toThrow(/effect of 0/);
  const none = { fresh: [], old: [], logging: [], residualVariance: 0, forecastDifference: new Float64Array() };
  expect(() => designError(none)).toThrow(/no unit/);
});

test('what is reckoned beforehand is what many logs show: spread of the difference, and share that passes', () => {
  const random = seededRandom(5);
  const n = 400;
  const runs = 1500;
  const sd = 0.3;
  const effect = 0.2;
  const logging = Array.from({ length: n }, () => {
    const p = 0.3 + 0.4 * random();
    return Float64Array.of(p, 1 - p);
  });
  const moves = Array.from({ length: n }, () => random() < 0.5);
  const old = moves.map(() => Float64Array.of(1, 0));
  const fresh = moves.map((moved) => (moved ? Float64Array.of(0, 1) : Float64Array.of(1, 0)));
  // Model 1 is `effect` better; forecasts know, so that only noise is left.
  const design = designError({
    fresh,
    old,
    logging,
    residualVariance: sd ** 2,
    forecastDifference: Float64Array.from(moves, (moved) => (moved ? effect : 0)),
  });
  const threshold = 0.05;
  const truth = (effect * moves.filter((moved) => moved).length) / n;
  const values = Float64Array.from({ length: runs }, () => {
    // Units are drawn anew: half of them move, up to chance.
    const picks = Array.from({ length: n }, () => Math.floor(random() * n));
    const sampled = picks.map((i) => (random() < logging[i]![0]! ? 0 : 1));
    const of = (rows: readonly Float64Array[]) => Float64Array.from(picks, (i, k) => rows[i]![sampled[k]!]!);
    const predictedTarget = (rows: readonly Float64Array[]) => Float64Array.from(picks, (i) => effect * rows[i]![1]!);
    const rows = differenceRows({
      rewards: Float64Array.from(sampled, (a) => effect * a + sd * normal(random)),
      propensities: of(logging),
      predicted: Float64Array.from(sampled, (a) => effect * a),
      fresh: { target: of(fresh), predictedTarget: predictedTarget(fresh) },
      old: { target: of(old), predictedTarget: predictedTarget(old) },
    });
    return rows.reduce((a, b) => a + b) / n;
  });
  const mean = values.reduce((a, b) => a + b) / runs;
  const spread = Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / runs);
  expect(spread / design).toBeGreaterThan(0.94); // 1 ± 3 / √(2 · 1500)
  expect(spread / design).toBeLessThan(1.06);
  const passed = values.filter((v) => v - 1.96 * design >= threshold).length / runs;
  const { power } = gatePower(design, n, { effect: truth, threshold });
  expect(Math.abs(passed - power)).toBeLessThan(0.04);
});
