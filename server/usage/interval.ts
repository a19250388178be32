/** How far a sum over days could have come out otherwise, judged by how its days vary. */

const Z = 1.959963984540054;

/**
 * The 97.5 % quantile of Student's t, by its expansion in 1 / df: within 1 % from two degrees of freedom on.
 * @see Abramowitz & Stegun, "Handbook of Mathematical Functions", 26.7.5
 */
export function student(df: number): number {
  const z2 = Z * Z;
  const g1 = (Z * (z2 + 1)) / 4;
  const g2 = (Z * ((5 * z2 + 16) * z2 + 3)) / 96;
  const g3 = (Z * (((3 * z2 + 19) * z2 + 17) * z2 - 15)) / 384;
  const g4 = (Z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945)) / 92_160;
  return Z + g1 / df + g2 / df ** 2 + g3 / df ** 3 + g4 / df ** 4;
}

/** Fewer days tell nothing of how they vary. */
const FEWEST_DAYS = 3;

/**
 * 95 % interval of a sum of independent days of one kind:
 *
 *     S ± t(n − 1) · √(n · s²)
 *
 * @param sum S
 * @param days n, those with anything in them
 * @param variance s², between the days' sums, with n − 1
 * @returns null ends for fewer than three days
 */
export function sumInterval(
  sum: number,
  days: number,
  variance: number | null,
): { readonly low: number | null; readonly high: number | null } {
  if (days < FEWEST_DAYS || variance === null) return { low: null, high: null };
  const half = student(days - 1) * Math.sqrt(days * variance);
  return { low: sum - half, high: sum + half };
}
