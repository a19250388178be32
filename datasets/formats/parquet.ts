/** Rows of a Parquet file, a row group at a time. */
import { existsSync } from 'node:fs';
import { RoutingError } from '../errors.ts';
import { cutShort } from './bytes.ts';
import { listOf } from './csv.ts';

/** Rows decoded at once where row groups are larger. */
const BATCH_ROWS = 1000;

/**
 * Rows as objects; `row` counts from 1. 64-bit integers become numbers, which is exact up to 2⁵³.
 * @param wanted columns that have to be there
 * @throws `MISSING_FILE`, `TRUNCATED_FILE` when the file is cut or a page cannot be decoded, `INVALID_ROW` when a
 *         column is missing
 */
export async function* parquetRows(
  path: string,
  wanted: readonly string[],
): AsyncGenerator<{ value: Record<string, unknown>; row: number }> {
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  // Loaded late: who reads no Parquet needs no decoder.
  const [{ asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet-compressors'),
  ]);
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file).catch((cause: Error) => {
    throw cutShort(path, cause.message, cause);
  });
  const columns = topLevel(metadata.schema);
  const missing = wanted.filter((column) => !columns.includes(column));
  if (missing.length > 0) {
    throw new RoutingError(
      'INVALID_ROW',
      `${path}: has no column ${missing.join(', ')}; its columns are ${listOf(columns)}`,
    );
  }
  let groupStart = 0;
  for (const group of metadata.row_groups) {
    const groupEnd = groupStart + Number(group.num_rows);
    for (let rowStart = groupStart; rowStart < groupEnd; rowStart += BATCH_ROWS) {
      const rowEnd = Math.min(groupEnd, rowStart + BATCH_ROWS);
      const rows = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd }).catch((cause: Error) => {
        throw cutShort(`${path}: rows ${rowStart + 1} to ${rowEnd}`, cause.message, cause);
      });
      if (rows.length !== rowEnd - rowStart) {
        throw cutShort(`${path}: rows ${rowStart + 1} to ${rowEnd}`, `${rows.length} rows in their place`);
      }
      for (const [i, row] of rows.entries()) {
        yield { value: plain(row) as Record<string, unknown>, row: rowStart + i + 1 };
      }
    }
    groupStart = groupEnd;
  }
}

/** Names of the root's children: the schema lists every node, parents first, with the number of its children. */
function topLevel(schema: readonly { name: string; num_children?: number }[]): string[] {
  const names: string[] = [];
  let at = 1;
  const skip = (): void => {
    const { num_children = 0 } = schema[at++]!;
    for (let child = 0; child < num_children; child++) skip();
  };
  while (at < schema.length) {
    names.push(schema[at]!.name);
    skip();
  }
  return names;
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object' || value instanceof Date || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}
