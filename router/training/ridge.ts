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
const STRENGTHS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 100];

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
  options: RidgeOptions = {},
): RidgeFit[] {
  // Targets known on the same rows share everything that depends on the inputs alone.
  const fits: RidgeFit[] = [];
  const pending = new Set(targets.keys());
  for (const first of targets.keys()) {
    if (!pending.has(first)) continue;
    const alike = [...pending].filter((t) => sameHoles(targets[first]!, targets[t]!));
    const found = fitAlike(
      z,
      d,
      alike.map((t) => targets[t]!),
      folds,
      options,
    );
    alike.forEach((t, k) => {
      fits[t] = found[k]!;
      pending.delete(t);
    });
  }
  return fits;
}

interface RidgeOptions {
  readonly penalty?: Float64Array;
  readonly strengths?: readonly number[];
  readonly weight?: Float64Array;
}

/** Sums over rows: of z zᵀ, z yᵀ, z, y and weights, for T targets. */
interface Moments {
  readonly zz: Float64Array; // d × d, lower triangle
  readonly zy: Float64Array; // T × d
  readonly z: Float64Array; // d
  readonly y: Float64Array; // T
  w: number;
}

function sameHoles(a: Float64Array, b: Float64Array): boolean {
  for (let i = 0; i < a.length; i++) if (Number.isNaN(a[i]!) !== Number.isNaN(b[i]!)) return false;
  return true;
}

function fitAlike(
  z: Float32Array,
  d: number,
  ys: readonly Float64Array[],
  folds: Int32Array,
  options: RidgeOptions,
): RidgeFit[] {
  const count = folds.reduce((a, b) => Math.max(a, b + 1), 0);
  const n = ys[0]!.length;
  const known = Array.from({ length: n }, (_, i) => i).filter((i) => !Number.isNaN(ys[0]![i]!));
  const weight = (i: number): number => options.weight?.[i] ?? 1;
  const perFold = Array.from({ length: count }, () => moments(d, ys.length));
  for (const i of known) accumulate(perFold[folds[i]!]!, z, i * d, d, ys, i, weight(i));
  const all = perFold.reduce((sum, f) => combine(sum, f, 1), moments(d, ys.length));
  let trace = 0;
  for (let a = 0; a < d; a++) trace += all.zz[a * d + a]! - (all.w ? all.z[a]! ** 2 / all.w : 0);
  const unit = Math.max(1e-9, trace / d);

  const best = ys.map(() => ({
    strength: 0,
    error: Number.POSITIVE_INFINITY,
    outOfFold: new Float64Array(n).fill(Number.NaN),
  }));
  const rest = perFold.map((f) => combine(copy(all), f, -1));
  for (const strength of options.strengths ?? STRENGTHS) {
    const tried = ys.map(() => ({ strength, error: 0, outOfFold: new Float64Array(n).fill(Number.NaN) }));
    const fits = rest.map((m) => solve(m, d, strength * unit, options.penalty));
    for (const i of known) {
      fits[folds[i]!]!.forEach(({ weights, bias }, t) => {
        const p = dot(z, i * d, weights) + bias;
        tried[t]!.outOfFold[i] = p;
        tried[t]!.error += weight(i) * (p - ys[t]![i]!) ** 2;
      });
    }
    tried.forEach((fit, t) => {
      if (fit.error < best[t]!.error) best[t] = fit;
    });
  }
  const whole = new Map<number, { weights: Float64Array; bias: number }[]>();
  return ys.map((y, t) => {
    const { strength, error, outOfFold } = best[t]!;
    if (!whole.has(strength)) whole.set(strength, solve(all, d, strength * unit, options.penalty));
    const mean = all.w > 0 ? all.y[t]! / all.w : 0;
    let total = 0;
    for (const i of known) total += weight(i) * (y[i]! - mean) ** 2;
    return { ...whole.get(strength)![t]!, outOfFold, strength, r2: total > 0 ? 1 - error / total : 0 };
  });
}

const moments = (d: number, targets: number): Moments => ({
  zz: new Float64Array(d * d),
  zy: new Float64Array(targets * d),
  z: new Float64Array(d),
  y: new Float64Array(targets),
  w: 0,
});

function accumulate(
  to: Moments,
  z: Float32Array,
  at: number,
  d: number,
  ys: readonly Float64Array[],
  i: number,
  w: number,
): void {
  for (let a = 0; a < d; a++) {
    const za = w * z[at + a]!;
    to.z[a]! += za;
    const row = a * d;
    for (let b = 0; b <= a; b++) to.zz[row + b]! += za * z[at + b]!;
  }
  for (const [t, y] of ys.entries()) {
    const wy = w * y[i]!;
    to.y[t]! += wy;
    for (let a = 0; a < d; a++) to.zy[t * d + a]! += wy * z[at + a]!;
  }
  to.w += w;
}

function combine(to: Moments, from: Moments, sign: 1 | -1): Moments {
  for (const part of ['zz', 'zy', 'z', 'y'] as const) {
    for (let k = 0; k < to[part].length; k++) to[part][k]! += sign * from[part][k]!;
  }
  to.w += sign * from.w;
  return to;
}

const copy = (m: Moments): Moments => ({
  ...m,
  zz: m.zz.slice(),
  zy: m.zy.slice(),
  z: m.z.slice(),
  y: m.y.slice(),
});

/** Weights and bias of every target at one strength. */
function solve(
  m: Moments,
  d: number,
  strength: number,
  penalty?: Float64Array,
): { weights: Float64Array; bias: number }[] {
  if (m.w <= 0) return Array.from(m.y, () => ({ weights: new Float64Array(d), bias: 0 }));
  const a = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      const v = m.zz[i * d + j]! - (m.z[i]! * m.z[j]!) / m.w;
      a[i * d + j] = v;
      a[j * d + i] = v;
    }
    a[i * d + i]! += strength * (penalty?.[i] ?? 1) + 1e-9;
  }
  const factor = cholesky(a, d);
  return Array.from(m.y, (y, t) => {
    const meanY = y / m.w;
    const b = Float64Array.from({ length: d }, (_, i) => m.zy[t * d + i]! - m.z[i]! * meanY);
    const weights = choleskySolve(factor, b, d);
    let bias = meanY;
    for (let i = 0; i < d; i++) bias -= (weights[i]! * m.z[i]!) / m.w;
    return { weights, bias };
  });
}

function dot(z: Float32Array, at: number, w: Float64Array): number {
  let s = 0;
  for (let k = 0; k < w.length; k++) s += z[at + k]! * w[k]!;
  return s;
}
