/** Reliability curve: what was predicted against what happened, bin by bin, for plotting. */
import { equalMassBins } from './calibration-error.ts';
import { checkColumns, UNIT } from './columns.ts';

/** Two-sided 95 % of the normal distribution. */
const Z95 = 1.959963984540054;

export interface ReliabilityBin {
  readonly n: number;
  /** Mean prediction, in [0, 1]: where the bin sits on the horizontal axis. */
  readonly predicted: number;
  /** Mean outcome, in [0, 1]. */
  readonly observed: number;
  /** 95 % interval of the mean outcome, in [0, 1]; null for a graded bin of one row. */
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * Bins of equal mass by rising prediction; equal predictions share one, so fewer bins can come back. The interval is
 * Wilson's where all outcomes of the bin are 0 or 1, and mean ± z s/√n within [0, 1] where some are graded (a bin of
 * equal graded outcomes has width 0: no spread was seen). Rows count as independent: near-duplicates make the
 * true interval wider.
 *
 * @param predicted p̂, in [0, 1]; length n
 * @param observed  y, in [0, 1]; length n
 * @returns by rising prediction; none without rows
 * @throws `UNDEFINED_METRIC` when lengths differ or a number is outside [0, 1]
 */
export function reliabilityCurve(predicted: Float64Array, observed: Float64Array, bins = 10): ReliabilityBin[] {
  checkColumns('reliabilityCurve', {
    predicted: { values: predicted, bounds: UNIT },
    observed: { values: observed, bounds: UNIT },
  });
  const count = new Float64Array(bins);
  const p = new Float64Array(bins);
  const y = new Float64Array(bins);
  const graded = new Uint8Array(bins);
  const bin = equalMassBins(predicted, bins);
  for (let i = 0; i < predicted.length; i++) {
    const b = bin[i]!;
    count[b]! += 1;
    p[b]! += predicted[i]!;
    y[b]! += observed[i]!;
    if (observed[i] !== 0 && observed[i] !== 1) graded[b] = 1;
  }
  const squares = new Float64Array(bins);
  for (let i = 0; i < predicted.length; i++) squares[bin[i]!]! += (observed[i]! - y[bin[i]!]! / count[bin[i]!]!) ** 2;
  const out: ReliabilityBin[] = [];
  for (let b = 0; b < bins; b++) {
    const n = count[b]!;
    if (n === 0) continue;
    const mean = y[b]! / n;
    out.push({
      n,
      predicted: p[b]! / n,
      observed: mean,
      ...(graded[b] ? normalInterval(mean, squares[b]!, n) : wilsonInterval(mean, n)),
    });
  }
  return out;
}

/**
 * Wilson's score interval of a share:
 *
 *     (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)
 *
 * @param share p, in [0, 1]
 * @param n     trials, ≥ 1
 * @returns within [0, 1], and not of width 0 at p = 0 or 1
 * @see Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927
 */
export function wilsonInterval(share: number, n: number, z = Z95): { low: number; high: number } {
  const t = (z * z) / n;
  const centre = share + t / 2;
  const half = z * Math.sqrt((share * (1 - share)) / n + t / (4 * n));
  return { low: Math.max(0, (centre - half) / (1 + t)), high: Math.min(1, (centre + half) / (1 + t)) };
}

function normalInterval(mean: number, squares: number, n: number): { low: number | null; high: number | null } {
  if (n < 2) return { low: null, high: null };
  const half = Z95 * Math.sqrt(squares / (n - 1) / n);
  return { low: Math.max(0, mean - half), high: Math.min(1, mean + half) };
}
