/** Log loss (negative log-likelihood) of predicted probabilities, and the part of it that nobody could avoid. */
import { checkColumns, NOT_NEGATIVE, UNIT, weightedMean } from './columns.ts';

/** Predictions are kept this far from 0 and 1: one certain and wrong answer costs 13.8 nats, not infinity. */
export const LOG_LOSS_CLIP = 1e-6;

/**
 *     NLL = −Σ wᵢ [ yᵢ ln p̂ᵢ + (1 − yᵢ) ln(1 − p̂ᵢ) ] / Σ wᵢ,   p̂ clipped to [ε, 1 − ε]
 *
 * @param predicted p̂, in [0, 1]; length n
 * @param observed  y, quality, in [0, 1]; a graded outcome counts as that share of a success; length n
 * @param weights   ≥ 0, length n; all 1 without
 * @param clip      ε, in (0, 0.5)
 * @returns nats, in [0, −ln ε], 0 is best (for graded outcomes {@link outcomeEntropy} is); null without rows or weight
 * @throws `UNDEFINED_METRIC` when lengths differ or a number is outside its range
 */
export function logLoss(
  predicted: Float64Array,
  observed: Float64Array,
  weights?: ArrayLike<number>,
  clip = LOG_LOSS_CLIP,
): number | null {
  checkColumns('logLoss', {
    predicted: { values: predicted, bounds: UNIT },
    observed: { values: observed, bounds: UNIT },
    weights: weights && { values: weights, bounds: NOT_NEGATIVE },
  });
  return weightedMean(
    predicted.map((p, i) => crossEntropy(p, observed[i]!, clip)),
    weights,
  );
}

/** Log loss of one prediction p̂ of an outcome y, both in [0, 1]; nats. */
export function crossEntropy(p: number, y: number, clip = LOG_LOSS_CLIP): number {
  const q = Math.min(1 - clip, Math.max(clip, p));
  return -(y * Math.log(q) + (1 - y) * Math.log1p(-q));
}

/** h(y) = −y ln y − (1 − y) ln(1 − y), nats; 0 at 0 and 1. */
export const binaryEntropy = (y: number): number =>
  y <= 0 || y >= 1 ? 0 : -(y * Math.log(y) + (1 - y) * Math.log1p(-y));

/**
 * The outcomes' own entropy, (weighted) mean of h(yᵢ): the log loss of a forecast that knows every outcome, so what
 * is left of a log loss above it is the mean Kullback-Leibler divergence KL(y ‖ p̂).
 *
 * @returns nats, in [0, ln 2], 0 for outcomes of 0 and 1; null without rows or weight
 */
export function outcomeEntropy(observed: Float64Array, weights?: ArrayLike<number>): number | null {
  checkColumns('outcomeEntropy', { observed: { values: observed, bounds: UNIT } });
  return weightedMean(observed.map(binaryEntropy), weights);
}

/**
 * Entropy of the mean outcome, h(ȳ): the log loss of always saying the mean, which a useful forecast is below.
 *
 * @returns nats, in [0, ln 2]; null without rows or weight
 */
export function baseRateEntropy(observed: Float64Array, weights?: ArrayLike<number>): number | null {
  checkColumns('baseRateEntropy', { observed: { values: observed, bounds: UNIT } });
  const mean = weightedMean(observed, weights);
  return mean === null ? null : binaryEntropy(mean);
}
