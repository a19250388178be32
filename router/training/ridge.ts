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
  const perFold = Array.from({ length: count }, (_, f) => {
    const rows = known.filter((i) => folds[i] === f);
    return momentsOf(z, d, ys, rows, weight);
  });
  const all = perFold.reduce((sum, f) => combine(sum, f, 1), moments(d, ys.length));
  let trace = 0;
  for (let a = 0; a < d; a++) trace += all.zz[a * d + a]! - (all.w ? all.z[a]! ** 2 / all.w : 0);
  const unit = Math.max(1e-9, trace / d);

  const strengths = options.strengths ?? STRENGTHS;
  const rest = perFold.map((f) => combine(copy(all), f, -1));
  const perStrength = strengths.map((strength) => rest.map((m) => solve(m, d, strength * unit, options.penalty)));
  // Every strength's prediction of every target, for the rows of a fold.
  const rules = rest.map((_, f) => stacked(perStrength.flatMap((fits) => fits[f]!)));
  const error = new Float64Array(strengths.length * ys.length);
  const predicted = new Float64Array(error.length);
  for (const i of known) {
    predict(rules[folds[i]!]!, z, i * d, predicted);
    const w = weight(i);
    for (let r = 0; r < error.length; r++) error[r]! += w * (predicted[r]! - ys[r % ys.length]![i]!) ** 2;
  }
  const best = ys.map((_, t) => {
    let s = 0;
    for (let o = 1; o < strengths.length; o++) {
      if (error[o * ys.length + t]! < error[s * ys.length + t]!) s = o;
    }
    return {
      s,
      strength: strengths[s]!,
      error: error[s * ys.length + t]!,
      outOfFold: new Float64Array(n).fill(Number.NaN),
    };
  });
  // Predictions are made once more rather than kept for every strength, of which there are ten.
  const chosen = rest.map((_, f) => stacked(best.map(({ s }, t) => perStrength[s]![f]![t]!)));
  for (const i of known) {
    predict(chosen[folds[i]!]!, z, i * d, predicted);
    for (let t = 0; t < ys.length; t++) best[t]!.outOfFold[i] = predicted[t]!;
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

/** Rows worked on at once; the loop of {@link momentsOf} is written out for it. */
const ROWS = 8;

/**
 * Sums over these rows, eight at a time: a cell of ZᵀZ is then read and written once for eight rows. Each cell adds
 * its terms in the order of the rows, so that the bits are those of the plain loop.
 */
function momentsOf(
  z: Float32Array,
  d: number,
  ys: readonly Float64Array[],
  rows: readonly number[],
  weight: (i: number) => number,
): Moments {
  const to = moments(d, ys.length);
  const block = new Float64Array(d * ROWS); // a-major: the eight values of one input are neighbours
  const weighted = new Float64Array(d * ROWS);
  for (let start = 0; start < rows.length; start += ROWS) {
    const count = Math.min(ROWS, rows.length - start);
    if (count < ROWS) {
      block.fill(0);
      weighted.fill(0);
    }
    for (let q = 0; q < count; q++) {
      const i = rows[start + q]!;
      const w = weight(i);
      const at = i * d;
      for (let a = 0; a < d; a++) {
        const v = z[at + a]!;
        const wv = w * v;
        block[a * ROWS + q] = v;
        weighted[a * ROWS + q] = wv;
        to.z[a]! += wv;
      }
      for (const [t, y] of ys.entries()) {
        const wy = w * y[i]!;
        to.y[t]! += wy;
        for (let a = 0; a < d; a++) to.zy[t * d + a]! += wy * z[at + a]!;
      }
      to.w += w;
    }
    addProducts(to.zz, weighted, block, d);
  }
  return to;
}

/**
 * zz (lower triangle) += Σ_q left_q right_qᵀ over a block of eight rows, two rows of zz at a time. Of those the upper
 * one gets a cell above the diagonal, too, which nobody reads.
 */
function addProducts(zz: Float64Array, left: Float64Array, right: Float64Array, d: number): void {
  let a = 0;
  for (; a + 1 < d; a += 2) {
    const p = a * ROWS;
    const v0 = left[p]!;
    const v1 = left[p + 1]!;
    const v2 = left[p + 2]!;
    const v3 = left[p + 3]!;
    const v4 = left[p + 4]!;
    const v5 = left[p + 5]!;
    const v6 = left[p + 6]!;
    const v7 = left[p + 7]!;
    const w0 = left[p + 8]!;
    const w1 = left[p + 9]!;
    const w2 = left[p + 10]!;
    const w3 = left[p + 11]!;
    const w4 = left[p + 12]!;
    const w5 = left[p + 13]!;
    const w6 = left[p + 14]!;
    const w7 = left[p + 15]!;
    for (let b = 0, at = a * d, q = 0; b <= a + 1; b++, at++, q += ROWS) {
      let s = zz[at]!;
      let t = zz[at + d]!;
      let r = right[q]!;
      s += v0 * r;
      t += w0 * r;
      r = right[q + 1]!;
      s += v1 * r;
      t += w1 * r;
      r = right[q + 2]!;
      s += v2 * r;
      t += w2 * r;
      r = right[q + 3]!;
      s += v3 * r;
      t += w3 * r;
      r = right[q + 4]!;
      s += v4 * r;
      t += w4 * r;
      r = right[q + 5]!;
      s += v5 * r;
      t += w5 * r;
      r = right[q + 6]!;
      s += v6 * r;
      t += w6 * r;
      r = right[q + 7]!;
      s += v7 * r;
      t += w7 * r;
      zz[at] = s;
      zz[at + d] = t;
    }
  }
  if (a < d) {
    for (let b = 0; b <= a; b++) {
      for (let q = 0; q < ROWS; q++) zz[a * d + b]! += left[a * ROWS + q]! * right[b * ROWS + q]!;
    }
  }
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

/** R linear rules: weights R × d and R biases. */
interface Rules {
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

function stacked(fits: readonly { weights: Float64Array; bias: number }[]): Rules {
  const d = fits[0]!.weights.length;
  const weights = new Float64Array(fits.length * d);
  for (const [r, fit] of fits.entries()) weights.set(fit.weights, r * d);
  return { weights, bias: Float64Array.from(fits, ({ bias }) => bias) };
}

/** What each rule predicts for one row, into `out`; four at a time, since one sum waits for itself. */
function predict({ weights, bias }: Rules, z: Float32Array, at: number, out: Float64Array): void {
  const d = weights.length / bias.length;
  let r = 0;
  for (; r + 3 < bias.length; r += 4) {
    const r0 = r * d;
    const r1 = r0 + d;
    const r2 = r1 + d;
    const r3 = r2 + d;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let k = 0; k < d; k++) {
      const v = z[at + k]!;
      s0 += v * weights[r0 + k]!;
      s1 += v * weights[r1 + k]!;
      s2 += v * weights[r2 + k]!;
      s3 += v * weights[r3 + k]!;
    }
    out[r] = s0 + bias[r]!;
    out[r + 1] = s1 + bias[r + 1]!;
    out[r + 2] = s2 + bias[r + 2]!;
    out[r + 3] = s3 + bias[r + 3]!;
  }
  for (; r < bias.length; r++) {
    let s = 0;
    for (let k = 0; k < d; k++) s += z[at + k]! * weights[r * d + k]!;
    out[r] = s + bias[r]!;
  }
}
