/** Intervals that may be looked at after every row, and acted upon at once: the truth stays inside at all times together. */
import { RoutingError } from '../../datasets/index.ts';
import { checkedPropensity } from './snips.ts';

export interface SequenceOptions {
  /** Probability that the truth is ever outside, in (0, 1). Default 0.05. */
  readonly alpha?: number;
  /** Candidate means between the ends; the bound is that much coarser. Default 400. */
  readonly gridPoints?: number;
}

/** Bounds after each row, length n: `low` never falls and `high` never rises. */
export interface ConfidenceSequence {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/**
 * Hedged-capital confidence sequence for the mean of values in [`least`, `most`].
 *
 * With x = (value − least) / (most − least), for each candidate mean m of a grid in [0, 1] two gamblers bet on the
 * mean being above m, and below it:
 *
 *     K⁺ₜ(m) = Πᵢ (1 + λᵢ⁺(m) (xᵢ − m)),    K⁻ₜ(m) = Πᵢ (1 − λᵢ⁻(m) (xᵢ − m))
 *     λᵢ⁺(m) = min(λᵢ, c/m),  λᵢ⁻(m) = min(λᵢ, c/(1 − m)),  c = 1/2
 *     λᵢ = √(2 ln(2/α) / (Sᵢ₋₁ ln(1 + i))),   Sᵢ₋₁ = 1/4 + Σ_{j<i} (xⱼ − μ̂ⱼ)²,   μ̂ⱼ = (1/2 + Σ_{l≤j} x_l) / (j + 1)
 *
 * At the true mean neither gains on average, so by Ville's inequality one of them ever reaches 2/α with a
 * probability of at most α. Each m at which one did is out for good.
 *
 * Holds for any dependence in which every value has the same mean given those before it. Values of one session
 * that move together do not: take a session's mean as one value.
 *
 * @throws `UNDEFINED_METRIC` when there is no value, or one outside [least, most]
 * @see Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024, Theorem 3
 */
export function confidenceSequence(
  values: ArrayLike<number>,
  least: number,
  most: number,
  options: SequenceOptions = {},
): ConfidenceSequence {
  if (values.length === 0) throw new RoutingError('UNDEFINED_METRIC', 'confidence sequence: there is no value');
  const width = most - least;
  const x = Float64Array.from(values, (value, i) => {
    if (value >= least && value <= most) return (value - least) / width;
    throw new RoutingError(
      'UNDEFINED_METRIC',
      `confidence sequence: value ${i} is ${value}, not in [${least}, ${most}]; give bounds that hold for every value`,
    );
  });
  const below = lowerSequence(x, 1, options);
  const above = lowerSequence(
    x.map((v) => 1 - v),
    1,
    options,
  );
  return { low: below.map((l) => least + width * l), high: above.map((l) => most - width * l) };
}

export interface MonitoredRows {
  /** rᵢ in [0, 1], in the order of time; length n. */
  readonly rewards: Float64Array;
  /** π_b(aᵢ|xᵢ), in (0, 1]; length n. */
  readonly propensities: Float64Array;
  /** π(aᵢ|xᵢ) of the policy that may replace the other one; length n. */
  readonly fresh: Float64Array;
  /** The same of the other one; length n. Where it is the one that logs, `propensities`. */
  readonly old: Float64Array;
  /** Session of each row, if some have several: they are averaged, and each session counts once. */
  readonly sessions?: ArrayLike<number>;
}

/**
 * Confidence sequence for V(new) − V(old) while rows come in, without a bound on the weights:
 *
 *     1 + Δᵢ = wᵢⁿᵉʷ rᵢ + wᵢᵒˡᵈ (1 − rᵢ) ≥ 0,    1 − Δᵢ = wᵢᵒˡᵈ rᵢ + wᵢⁿᵉʷ (1 − rᵢ) ≥ 0
 *
 * Each has a mean in [0, 2] and, being ≥ 0, a lower bound by the gambler K⁺ above at α/2. A rollout may stop,
 * and a rollback start, on the first row at which 0 is outside.
 *
 * The weights' mean must be 1: where `old` or `new` chooses what could not have been drawn, the bounds are wrong.
 * @returns bounds in [−1, 1], after each session by the time of its first row
 * @throws `UNDEFINED_METRIC` when there is no row, or a propensity is not in (0, 1]
 * @see Karampatziakis, Mineiro & Ramdas, "Off-policy Confidence Sequences", ICML 2021; Waudby-Smith et al.,
 *      "Anytime-valid off-policy inference for contextual bandits", ACM/IMS Journal of Data Science 2024
 */
export function differenceSequence(rows: MonitoredRows, options: SequenceOptions = {}): ConfidenceSequence {
  const { rewards, propensities, fresh, old, sessions } = rows;
  if (rewards.length === 0) throw new RoutingError('UNDEFINED_METRIC', 'confidence sequence: there is no row');
  const better = new Float64Array(rewards.length);
  const worse = new Float64Array(rewards.length);
  rewards.forEach((r, i) => {
    const p = checkedPropensity(propensities[i]!);
    better[i] = (fresh[i]! * r + old[i]! * (1 - r)) / p;
    worse[i] = (old[i]! * r + fresh[i]! * (1 - r)) / p;
  });
  return {
    low: lowerSequence(sessionMeans(better, sessions), 2, options).map((l) => l - 1),
    high: lowerSequence(sessionMeans(worse, sessions), 2, options).map((l) => 1 - l),
  };
}

/** One value a session, in the order in which they begin. */
function sessionMeans(values: Float64Array, sessions: ArrayLike<number> | undefined): Float64Array {
  if (sessions === undefined) return values;
  const means = new Map<number, { sum: number; count: number }>();
  values.forEach((value, i) => {
    const { sum, count } = means.get(sessions[i]!) ?? { sum: 0, count: 0 };
    means.set(sessions[i]!, { sum: sum + value, count: count + 1 });
  });
  return Float64Array.from(means.values(), ({ sum, count }) => sum / count);
}

/** The gambler's caution: never more than this part of what could be lost at once. */
const CAUTION = 0.5;

/**
 * Lower bounds, each at α/2, for the mean of values ≥ 0 that is known to lie in [0, `mostMean`].
 *
 * K⁺ₜ(m) falls in m, so what is out is everything up to some m: only candidates above it are kept in play.
 */
function lowerSequence(
  x: Float64Array,
  mostMean: number,
  { alpha = 0.05, gridPoints = 400 }: SequenceOptions,
): Float64Array {
  const threshold = Math.log(2 / alpha);
  // m = 0 needs no gambler: the mean is not below it. The last one is left out, so that the bounds never meet there.
  const grid = Float64Array.from({ length: gridPoints - 1 }, (_, k) => ((k + 1) / gridPoints) * mostMean);
  const capital = new Float64Array(grid.length);
  const bounds = new Float64Array(x.length);
  let out = 0;
  let mean = mostMean / 2;
  let sum = mean;
  let squares = mostMean ** 2 / 4;
  let bound = 0;
  for (let i = 0; i < x.length; i++) {
    const t = i + 1;
    const bet = Math.sqrt((2 * threshold) / (squares * Math.log(1 + t)));
    for (let k = out; k < grid.length; k++) {
      const m = grid[k]!;
      capital[k]! += Math.log1p(Math.min(bet, CAUTION / m) * (x[i]! - m));
    }
    while (out < grid.length && capital[out]! >= threshold) {
      bound = grid[out]!;
      out++;
    }
    bounds[i] = bound;
    sum += x[i]!;
    mean = sum / (t + 1);
    squares += (x[i]! - mean) ** 2;
  }
  return bounds;
}
