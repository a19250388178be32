/** Two ways to answer, drawn by a known chance: bounds on how much better the one is that may be looked at after every unit. */
import { RoutingError } from '../../datasets/index.ts';
import { checkedPropensity } from './snips.ts';

export interface ArmDifferenceOptions {
  /** Probability that the truth is ever outside, in (0, 1). Default 0.05. */
  readonly alpha?: number;
  /** Candidate differences in [−1, 1]; the bounds are that much coarser. Default 400. */
  readonly gridPoints?: number;
}

/** The gambler's caution: never more than this part of what could be lost at once. */
const CAUTION = 0.5;

/**
 * Confidence sequence for V(candidate) − V(incumbent), a unit at a time. With aᵢ = 1 for a unit of the candidate, which
 * it was with probability pᵢ, and what is expected of any answer by then, bᵢ = (1/2 + Σ_{l<i} r_l) / i:
 *
 *     Δᵢ = (aᵢ/pᵢ − (1 − aᵢ)/(1 − pᵢ)) (rᵢ − bᵢ),    E[Δᵢ | past] = V(candidate) − V(incumbent)
 *     K⁺ₜ(m) = Πᵢ (1 + λᵢ(m) (Δᵢ − m)),   λᵢ(m) = min(λᵢ, c/(m + Bᵢ)),   c = 1/2
 *     Bᵢ = max(bᵢ/pᵢ, (1 − bᵢ)/(1 − pᵢ)) ≥ −Δᵢ,   λᵢ = √(2 ln(2/α) / (Sᵢ₋₁ ln(1 + i)))
 *     Sᵢ = Σ_{l≤i} (Δ_l − mean)², begun with one of the largest variance: (1/p₁ + 1/(1 − p₁)) / 4
 *
 * and K⁻ the same of −Δ. At the true difference neither gains on average, so by Ville's inequality one of them ever
 * reaches 2/α with a probability of at most α; a difference at which one did is out for good. Any bᵢ known before the
 * unit will do; without it (`differenceSequence`, which needs no second arm) a share of 0.1 and a quality of 0.8 give a
 * lower bound with four times the variance.
 *
 * @see Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024, Theorem 3;
 *      Waudby-Smith et al., "Anytime-valid off-policy inference for contextual bandits", ACM/IMS Journal of Data Science 2024
 */
export class ArmDifference {
  readonly #better: Gambler;
  readonly #worse: Gambler;
  #count = 0;
  #sum = 0.5;

  constructor(options: ArmDifferenceOptions = {}) {
    this.#better = new Gambler(options);
    this.#worse = new Gambler(options);
  }

  /**
   * @param reward in [0, 1]
   * @param isCandidate which arm the unit was drawn into, whoever answered in the end
   * @param armProbability of that arm, in (0, 1]; at 1 there is nothing to compare with, and the unit is passed over
   * @throws `UNDEFINED_METRIC` for a reward or a probability that is none
   */
  add(reward: number, isCandidate: boolean, armProbability: number): void {
    if (!(reward >= 0 && reward <= 1)) {
      throw new RoutingError('UNDEFINED_METRIC', `difference of arms: reward ${reward} is not in [0, 1]`);
    }
    const own = checkedPropensity(armProbability);
    if (own === 1) return;
    const p = isCandidate ? own : 1 - own;
    const expected = this.#sum / (this.#count + 1);
    const delta = (isCandidate ? 1 / p : -1 / (1 - p)) * (reward - expected);
    const variance = (1 / p + 1 / (1 - p)) / 4;
    this.#better.add(delta, Math.max(expected / p, (1 - expected) / (1 - p)), variance);
    this.#worse.add(-delta, Math.max((1 - expected) / p, expected / (1 - p)), variance);
    this.#count++;
    this.#sum += reward;
  }

  /** In [−1, 1]; never falls. */
  get low(): number {
    return this.#better.bound;
  }

  /** In [−1, 1]; never rises. */
  get high(): number {
    return -this.#worse.bound;
  }
}

/** Lower bound, at α/2, for a mean in [−1, 1] of values with known least ones. K⁺ₜ(m) falls in m: what is out is everything up to some m. */
class Gambler {
  bound = -1;
  readonly #threshold: number;
  readonly #grid: Float64Array;
  readonly #capital: Float64Array;
  #out = 0;
  #count = 0;
  #sum = 0;
  #squares = 0;

  constructor({ alpha = 0.05, gridPoints = 400 }: ArmDifferenceOptions) {
    this.#threshold = Math.log(2 / alpha);
    this.#grid = Float64Array.from({ length: gridPoints - 1 }, (_, k) => (2 * (k + 1)) / gridPoints - 1);
    this.#capital = new Float64Array(this.#grid.length);
  }

  /** @param least the value is not below −`least`, as was known before it came */
  add(value: number, least: number, variance: number): void {
    const t = ++this.#count;
    if (t === 1) this.#squares = variance;
    const bet = Math.sqrt((2 * this.#threshold) / (this.#squares * Math.log(1 + t)));
    const grid = this.#grid;
    const capital = this.#capital;
    for (let k = this.#out; k < grid.length; k++) {
      const m = grid[k]!;
      // A mean below what the least value allows is out of the question: no bet is too high against it.
      const most = m + least > 0 ? CAUTION / (m + least) : Number.POSITIVE_INFINITY;
      capital[k]! += Math.log1p(Math.min(bet, most) * (value - m));
    }
    while (this.#out < grid.length && capital[this.#out]! >= this.#threshold) this.bound = grid[this.#out++]!;
    this.#sum += value;
    this.#squares += (value - this.#sum / (t + 1)) ** 2;
  }
}
