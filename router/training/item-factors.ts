/**
 * Item response theory without text: what the outcomes alone say of prompts and models.
 *
 *     logit E[q_im] = o_im + β_m + Σ_k L_mk t_ik,    t_i ~ N(0, I)
 *
 * The first factor is shared ease: its loadings are drawn to one pooled positive slope, so a
 * model departs from "hard for one, hard for all" only as far as its outcomes insist. The others
 * are differences between models, drawn to 0. Missing cells drop out of the likelihood.
 * A prompt's weight is how many prompts like it it stands for: it moves the models' rows and the factors' scale, not
 * the prompt's own factors. Fitted by alternating Newton steps on the posterior mode.
 * @see Reckase, "Multidimensional Item Response Theory", 2009; Chalmers, JSS 2012 (MAP estimation)
 */
import { deriveSeed, normal, seededRandom } from '../../datasets/index.ts';
import { type KnownCells, knownCells } from './known-cells.ts';
import { cholesky, choleskySolve } from './linear-algebra.ts';

export interface ItemFactors {
  /** n × K, posterior mode of each prompt's factors; 0 for a prompt without outcomes. */
  readonly scores: Float64Array;
  /** m × (1 + K): intercept β, then loadings. */
  readonly rows: Float64Array;
}

/** Prior standard deviations of intercept, of a slope around the pooled one, of other loadings. */
const PRIOR = { intercept: 2.5, slope: 0.5, loading: 0.5 };

/**
 * @param quality n × m in [0, 1], NaN where missing
 * @param options `offset`: n × m added to the logits, e.g. what an earlier fit predicts, default 0; `weight`: of each
 *                prompt, ≥ 0, default 1
 */
export function fitItemFactors(
  quality: Float32Array,
  n: number,
  m: number,
  options: {
    factors: number;
    seed: number;
    sweeps?: number;
    offset?: Float32Array;
    weight?: Float64Array | undefined;
    known?: KnownCells;
  },
): ItemFactors {
  const k = options.factors;
  const random = seededRandom(deriveSeed(options.seed, 'item-factors'));
  const scores = new Float64Array(n * k);
  const rows = new Float64Array(m * (k + 1));
  for (let j = 0; j < m; j++) {
    rows[j * (k + 1) + 1] = 1;
    for (let f = 1; f < k; f++) rows[j * (k + 1) + 1 + f] = 0.3 * normal(random);
  }
  const { offset, weight } = options;
  const known = options.known ?? knownCells(quality, n, m);
  let total = 0;
  for (let i = 0; i < n; i++) total += weight === undefined ? 1 : weight[i]!;
  const gPrompt = new Float64Array(k);
  const hPrompt = new Float64Array(k * k);
  let slope = 1;
  const sweeps = options.sweeps ?? 12;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (let i = 0; i < n; i++) newtonPrompt(i);
    if (sweep < sweeps - 1) unitVariance();
    for (let j = 0; j < m; j++) newtonRow(j);
    let sum = 0;
    for (let j = 0; j < m; j++) sum += rows[j * (k + 1) + 1]!;
    slope = Math.max(0.3, sum / m);
  }
  return { scores, rows };

  // The mode of scores and slopes together would let slopes grow and scores shrink without end.
  function unitVariance(): void {
    for (let a = 0; a < k; a++) {
      let sum = 0;
      let square = 0;
      for (let i = 0; i < n; i++) {
        const count = weight === undefined ? 1 : weight[i]!;
        sum += count * scores[i * k + a]!;
        square += count * scores[i * k + a]! ** 2;
      }
      const sd = Math.sqrt(square / total - (sum / total) ** 2);
      if (!(sd > 1e-3)) continue;
      for (let i = 0; i < n; i++) scores[i * k + a] = (scores[i * k + a]! - sum / total) / sd;
    }
  }

  function newtonPrompt(i: number): void {
    const t = scores.subarray(i * k, i * k + k);
    const g = gPrompt;
    const h = hPrompt;
    for (let step = 0; step < 2; step++) {
      for (let a = 0; a < k; a++) {
        for (let b = 0; b <= a; b++) h[a * k + b] = a === b ? 1 : 0;
        g[a] = -t[a]!;
      }
      for (let c = known.rowStart[i]!; c < known.rowStart[i + 1]!; c++) {
        const j = known.columns[c]!;
        const at = i * m + j;
        const r = j * (k + 1);
        let l = (offset === undefined ? 0 : offset[at]!) + rows[r]!;
        for (let a = 0; a < k; a++) l += rows[r + 1 + a]! * t[a]!;
        const p = 1 / (1 + Math.exp(-l));
        const v = p * (1 - p);
        for (let a = 0; a < k; a++) {
          g[a]! += (quality[at]! - p) * rows[r + 1 + a]!;
          for (let b = 0; b <= a; b++) h[a * k + b]! += v * rows[r + 1 + a]! * rows[r + 1 + b]!;
        }
      }
      if (k === 1) {
        // The general way to the last bit, without its arrays: logs have many prompts and one factor.
        const root = Math.sqrt(h[0]!);
        t[0] = clamp(t[0]! + clamp(g[0]! / root / root, 2), 5);
        continue;
      }
      for (let a = 0; a < k; a++) for (let b = 0; b < a; b++) h[b * k + a] = h[a * k + b]!;
      const delta = choleskySolve(cholesky(h, k), g, k);
      for (let a = 0; a < k; a++) t[a] = clamp(t[a]! + clamp(delta[a]!, 2), 5);
    }
  }

  function newtonRow(j: number): void {
    const d = k + 1;
    const row = rows.subarray(j * d, j * d + d);
    const x = new Float64Array(d);
    for (let step = 0; step < 2; step++) {
      const h = new Float64Array(d * d);
      const g = new Float64Array(d);
      for (let a = 0; a < d; a++) {
        const mean = a === 1 ? slope : 0;
        const sd = a === 0 ? PRIOR.intercept : a === 1 ? PRIOR.slope : PRIOR.loading;
        h[a * d + a] = 1 / sd ** 2;
        g[a] = (mean - row[a]!) / sd ** 2;
      }
      for (let c = known.columnStart[j]!; c < known.columnStart[j + 1]!; c++) {
        const i = known.rows[c]!;
        const at = i * m + j;
        x[0] = 1;
        let l = (offset === undefined ? 0 : offset[at]!) + row[0]!;
        for (let a = 0; a < k; a++) {
          x[a + 1] = scores[i * k + a]!;
          l += row[a + 1]! * x[a + 1]!;
        }
        const p = 1 / (1 + Math.exp(-l));
        const count = weight === undefined ? 1 : weight[i]!;
        const v = count * (p * (1 - p));
        const e = count * (quality[at]! - p);
        for (let a = 0; a < d; a++) {
          g[a]! += e * x[a]!;
          const vx = v * x[a]!;
          for (let b = 0; b <= a; b++) h[a * d + b]! += vx * x[b]!;
        }
      }
      for (let a = 0; a < d; a++) for (let b = 0; b < a; b++) h[b * d + a] = h[a * d + b]!;
      const delta = choleskySolve(cholesky(h, d), g, d);
      for (let a = 0; a < d; a++) row[a]! += clamp(delta[a]!, 2);
    }
  }
}

const clamp = (x: number, limit: number): number => Math.min(limit, Math.max(-limit, x));
