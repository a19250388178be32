/** Rows of a CSV file, one in memory at a time, each with the line it ends on. */
import { pipeline } from 'node:stream';
import { type CsvError, parse } from 'csv-parse';
import { RoutingError } from '../errors.ts';
import { bytesOf } from './bytes.ts';
import type { Delimiter } from './detect.ts';

/** Characters of one row from which on a quote that was never closed is likelier than a row. */
const MAX_ROW = 32e6;

/** @throws `MISSING_FILE`, `TRUNCATED_FILE` (a quote is never closed), `INVALID_ROW`, `MALFORMED_JSON` (not UTF-8) */
export async function* readCsv(path: string, delimiter: Delimiter): AsyncGenerator<{ cells: string[]; line: number }> {
  const parser = parse({ delimiter, bom: true, info: true, skip_empty_lines: true, max_record_size: MAX_ROW });
  // A failure of either comes out of the loop below.
  pipeline(utf8Only(path), parser, () => {});
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      yield { cells: record, line: info.lines };
    }
  } catch (error) {
    throw error instanceof RoutingError ? error : failure(path, error as CsvError);
  } finally {
    parser.destroy();
  }
}

/** The bytes as they are; a wrong encoding would otherwise become replacement characters without a word. */
async function* utf8Only(path: string): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const check = (bytes?: Buffer) => {
    try {
      decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (cause) {
      throw new RoutingError('MALFORMED_JSON', `${path}: not UTF-8 text; save it as "CSV UTF-8"`, { cause });
    }
  };
  for await (const chunk of bytesOf(path)) {
    check(chunk);
    yield chunk;
  }
  check();
}

function failure(path: string, cause: CsvError): RoutingError {
  const where = typeof cause.lines === 'number' ? `${path}:${cause.lines}` : path;
  if (cause.code === 'CSV_QUOTE_NOT_CLOSED' || cause.code === 'CSV_MAX_RECORD_SIZE') {
    return new RoutingError('TRUNCATED_FILE', `${where}: a quote is never closed, or the file is cut short`, { cause });
  }
  const why =
    cause.code === 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH'
      ? 'this row has more or fewer columns than the first; is a text with the delimiter in it without quotes, or the file cut short?'
      : cause.message;
  return new RoutingError('INVALID_ROW', `${where}: ${why}`, { cause });
}
