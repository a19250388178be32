/** How much better one policy would have been than another, on the same logged rows. */
import { RoutingError } from '../../datasets/index.ts';
import { checkedPropensity } from './snips.ts';

/** What one of the two policies does and is forecast to reach. */
export interface ComparedPolicy {
  /** π(aᵢ|xᵢ), in [0, 1]; length n. */
  readonly target: Float64Array;
  /** Σₐ π(a|xᵢ) r̂(xᵢ, a); length n. */
  readonly predictedTarget: Float64Array;
}

export interface DifferenceInput {
  /** rᵢ, quality of the logged answer; length n. */
  readonly rewards: Float64Array;
  /** π_b(aᵢ|xᵢ), as logged when deciding, in (0, 1]; length n. */
  readonly propensities: Float64Array;
  /** r̂(xᵢ, aᵢ), forecast for the logged action by a model that never saw row i; length n. */
  readonly predicted: Float64Array;
  readonly fresh: ComparedPolicy;
  readonly old: ComparedPolicy;
}

/**
 * The paired difference of each row; their mean estimates V(new) − V(old).
 *
 *     Δᵢ = (wᵢⁿᵉʷ − wᵢᵒˡᵈ) (rᵢ − r̂(xᵢ, aᵢ)) + Σₐ (π_new − π_old)(a|xᵢ) r̂(xᵢ, a)
 *
 * Exactly 0 on every row where both do the same, so it varies far less than either value when they mostly agree.
 * It is the difference of the two doubly robust values, taken before averaging.
 *
 * @returns length n, any real number
 * @throws `UNDEFINED_METRIC` when there is no row, or a propensity is not in (0, 1]
 * @see Dudík, Langford & Li, ICML 2011, for either value; paired over policies as in Jeunen & Ustimenko,
 *      "Δ-OPE: Off-Policy Estimation with Pairs of Policies", RecSys 2024
 */
export function differenceRows(input: DifferenceInput): Float64Array {
  const { rewards, propensities, predicted, fresh, old } = input;
  if (rewards.length === 0) throw new RoutingError('UNDEFINED_METRIC', 'difference: there is no row');
  return rewards.map((reward, i) => {
    const w = (fresh.target[i]! - old.target[i]!) / checkedPropensity(propensities[i]!);
    return w * (reward - predicted[i]!) + fresh.predictedTarget[i]! - old.predictedTarget[i]!;
  });
}

/** Mean of {@link differenceRows}. */
export function difference(input: DifferenceInput): number {
  const rows = differenceRows(input);
  return rows.reduce((a, b) => a + b) / rows.length;
}
