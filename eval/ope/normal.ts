/** The normal distribution, for intervals by formula and for power. */

/**
 *     Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/(3·5) + x⁷/(3·5·7) + …)
 *
 * @returns in [0, 1], to about 1e-15 absolute
 * @see Marsaglia, "Evaluating the Normal Distribution", Journal of Statistical Software 2004
 */
export function normalCdf(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x < -8) return 0;
  if (x > 8) return 1;
  let term = x;
  let sum = x;
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 + (sum * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}

/** Φ⁻¹(p), for p in (0, 1), by bisection: to 1e-12 within ±8. */
export function normalQuantile(p: number): number {
  let low = -8;
  let high = 8;
  while (high - low > 1e-12) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
