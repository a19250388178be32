/**
 * What the training part says of each single model: mean quality, mean cost, mean answer length.
 * The cheapest, the dearest and the best model are chosen by these.
 *
 * The matrix has holes, and a plain mean over a model's own rows would rank it by the ease of what it was
 * asked. So each mean is an adjusted one: model effect and prompt effect are fitted together on the tried
 * cells, and the model's figure is what it would show on all prompts. Without holes it is the plain mean.
 */
import type { Part } from './part.ts';

export interface SingleModels {
  /** Length m, in [0, 1]. */
  readonly quality: Float64Array;
  /** Length m, USD of a prompt. */
  readonly costUsd: Float64Array;
  /** Length m, tokens of an answer; NaN where no length is known. */
  readonly outputTokens: Float64Array;
  /** Columns from cheap to dear; of equal cost the better first. */
  readonly byRisingCost: readonly number[];
  /** Columns from good to bad; of equal quality the cheaper first. */
  readonly byFallingQuality: readonly number[];
}

/** Outcomes' worth of pull towards the mean of all models: a model seen on three prompts is not the best one. */
const PRIOR_PROMPTS = 5;
const ROUNDS = 30;

/** A model without outcomes gets the mean quality of all and no cost (NaN). */
export function singleModels(part: Part): SingleModels {
  const { table } = part;
  const m = table.modelIds.length;
  const quality = additiveMeans(table.quality, m).map((q) => Math.min(1, Math.max(0, q)));
  const costUsd = multiplicativeMeans(part.costUsd, m);
  const outputTokens = multiplicativeMeans(lengthsOf(part), m);
  const columns = table.modelIds.map((_, j) => j);
  // A model without a single outcome stands last.
  const price = (j: number) => (Number.isNaN(costUsd[j]!) ? Number.MAX_VALUE : costUsd[j]!);
  return {
    quality,
    costUsd,
    outputTokens,
    byRisingCost: [...columns].sort((a, b) => price(a) - price(b) || quality[b]! - quality[a]! || a - b),
    byFallingQuality: [...columns].sort((a, b) => quality[b]! - quality[a]! || price(a) - price(b) || a - b),
  };
}

/** Answer lengths where they are known for every model of the prompt. */
function lengthsOf({ table, constantLength }: Part): Float32Array {
  const m = table.modelIds.length;
  const out = Float32Array.from(table.outputTokens);
  for (let i = 0; i < constantLength.length; i++) if (constantLength[i] === 1) out.fill(Number.NaN, i * m, i * m + m);
  return out;
}

/** x_ij ≈ a_j + b_i by alternating means; the answer is a_j + mean b. Missing cells pull a_j to the mean of all. */
export function additiveMeans(cells: ArrayLike<number>, m: number): Float64Array {
  const n = cells.length / m;
  const a = new Float64Array(m);
  const b = new Float64Array(n);
  const complete = !hasHoles(cells);
  for (let round = 0; round < (complete ? 1 : ROUNDS); round++) {
    const sum = new Float64Array(m);
    const count = new Float64Array(m);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) {
        const x = cells[i * m + j]!;
        if (Number.isNaN(x)) continue;
        sum[j]! += x - b[i]!;
        count[j]! += 1;
      }
    }
    const all = total(sum) / Math.max(1, total(count));
    for (let j = 0; j < m; j++) {
      // A model tried on every prompt needs no prior.
      const pull = count[j]! < n ? PRIOR_PROMPTS : 0;
      a[j] = (sum[j]! + pull * all) / (count[j]! + pull);
    }
    if (complete) break;
    for (let i = 0; i < n; i++) {
      let s = 0;
      let k = 0;
      for (let j = 0; j < m; j++) {
        const x = cells[i * m + j]!;
        if (Number.isNaN(x)) continue;
        s += x - a[j]!;
        k++;
      }
      b[i] = k === 0 ? 0 : s / k;
    }
    const mean = total(b) / n;
    for (let i = 0; i < n; i++) b[i]! -= mean;
  }
  return a;
}

/** x_ij ≈ s_j · t_i by alternating ratios; the answer is s_j · mean t. For costs and lengths, which scale. */
function multiplicativeMeans(cells: ArrayLike<number>, m: number): Float64Array {
  const n = cells.length / m;
  const t = new Float64Array(n).fill(1);
  const s = new Float64Array(m).fill(Number.NaN);
  const complete = !hasHoles(cells);
  for (let round = 0; round < ROUNDS; round++) {
    const top = new Float64Array(m);
    const bottom = new Float64Array(m);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) {
        const x = cells[i * m + j]!;
        if (Number.isNaN(x)) continue;
        top[j]! += x;
        bottom[j]! += t[i]!;
      }
    }
    for (let j = 0; j < m; j++) s[j] = bottom[j]! > 0 ? top[j]! / bottom[j]! : Number.NaN;
    if (complete) break;
    let sum = 0;
    let rows = 0;
    for (let i = 0; i < n; i++) {
      let x = 0;
      let scale = 0;
      for (let j = 0; j < m; j++) {
        if (Number.isNaN(cells[i * m + j]!)) continue;
        x += cells[i * m + j]!;
        scale += s[j]!;
      }
      t[i] = scale > 0 ? x / scale : Number.NaN;
      if (Number.isNaN(t[i]!)) continue;
      sum += t[i]!;
      rows++;
    }
    const mean = rows === 0 ? 1 : sum / rows;
    for (let i = 0; i < n; i++) t[i] = Number.isNaN(t[i]!) || mean === 0 ? 1 : t[i]! / mean;
  }
  return s;
}

function hasHoles(cells: ArrayLike<number>): boolean {
  for (let k = 0; k < cells.length; k++) if (Number.isNaN(cells[k]!)) return true;
  return false;
}

const total = (xs: Float64Array): number => xs.reduce((sum, x) => sum + x, 0);
