/** Directions of a corpus without labels: truncated SVD of its tf-idf matrix (latent semantic analysis). */
import { normal, seededRandom } from '../../datasets/index.ts';
import { symmetricEigen } from './linear-algebra.ts';

/** Sparse rows: row i holds (columns[k], values[k]) for k in starts[i] … starts[i + 1] − 1. */
export interface SparseRows {
  readonly n: number;
  readonly width: number;
  readonly starts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float32Array;
}

export function sparseRows(rows: readonly { ids: Int32Array; weights: Float32Array }[], width: number): SparseRows {
  const starts = new Int32Array(rows.length + 1);
  rows.forEach((r, i) => {
    starts[i + 1] = starts[i]! + r.ids.length;
  });
  const columns = new Int32Array(starts[rows.length]!);
  const values = new Float32Array(columns.length);
  rows.forEach((r, i) => {
    columns.set(r.ids, starts[i]!);
    values.set(r.weights, starts[i]!);
  });
  return { n: rows.length, width, starts, columns, values };
}

/**
 * Smoothed inverse document frequency, ln((1 + n) / (1 + df)), and 0 for what fewer than `minRows` rows hold:
 * such a column teaches nothing that another prompt could use.
 */
export function inverseFrequency(x: SparseRows, minRows: number): Float32Array {
  const df = new Int32Array(x.width);
  for (const c of x.columns) df[c]!++;
  return Float32Array.from(df, (f) => (f < minRows ? 0 : Math.log((1 + x.n) / (1 + f))));
}

/** X (n × width) times B (width × r), row-major. */
export function multiply(x: SparseRows, b: Float32Array, r: number): Float32Array {
  const out = new Float32Array(x.n * r);
  const acc = new Float64Array(r);
  for (let i = 0; i < x.n; i++) {
    acc.fill(0);
    for (let k = x.starts[i]!; k < x.starts[i + 1]!; k++) {
      const at = x.columns[k]! * r;
      const w = x.values[k]!;
      for (let j = 0; j < r; j++) acc[j]! += w * b[at + j]!;
    }
    out.set(acc, i * r);
  }
  return out;
}

/** Xᵀ (width × n) times B (n × r), row-major. */
export function multiplyTransposed(x: SparseRows, b: Float32Array, r: number): Float32Array {
  const out = new Float32Array(x.width * r);
  for (let i = 0; i < x.n; i++) {
    const from = i * r;
    for (let k = x.starts[i]!; k < x.starts[i + 1]!; k++) {
      const at = x.columns[k]! * r;
      const w = x.values[k]!;
      for (let j = 0; j < r; j++) out[at + j]! += w * b[from + j]!;
    }
  }
  return out;
}

/**
 * The first `r` right singular vectors of X, by randomised subspace iteration.
 * @returns V, width × r row-major, columns orthonormal, strongest first; its singular values; and X V, n × r
 * @see Halko, Martinsson & Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm 4.4
 */
export function truncatedSvd(
  x: SparseRows,
  r: number,
  seed: number,
  options: { passes?: number; onPass?: (done: number, of: number) => void } = {},
): { v: Float32Array; values: Float64Array; projected: Float32Array } {
  const passes = options.passes ?? 3;
  const random = seededRandom(seed);
  let q = orthonormal(
    Float32Array.from({ length: x.n * r }, () => normal(random)),
    x.n,
    r,
  );
  for (let pass = 1; pass < passes; pass++) {
    q = orthonormal(multiply(x, multiplyTransposed(x, q, r), r), x.n, r);
    options.onPass?.(pass, passes);
  }
  // X ≈ Q B with B = QᵀX, so the right singular vectors of X are those of B: eigenvectors of B Bᵀ.
  const bt = multiplyTransposed(x, q, r);
  const { values, vectors } = symmetricEigen(gram(bt, x.width, r), r);
  const scale = Float64Array.from(values, (l) => (l > 1e-10 * values[0]! ? 1 / Math.sqrt(l) : 0));
  const v = times(bt, x.width, r, (k, j) => vectors[k * r + j]! * scale[j]!);
  const projected = multiply(x, v, r);
  options.onPass?.(passes, passes);
  return { v, values: values.map((l) => Math.sqrt(Math.max(0, l))), projected };
}

/** AᵀA (r × r) of a row-major n × r matrix. */
export function gram(a: Float32Array, n: number, r: number): Float64Array {
  const g = new Float64Array(r * r);
  for (let i = 0; i < n; i++) {
    const from = i * r;
    for (let j = 0; j < r; j++) {
      const w = a[from + j]!;
      if (w !== 0) for (let k = 0; k <= j; k++) g[j * r + k]! += w * a[from + k]!;
    }
  }
  for (let j = 0; j < r; j++) for (let k = 0; k < j; k++) g[k * r + j] = g[j * r + k]!;
  return g;
}

/** Orthonormal columns that span those of A, through the eigenvectors of AᵀA. */
function orthonormal(a: Float32Array, n: number, r: number): Float32Array {
  const { values, vectors } = symmetricEigen(gram(a, n, r), r);
  const scale = Float64Array.from(values, (l) => (l > 1e-10 * values[0]! ? 1 / Math.sqrt(l) : 0));
  return times(a, n, r, (k, j) => vectors[k * r + j]! * scale[j]!);
}

/** A (n × r) times the r × r matrix M. */
function times(a: Float32Array, n: number, r: number, entry: (k: number, j: number) => number): Float32Array {
  const m = Float64Array.from({ length: r * r }, (_, at) => entry(Math.floor(at / r), at % r));
  const out = new Float32Array(n * r);
  const acc = new Float64Array(r);
  for (let i = 0; i < n; i++) {
    acc.fill(0);
    for (let k = 0; k < r; k++) {
      const w = a[i * r + k]!;
      if (w !== 0) for (let j = 0; j < r; j++) acc[j]! += w * m[k * r + j]!;
    }
    out.set(acc, i * r);
  }
  return out;
}
