/** The length head: how many tokens each model's answer takes, by prompt and by model. */
import type { TokenHead } from '../heads/heads.ts';
import { ridgeOutOfFold } from './ridge.ts';

/** Tokens of an answer where nothing at all is known: the constant used for costs elsewhere too. */
export const DEFAULT_OUTPUT_TOKENS = 300;

/**
 * log(1 + tokens_im) = c_m + e_m · g(z_i) + noise: two-way means first, the prompts' part
 * regressed on z, then each model's intercept and slope, shrunk to the pooled ones.
 * @param outputTokens n × m, NaN where unknown
 */
export function fitTokenHead(
  z: Float32Array,
  d: number,
  outputTokens: Float32Array,
  n: number,
  m: number,
  folds: Int32Array,
): TokenHead & { readonly outOfFold: Float64Array } {
  const y = Float64Array.from(outputTokens, (t) => (Number.isNaN(t) ? Number.NaN : Math.log1p(t)));
  const model = new Float64Array(m);
  const prompt = new Float64Array(n);
  let mean = 0;
  let count = 0;
  for (const v of y) {
    if (!Number.isNaN(v)) {
      mean += v;
      count++;
    }
  }
  if (count === 0) return { ...constantLength(d, m), outOfFold: new Float64Array(n) };
  mean /= count;
  for (let round = 0; round < 4; round++) {
    twoWay((i, j) => y[i * m + j]! - mean - prompt[i]!, model, m, n, false);
    twoWay((i, j) => y[i * m + j]! - mean - model[j]!, prompt, n, m, true);
  }
  const target = Float64Array.from(prompt, (g, i) => (rowHas(y, i, m) ? g : Number.NaN));
  const fit = ridgeOutOfFold(z, d, [target], folds)[0]!;
  const useful = fit.r2 > 0;
  const g = Float64Array.from(fit.outOfFold, (v) => (useful && !Number.isNaN(v) ? v : 0));
  const sorted = [...g].sort((a, b) => a - b);

  // Slopes and intercepts by model: ridge to slope 1 and to the pooled intercept, worth 20 answers.
  const rows = new Float64Array(m * 2);
  const logSmear = new Float64Array(m);
  let pooledVariance = 0;
  const variances = new Float64Array(m);
  const counts = new Float64Array(m);
  for (let j = 0; j < m; j++) {
    const prior = 20;
    let w = prior;
    let sy = 0;
    for (let i = 0; i < n; i++) {
      if (Number.isNaN(y[i * m + j]!)) continue;
      sy += y[i * m + j]! - mean - g[i]!;
      w++;
    }
    const c = mean + sy / w;
    let sgg = prior * 0.25;
    let sgy = prior * 0.25;
    for (let i = 0; i < n; i++) {
      if (Number.isNaN(y[i * m + j]!)) continue;
      sgg += g[i]! * g[i]!;
      sgy += g[i]! * (y[i * m + j]! - c);
    }
    rows[j * 2] = c;
    rows[j * 2 + 1] = Math.max(0, sgy / sgg);
    for (let i = 0; i < n; i++) {
      if (Number.isNaN(y[i * m + j]!)) continue;
      variances[j]! += (y[i * m + j]! - c - rows[j * 2 + 1]! * g[i]!) ** 2;
      counts[j]!++;
    }
    pooledVariance += variances[j]!;
  }
  pooledVariance /= count;
  // E[exp(e)] of a normal residual; its variance shrunk to the pooled one and bounded, for heavy tails.
  for (let j = 0; j < m; j++)
    logSmear[j] = Math.min(1.5, (variances[j]! + 20 * pooledVariance) / (counts[j]! + 20) / 2);
  return {
    weights: useful ? fit.weights : new Float64Array(d),
    bias: useful ? fit.bias : 0,
    limits: [sorted[Math.floor(n * 0.001)] ?? 0, sorted[Math.ceil(n * 0.999) - 1] ?? 0],
    rows,
    logSmear,
    outOfFold: g,
  };
}

function constantLength(d: number, m: number): TokenHead {
  const rows = new Float64Array(m * 2);
  for (let j = 0; j < m; j++) rows[j * 2] = Math.log1p(DEFAULT_OUTPUT_TOKENS);
  return { weights: new Float64Array(d), bias: 0, limits: [0, 0], rows, logSmear: new Float64Array(m) };
}

/** Mean of a residual over one side of the matrix, missing cells left out, shrunk by one pseudo-count. */
function twoWay(
  residual: (i: number, j: number) => number,
  into: Float64Array,
  size: number,
  other: number,
  byPrompt: boolean,
): void {
  for (let a = 0; a < size; a++) {
    let sum = 0;
    let count = 1;
    for (let b = 0; b < other; b++) {
      const r = byPrompt ? residual(a, b) : residual(b, a);
      if (Number.isNaN(r)) continue;
      sum += r;
      count++;
    }
    into[a] = sum / count;
  }
}

function rowHas(y: Float64Array, i: number, m: number): boolean {
  for (let j = 0; j < m; j++) if (!Number.isNaN(y[i * m + j]!)) return true;
  return false;
}
