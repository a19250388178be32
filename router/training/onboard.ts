/**
 * A new candidate model from a few labelled prompts: one row of the heads, with the encoder and all else frozen.
 *
 *     logit E[q_i] = x_i · row,    row ~ N(mean, covariance) of the models already known
 *
 * Posterior mode by Newton's method; its covariance by Laplace's approximation. Few labels move the level first,
 * since the models differ most in that; what text decides follows as evidence comes in.
 * @see Gelman & Hill, "Data Analysis Using Regression and Multilevel/Hierarchical Models", 2007, ch. 12-13
 */
import { RoutingError } from '../../datasets/index.ts';
import type { Heads } from '../heads/heads.ts';
import { cholesky, choleskySolve, inverse } from './linear-algebra.ts';
import { type HeadRow, priorOverModels, putRows, type RowPrior, rowInputs, rowOf } from './onboard-row.ts';

export interface Onboarding {
  readonly modelId: string;
  /** n × d, embeddings of the labelled prompts by the encoder that the heads belong to. */
  readonly z: Float32Array;
  /** n, in [0, 1]; NaN where there is no label. */
  readonly quality: ArrayLike<number>;
  /** n, tokens of the answers; NaN where unknown. */
  readonly outputTokens?: ArrayLike<number>;
  /**
   * A known model that this one is close to, e.g. its predecessor, or itself where new labels come to old ones: the
   * prior is drawn to that one's row.
   */
  readonly like?: string;
}

/**
 * Share of the variance between models that is left between a model and the one it is said to be like:
 * 12 pairs of successive versions in the shipped heads gave .1 of it over all models, .3 without those that
 * only one benchmark had.
 */
const LIKE_VARIANCE = 0.25;
/** The residual spread of the others counts as this many answers, as in the fit of all models. */
const SMEAR_PRIOR = 20;

/**
 * The heads with a row for one more model; its old row, if any, is replaced. Where the old row has no evidence
 * (it came from published scores), it is the prior.
 * @throws `ARTIFACT_MISMATCH` when the embeddings have another dimension, `INVALID_ROW` for a quality outside [0, 1],
 *         `UNKNOWN_MODEL` when `like` has no row
 */
export function onboardModel(heads: Heads, given: Onboarding): Heads {
  return putRows(heads, [onboardRow(heads, given)]);
}

/** The row alone. */
export function onboardRow(heads: Heads, given: Onboarding): HeadRow {
  const n = given.quality.length;
  const w = heads.factors.count + 1;
  if (given.z.length !== n * heads.dimension) {
    throw new RoutingError(
      'ARTIFACT_MISMATCH',
      `${given.modelId}: ${given.z.length} numbers are no embeddings of ${n} prompts in ${heads.dimension} dimensions; ` +
        'encode the prompts with the encoder of this artifact',
    );
  }
  for (let i = 0; i < n; i++) {
    const q = given.quality[i]!;
    if (q < 0 || q > 1) throw new RoutingError('INVALID_ROW', `${given.modelId}: quality ${q} is not in [0, 1]`);
  }
  const prior = priorOf(heads, given);
  const { x, length } = rowInputs(heads, given.z, n);
  const fitted = mapRow(x, w, given.quality, prior);
  return {
    modelId: given.modelId,
    ...fitted,
    tokens: tokenRow(length, given.outputTokens ?? [], prior),
    // Labels of its own that the prior already rests on count on.
    evidence: Array.from(given.quality).filter((q) => !Number.isNaN(q)).length + earlierLabels(heads, given),
  };
}

const earlierLabels = (heads: Heads, { modelId, like }: Onboarding): number =>
  like === modelId ? (rowOf(heads, modelId)?.evidence ?? 0) : 0;

function priorOf(heads: Heads, { modelId, like }: Onboarding): RowPrior {
  const models = priorOverModels(heads, modelId);
  const own = rowOf(heads, modelId);
  if (like === undefined) return own?.evidence === 0 ? drawnTo(own, models, 1) : models;
  const other = rowOf(heads, like);
  if (other === undefined) {
    throw new RoutingError(
      'UNKNOWN_MODEL',
      `like ${like}: the artifact has no row of that model; name one that it knows`,
    );
  }
  const scaled = models.covariance.map((v, a) => LIKE_VARIANCE * v + other.covariance[a]!);
  return drawnTo({ ...other, covariance: scaled }, models, LIKE_VARIANCE);
}

const drawnTo = ({ row, covariance, tokens }: HeadRow, models: RowPrior, share: number): RowPrior => ({
  mean: row,
  covariance,
  tokens: {
    mean: [tokens[0], tokens[1]],
    covariance: models.tokens.covariance.map((v) => share * v),
    logSmear: tokens[2],
  },
});

/**
 * Posterior mode and Laplace covariance of one logistic row.
 * @param x n × w, @param quality n in [0, 1], NaN where missing
 */
function mapRow(
  x: Float64Array,
  w: number,
  quality: ArrayLike<number>,
  prior: RowPrior,
): { row: Float64Array; covariance: Float64Array } {
  const precision = inverse(prior.covariance, w);
  const row = prior.mean.slice();
  let { loss, gradient, hessian } = at(row);
  // Convex; a step that does not lower the loss is halved, so separable labels and far starts are safe.
  for (let step = 0; step < 50; step++) {
    const delta = choleskySolve(cholesky(hessian, w), gradient, w);
    let size = 1;
    let next = at(row.map((v, a) => v - delta[a]!));
    while (next.loss > loss && size > 1e-6) {
      size /= 2;
      next = at(row.map((v, a) => v - size * delta[a]!));
    }
    if (next.loss > loss) break;
    for (let a = 0; a < w; a++) row[a]! -= size * delta[a]!;
    const done = loss - next.loss < 1e-10 * (1 + Math.abs(loss));
    ({ loss, gradient, hessian } = next);
    if (done) break;
  }
  return { row, covariance: inverse(hessian, w) };

  function at(r: Float64Array): { loss: number; gradient: Float64Array; hessian: Float64Array } {
    const hessian = precision.slice();
    const gradient = new Float64Array(w);
    let loss = 0;
    for (let a = 0; a < w; a++) {
      for (let b = 0; b < w; b++) gradient[a]! += precision[a * w + b]! * (r[b]! - prior.mean[b]!);
      loss += 0.5 * gradient[a]! * (r[a]! - prior.mean[a]!);
    }
    for (let i = 0; i < quality.length; i++) {
      const q = quality[i]!;
      if (Number.isNaN(q)) continue;
      let l = 0;
      for (let a = 0; a < w; a++) l += r[a]! * x[i * w + a]!;
      const p = 1 / (1 + Math.exp(-l));
      // log(1 + e^l) − q·l without overflow
      loss += Math.max(l, 0) + Math.log1p(Math.exp(-Math.abs(l))) - q * l;
      for (let a = 0; a < w; a++) {
        gradient[a]! += (p - q) * x[i * w + a]!;
        for (let b = 0; b < w; b++) hessian[a * w + b]! += p * (1 - p) * x[i * w + a]! * x[i * w + b]!;
      }
    }
    return { loss, gradient, hessian };
  }
}

/** log(1 + tokens) = c + e · g + noise: normal regression with the other models' (c, e) as prior. */
function tokenRow(
  length: Float64Array,
  outputTokens: ArrayLike<number>,
  { tokens: prior }: RowPrior,
): HeadRow['tokens'] {
  const noise = Math.max(0.05, 2 * prior.logSmear);
  const h = inverse(prior.covariance, 2);
  const b = Float64Array.from([0, 1], (a) => h[a * 2]! * prior.mean[0] + h[a * 2 + 1]! * prior.mean[1]);
  const seen = Array.from(length.keys()).filter((i) => outputTokens[i] !== undefined && outputTokens[i]! >= 0);
  for (const i of seen) {
    const y = Math.log1p(outputTokens[i]!);
    const g = [1, length[i]!];
    for (let a = 0; a < 2; a++) {
      b[a]! += (g[a]! * y) / noise;
      for (let c = 0; c < 2; c++) h[a * 2 + c]! += (g[a]! * g[c]!) / noise;
    }
  }
  const [c, slope] = choleskySolve(cholesky(h, 2), b, 2) as unknown as [number, number];
  const e = Math.max(0, slope);
  let square = SMEAR_PRIOR * 2 * prior.logSmear;
  for (const i of seen) square += (Math.log1p(outputTokens[i]!) - c - e * length[i]!) ** 2;
  return [c, e, Math.min(1.5, square / (seen.length + SMEAR_PRIOR) / 2)];
}
