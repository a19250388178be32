/**
 * One logistic row per model over shared inputs, with the strength of shrinkage learned from all models together.
 *
 *     logit E[q_im] = o_im + x_i · row_m,    row_m ~ N(centre, diag(spread²))
 *
 * Empirical Bayes by EM with Laplace's approximation: models that differ loosen the prior for all,
 * models that do not are pulled together.
 * @see Gelman & Hill, "Data Analysis Using Regression and Multilevel/Hierarchical Models", 2007, ch. 12-13
 */
import { type KnownCells, knownCells } from './known-cells.ts';
import { cholesky, choleskySolve, inverse } from './linear-algebra.ts';

export interface RowFit {
  /** m × w. */
  readonly rows: Float64Array;
  /** m × w², posterior covariance of each row. */
  readonly covariance: Float64Array;
  /** Where the rows are drawn to, length w, and how firmly. */
  readonly centre: Float64Array;
  readonly spread: Float64Array;
}

export interface RowPrior {
  /** Starting centre, length w; entries named in `learnCentre` are learned from the models. */
  readonly centre: Float64Array;
  readonly learnCentre: readonly number[];
  /** Starting spread, length w, and how many models' worth of evidence it counts as. */
  readonly spread: Float64Array;
  readonly strength: number;
}

/**
 * @param x       n × w inputs, the same for all models or a function of the model's column
 * @param quality n × m in [0, 1], NaN where missing
 * @param options `offset`: n × m, added to the logits; `weight`: of each row of x, ≥ 0, default 1; `rounds` of EM, at most,
 *                default 8, and `settled`: they end before where no spread moves by more than this share of itself
 */
export function fitRows(
  x: Float64Array | ((j: number) => Float64Array),
  w: number,
  quality: Float32Array,
  n: number,
  m: number,
  prior: RowPrior,
  options: {
    rounds?: number;
    settled?: number;
    offset?: Float32Array;
    weight?: Float64Array | undefined;
    known?: KnownCells;
  } = {},
): RowFit {
  const { offset, weight } = options;
  const known = options.known ?? knownCells(quality, n, m);
  const centre = prior.centre.slice();
  const spread = prior.spread.slice();
  const rows = new Float64Array(m * w);
  const covariance = new Float64Array(m * w * w);
  for (let j = 0; j < m; j++) for (let a = 0; a < w; a++) rows[j * w + a] = centre[a]!;

  const { rounds = 8, settled = 0 } = options;
  for (let round = 0; round < rounds; round++) {
    for (let j = 0; j < m; j++) newton(j, round === 0 ? 6 : 2);
    let moved = 0;
    for (let a = 0; a < w; a++) {
      if (prior.learnCentre.includes(a)) {
        let sum = 0;
        for (let j = 0; j < m; j++) sum += rows[j * w + a]!;
        centre[a] = sum / m;
      }
      let square = prior.strength * prior.spread[a]! ** 2;
      let count = prior.strength;
      for (let j = 0; j < m; j++) {
        square += (rows[j * w + a]! - centre[a]!) ** 2 + covariance[(j * w + a) * w + a]!;
        count++;
      }
      const next = Math.max(1e-3, Math.sqrt(square / count));
      moved = Math.max(moved, Math.abs(next / spread[a]! - 1));
      spread[a] = next;
    }
    if (moved < settled) break;
  }
  return { rows, covariance, centre, spread };

  function newton(j: number, steps: number): void {
    const row = rows.subarray(j * w, j * w + w);
    const inputs = typeof x === 'function' ? x(j) : x;
    let h = new Float64Array(w * w);
    for (let step = 0; step < steps; step++) {
      h = new Float64Array(w * w);
      const g = new Float64Array(w);
      for (let a = 0; a < w; a++) {
        const precision = 1 / spread[a]! ** 2;
        h[a * w + a] = precision;
        g[a] = (centre[a]! - row[a]!) * precision;
      }
      for (let c = known.columnStart[j]!; c < known.columnStart[j + 1]!; c++) {
        const i = known.rows[c]!;
        const at = i * w;
        let l = offset === undefined ? 0 : offset[i * m + j]!;
        for (let a = 0; a < w; a++) l += row[a]! * inputs[at + a]!;
        const p = 1 / (1 + Math.exp(-l));
        const count = weight === undefined ? 1 : weight[i]!;
        const v = count * (p * (1 - p));
        const e = count * (quality[i * m + j]! - p);
        for (let a = 0; a < w; a++) {
          const xa = inputs[at + a]!;
          g[a]! += e * xa;
          for (let b = 0; b <= a; b++) h[a * w + b]! += v * xa * inputs[at + b]!;
        }
      }
      for (let a = 0; a < w; a++) for (let b = 0; b < a; b++) h[b * w + a] = h[a * w + b]!;
      const delta = choleskySolve(cholesky(h, w), g, w);
      for (let a = 0; a < w; a++) row[a]! += Math.min(3, Math.max(-3, delta[a]!));
    }
    covariance.set(inverse(h, w), j * w * w);
  }
}
