/** Σ (value − predicted)² over the cells that were observed: what settings are chosen by. */
export function squaredError(values: Float32Array, predicted: Float32Array): number {
  let error = 0;
  for (let at = 0; at < values.length; at++) {
    if (!Number.isNaN(values[at]!)) error += (values[at]! - predicted[at]!) ** 2;
  }
  return error;
}
