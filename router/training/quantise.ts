/** Eight bits a number and one scale a row: a quarter of the size, and what is lost is below the noise of any fit. */

/** Writes a row's numbers at `table[v · length]` and what one step is worth at `rowScale[v]`; 0 for a row of zeros. */
export function quantiseRow(row: ArrayLike<number>, table: Int8Array, rowScale: Float32Array, v: number): void {
  let peak = 0;
  for (let j = 0; j < row.length; j++) peak = Math.max(peak, Math.abs(row[j]!));
  rowScale[v] = peak / 127;
  if (rowScale[v] === 0) return; // also where the step is too small for float32
  for (let j = 0; j < row.length; j++) table[v * row.length + j] = Math.round(row[j]! / rowScale[v]!);
}
