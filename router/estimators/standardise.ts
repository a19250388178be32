/**
 * Coordinates on one scale. An embedding here holds dense facts beside directions of text, on scales that suit a
 * linear fit; whatever measures distance, or starts out from random weights, wants each to count alike.
 */

/**
 * @param z n × d, the training rows
 * @returns a map of rows of length d to mean 0 and variance 1 over the training rows; a coordinate that never moved
 *          there becomes 0
 */
export function standardiser(z: Float32Array, d: number): (rows: Float32Array) => Float32Array {
  const n = z.length / d;
  const mean = new Float64Array(d);
  const variance = new Float64Array(d);
  for (let at = 0; at < z.length; at++) mean[at % d]! += z[at]! / n;
  for (let at = 0; at < z.length; at++) variance[at % d]! += (z[at]! - mean[at % d]!) ** 2 / n;
  const scale = variance.map((v) => (v > 1e-12 ? 1 / Math.sqrt(v) : 0));
  return (rows) => rows.map((v, at) => (v - mean[at % d]!) * scale[at % d]!);
}
