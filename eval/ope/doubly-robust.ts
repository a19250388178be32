/** What another policy would have reached on logged traffic: a model's forecast, corrected by the answers it shares. */
import { RoutingError } from '../../datasets/index.ts';
import { checkedPropensity } from './snips.ts';

export interface DoublyRobustInput {
  /** rᵢ, quality of the logged answer, in [0, 1]; length n. */
  readonly rewards: Float64Array;
  /** π(aᵢ|xᵢ), policy under evaluation, in [0, 1]; length n. */
  readonly target: Float64Array;
  /** π_b(aᵢ|xᵢ), as logged when deciding, in (0, 1]; length n. */
  readonly propensities: Float64Array;
  /** r̂(xᵢ, aᵢ), forecast for the logged action by a model that never saw row i; length n. */
  readonly predicted: Float64Array;
  /** Σₐ π(a|xᵢ) r̂(xᵢ, a), forecast for the policy by the same model; length n. */
  readonly predictedTarget: Float64Array;
  /** τ: rows of a greater weight are left to the model (Switch-DR). Default: none is. */
  readonly maxWeight?: number;
}

/**
 * The doubly robust value of each row; their mean estimates the policy's mean quality.
 *
 *     vᵢ = Σₐ π(a|xᵢ) r̂(xᵢ, a) + wᵢ (rᵢ − r̂(xᵢ, aᵢ)),    wᵢ = π(aᵢ|xᵢ) / π_b(aᵢ|xᵢ), or 0 where wᵢ > τ
 *
 * Right on average if either the propensities or the model are right (with τ: where w > τ the model must be).
 * Given by row, so that two policies can be compared in pairs and groups resampled.
 *
 * @returns length n, any real number
 * @throws `UNDEFINED_METRIC` when there is no row, or a propensity is not in (0, 1]
 * @see Dudík, Langford & Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011;
 *      Wang, Agarwal & Dudík, "Optimal and Adaptive Off-policy Evaluation in Contextual Bandits", ICML 2017
 */
export function doublyRobustRows(input: DoublyRobustInput): Float64Array {
  const { rewards, target, propensities, predicted, predictedTarget } = input;
  const maxWeight = input.maxWeight ?? Number.POSITIVE_INFINITY;
  if (rewards.length === 0) throw new RoutingError('UNDEFINED_METRIC', 'doubly robust: there is no row');
  return rewards.map((reward, i) => {
    const w = target[i]! / checkedPropensity(propensities[i]!);
    return predictedTarget[i]! + (w > maxWeight ? 0 : w * (reward - predicted[i]!));
  });
}

/** Mean of {@link doublyRobustRows}. */
export function doublyRobust(input: DoublyRobustInput): number {
  const rows = doublyRobustRows(input);
  return rows.reduce((a, b) => a + b) / rows.length;
}

/**
 * Doubly robust with weights that are made to have mean 1, as {@link snips} does: where weights are few and great,
 * a little bias for much less variance.
 *
 *     V = mean Σₐ π(a|xᵢ) r̂(xᵢ, a) + Σ wᵢ (rᵢ − r̂(xᵢ, aᵢ)) / Σ wᵢ
 *
 * `maxWeight` leaves rows of a greater weight out of both sums.
 *
 * @throws `UNDEFINED_METRIC` when there is no row, a propensity is not in (0, 1], or π takes no logged action
 * @see Thomas & Brunskill, "Data-Efficient Off-Policy Policy Evaluation for Reinforcement Learning", ICML 2016, §4
 */
export function selfNormalisedDoublyRobust(input: DoublyRobustInput): number {
  const { rewards, target, propensities, predicted, predictedTarget } = input;
  const maxWeight = input.maxWeight ?? Number.POSITIVE_INFINITY;
  const n = rewards.length;
  if (n === 0) throw new RoutingError('UNDEFINED_METRIC', 'doubly robust: there is no row');
  let model = 0;
  let sumW = 0;
  let sumError = 0;
  for (let i = 0; i < n; i++) {
    const w = target[i]! / checkedPropensity(propensities[i]!);
    model += predictedTarget[i]!;
    if (w > maxWeight) continue;
    sumW += w;
    sumError += w * (rewards[i]! - predicted[i]!);
  }
  if (sumW === 0) throw new RoutingError('UNDEFINED_METRIC', 'doubly robust: the policies share no action');
  return model / n + sumError / sumW;
}
