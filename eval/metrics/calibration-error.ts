/** Do predicted probabilities mean what they say? Expected calibration error over bins of equal mass. */

/**
 * Bin of each prediction, 0 … bins − 1 by rising prediction, as many predictions in each bin as ties allow.
 * Equal predictions share a bin: a router that says the same of every prompt is judged on its one statement.
 * Bins that ties leave empty are skipped, so fewer numbers can be in use.
 */
export function equalMassBins(predicted: Float64Array, bins = 15): Int32Array {
  const n = predicted.length;
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  order.sort((a, b) => predicted[a]! - predicted[b]!);
  const out = new Int32Array(n);
  for (let start = 0; start < n; ) {
    let end = start + 1;
    while (end < n && predicted[order[end]!] === predicted[order[start]!]) end++;
    // A run of equal predictions goes where its middle falls.
    const bin = Math.min(bins - 1, Math.floor((((start + end - 1) / 2 + 0.5) / n) * bins));
    for (let r = start; r < end; r++) out[order[r]!] = bin;
    start = end;
  }
  return out;
}

/**
 *     ECE = Σ_b (n_b / n) · | mean outcome of bin b − mean prediction of bin b |
 *
 * Upward biased by the noise of each bin's mean: compare it between routers on the same prompts.
 *
 * @param predicted p̂, in [0, 1]; length n
 * @param observed  quality, in [0, 1]; length n
 * @param bin       as {@link equalMassBins} gives them; length n
 * @returns in [0, 1]; null when n = 0
 */
export function calibrationError(
  predicted: Float64Array,
  observed: Float64Array,
  bin: Int32Array = equalMassBins(predicted),
): number | null {
  const n = predicted.length;
  if (n === 0) return null;
  const difference = new Map<number, number>();
  for (let i = 0; i < n; i++) {
    difference.set(bin[i]!, (difference.get(bin[i]!) ?? 0) + observed[i]! - predicted[i]!);
  }
  let sum = 0;
  for (const d of difference.values()) sum += Math.abs(d);
  return sum / n;
}

/**
 * The same squared and freed of the noise of each bin's mean, which alone makes a perfect forecast look wrong:
 *
 *     Σ_b (n_b / n) · (d_b² − s_b² / n_b),    d_b mean and s_b² variance of outcome − prediction in bin b
 *
 * Unbiased in the bins given, so means over splits are; its root is an error in the units of the prediction.
 *
 * @returns may be below 0, where noise alone would explain more; null when n < 2 × bins
 * @see Kumar, Liang & Ma, "Verified Uncertainty Calibration", NeurIPS 2019
 */
export function debiasedSquaredCalibrationError(
  predicted: Float64Array,
  observed: Float64Array,
  bins = 10,
): number | null {
  const n = predicted.length;
  if (n < 2 * bins) return null;
  const bin = equalMassBins(predicted, bins);
  const count = new Float64Array(bins);
  const sum = new Float64Array(bins);
  const square = new Float64Array(bins);
  for (let i = 0; i < n; i++) {
    const d = observed[i]! - predicted[i]!;
    count[bin[i]!]! += 1;
    sum[bin[i]!]! += d;
    square[bin[i]!]! += d * d;
  }
  let error = 0;
  for (let b = 0; b < bins; b++) {
    const k = count[b]!;
    // A bin of one says nothing of its noise.
    if (k < 2) continue;
    const mean = sum[b]! / k;
    const variance = (square[b]! - k * mean * mean) / (k - 1);
    error += (k / n) * (mean * mean - variance / k);
  }
  return error;
}
