/** Ridge regression whose strength is chosen by out-of-fold error, folds keeping groups together. */
import { cholesky, choleskySolve } from './linear-algebra.ts';

export interface RidgeFit {
  /** d weights and a bias: prediction = weights · z + bias. */
  readonly weights: Float64Array;
  readonly bias: number;
  /** n predictions, each from a fit without its own fold; NaN where the target is missing. */
  readonly outOfFold: Float64Array;
  /** Share of the target's variance that the out-of-fold predictions explain; below 0 is worse than its mean. */
  readonly r2: number;
  readonly strength: number;
}

/** Strengths tried, as multiples of the average diagonal of ZᵀZ. */
const STRENGTHS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 100];

/**
 * One ridge fit per target column over the same inputs.
 * @param z       n × d inputs
 * @param targets each of length n; NaN where missing
 * @param folds   fold of each row, 0 … F − 1
 * @param penalty relative penalty of each input, length d; default 1
 * @param weight  weight of each row, ≥ 0; default 1
 */
export function ridgeOutOfFold(
  z: Float32Array,
  d: number,
  targets: readonly Float64Array[],
  folds: Int32Array,
  options: { penalty?: Float64Array; strengths?: readonly number[]; weight?: Float64Array } = {},
): RidgeFit[] {
  return targets.map((y) => fitOne(z, d, y, folds, options));
}

interface Moments {
  readonly zz: Float64Array; // d × d, lower triangle
  readonly zy: Float64Array;
  readonly z: Float64Array;
  y: number;
  w: number;
}

function fitOne(
  z: Float32Array,
  d: number,
  y: Float64Array,
  folds: Int32Array,
  options: { penalty?: Float64Array; strengths?: readonly number[]; weight?: Float64Array },
): RidgeFit {
  const count = folds.reduce((a, b) => Math.max(a, b + 1), 0);
  const perFold = Array.from({ length: count }, () => moments(d));
  for (let i = 0; i < y.length; i++) {
    if (!Number.isNaN(y[i]!)) accumulate(perFold[folds[i]!]!, z, i * d, d, y[i]!, options.weight?.[i] ?? 1);
  }
  const all = perFold.reduce((sum, f) => combine(sum, f, 1), moments(d));
  let trace = 0;
  for (let a = 0; a < d; a++) trace += all.zz[a * d + a]! - (all.w ? all.z[a]! ** 2 / all.w : 0);
  const unit = Math.max(1e-9, trace / d);

  const strengths = options.strengths ?? STRENGTHS;
  let best: { strength: number; error: number; outOfFold: Float64Array } | undefined;
  for (const strength of strengths) {
    const outOfFold = new Float64Array(y.length).fill(Number.NaN);
    let error = 0;
    for (let f = 0; f < count; f++) {
      const { weights, bias } = solve(combine(copy(all), perFold[f]!, -1), d, strength * unit, options.penalty);
      for (let i = 0; i < y.length; i++) {
        if (folds[i] !== f || Number.isNaN(y[i]!)) continue;
        const p = dot(z, i * d, weights) + bias;
        outOfFold[i] = p;
        error += (options.weight?.[i] ?? 1) * (p - y[i]!) ** 2;
      }
    }
    if (best === undefined || error < best.error) best = { strength, error, outOfFold };
  }
  const mean = all.w > 0 ? all.y / all.w : 0;
  let total = 0;
  y.forEach((v, i) => {
    if (!Number.isNaN(v)) total += (options.weight?.[i] ?? 1) * (v - mean) ** 2;
  });
  const { strength, error, outOfFold } = best!;
  return {
    ...solve(all, d, strength * unit, options.penalty),
    outOfFold,
    strength,
    r2: total > 0 ? 1 - error / total : 0,
  };
}

const moments = (d: number): Moments => ({
  zz: new Float64Array(d * d),
  zy: new Float64Array(d),
  z: new Float64Array(d),
  y: 0,
  w: 0,
});

function accumulate(to: Moments, z: Float32Array, at: number, d: number, y: number, w: number): void {
  for (let a = 0; a < d; a++) {
    const za = w * z[at + a]!;
    to.z[a]! += za;
    to.zy[a]! += za * y;
    const row = a * d;
    for (let b = 0; b <= a; b++) to.zz[row + b]! += za * z[at + b]!;
  }
  to.y += w * y;
  to.w += w;
}

function combine(to: Moments, from: Moments, sign: 1 | -1): Moments {
  for (let k = 0; k < to.zz.length; k++) to.zz[k]! += sign * from.zz[k]!;
  for (let k = 0; k < to.z.length; k++) {
    to.z[k]! += sign * from.z[k]!;
    to.zy[k]! += sign * from.zy[k]!;
  }
  to.y += sign * from.y;
  to.w += sign * from.w;
  return to;
}

const copy = (m: Moments): Moments => ({ ...m, zz: m.zz.slice(), zy: m.zy.slice(), z: m.z.slice() });

function solve(
  m: Moments,
  d: number,
  strength: number,
  penalty?: Float64Array,
): { weights: Float64Array; bias: number } {
  if (m.w <= 0) return { weights: new Float64Array(d), bias: 0 };
  const a = new Float64Array(d * d);
  const b = new Float64Array(d);
  const meanY = m.y / m.w;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      const v = m.zz[i * d + j]! - (m.z[i]! * m.z[j]!) / m.w;
      a[i * d + j] = v;
      a[j * d + i] = v;
    }
    a[i * d + i]! += strength * (penalty?.[i] ?? 1) + 1e-9;
    b[i] = m.zy[i]! - m.z[i]! * meanY;
  }
  const weights = choleskySolve(cholesky(a, d), b, d);
  let bias = meanY;
  for (let i = 0; i < d; i++) bias -= (weights[i]! * m.z[i]!) / m.w;
  return { weights, bias };
}

function dot(z: Float32Array, at: number, w: Float64Array): number {
  let s = 0;
  for (let k = 0; k < w.length; k++) s += z[at + k]! * w[k]!;
  return s;
}
