/**
 * Directions of the n-gram space that tell kinds of tasks apart: the principal directions of the kinds' mean texts.
 *
 * Directions of all texts (`lsa.ts`) follow what varies most, which is style and layout; these follow what differs
 * between benchmarks. Names of benchmarks are no outcomes: embeddings of training prompts stay nearly as honest as
 * those of new ones.
 */

import { symmetricEigen } from './linear-algebra.ts';
import type { SparseRows } from './lsa.ts';

/** Fewer texts than this do not make a kind. */
const MIN_TEXTS = 20;

/**
 * @param x     n × width, weighted n-grams
 * @param kinds name of each row's kind
 * @param most  directions wanted
 * @returns `v`: width × r row-major, orthonormal columns, strongest first; r ≤ min(most, kinds − 1), 0 with fewer than two kinds
 */
export function topicDirections(x: SparseRows, kinds: readonly string[], most: number): { v: Float32Array; r: number } {
  const rowsOf = new Map<string, number[]>();
  kinds.forEach((kind, i) => {
    const rows = rowsOf.get(kind);
    if (rows) rows.push(i);
    else rowsOf.set(kind, [i]);
  });
  const groups = [...rowsOf].filter(([, rows]) => rows.length >= MIN_TEXTS).sort(([a], [b]) => (a < b ? -1 : 1));
  const b = groups.length;
  if (b < 2) return { v: new Float32Array(0), r: 0 };

  const { width } = x;
  const mean = new Float64Array(width);
  addRows(x, [...kinds.keys()], 1 / x.n, mean);
  // A kind counts by the fourth root of its size: large ones are surer, and must not be all there is.
  const centres = groups.map(([, rows]) => {
    const centre = new Float64Array(width);
    addRows(x, rows, 1 / rows.length, centre);
    const weight = rows.length ** 0.25;
    for (let k = 0; k < width; k++) centre[k] = weight * (centre[k]! - mean[k]!);
    return centre;
  });
  const gram = new Float64Array(b * b);
  for (let p = 0; p < b; p++) {
    for (let q = 0; q <= p; q++) {
      let s = 0;
      for (let k = 0; k < width; k++) s += centres[p]![k]! * centres[q]![k]!;
      gram[p * b + q] = gram[q * b + p] = s;
    }
  }
  const { values, vectors } = symmetricEigen(gram, b);
  let r = 0;
  while (r < Math.min(most, b - 1) && values[r]! > 1e-6 * values[0]!) r++;
  const v = new Float32Array(width * r);
  for (let f = 0; f < r; f++) {
    for (let p = 0; p < b; p++) {
      const share = vectors[p * b + f]! / Math.sqrt(values[f]!);
      for (let k = 0; k < width; k++) v[k * r + f]! += share * centres[p]![k]!;
    }
  }
  return { v, r };
}

function addRows(x: SparseRows, rows: readonly number[], weight: number, to: Float64Array): void {
  for (const i of rows) {
    for (let k = x.starts[i]!; k < x.starts[i + 1]!; k++) to[x.columns[k]!]! += weight * x.values[k]!;
  }
}
