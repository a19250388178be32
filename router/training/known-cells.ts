/** Which cells of an outcome matrix are known, by row and by column: a log knows one model's answer per prompt, and most cells are empty. */

export interface KnownCells {
  /** Row i's known columns are `columns[rowStart[i] … rowStart[i + 1])`, ascending; n + 1 entries. */
  readonly rowStart: Int32Array;
  readonly columns: Int32Array;
  /** Column j's known rows are `rows[columnStart[j] … columnStart[j + 1])`, ascending; m + 1 entries. */
  readonly columnStart: Int32Array;
  readonly rows: Int32Array;
}

/** @param quality n × m, NaN where missing */
export function knownCells(quality: Float32Array, n: number, m: number): KnownCells {
  const rowStart = new Int32Array(n + 1);
  const columnStart = new Int32Array(m + 1);
  for (let i = 0, at = 0; i < n; i++) {
    let count = 0;
    for (let j = 0; j < m; j++, at++) {
      if (Number.isNaN(quality[at]!)) continue;
      count++;
      columnStart[j + 1]!++;
    }
    rowStart[i + 1] = rowStart[i]! + count;
  }
  for (let j = 0; j < m; j++) columnStart[j + 1]! += columnStart[j]!;
  const columns = new Int32Array(rowStart[n]!);
  const rows = new Int32Array(rowStart[n]!);
  const next = columnStart.slice();
  for (let i = 0, at = 0, c = 0; i < n; i++) {
    for (let j = 0; j < m; j++, at++) {
      if (Number.isNaN(quality[at]!)) continue;
      columns[c++] = j;
      rows[next[j]!++] = i;
    }
  }
  return { rowStart, columns, columnStart, rows };
}
