/** Rows of a CSV file with a header line, one at a time. */
import { Readable } from 'node:stream';
import { RoutingError } from '../errors.ts';
import { type Bytes, cutShort, readFailure } from './bytes.ts';

/** One field longer than this is a quote that was never closed. */
const MAX_RECORD_CHARS = 16 << 20;

/**
 * Rows as objects by the names of the header; `row` counts data rows from 1. Fields are text as it stands there.
 * @param label the file, for messages
 * @param wanted columns that have to be there
 * @throws `INVALID_ROW` when a column is missing or a row has more or fewer fields than the header, `TRUNCATED_FILE`
 *         when the file ends inside quotes
 */
export async function* csvRows(
  label: string,
  bytes: Bytes,
  wanted: readonly string[],
): AsyncGenerator<{ value: Record<string, string>; row: number }> {
  // Loaded late: who reads no CSV needs no parser.
  const { parse } = await import('csv-parse');
  let known: readonly string[] | undefined;
  const parser = parse({
    bom: true,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_CHARS,
    columns: (header: string[]) => {
      known = header;
      return header;
    },
  });
  const input = Readable.from(bytes);
  input.on('error', (error) => parser.destroy(error));
  input.pipe(parser);
  let row = 0;
  try {
    for await (const value of parser) {
      if (row === 0) checkColumns(label, known!, wanted);
      yield { value: value as Record<string, string>, row: ++row };
    }
    if (known === undefined) throw cutShort(label, 'no header line in it');
    checkColumns(label, known, wanted);
  } catch (cause) {
    if (cause instanceof RoutingError) throw cause;
    // The parser may be ahead of who reads: it knows how many rows were good.
    const { code, message, records = row } = cause as { code?: string; message: string; records?: number };
    if (code === 'CSV_QUOTE_NOT_CLOSED' || code === 'CSV_MAX_RECORD_SIZE') {
      throw cutShort(`${label}: row ${records + 1}`, message, cause);
    }
    if (code?.startsWith('CSV_')) {
      throw new RoutingError('INVALID_ROW', `${label}: row ${records + 1}: ${message}`, { cause });
    }
    throw readFailure(label, cause);
  } finally {
    input.destroy();
    parser.destroy();
  }
}

function checkColumns(label: string, known: readonly string[], wanted: readonly string[]): void {
  const missing = wanted.filter((column) => !known.includes(column));
  if (missing.length === 0) return;
  throw new RoutingError(
    'INVALID_ROW',
    `${label}: has no column ${missing.join(', ')}; its columns are ${listOf(known)}`,
  );
}

/** The first dozen, so that a wide table fits into a message. */
export const listOf = (names: readonly string[]): string =>
  names.slice(0, 12).join(', ') + (names.length > 12 ? ` and ${names.length - 12} more` : '');
