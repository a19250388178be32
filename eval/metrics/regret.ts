/** Regret: what a router leaves on the table against the best choice for each prompt, known only in hindsight. */
import { RoutingError } from '../../datasets/index.ts';
import { checkColumns, weightedMean } from './columns.ts';

/** Sums in another order differ by less than this. */
const ROUNDING = 1e-9;

/** Recorded outcomes of the pool, row-major. */
export interface OutcomeMatrix {
  /** q(x, m), n × m, in [0, 1]; NaN where a model has no outcome. */
  readonly quality: Float64Array;
  /** c(x, m), n × m, USD; NaN as above. */
  readonly costUsd: Float64Array;
  readonly modelCount: number;
}

/**
 *     u(x, m) = q(x, m) − λ c(x, m)
 *
 * @param lambda price of a USD in quality, ≥ 0
 * @returns n × m, row-major; NaN where there is no outcome
 */
export function utilities({ quality, costUsd }: OutcomeMatrix, lambda: number): Float64Array {
  return quality.map((q, k) => q - lambda * costUsd[k]!);
}

/**
 * Utility of what was chosen, per prompt.
 *
 * @param chosen column of the chosen model; length n
 * @returns length n
 * @throws `UNDEFINED_METRIC` when shapes do not fit or the chosen model has no outcome for a prompt
 */
export function chosenUtility(outcomes: OutcomeMatrix, chosen: Int32Array, lambda: number): Float64Array {
  const { quality, costUsd, modelCount: m } = outcomes;
  if (quality.length !== chosen.length * m || costUsd.length !== quality.length) {
    throw new RoutingError(
      'UNDEFINED_METRIC',
      `regret: ${chosen.length} choices × ${m} models need as many outcomes, not ${quality.length} qualities and ${costUsd.length} costs`,
    );
  }
  return Float64Array.from(chosen, (j, i) => {
    const u = j >= 0 && j < m ? quality[i * m + j]! - lambda * costUsd[i * m + j]! : Number.NaN;
    if (Number.isFinite(u)) return u;
    throw new RoutingError(
      'UNDEFINED_METRIC',
      `regret: prompt ${i} has no outcome for the chosen model (column ${j}); leave it out or give a stand-in`,
    );
  });
}

/**
 * Utility of the oracle, per prompt: maxₘ u(x, m) over the models that have an outcome. It gains from luck too:
 * with many models that guess, one of them guesses right.
 *
 * @returns length n
 * @throws `UNDEFINED_METRIC` for a prompt without any outcome
 */
export function oracleUtility(outcomes: OutcomeMatrix, lambda: number): Float64Array {
  const m = outcomes.modelCount;
  const u = utilities(outcomes, lambda);
  return Float64Array.from({ length: u.length / m }, (_, i) => {
    let best = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < m; j++) if (u[i * m + j]! > best) best = u[i * m + j]!;
    if (Number.isFinite(best)) return best;
    throw new RoutingError('UNDEFINED_METRIC', `regret: prompt ${i} has no outcome of any model; leave it out`);
  });
}

/**
 * Regret of each prompt; their (weighted) mean is the regret of the policy:
 *
 *     regret(π; λ) = mean over x of [ maxₘ u(x, m) − u(x, π(x)) ],   u = q − λ c
 *
 * @returns length n, each ≥ 0, 0 where the choice was the best one; in units of quality
 * @throws `UNDEFINED_METRIC` as {@link chosenUtility}
 */
export function regretByPrompt(outcomes: OutcomeMatrix, chosen: Int32Array, lambda: number): Float64Array {
  const own = chosenUtility(outcomes, chosen, lambda);
  return oracleUtility(outcomes, lambda).map((best, i) => best - own[i]!);
}

/** Weighted mean of per-prompt regrets; null without prompts or weight. */
export function meanRegret(regrets: Float64Array, weights?: ArrayLike<number>): number | null {
  checkColumns('regret', { regrets: { values: regrets } });
  return weightedMean(regrets, weights);
}

/**
 * Share of the way from the zero router to the oracle:
 *
 *     (U_π − U_zero) / (U_oracle − U_zero),   U = (weighted) mean utility
 *
 * @param policy per-prompt utilities at one λ, of the policy; length n; `zero` and `oracle` likewise
 * @returns 0 for the zero router, 1 for the oracle, negative below zero; null when the oracle is not above it
 */
export function gapRecovered(
  policy: Float64Array,
  zero: Float64Array,
  oracle: Float64Array,
  weights?: ArrayLike<number>,
): number | null {
  checkColumns('gapRecovered', { policy: { values: policy }, zero: { values: zero }, oracle: { values: oracle } });
  const own = weightedMean(policy, weights);
  const base = weightedMean(zero, weights);
  const best = weightedMean(oracle, weights);
  if (own === null || base === null || best === null || best - base <= ROUNDING) return null;
  return (own - base) / (best - base);
}
