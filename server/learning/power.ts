/** Whether the log could tell a better router from the one in force at all, reckoned before it is asked whether this one is. */
import { RoutingError } from '../../datasets/index.ts';
import { normalCdf, normalQuantile } from '../../eval/ope/normal.ts';

export interface DesignInput {
  /** n rows over the models that could be drawn: π_new, π_old, π_b. */
  readonly fresh: readonly ArrayLike<number>[];
  readonly old: readonly ArrayLike<number>[];
  readonly logging: readonly ArrayLike<number>[];
  /** σ², mean square of what came less its forecast, over the whole log whatever was drawn. */
  readonly residualVariance: number;
  /** Σₐ (π_new − π_old)(a|xᵢ) r̂(xᵢ, a): what the forecasts alone say of unit i; length n. */
  readonly forecastDifference: Float64Array;
}

/**
 * Standard error that the paired difference must have on such a log:
 *
 *     SE² = (σ² mean_i Σₐ (π_new − π_old)²(a|xᵢ) / π_b(a|xᵢ) + Var_i(Σₐ (π_new − π_old)(a|xᵢ) r̂(xᵢ, a))) / n
 *
 * The sum is Var(w_new − w_old), over all that could have been drawn, not over what was: a rare model that the log
 * happened not to draw makes it no surer. Neither term knows the candidate's measured effect, so a log does not become
 * able to tell because it happens to tell something pleasant.
 *
 * @returns ≥ 0; 0 where the policies do the same everywhere
 * @throws `UNDEFINED_METRIC` without a unit
 * @see Dudík, Erhan, Langford & Li, "Doubly Robust Policy Evaluation and Optimization", Statistical Science 2014, §3
 */
export function designError({ fresh, old, logging, residualVariance, forecastDifference }: DesignInput): number {
  const n = logging.length;
  if (n === 0) throw new RoutingError('UNDEFINED_METRIC', 'power: there is no unit');
  let weights = 0;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < logging[i]!.length; a++) {
      const p = logging[i]![a]!;
      if (p > 0) weights += (fresh[i]![a]! - old[i]![a]!) ** 2 / p;
    }
    sum += forecastDifference[i]!;
  }
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (forecastDifference[i]! - sum / n) ** 2;
  return Math.sqrt(residualVariance * weights + squares) / n;
}

export interface PowerOptions {
  /** δ: how much better the candidate is taken to be. */
  readonly effect: number;
  /** θ < δ: the lower end of the interval must not lie below it; below 0, a loss that is allowed. */
  readonly threshold: number;
  /** Of the interval, two-sided. Default 0.95. */
  readonly level?: number;
}

export interface Power {
  /** Probability that a candidate truly δ better passes, in [0, 1]. */
  readonly power: number;
  /** Of the paired difference, as {@link designError} has it. */
  readonly standardError: number;
  readonly units: number;
  /** As many units of this kind as would give a power of {@link POWER_WANTED}. */
  readonly unitsNeeded: number;
}

export const POWER_WANTED = 0.8;

/**
 * The power of "the interval's lower end is at least θ" against a true difference δ:
 *
 *     power = Φ((δ − θ) / SE − z),   z = Φ⁻¹(1 − (1 − level)/2)
 *     units needed = n (SE (z + Φ⁻¹(0.8)) / (δ − θ))²
 *
 * @throws `UNDEFINED_METRIC` for an effect that does not lie above the threshold
 */
export function gatePower(standardError: number, units: number, options: PowerOptions): Power {
  const { effect, threshold, level = 0.95 } = options;
  if (!(effect > threshold)) {
    throw new RoutingError('UNDEFINED_METRIC', `power: an effect of ${effect} is none against ${threshold}`);
  }
  const z = normalQuantile(1 - (1 - level) / 2);
  const distance = effect - threshold;
  return {
    power: standardError === 0 ? 1 : normalCdf(distance / standardError - z),
    standardError,
    units,
    unitsNeeded: Math.ceil(units * ((standardError * (z + normalQuantile(POWER_WANTED))) / distance) ** 2),
  };
}
