/**
 * Ridge regression of many columns on the same inputs, each with holes of its own, under one strength for all that
 * is chosen by out-of-fold error: one setting chosen from all models' labels is noisier than none by little.
 */
import { cholesky, choleskySolve } from '../training/linear-algebra.ts';
import { foldCount } from './inner-folds.ts';

export interface RidgeColumns {
  readonly dimension: number;
  /** m × (d + 1): weights, then the bias. A column without values is 0. */
  readonly weights: Float64Array;
  /** n × m, from fits without the row's own fold; filled where the value is missing, too. */
  readonly outOfFold: Float32Array;
  readonly strength: number;
}

/** Strengths tried, as multiples of the inputs' mean variance × rows. */
const STRENGTHS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 100];

/**
 * @param z      n × d inputs
 * @param values n × m, NaN where missing
 * @param folds  fold of each row
 */
export function ridgeColumns(
  z: Float32Array,
  d: number,
  values: Float32Array,
  m: number,
  folds: Int32Array,
): RidgeColumns {
  const n = folds.length;
  const w = d + 1;
  const count = foldCount(folds);
  const perStrength = STRENGTHS.map(() => ({ outOfFold: new Float32Array(n * m), error: 0 }));
  const sums: { columns: readonly number[]; all: Sums; unit: number }[] = [];
  for (const columns of columnsByHoles(values, m)) {
    const perFold = Array.from({ length: count }, (_, f) => sumsOver(z, d, values, m, columns, (i) => folds[i] === f));
    const all = perFold.reduce((a, b) => combined(a, b, 1));
    const unit = variance(all, d);
    sums.push({ columns, all, unit });
    for (let f = 0; f < count; f++) {
      const rest = combined(all, perFold[f]!, -1);
      STRENGTHS.forEach((strength, s) => {
        const { outOfFold } = perStrength[s]!;
        const weights = solve(rest, d, strength * unit);
        for (let i = 0; i < n; i++) {
          if (folds[i] !== f) continue;
          columns.forEach((j, c) => {
            const predicted = affine(weights, c * w, z, i * d, d);
            outOfFold[i * m + j] = predicted;
            const value = values[i * m + j]!;
            if (!Number.isNaN(value)) perStrength[s]!.error += (predicted - value) ** 2;
          });
        }
      });
    }
  }
  let best = 0;
  for (let s = 1; s < STRENGTHS.length; s++) if (perStrength[s]!.error < perStrength[best]!.error) best = s;
  const weights = new Float64Array(m * w);
  for (const { columns, all, unit } of sums) {
    const solved = solve(all, d, STRENGTHS[best]! * unit);
    columns.forEach((j, c) => {
      weights.set(solved.subarray(c * w, c * w + w), j * w);
    });
  }
  return { dimension: d, weights, outOfFold: perStrength[best]!.outOfFold, strength: STRENGTHS[best]! };
}

/** n × m predictions. */
export function predictColumns({ weights, dimension: d }: RidgeColumns, z: Float32Array, n: number): Float32Array {
  const m = weights.length / (d + 1);
  const out = new Float32Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) out[i * m + j] = affine(weights, j * (d + 1), z, i * d, d);
  }
  return out;
}

/** Columns that miss the same rows share their matrix: with a full table all of them do. */
function columnsByHoles(values: Float32Array, m: number): number[][] {
  const groups = new Map<string, number[]>();
  for (let j = 0; j < m; j++) {
    let holes = '';
    for (let at = j; at < values.length; at += m) holes += Number.isNaN(values[at]!) ? '1' : '0';
    groups.set(holes, [...(groups.get(holes) ?? []), j]);
  }
  return [...groups.values()];
}

/** XᵀX (lower triangle) and Xᵀy of the rows with values, X = [z, 1]. */
interface Sums {
  readonly xx: Float64Array;
  /** One row of length d + 1 per column. */
  readonly xy: Float64Array;
}

function sumsOver(
  z: Float32Array,
  d: number,
  values: Float32Array,
  m: number,
  columns: readonly number[],
  has: (i: number) => boolean,
): Sums {
  const w = d + 1;
  const sums = { xx: new Float64Array(w * w), xy: new Float64Array(columns.length * w) };
  const x = new Float64Array(w).fill(1);
  for (let i = 0; i < values.length / m; i++) {
    if (!has(i) || Number.isNaN(values[i * m + columns[0]!]!)) continue;
    x.set(z.subarray(i * d, i * d + d));
    for (let a = 0; a < w; a++) {
      const xa = x[a]!;
      for (let b = 0, at = a * w; b <= a; b++) sums.xx[at + b]! += xa * x[b]!;
    }
    columns.forEach((j, c) => {
      const y = values[i * m + j]!;
      for (let a = 0; a < w; a++) sums.xy[c * w + a]! += y * x[a]!;
    });
  }
  return sums;
}

const combined = (a: Sums, b: Sums, sign: 1 | -1): Sums => ({
  xx: a.xx.map((v, k) => v + sign * b.xx[k]!),
  xy: a.xy.map((v, k) => v + sign * b.xy[k]!),
});

/** Rows × mean variance of an input; where inputs hardly vary, enough to keep the matrix invertible. */
function variance({ xx }: Sums, d: number): number {
  const w = d + 1;
  const rows = Math.max(1, xx[w * w - 1]!);
  let raw = 0;
  let centred = 0;
  for (let a = 0; a < d; a++) {
    raw += xx[a * w + a]!;
    centred += xx[a * w + a]! - xx[d * w + a]! ** 2 / rows;
  }
  return Math.max(1e-9, (1e-6 * raw) / d, centred / d);
}

/** One row of weights and bias per column; the bias is not shrunk. */
function solve({ xx, xy }: Sums, d: number, strength: number): Float64Array {
  const w = d + 1;
  const a = xx.slice();
  for (let k = 0; k < w; k++) a[k * w + k]! += k < d ? strength : 1e-9;
  const factor = cholesky(a, w);
  const out = new Float64Array(xy.length);
  for (let c = 0; c < xy.length; c += w) out.set(choleskySolve(factor, xy.subarray(c, c + w), w), c);
  return out;
}

function affine(weights: Float64Array, at: number, z: Float32Array, from: number, d: number): number {
  let s = weights[at + d]!;
  for (let a = 0; a < d; a++) s += weights[at + a]! * z[from + a]!;
  return s;
}
