/** Gain@R, Gain@B and Gap@O: accuracy over several datasets, relative to random, best single model and oracle. */
import { checkColumns, NOT_NEGATIVE, weightedMean } from './columns.ts';

/** Two readings of "relative to" over datasets. They can differ by a third: say which one is printed. */
export interface AveragedRatio {
  /** From the two mean accuracies: stable, and what a user of all datasets gets. */
  readonly ratioOfMeans: number | null;
  /** Mean over datasets of each one's ratio: a dataset on which the reference is near 0 can dominate it. */
  readonly meanOfRatios: number | null;
}

/**
 * Gain over a reference: Gain@R when it is the random router, Gain@B when it is the best single model.
 *
 *     ratioOfMeans = Ā / Ā_ref − 1,   meanOfRatios = 1/D · Σ_d (A_d / A_ref,d − 1)
 *
 * The best single model is one model for all datasets ({@link bestSingle}), not the best of each.
 *
 * @param router    accuracy on each dataset, in [0, 1]; length D
 * @param reference the same of the reference; length D
 * @returns 0 when equal, ≥ −1; null without datasets or where a division is by 0
 * @see LLMRouterBench, 2026, where Ā is AvgAcc; its figure with gains averages ratios, its table does not
 */
export function gain(router: Float64Array, reference: Float64Array): AveragedRatio {
  const n = checkColumns('gain', {
    router: { values: router, bounds: NOT_NEGATIVE },
    reference: { values: reference, bounds: NOT_NEGATIVE },
  });
  const own = weightedMean(router);
  const base = weightedMean(reference);
  let sum = 0;
  let defined = n > 0;
  for (let d = 0; d < n; d++) {
    if (reference[d] === 0) defined = false;
    else sum += router[d]! / reference[d]! - 1;
  }
  return {
    ratioOfMeans: own === null || base === null || base === 0 ? null : own / base - 1,
    meanOfRatios: defined ? sum / n : null,
  };
}

/**
 * Gap@O: what is missing to the oracle, which picks the best model of each prompt.
 *
 *     ratioOfMeans = 1 − Ā / Ā_oracle,   meanOfRatios = 1/D · Σ_d (1 − A_d / A_oracle,d)
 *
 * @returns in [0, 1] for an oracle over the router's own pool, 0 is best; null as {@link gain}
 */
export function gapAtOracle(router: Float64Array, oracle: Float64Array): AveragedRatio {
  const { ratioOfMeans, meanOfRatios } = gain(router, oracle);
  // 0 − x, since −0 would be printed.
  return {
    ratioOfMeans: ratioOfMeans === null ? null : 0 - ratioOfMeans,
    meanOfRatios: meanOfRatios === null ? null : 0 - meanOfRatios,
  };
}

/**
 * Index of the model with the greatest accuracy averaged over datasets; the first of equals.
 *
 * @param byModel accuracy on each dataset, per model
 * @returns null without models
 */
export function bestSingle(byModel: readonly Float64Array[]): number | null {
  let best: number | null = null;
  let most = Number.NEGATIVE_INFINITY;
  byModel.forEach((accuracies, j) => {
    const mean = weightedMean(accuracies);
    if (mean === null || mean <= most) return;
    most = mean;
    best = j;
  });
  return best;
}
