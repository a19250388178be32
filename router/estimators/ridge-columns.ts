/**
 * Ridge regression of many columns on the same inputs, each with holes of its own, under one strength for all that
 * is chosen by out-of-fold error: one setting chosen from all models' labels is noisier than none by little.
 */
import { cholesky, choleskySolve } from '../training/linear-algebra.ts';
import { foldCount } from './inner-folds.ts';
import { squaredError } from './squared-error.ts';

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
  const rows = Array.from({ length: foldCount(folds) }, (): number[] => []);
  folds.forEach((f, i) => {
    rows[f]!.push(i);
  });
  const full = rows.map((own) => squares(z, d, own));
  const parts = columnsByHoles(values, m).map((columns) => {
    const perFold = rows.map((own, f): Sums => {
      const missing = own.filter((i) => Number.isNaN(values[i * m + columns[0]!]!));
      const present = own.filter((i) => !Number.isNaN(values[i * m + columns[0]!]!));
      const xx = missing.length < present.length ? sum(full[f]!, squares(z, d, missing), -1) : squares(z, d, present);
      return { xx, xy: products(z, d, values, m, columns, present) };
    });
    const all = perFold.reduce((a, b) => combined(a, b, 1));
    return { columns, all, rests: perFold.map((own) => combined(all, own, -1)), unit: variance(all, d) };
  });

  const at = (s: number) => {
    const outOfFold = new Float32Array(n * m);
    for (const { columns, rests, unit } of parts) {
      const weights = rests.map((rest) => solve(rest, d, STRENGTHS[s]! * unit));
      folds.forEach((f, i) => {
        columns.forEach((j, c) => {
          outOfFold[i * m + j] = affine(weights[f]!, c * w, z, i * d, d);
        });
      });
    }
    return { s, outOfFold, error: squaredError(values, outOfFold) };
  };
  // The error falls, then rises with the strength: from the middle on in either direction while it falls.
  let best = at(Math.floor(STRENGTHS.length / 2));
  for (const step of [1, -1]) {
    for (let s = best.s + step; s >= 0 && s < STRENGTHS.length; s += step) {
      const next = at(s);
      if (next.error >= best.error) break;
      best = next;
    }
  }

  const strength = STRENGTHS[best.s]!;
  const weights = new Float64Array(m * w);
  for (const { columns, all, unit } of parts) {
    const solved = solve(all, d, strength * unit);
    columns.forEach((j, c) => {
      weights.set(solved.subarray(c * w, c * w + w), j * w);
    });
  }
  return { dimension: d, weights, outOfFold: best.outOfFold, strength };
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

function squares(z: Float32Array, d: number, rows: readonly number[]): Float64Array {
  const w = d + 1;
  const out = new Float64Array(w * w);
  const x = new Float64Array(w).fill(1);
  for (const i of rows) {
    x.set(z.subarray(i * d, i * d + d));
    for (let a = 0; a < w; a++) {
      const xa = x[a]!;
      for (let b = 0, at = a * w; b <= a; b++) out[at + b]! += xa * x[b]!;
    }
  }
  return out;
}

function products(
  z: Float32Array,
  d: number,
  values: Float32Array,
  m: number,
  columns: readonly number[],
  rows: readonly number[],
): Float64Array {
  const w = d + 1;
  const out = new Float64Array(columns.length * w);
  columns.forEach((j, c) => {
    for (const i of rows) {
      const y = values[i * m + j]!;
      for (let a = 0; a < d; a++) out[c * w + a]! += y * z[i * d + a]!;
      out[c * w + d]! += y;
    }
  });
  return out;
}

const sum = (a: Float64Array, b: Float64Array, sign: 1 | -1): Float64Array => a.map((v, k) => v + sign * b[k]!);

const combined = (a: Sums, b: Sums, sign: 1 | -1): Sums => ({ xx: sum(a.xx, b.xx, sign), xy: sum(a.xy, b.xy, sign) });

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
