/** Sums over decisions. */

/** Sum of the values from `from` up to, and without, `to`. */
export function sumOver(values: ArrayLike<number>, from: number, to: number): number {
  let sum = 0;
  for (let t = from; t < to; t++) sum += values[t]!;
  return sum;
}

export const total = (values: ArrayLike<number>): number => sumOver(values, 0, values.length);
