/** The dense linear algebra that training needs: small matrices, row-major Float64Array. */
import { RoutingError } from '../../datasets/index.ts';

/**
 * Cholesky factor L (lower, row-major d × d) of a symmetric positive definite matrix.
 * @throws `INTERNAL` when it is not positive definite
 */
export function cholesky(a: Float64Array, d: number): Float64Array {
  const l = new Float64Array(d * d);
  let j = 0;
  // Two columns and four rows at a time: what is read serves several sums, which do not wait for each other. Each sum
  // takes its terms in the order of the plain loops, so that the bits are theirs.
  for (; j + 1 < d; j += 2) {
    const p = j * d;
    const q = p + d;
    const first = root(less(a[p + j]!, l, p, p, j));
    l[p + j] = first;
    const below = less(a[q + j]!, l, q, p, j) / first;
    l[q + j] = below;
    const second = root(less(a[q + j + 1]!, l, q, q, j + 1));
    l[q + j + 1] = second;
    let i = j + 2;
    for (; i + 3 < d; i += 4) {
      const r0 = i * d;
      const r1 = r0 + d;
      const r2 = r1 + d;
      const r3 = r2 + d;
      let s0 = a[r0 + j]!;
      let s1 = a[r1 + j]!;
      let s2 = a[r2 + j]!;
      let s3 = a[r3 + j]!;
      let t0 = a[r0 + j + 1]!;
      let t1 = a[r1 + j + 1]!;
      let t2 = a[r2 + j + 1]!;
      let t3 = a[r3 + j + 1]!;
      for (let k = 0; k < j; k++) {
        const x = l[p + k]!;
        const y = l[q + k]!;
        const v0 = l[r0 + k]!;
        const v1 = l[r1 + k]!;
        const v2 = l[r2 + k]!;
        const v3 = l[r3 + k]!;
        s0 -= v0 * x;
        s1 -= v1 * x;
        s2 -= v2 * x;
        s3 -= v3 * x;
        t0 -= v0 * y;
        t1 -= v1 * y;
        t2 -= v2 * y;
        t3 -= v3 * y;
      }
      s0 /= first;
      s1 /= first;
      s2 /= first;
      s3 /= first;
      l[r0 + j] = s0;
      l[r1 + j] = s1;
      l[r2 + j] = s2;
      l[r3 + j] = s3;
      l[r0 + j + 1] = (t0 - s0 * below) / second;
      l[r1 + j + 1] = (t1 - s1 * below) / second;
      l[r2 + j + 1] = (t2 - s2 * below) / second;
      l[r3 + j + 1] = (t3 - s3 * below) / second;
    }
    for (; i < d; i++) {
      const r = i * d;
      let s = a[r + j]!;
      let t = a[r + j + 1]!;
      for (let k = 0; k < j; k++) {
        s -= l[r + k]! * l[p + k]!;
        t -= l[r + k]! * l[q + k]!;
      }
      s /= first;
      l[r + j] = s;
      l[r + j + 1] = (t - s * below) / second;
    }
  }
  if (j < d) l[j * d + j] = root(less(a[j * d + j]!, l, j * d, j * d, j));
  return l;
}

/** s − Σ_k l[p + k] l[q + k] over k < count, term by term. */
function less(s: number, l: Float64Array, p: number, q: number, count: number): number {
  let rest = s;
  for (let k = 0; k < count; k++) rest -= l[p + k]! * l[q + k]!;
  return rest;
}

function root(s: number): number {
  if (!(s > 0)) throw new RoutingError('INTERNAL', 'cholesky: matrix is not positive definite');
  return Math.sqrt(s);
}

/** Solves A x = b given A's Cholesky factor. */
export function choleskySolve(l: Float64Array, b: Float64Array, d: number): Float64Array {
  const x = Float64Array.from(b);
  for (let i = 0; i < d; i++) {
    let s = x[i]!;
    for (let k = 0; k < i; k++) s -= l[i * d + k]! * x[k]!;
    x[i] = s / l[i * d + i]!;
  }
  for (let i = d - 1; i >= 0; i--) {
    let s = x[i]!;
    for (let k = i + 1; k < d; k++) s -= l[k * d + i]! * x[k]!;
    x[i] = s / l[i * d + i]!;
  }
  return x;
}

/** Inverse of a symmetric positive definite matrix, d × d. */
export function inverse(a: Float64Array, d: number): Float64Array {
  const l = cholesky(a, d);
  const out = new Float64Array(d * d);
  const e = new Float64Array(d);
  for (let j = 0; j < d; j++) {
    e.fill(0);
    e[j] = 1;
    out.set(choleskySolve(l, e, d), j * d);
  }
  return out;
}

/**
 * Eigenvalues (descending) and eigenvectors (columns of `vectors`, row-major d × d) of a symmetric matrix,
 * by cyclic Jacobi rotations.
 * @see Golub & Van Loan, "Matrix Computations", §8.5
 */
export function symmetricEigen(matrix: Float64Array, d: number): { values: Float64Array; vectors: Float64Array } {
  const a = Float64Array.from(matrix);
  const v = new Float64Array(d * d);
  for (let i = 0; i < d; i++) v[i * d + i] = 1;
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    let diagonal = 0;
    for (let i = 0; i < d; i++) {
      diagonal += a[i * d + i]! ** 2;
      for (let j = 0; j < i; j++) off += a[i * d + j]! ** 2;
    }
    if (off <= 1e-22 * diagonal) break;
    for (let p = 0; p < d - 1; p++) {
      for (let q = p + 1; q < d; q++) rotate(a, v, d, p, q);
    }
  }
  const order = Array.from({ length: d }, (_, i) => i).sort((i, j) => a[j * d + j]! - a[i * d + i]!);
  const vectors = new Float64Array(d * d);
  order.forEach((from, to) => {
    for (let i = 0; i < d; i++) vectors[i * d + to] = v[from * d + i]!; // v holds eigenvectors as rows
  });
  return { values: Float64Array.from(order, (i) => a[i * d + i]!), vectors };
}

function rotate(a: Float64Array, v: Float64Array, d: number, p: number, q: number): void {
  const apq = a[p * d + q]!;
  if (Math.abs(apq) < 1e-300) return;
  const theta = (a[q * d + q]! - a[p * d + p]!) / (2 * apq);
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < d; k++) {
    const akp = a[k * d + p]!;
    const akq = a[k * d + q]!;
    a[k * d + p] = c * akp - s * akq;
    a[k * d + q] = s * akp + c * akq;
  }
  for (let k = 0; k < d; k++) {
    const apk = a[p * d + k]!;
    const aqk = a[q * d + k]!;
    a[p * d + k] = c * apk - s * aqk;
    a[q * d + k] = s * apk + c * aqk;
  }
  for (let k = 0; k < d; k++) {
    const vpk = v[p * d + k]!;
    const vqk = v[q * d + k]!;
    v[p * d + k] = c * vpk - s * vqk;
    v[q * d + k] = s * vpk + c * vqk;
  }
}
