/** What another policy would have reached on logged traffic, by weighing each answer that it shares. */
import { RoutingError } from '../../datasets/index.ts';

/**
 * Self-normalised inverse propensity score: the mean quality a policy
 * would have reached on traffic another policy logged.
 *
 *     V = Σ wᵢ rᵢ / Σ wᵢ,    wᵢ = π(aᵢ|xᵢ) / π_b(aᵢ|xᵢ)
 *
 * @param rewards      rᵢ, quality of the logged answer, in [0, 1]; length n
 * @param target       π(aᵢ|xᵢ), policy under evaluation, in [0, 1]; length n
 * @param propensities π_b(aᵢ|xᵢ), as logged when deciding, in (0, 1]; length n
 * @returns `value` in [0, 1]; `ess` = (Σw)² / Σw² in [1, n], the rows that count; `meanWeight`, which is
 *          1 up to chance when propensities are right and the log covers what the policy does
 * @throws `UNDEFINED_METRIC` when π takes no logged action (Σw = 0), or a propensity is not in (0, 1]
 * @see Swaminathan & Joachims, "The Self-Normalized Estimator for
 *      Counterfactual Learning", NeurIPS 2015
 */
export function snips(
  rewards: Float64Array,
  target: Float64Array,
  propensities: Float64Array,
): { value: number; ess: number; meanWeight: number } {
  let sumW = 0;
  let sumWR = 0;
  let sumW2 = 0;
  for (let i = 0; i < rewards.length; i++) {
    const w = target[i]! / checkedPropensity(propensities[i]!);
    sumW += w;
    sumWR += w * rewards[i]!;
    sumW2 += w * w;
  }
  if (sumW === 0) throw new RoutingError('UNDEFINED_METRIC', 'snips: the policies share no action');
  return { value: sumWR / sumW, ess: (sumW * sumW) / sumW2, meanWeight: sumW / rewards.length };
}

/** A probability of 0 for what was done, or none at all, is a fault of the log: no estimate may hide it. */
export function checkedPropensity(propensity: number): number {
  if (propensity > 0 && propensity <= 1) return propensity;
  throw new RoutingError('UNDEFINED_METRIC', `a logged action has propensity ${propensity}, not in (0, 1]`);
}
