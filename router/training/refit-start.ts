/** Where a refit starts: the row of each candidate before any correction, by what is known of it, if only its price. */
import type { ModelInfo } from '../../datasets/index.ts';
import { type Heads, selectHeads } from '../heads/heads.ts';

/**
 * Logits that a price e times as high is worth, before anything was learned, and how much evidence that counts as, in
 * squared logarithms of prices. Levels rise by 0.12 to 0.33 within the six groups of LiveCodeBench (28 to 39 models,
 * correlation 0.15 to 0.35), by 0.24 over the pool of ZeroEval and 0.17 over that of MMLU-Pro.
 */
const PRICE = { slope: 0.2, worth: 9 };

/** List price in USD per million tokens, input and output together; undefined where it is not known. */
export function listPrice(info: ModelInfo | undefined): number | undefined {
  if (info?.inputUsdPerMTok === undefined || info.outputUsdPerMTok === undefined) return undefined;
  return info.inputUsdPerMTok + info.outputUsdPerMTok;
}

/** Natural logarithm of a price above 0, else NaN. */
const logOf = (price: number | undefined): number =>
  price !== undefined && price > 0 && price < Number.POSITIVE_INFINITY ? Math.log(price) : Number.NaN;

/** Natural logarithm of each price less their mean, length m; 0 where there is no price above 0. */
export function logPrices(modelIds: readonly string[], priceOf: (modelId: string) => number | undefined): Float64Array {
  const logs = Float64Array.from(modelIds, (id) => logOf(priceOf(id)));
  const known = logs.filter((x) => !Number.isNaN(x));
  const mean = known.reduce((sum, x) => sum + x, 0) / (known.length || 1);
  return logs.map((x) => (Number.isNaN(x) ? 0 : x - mean));
}

/**
 * One row per candidate, copied from where it starts. A candidate like nothing known starts as the average model at its
 * price: on the line through the levels of those that outcomes speak for, drawn to {@link PRICE}. So do all, where the
 * base tells no model from another.
 */
export function startingHeads(
  base: Heads,
  modelIds: readonly string[],
  likeOf: (modelId: string) => string | undefined,
  priceOf: (modelId: string) => number | undefined = () => undefined,
): Heads {
  const sources = modelIds.map((id) => {
    const like = base.modelIds.includes(id) ? id : likeOf(id);
    return like !== undefined && base.modelIds.includes(like) ? like : undefined;
  });
  const picked = selectHeads(
    base,
    sources.map((s) => s ?? base.modelIds[0]!),
  );
  const w = base.factors.count + 1;
  const row = columnMoments(base.rows, w);
  const length = columnMoments(base.tokens.rows, 2);
  const smear = columnMoments(base.tokens.logSmear, 1);
  sources.forEach((source, j) => {
    if (source !== undefined) return;
    picked.rows.set(row.mean, j * w);
    picked.covariance.fill(0, j * w * w, (j + 1) * w * w);
    // What is known of it is how much models differ.
    for (let a = 0; a < w; a++) picked.covariance[(j * w + a) * w + a] = row.variance[a]!;
    picked.tokens.rows.set(length.mean, j * 2);
    picked.tokens.logSmear[j] = smear.mean[0]!;
    picked.evidence[j] = 0;
  });
  const isBlank = base.evidence.every((answers) => answers === 0) && row.variance.every((v) => v === 0);
  const x = modelIds.map((id) => logOf(priceOf(id)));
  const priced = [...sources.keys()].filter((j) => !Number.isNaN(x[j]!));
  const known = priced.filter((j) => sources[j] === modelIds[j] && picked.evidence[j]! > 0);
  const { slope, centre } = lineThrough(
    // Where nobody is known, the line goes through the middle of all.
    (known.length > 0 ? known : priced).map((j) => x[j]!),
    known.map((j) => picked.rows[j * w]!),
  );
  for (const j of priced) if (sources[j] === undefined || isBlank) picked.rows[j * w]! += slope * (x[j]! - centre);
  return { ...picked, modelIds };
}

/** Slope of y over x, drawn to that of {@link PRICE}, which it is where there are no y; and the mean of x. */
function lineThrough(x: readonly number[], y: readonly number[]): { slope: number; centre: number } {
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / (values.length || 1);
  const centre = mean(x);
  const level = mean(y);
  let product = PRICE.worth * PRICE.slope;
  let square = PRICE.worth;
  y.forEach((v, k) => {
    product += (x[k]! - centre) * (v - level);
    square += (x[k]! - centre) ** 2;
  });
  return { slope: product / square, centre };
}

function columnMoments(values: Float64Array, width: number): { mean: Float64Array; variance: Float64Array } {
  const count = values.length / width;
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  values.forEach((v, at) => {
    mean[at % width]! += v / count;
  });
  values.forEach((v, at) => {
    variance[at % width]! += (v - mean[at % width]!) ** 2 / count;
  });
  return { mean, variance };
}
