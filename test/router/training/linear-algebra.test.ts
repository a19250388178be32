/** The linear algebra that everything learned rests on, checked by multiplying back. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { cholesky, choleskySolve, inverse, symmetricEigen } from '../../../router/training/linear-algebra.ts';
import {
  gram,
  inverseFrequency,
  multiply,
  multiplyTransposed,
  sparseRows,
  truncatedSvd,
} from '../../../router/training/lsa.ts';

const size = fc.integer({ min: 1, max: 12 });
const seeds = fc.integer({ min: 0, max: 1e6 });

const randomMatrix = (rows: number, columns: number, seed: number): Float64Array => {
  const random = seededRandom(seed);
  return Float64Array.from({ length: rows * columns }, () => normal(random));
};

/** A (r × k) times B (k × c). */
const product = (a: Float64Array, b: Float64Array, r: number, k: number, c: number): Float64Array =>
  Float64Array.from({ length: r * c }, (_, at) => {
    let s = 0;
    for (let x = 0; x < k; x++) s += a[Math.floor(at / c) * k + x]! * b[x * c + (at % c)]!;
    return s;
  });

const transpose = (a: Float64Array, rows: number, columns: number): Float64Array =>
  Float64Array.from({ length: a.length }, (_, at) => a[(at % rows) * columns + Math.floor(at / rows)]!);

const identity = (d: number): Float64Array =>
  Float64Array.from({ length: d * d }, (_, at) => (Math.floor(at / d) === at % d ? 1 : 0));

/** B Bᵀ + 0.1 I: symmetric positive definite. */
function positive(d: number, seed: number): Float64Array {
  const b = randomMatrix(d, d, seed);
  return product(b, transpose(b, d, d), d, d, d).map((v, at) => v + (Math.floor(at / d) === at % d ? 0.1 : 0));
}

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(actual[i]! - expected[i]!) <= tolerance)) expect.fail(`at ${i}: ${actual[i]}, not ${expected[i]}`);
  }
}

describe('cholesky', () => {
  test('factors a matrix worked by hand', () => {
    // [[4, 2], [2, 5]] = L Lᵀ with L = [[2, 0], [1, 2]];  A x = (8, 12) has x = (1, 2).
    const l = cholesky(Float64Array.of(4, 2, 2, 5), 2);
    expect([...l]).toEqual([2, 0, 1, 2]);
    expectNear(choleskySolve(l, Float64Array.of(8, 12), 2), [1, 2], 1e-12);
  });

  test('solves and inverts any positive definite matrix, leaving its input alone', () => {
    fc.assert(
      fc.property(size, seeds, (d, seed) => {
        const a = positive(d, seed);
        const before = a.slice();
        const b = randomMatrix(d, 1, seed + 1);
        const x = choleskySolve(cholesky(a, d), b, d);
        expectNear(product(a, x, d, d, 1), b, 1e-7);
        expectNear(product(a, inverse(a, d), d, d, d), identity(d), 1e-7);
        expect(a).toEqual(before);
        expect(b).toEqual(randomMatrix(d, 1, seed + 1));
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  test.each([
    ['negative', [-1]],
    ['indefinite', [1, 2, 2, 1]],
    ['singular', [1, 1, 1, 1]],
    ['not a number', [Number.NaN]],
  ])('refuses a matrix that is %s', (_, values) => {
    const d = Math.sqrt(values.length);
    expect(() => cholesky(Float64Array.from(values), d)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});

describe('symmetricEigen', () => {
  test('finds the values of a matrix worked by hand', () => {
    // [[2, 1], [1, 2]]: 3 along (1, 1), 1 along (1, −1).
    const { values, vectors } = symmetricEigen(Float64Array.of(2, 1, 1, 2), 2);
    expectNear(values, [3, 1], 1e-12);
    expect(vectors[0]! / vectors[2]!).toBeCloseTo(1, 10);
    expect(vectors[1]! / vectors[3]!).toBeCloseTo(-1, 10);
  });

  test('rebuilds any symmetric matrix from orthonormal vectors, greatest value first', () => {
    fc.assert(
      fc.property(size, seeds, (d, seed) => {
        const half = randomMatrix(d, d, seed);
        const a = half.map((v, at) => v + half[(at % d) * d + Math.floor(at / d)]!);
        const { values, vectors } = symmetricEigen(a, d);
        const scaled = vectors.map((v, at) => v * values[at % d]!);
        expectNear(product(scaled, transpose(vectors, d, d), d, d, d), a, 1e-8);
        expectNear(product(transpose(vectors, d, d), vectors, d, d, d), identity(d), 1e-9);
        for (let i = 1; i < d; i++) expect(values[i]!).toBeLessThanOrEqual(values[i - 1]!);
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  test('takes zeros and equal values as they come', () => {
    expectNear(symmetricEigen(new Float64Array(9), 3).values, [0, 0, 0], 0);
    expectNear(symmetricEigen(identity(3), 3).values, [1, 1, 1], 1e-12);
  });
});

describe('truncatedSvd', () => {
  const n = 30;
  const width = 20;
  /** Rows of eight entries over 20 columns, near to three hidden directions. */
  function sparse(seed: number) {
    const random = seededRandom(seed);
    const base = randomMatrix(3, width, seed + 7);
    const rows = Array.from({ length: n }, () => {
      const mix = [4 * normal(random), 2 * normal(random), normal(random)];
      const ids = Int32Array.from({ length: 8 }, (_, k) => (k * 5 + Math.floor(random() * 2) * 2 + 1) % width);
      const distinct = Int32Array.from(new Set(ids));
      return {
        ids: distinct,
        weights: Float32Array.from(distinct, (c) => mix.reduce((s, w, f) => s + w * base[f * width + c]!, 0)),
      };
    });
    const dense = new Float32Array(n * width);
    rows.forEach(({ ids, weights }, i) => {
      ids.forEach((c, k) => {
        dense[i * width + c] = weights[k]!;
      });
    });
    return { x: sparseRows(rows, width), dense };
  }

  test('agrees with the eigenvalues of XᵀX, and its directions are orthonormal', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { x, dense } = sparse(seed);
        const exact = symmetricEigen(gram(dense, n, width), width);
        const r = 6;
        const svd = truncatedSvd(x, r, seed, { passes: 20 });
        // The leading two stand clear of the rest, so that the iteration has converged on them.
        for (let j = 0; j < 2; j++) {
          expect(svd.values[j]! / Math.sqrt(exact.values[j]!)).toBeCloseTo(1, 3);
          let cosine = 0;
          for (let c = 0; c < width; c++) cosine += svd.v[c * r + j]! * exact.vectors[c * width + j]!;
          if (
            exact.values[j]! > 1.5 * exact.values[j + 1]! &&
            (j === 0 || exact.values[j - 1]! > 1.5 * exact.values[j]!)
          ) {
            expect(Math.abs(cosine)).toBeGreaterThan(0.999);
          }
        }
        expectNear(gram(svd.v, width, r), identity(r), 1e-4);
        expectNear(svd.projected, multiply(x, svd.v, r), 1e-5);
      }),
      { numRuns: 20, seed: 3 },
    );
  });

  test('is the same for the same seed, and has no more directions than the rank', () => {
    const { x } = sparse(1);
    expect(truncatedSvd(x, 4, 9)).toEqual(truncatedSvd(x, 4, 9));
    const one = sparseRows(
      [1, 2, 3].map((w) => ({ ids: Int32Array.of(0, 2), weights: Float32Array.of(w, w) })),
      3,
    );
    // Rank one: √(2·(1 + 4 + 9)) = √28 along (1, 0, 1)/√2, and nothing else.
    const { values, v } = truncatedSvd(one, 2, 1);
    expect(values[0]!).toBeCloseTo(Math.sqrt(28), 4);
    expect(values[1]!).toBeLessThan(1e-3);
    expect(Math.abs(v[0]!)).toBeCloseTo(Math.SQRT1_2, 5);
    expect(v.every(Number.isFinite)).toBe(true);
  });

  test('multiplies as the dense matrix does, either way round', () => {
    const { x, dense } = sparse(2);
    const b = Float32Array.from(randomMatrix(width, 2, 5));
    const wide = Float64Array.from(dense);
    expectNear(multiply(x, b, 2), product(wide, Float64Array.from(b), n, width, 2), 1e-4);
    const c = Float32Array.from(randomMatrix(n, 2, 6));
    expectNear(
      multiplyTransposed(x, c, 2),
      product(transpose(wide, n, width), Float64Array.from(c), width, n, 2),
      1e-4,
    );
  });

  test('inverse frequency is smoothed, and nothing for what too few rows hold', () => {
    // Column 0 in 3 of 3 rows: ln(4/4) = 0; column 1 in 2: ln(4/3); column 2 in 1, fewer than 2: 0.
    const rows = [[0, 1], [0, 1, 2], [0]].map((ids) => ({
      ids: Int32Array.from(ids),
      weights: new Float32Array(ids.length).fill(1),
    }));
    expectNear(inverseFrequency(sparseRows(rows, 4), 2), [0, Math.log(4 / 3), 0, 0], 1e-6);
  });
});
