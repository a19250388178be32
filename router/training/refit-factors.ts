/**
 * What a log shows to be easier or harder than an artifact says: for all candidates, and for one of them.
 *
 * A router chooses who answers what, so that the prompts of one model are not those of another. Each factor is therefore a
 * regression within models: what makes the prompts of one model hard is not put down to the model, nor the other way round.
 */
import type { KnownCells } from './known-cells.ts';
import { type RidgeFit, ridgeOutOfFold, ridgeTogether } from './ridge.ts';

/** A linear map from embeddings, with what it says of the log's prompts. */
export interface CorrectionFactor {
  /** d. */
  readonly weights: Float64Array;
  readonly bias: number;
  /** n: each prompt by a fit without its group; 0 where it is not known. */
  readonly outOfFold: Float64Array;
  /** Share of the variance of what it was fitted to that text does not explain. */
  readonly unexplained: number;
}

/** How firmly a model's level is drawn to that of all, relative to a weight of the embedding: hardly. */
const LEVEL_PENALTY = 0.01;
/** A candidate's own factor needs this many answers of its own. */
const MIN_FOR_OWN = 30;
/** Of a candidate's own deviation, in units of what is known of the log's best-known model; one strength is chosen for all. */
const OWN_STRENGTHS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10];

export const weightOf = (weight: Float64Array | undefined, i: number): number =>
  weight === undefined ? 1 : weight[i]!;

/**
 * The ease of prompts, regressed on the embedding and on who answered; scaled to unit variance, so that one prior fits
 * all.
 * @param z      n × d
 * @param scores n, ease of each prompt as its outcomes tell it (`item-factors.ts`)
 * @param known  whose answers these are, m columns
 * @see Mundlak, "On the Pooling of Time Series and Cross Section Data", Econometrica 1978, for the within-group regression
 */
export function sharedFactor(
  z: Float32Array,
  d: number,
  scores: Float64Array,
  known: KnownCells,
  m: number,
  folds: Int32Array,
  weight: Float64Array | undefined,
): CorrectionFactor {
  const n = scores.length;
  const width = d + m;
  const inputs = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    inputs.set(z.subarray(i * d, i * d + d), i * width);
    for (let c = known.rowStart[i]!; c < known.rowStart[i + 1]!; c++) inputs[i * width + d + known.columns[c]!] = 1;
  }
  const penalty = new Float64Array(width).fill(1).fill(LEVEL_PENALTY, d);
  const [fit] = ridgeOutOfFold(inputs, width, [scores], folds, { penalty, nuisance: m, ...(weight && { weight }) });
  const { mean, sd } = momentsOf(fit!.outOfFold, weight);
  if (!(fit!.r2 > 0) || !(sd > 1e-9)) return noFactor(n, d);
  return moved(fit!, mean, sd);
}

/**
 * Of each model what it alone finds easier or harder, from what is left of its answers. One strength of shrinkage for
 * all, so that a model with fifty answers gets no deviation by luck where those with thousands show none; and one scale,
 * so that it stays as small as the evidence for it.
 * @param residuals m of length n, NaN where the model did not answer
 * @param evidence  m, answers of each
 */
export function ownFactors(
  z: Float32Array,
  d: number,
  residuals: readonly Float64Array[],
  evidence: Float64Array,
  folds: Int32Array,
  weight: Float64Array | undefined,
): CorrectionFactor[] {
  const n = z.length / d;
  const none = noFactor(n, d);
  const heard = [...residuals.keys()].filter((j) => evidence[j]! >= MIN_FOR_OWN);
  const most = heard.reduce((greatest, j) => Math.max(greatest, evidence[j]!), 0);
  const options = { strengths: OWN_STRENGTHS, ...(weight && { weight }) };
  const fits = ridgeTogether(
    z,
    d,
    heard.map((j) => residuals[j]!),
    folds,
    most * coordinateVariance(z, d),
    options,
  );
  let gain = 0;
  let square = 0;
  let total = 0;
  for (const { r2, outOfFold } of fits) {
    const { mean, sd, sum } = momentsOf(outOfFold, weight);
    gain += sum * r2;
    square += sum * (mean * mean + sd * sd);
    total += sum;
  }
  const scale = Math.sqrt(square / (total || 1));
  const isThere = gain > 0 && scale > 1e-9;
  return residuals.map((_, j) => {
    const k = heard.indexOf(j);
    return k < 0 || !isThere ? none : moved(fits[k]!, 0, scale);
  });
}

const noFactor = (n: number, d: number): CorrectionFactor => ({
  weights: new Float64Array(d),
  bias: 0,
  outOfFold: new Float64Array(n),
  unexplained: 0,
});

/** (prediction − mean) / scale. */
const moved = (fit: RidgeFit, mean: number, scale: number): CorrectionFactor => ({
  weights: fit.weights.map((w) => w / scale),
  bias: (fit.bias - mean) / scale,
  outOfFold: fit.outOfFold.map((v) => (Number.isNaN(v) ? 0 : (v - mean) / scale)),
  unexplained: 1 - Math.max(0, fit.r2),
});

/** Of the values that are there, weighted. */
function momentsOf(values: Float64Array, weight: Float64Array | undefined): { mean: number; sd: number; sum: number } {
  let sum = 0;
  let first = 0;
  values.forEach((v, i) => {
    if (Number.isNaN(v)) return;
    sum += weightOf(weight, i);
    first += weightOf(weight, i) * v;
  });
  const mean = first / (sum || 1);
  let square = 0;
  values.forEach((v, i) => {
    if (!Number.isNaN(v)) square += weightOf(weight, i) * (v - mean) ** 2;
  });
  return { mean, sd: Math.sqrt(square / (sum || 1)), sum };
}

/** Mean over the coordinates of their variance, > 0. */
function coordinateVariance(z: Float32Array, d: number): number {
  const n = z.length / d;
  let variance = 0;
  for (let a = 0; a < d; a++) {
    let sum = 0;
    let square = 0;
    for (let at = a; at < z.length; at += d) {
      sum += z[at]!;
      square += z[at]! ** 2;
    }
    variance += (square - (sum * sum) / n) / n / d;
  }
  return Math.max(1e-9, variance);
}
