/** Part of a task: rows of the outcome table with what each cell cost. The training part, or the test part. */
import { type OutcomeTable, selectModels, selectRows } from '../datasets/index.ts';
import type { Costs } from './costs.ts';

export interface Part {
  readonly table: OutcomeTable;
  /** n × m, USD; NaN where the model was not tried. */
  readonly costUsd: Float64Array;
  /** Per prompt: 1 where the length of every answer is a constant. */
  readonly constantLength: Uint8Array;
}

export const partOf = (table: OutcomeTable, costs: Costs): Part => ({
  table,
  costUsd: costs.costUsd,
  constantLength: costs.constantLength,
});

/** Only these rows, in the order given. */
export function selectPartRows(part: Part, rows: readonly number[]): Part {
  const m = part.table.modelIds.length;
  const costUsd = new Float64Array(rows.length * m);
  rows.forEach((r, i) => {
    costUsd.set(part.costUsd.subarray(r * m, r * m + m), i * m);
  });
  return {
    table: selectRows(part.table, rows),
    costUsd,
    constantLength: Uint8Array.from(rows, (r) => part.constantLength[r]!),
  };
}

/** Only these models, in the order given. */
export function selectPartModels(part: Part, modelIds: readonly string[]): Part {
  const { table } = part;
  const n = table.prompts.length;
  const columns = modelIds.map((id) => table.modelIds.indexOf(id));
  const costUsd = new Float64Array(n * columns.length);
  for (let i = 0; i < n; i++) {
    columns.forEach((j, k) => {
      costUsd[i * columns.length + k] = part.costUsd[i * table.modelIds.length + j]!;
    });
  }
  return { table: selectModels(table, modelIds), costUsd, constantLength: part.constantLength };
}
