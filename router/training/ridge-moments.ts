/** Sums over rows that a ridge regression needs: made once for each fold, added and taken away as folds come and go. */

/** Sums over rows: of z zᵀ, z yᵀ, z, y and weights, for T targets. */
export interface Moments {
  readonly zz: Float64Array; // d × d, lower triangle
  readonly zy: Float64Array; // T × d
  readonly z: Float64Array; // d
  readonly y: Float64Array; // T
  w: number;
}

export const moments = (d: number, targets: number): Moments => ({
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
export function momentsOf(
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

export function combine(to: Moments, from: Moments, sign: 1 | -1): Moments {
  for (const part of ['zz', 'zy', 'z', 'y'] as const) {
    for (let k = 0; k < to[part].length; k++) to[part][k]! += sign * from[part][k]!;
  }
  to.w += sign * from.w;
  return to;
}

export const copy = (m: Moments): Moments => ({
  ...m,
  zz: m.zz.slice(),
  zy: m.zy.slice(),
  z: m.z.slice(),
  y: m.y.slice(),
});
