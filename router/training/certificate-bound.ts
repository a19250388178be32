/** A lower bound on the mean of bounded values that holds for any number of them: what a certificate rests on. */

/** A bet never risks more than this part of what it could lose. */
const MOST_AT_STAKE = 0.75;

/**
 * One-sided betting bound. Against "the mean is at most μ" the capital
 *
 *     K_t(μ) = Π_{i ≤ t} (1 + λ_i (x_i − μ)),    λ_i = min(√(2 ln(1/δ) / (n σ̂²_{i−1})), ¾ / μ)
 *
 * is staked, λ_i by what was seen before x_i. If the mean is at most μ, it ever reaches 1/δ with probability ≤ δ
 * (Ville's inequality). The bound is the greatest μ against which it does; it falls in μ, so bisection finds it.
 *
 * @param values independent, of one distribution, each in [0, 1], in an order that does not depend on them
 * @param delta  probability that the bound lies above the mean, in (0, 1)
 * @returns in [0, 1]; 0 where nothing can be said
 * @see Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024), eq. 21-26
 */
export function lowerBound(values: Float64Array, delta: number): number {
  const n = values.length;
  const bets = new Float64Array(n);
  let sum = 0.5;
  let squares = 0.25;
  for (let i = 0; i < n; i++) {
    bets[i] = Math.sqrt((2 * Math.log(1 / delta)) / (n * (squares / (i + 1))));
    sum += values[i]!;
    squares += (values[i]! - sum / (i + 2)) ** 2;
  }
  const refuted = (mu: number): boolean => {
    let capital = 0;
    for (let i = 0; i < n; i++) {
      capital += Math.log1p(Math.min(bets[i]!, MOST_AT_STAKE / mu) * (values[i]! - mu));
      if (capital >= Math.log(1 / delta)) return true;
    }
    return false;
  };
  let low = 0;
  let high = 1;
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (refuted(middle)) low = middle;
    else high = middle;
  }
  return low;
}
