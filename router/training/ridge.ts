/** Ridge regression whose strength is chosen by out-of-fold error, folds keeping groups together. */
import { cholesky, choleskySolve } from './linear-algebra.ts';
import { combine, copy, type Moments, moments, momentsOf } from './ridge-moments.ts';

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
  /**
   * So many of the last inputs explain the target but are no part of what is predicted, where they stand at their means;
   * `weights` are without them, and `r2` is the share explained of what they leave.
   */
  readonly nuisance?: number;
}

function sameHoles(a: Float64Array, b: Float64Array): boolean {
  for (let i = 0; i < a.length; i++) if (Number.isNaN(a[i]!) !== Number.isNaN(b[i]!)) return false;
  return true;
}

/**
 * One ridge fit per target column with one strength for all of them, that of the least error over all targets together:
 * where a target is known on few rows, a strength of its own would be chosen by luck. Strengths are multiples of `unit`, so that what few rows say is drawn to 0 as firmly as their number
 * asks: the same prior for every target.
 * @param unit e.g. the average diagonal of ZᵀZ over the target known on most rows, > 0
 */
export function ridgeTogether(
  z: Float32Array,
  d: number,
  targets: readonly Float64Array[],
  folds: Int32Array,
  unit: number,
  options: Omit<RidgeOptions, 'nuisance'> = {},
): RidgeFit[] {
  const { length } = options.strengths ?? STRENGTHS;
  const trials = targets.map((y) => tryStrengths(z, d, [y], folds, options, unit));
  const common = leastOf(length, (s) => trials.reduce((sum, { error }) => sum + error[s]!, 0));
  return trials.map(({ fitsAt }) => fitsAt([common])[0]!);
}

function fitAlike(
  z: Float32Array,
  d: number,
  ys: readonly Float64Array[],
  folds: Int32Array,
  options: RidgeOptions,
): RidgeFit[] {
  const { error, fitsAt } = tryStrengths(z, d, ys, folds, options);
  const count = error.length / ys.length;
  return fitsAt(ys.map((_, t) => leastOf(count, (s) => error[s * ys.length + t]!)));
}

/** Index of the least value, the first of equals. */
function leastOf(count: number, value: (k: number) => number): number {
  let least = 0;
  for (let k = 1; k < count; k++) if (value(k) < value(least)) least = k;
  return least;
}

/** What every strength does out of fold. */
interface Trial {
  /** S × T sums of squared errors. */
  readonly error: Float64Array;
  /** @param strengths of each target, as an index */
  fitsAt(strengths: readonly number[]): RidgeFit[];
}

/** @param ys targets known on the same rows; @param unit of strength, default: the average diagonal of ZᵀZ over these rows */
function tryStrengths(
  z: Float32Array,
  d: number,
  ys: readonly Float64Array[],
  folds: Int32Array,
  options: RidgeOptions,
  unit?: number,
): Trial {
  const count = folds.reduce((a, b) => Math.max(a, b + 1), 0);
  const n = ys[0]!.length;
  const known = Array.from({ length: n }, (_, i) => i).filter((i) => !Number.isNaN(ys[0]![i]!));
  const weight = (i: number): number => options.weight?.[i] ?? 1;
  const seen = d - (options.nuisance ?? 0);
  const perFold = Array.from({ length: count }, (_, f) => {
    const rows = known.filter((i) => folds[i] === f);
    return momentsOf(z, d, ys, rows, weight);
  });
  const all = perFold.reduce((sum, f) => combine(sum, f, 1), moments(d, ys.length));
  let trace = 0;
  for (let a = 0; a < seen; a++) trace += all.zz[a * d + a]! - (all.w ? all.z[a]! ** 2 / all.w : 0);
  const one = unit ?? Math.max(1e-9, trace / seen);

  const strengths = options.strengths ?? STRENGTHS;
  const rest = perFold.map((f) => combine(copy(all), f, -1));
  const perStrength = strengths.map((strength) => rest.map((m) => solve(m, d, strength * one, options.penalty)));
  // Every strength's prediction of every target, for the rows of a fold.
  const rules = rest.map((_, f) => stacked(perStrength.flatMap((fits) => fits[f]!)));
  const error = new Float64Array(strengths.length * ys.length);
  const predicted = new Float64Array(error.length);
  for (const i of known) {
    predict(rules[folds[i]!]!, z, i * d, predicted);
    const w = weight(i);
    for (let r = 0; r < error.length; r++) error[r]! += w * (predicted[r]! - ys[r % ys.length]![i]!) ** 2;
  }
  return { error, fitsAt };

  function fitsAt(chosen: readonly number[]): RidgeFit[] {
    // Predictions are made once more rather than kept for every strength, of which there are ten.
    const outOfFold = ys.map(() => new Float64Array(n).fill(Number.NaN));
    const folded = rest.map((m, f) => stacked(chosen.map((s, t) => withoutNuisance(perStrength[s]![f]![t]!, m, seen))));
    for (const i of known) {
      predict(folded[folds[i]!]!, z, i * d, predicted);
      for (let t = 0; t < ys.length; t++) outOfFold[t]![i] = predicted[t]!;
    }
    const whole = new Map<number, LinearRule[]>();
    return ys.map((y, t) => {
      const s = chosen[t]!;
      if (!whole.has(s)) whole.set(s, solve(all, d, strengths[s]! * one, options.penalty));
      const fit = withoutNuisance(whole.get(s)![t]!, all, seen);
      const total = seen === d ? squaresAroundMean(y, t) : nuisanceError(y);
      return {
        weights: fit.weights.slice(0, seen),
        bias: fit.bias,
        outOfFold: outOfFold[t]!,
        strength: strengths[s]!,
        r2: total > 0 ? 1 - error[s * ys.length + t]! / total : 0,
      };
    });
  }

  function squaresAroundMean(y: Float64Array, t: number): number {
    const mean = all.w > 0 ? all.y[t]! / all.w : 0;
    let total = 0;
    for (const i of known) total += weight(i) * (y[i]! - mean) ** 2;
    return total;
  }

  /** What the nuisance inputs leave unexplained by themselves, out of fold: one more row of each value is its prior. */
  function nuisanceError(y: Float64Array): number {
    const e = d - seen;
    const alone = new Float32Array(n * e);
    for (let i = 0; i < n; i++) alone.set(z.subarray(i * d + seen, (i + 1) * d), i * e);
    const parts = Array.from({ length: count }, (_, f) =>
      momentsOf(
        alone,
        e,
        [y],
        known.filter((i) => folds[i] === f),
        weight,
      ),
    );
    const sum = parts.reduce((to, part) => combine(to, part, 1), moments(e, 1));
    const fits = parts.map((part) => stacked(solve(combine(copy(sum), part, -1), e, 1)));
    const out = new Float64Array(1);
    let total = 0;
    for (const i of known) {
      predict(fits[folds[i]!]!, alone, i * e, out);
      total += weight(i) * (out[0]! - y[i]!) ** 2;
    }
    return total;
  }
}

interface LinearRule {
  readonly weights: Float64Array;
  readonly bias: number;
}

/** The rule with all inputs from the first nuisance one on at their means. */
function withoutNuisance(rule: LinearRule, m: Moments, first: number): LinearRule {
  if (first === rule.weights.length) return rule;
  const weights = rule.weights.slice();
  let { bias } = rule;
  for (let a = first; a < weights.length; a++) {
    if (m.w > 0) bias += (weights[a]! * m.z[a]!) / m.w;
    weights[a] = 0;
  }
  return { weights, bias };
}

/** Weights and bias of every target at one strength. */
function solve(m: Moments, d: number, strength: number, penalty?: Float64Array): LinearRule[] {
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

function stacked(fits: readonly LinearRule[]): Rules {
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
