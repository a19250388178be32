/** What another policy would have reached on logged traffic, each shared answer weighed by how much more often it gives it. */
import { RoutingError } from '../../datasets/index.ts';
import { checkedPropensity } from './snips.ts';

/**
 * wᵢ = π(aᵢ|xᵢ) / π_b(aᵢ|xᵢ): how many times more often the policy does what was done.
 * @param target       π(aᵢ|xᵢ), policy under evaluation, in [0, 1]; length n
 * @param propensities π_b(aᵢ|xᵢ), as logged when deciding, in (0, 1]; length n
 * @returns length n, ≥ 0; of mean 1 up to chance where the log covers what the policy does
 * @throws `UNDEFINED_METRIC` when there is no row, or a propensity is not in (0, 1]
 */
export function importanceWeights(target: Float64Array, propensities: Float64Array): Float64Array {
  if (target.length === 0) throw new RoutingError('UNDEFINED_METRIC', 'importance weights: there is no row');
  return target.map((p, i) => p / checkedPropensity(propensities[i]!));
}

/**
 * Inverse propensity score of each row; their mean estimates the policy's mean quality.
 *
 *     vᵢ = wᵢ rᵢ
 *
 * Right on average whatever the traffic, but it may leave [0, 1], and shifts with the rewards: with r + c it is
 * c · mean(w) higher, not c. {@link snips} mends both.
 *
 * @param rewards rᵢ, quality of the logged answer, in [0, 1]; length n
 * @returns length n, ≥ 0
 * @throws `UNDEFINED_METRIC` when there is no row, or a propensity is not in (0, 1]
 * @see Horvitz & Thompson, "A Generalization of Sampling Without Replacement From a Finite Universe", JASA 1952
 */
export function ipsRows(rewards: Float64Array, target: Float64Array, propensities: Float64Array): Float64Array {
  return importanceWeights(target, propensities).map((w, i) => w * rewards[i]!);
}

/** Mean of {@link ipsRows}. */
export function ips(rewards: Float64Array, target: Float64Array, propensities: Float64Array): number {
  const rows = ipsRows(rewards, target, propensities);
  return rows.reduce((a, b) => a + b) / rows.length;
}
