/** Ridge by out-of-fold error: finds what is there, claims nothing of noise, and never looks into its own fold. */
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { ridgeOutOfFold, ridgeTogether } from '../../../router/training/ridge.ts';

const N = 200;
const D = 5;
const random = seededRandom(7);
const z = Float32Array.from({ length: N * D }, () => normal(random));
const folds = Int32Array.from({ length: N }, (_, i) => i % 5);
const at = (i: number, a: number): number => z[i * D + a]!;
const plane = Float64Array.from({ length: N }, (_, i) => 2 * at(i, 0) - 3 * at(i, 3) + 0.5);
const noise = Float64Array.from({ length: N }, () => normal(random));

describe('ridgeOutOfFold', () => {
  test('recovers a plane', () => {
    const [fit] = ridgeOutOfFold(z, D, [plane], folds);
    expect(fit!.r2).toBeGreaterThan(0.999);
    expect(fit!.bias).toBeCloseTo(0.5, 1);
    [2, 0, 0, -3, 0].forEach((w, a) => {
      expect(Math.abs(fit!.weights[a]! - w)).toBeLessThan(0.05);
    });
  });

  test('claims nothing of noise', () => {
    const fits = ridgeOutOfFold(
      z,
      D,
      Array.from({ length: 20 }, () => Float64Array.from({ length: N }, () => normal(random))),
      folds,
    );
    // The strongest penalty tried is picked out of noise, and leaves at most a trace.
    expect(Math.max(...fits.map((f) => f.r2))).toBeLessThan(0.05);
    expect(fits.reduce((s, f) => s + f.r2, 0) / 20).toBeLessThanOrEqual(0.005);
  });

  test('predicts each fold without looking into it', () => {
    // Whatever the targets of fold 2 are, its own predictions at a given strength stay the same.
    const moved = plane.map((v, i) => (folds[i] === 2 ? v + 1000 * noise[i]! : v));
    const options = { strengths: [0.1] };
    const [a] = ridgeOutOfFold(z, D, [plane], folds, options);
    const [b] = ridgeOutOfFold(z, D, [moved], folds, options);
    for (let i = 0; i < N; i++) {
      if (folds[i] === 2) expect(b!.outOfFold[i]).toBeCloseTo(a!.outOfFold[i]!, 8);
      else expect(Math.abs(b!.outOfFold[i]! - a!.outOfFold[i]!)).toBeGreaterThan(1e-6);
    }
  });

  test('matches the closed form on one input, by hand', () => {
    // z = (−1, 0, 1, 2), y = (−2, 0, 2, 4), slope Σ(z − z̄)(y − ȳ) / (Σ(z − z̄)² + λ) with λ = strength · 5 and Σ(z − z̄)² = 5:
    // 10 / (5 + 5) = 1 at strength 1; bias ȳ − z̄ = 1 − 0.5.
    const [fit] = ridgeOutOfFold(
      Float32Array.of(-1, 0, 1, 2),
      1,
      [Float64Array.of(-2, 0, 2, 4)],
      Int32Array.of(0, 1, 0, 1),
      { strengths: [1] },
    );
    expect(fit!.weights[0]).toBeCloseTo(1, 6);
    expect(fit!.bias).toBeCloseTo(0.5, 6);
    // Fold 0 is predicted from (0, 0) and (2, 4): Σ² = 2, slope 4 / (2 + 5), means 1 and 2.
    expect(fit!.outOfFold[0]).toBeCloseTo(2 + (-1 - 1) * (4 / 7), 6);
  });

  test('leaves missing targets out, as if their rows were not there', () => {
    const holes = plane.map((v, i) => (i % 3 === 0 ? Number.NaN : v));
    const [fit] = ridgeOutOfFold(z, D, [holes], folds);
    const kept = Array.from({ length: N }, (_, i) => i).filter((i) => i % 3 !== 0);
    const [alone] = ridgeOutOfFold(
      Float32Array.from(kept.flatMap((i) => [...z.subarray(i * D, i * D + D)])),
      D,
      [Float64Array.from(kept, (i) => plane[i]!)],
      Int32Array.from(kept, (i) => folds[i]!),
    );
    expect([...fit!.weights]).toEqual([...alone!.weights]);
    expect(fit!.r2).toBe(alone!.r2);
    holes.forEach((v, i) => {
      expect(Number.isNaN(fit!.outOfFold[i]!)).toBe(Number.isNaN(v));
    });
  });

  test('weighs a row twice as if it stood there twice', () => {
    const weight = Float64Array.from({ length: N }, (_, i) => (i < 50 ? 2 : 1));
    const rows = [...Array(N).keys(), ...Array(50).keys()];
    const y = plane.map((v, i) => v + noise[i]!);
    const [weighted] = ridgeOutOfFold(z, D, [y], folds, { weight, strengths: [0.3] });
    const [doubled] = ridgeOutOfFold(
      Float32Array.from(rows.flatMap((i) => [...z.subarray(i * D, i * D + D)])),
      D,
      [Float64Array.from(rows, (i) => y[i]!)],
      Int32Array.from(rows, (i) => folds[i]!),
      { strengths: [0.3] },
    );
    weighted!.weights.forEach((w, a) => {
      expect(w).toBeCloseTo(doubled!.weights[a]!, 8);
    });
    expect(weighted!.r2).toBeCloseTo(doubled!.r2, 8);
  });

  test.each([
    ['no target at all', Float64Array.from({ length: N }, () => Number.NaN), folds, 0],
    ['a constant target', new Float64Array(N).fill(3), folds, 3],
    ['a single fold', plane, new Int32Array(N), undefined],
  ])('stays finite with %s', (_, y, inFolds, value) => {
    const [fit] = ridgeOutOfFold(z, D, [y], inFolds);
    expect([...fit!.weights, fit!.bias, fit!.r2].every(Number.isFinite)).toBe(true);
    expect(fit!.r2).toBeLessThanOrEqual(0);
    if (value !== undefined) expect(fit!.bias).toBeCloseTo(value, 6);
  });

  test('stays finite on inputs that never move or repeat each other', () => {
    const twins = Float32Array.from({ length: N * 3 }, (_, k) => (k % 3 === 2 ? 7 : at(Math.floor(k / 3), 0)));
    const [fit] = ridgeOutOfFold(twins, 3, [plane], folds);
    expect(fit!.weights[0]).toBeCloseTo(fit!.weights[1]!, 4);
    expect(Math.abs(fit!.weights[2]!)).toBeLessThan(1e-3);
  });
});

describe('nuisance inputs', () => {
  // Who answered goes with the first coordinate: 1 where it is above 0.
  const answered = Float64Array.from({ length: N }, (_, i) => (at(i, 0) > 0 ? 1 : 0));
  const y = answered.map((b, i) => at(i, 0) - 4 * b);
  const inputs = Float32Array.from({ length: N * (D + 1) }, (_, k) => {
    const i = Math.floor(k / (D + 1));
    return k % (D + 1) === D ? answered[i]! : at(i, k % (D + 1));
  });
  const penalty = Float64Array.of(1, 1, 1, 1, 1, 0.01);

  test('take what is theirs, so that a coordinate that goes with them keeps its own sign', () => {
    const [without] = ridgeOutOfFold(z, D, [y], folds);
    const [within] = ridgeOutOfFold(inputs, D + 1, [y], folds, { nuisance: 1, penalty });
    expect(without!.weights[0]).toBeLessThan(-0.5);
    expect(within!.weights[0]).toBeCloseTo(1, 1);
    expect(within!.weights.length).toBe(D);
    // All that they leave is the plane, which is there without noise.
    expect(within!.r2).toBeGreaterThan(0.99);
  });

  test('are no part of a prediction: rows that differ in them alone are predicted the same', () => {
    const turned = inputs.map((v, k) => (k % (D + 1) === D && folds[Math.floor(k / (D + 1))] === 2 ? 1 - v : v));
    const options = { nuisance: 1, penalty, strengths: [0.1] };
    const [a] = ridgeOutOfFold(inputs, D + 1, [y], folds, options);
    const [b] = ridgeOutOfFold(turned, D + 1, [y], folds, options);
    for (let i = 0; i < N; i++) if (folds[i] === 2) expect(b!.outOfFold[i]).toBeCloseTo(a!.outOfFold[i]!, 9);
  });
});

describe('ridgeTogether', () => {
  /** Mean over the coordinates of Σ (z − z̄)². */
  const unit =
    Array.from({ length: D }, (_, a) => {
      const values = Array.from({ length: N }, (_, i) => at(i, a));
      const mean = values.reduce((p, q) => p + q, 0) / N;
      return values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
    }).reduce((p, q) => p + q, 0) / D;

  test('is the ordinary fit where there is one target', () => {
    const y = plane.map((v, i) => v + 3 * noise[i]!);
    const [alone] = ridgeOutOfFold(z, D, [y], folds);
    const [together] = ridgeTogether(z, D, [y], folds, unit);
    expect(together!.strength).toBe(alone!.strength);
    together!.weights.forEach((w, a) => {
      expect(w).toBeCloseTo(alone!.weights[a]!, 9);
    });
    expect(together!.r2).toBeCloseTo(alone!.r2, 9);
  });

  test('gives few rows no plane by luck where many rows show none', () => {
    const few = Array.from({ length: 12 }, (_, t) =>
      Float64Array.from({ length: N }, (_, i) => (i % 12 === t ? normal(random) : Number.NaN)),
    );
    const power = (fits: ReturnType<typeof ridgeTogether>): number =>
      fits.reduce((sum, { outOfFold }) => sum + outOfFold.reduce((s, v) => s + (Number.isNaN(v) ? 0 : v * v), 0), 0) /
      N;
    const alone = power(ridgeOutOfFold(z, D, few, folds));
    const together = power(ridgeTogether(z, D, [noise, ...few], folds, unit).slice(1));
    expect(together).toBeLessThan(alone);
  });

  test('takes no target at all', () => {
    expect(ridgeTogether(z, D, [], folds, 1)).toEqual([]);
  });
});
