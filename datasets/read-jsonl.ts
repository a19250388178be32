/** Streaming reader for plain or gzipped JSONL: one row in memory at a time, errors that name the line. */
import { createReadStream, existsSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import type { z } from 'zod';
import { RoutingError } from './errors.ts';
import { PLAIN, plainPath } from './plain-issues.ts';

/**
 * Rows of a `.jsonl` or `.jsonl.gz` file, each parsed by `schema`. Blank lines are skipped.
 * @throws `MISSING_FILE`, `TRUNCATED_FILE` (damaged or cut gzip), `MALFORMED_JSON`, `INVALID_ROW`;
 *         each message starts with `file:line`
 */
export async function* readJsonl<S extends z.ZodType>(path: string, schema: S): AsyncGenerator<z.infer<S>> {
  for await (const { row } of readNumberedJsonl(path, schema)) yield row;
}

/**
 * The same rows, each with the number of its line, from 1, for errors that only show across rows.
 * @param onRow told each good row as it was written, with the fields that the schema does not know
 */
export async function* readNumberedJsonl<S extends z.ZodType>(
  path: string,
  schema: S,
  onRow: (value: object) => void = () => {},
): AsyncGenerator<{ row: z.infer<S>; line: number }> {
  // The last line is held back: after a cut it is half a row, and the cut is the error to report.
  let held: { bytes: Buffer; line: number } | undefined;
  for await (const next of numberedLines(path)) {
    if (held !== undefined) yield* parseRow(path, held.line, held.bytes, schema, onRow);
    held = next;
  }
  if (held !== undefined) yield* parseRow(path, held.line, held.bytes, schema, onRow);
}

const NEWLINE = 0x0a;
/** Fatal: a wrong encoding would otherwise become replacement characters without a word. Drops a BOM. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Splits at `\n` alone. `node:readline` would also split at U+2028, which may stand in a JSON string.
 */
async function* numberedLines(path: string): AsyncGenerator<{ bytes: Buffer; line: number }> {
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  const zipped = path.endsWith('.gz');
  const file = createReadStream(path);
  const input = zipped ? file.pipe(createGunzip()) : file;
  // pipe() does not forward errors of the source.
  if (zipped) file.on('error', (error: Error) => input.destroy(error));
  let line = 1;
  let pieces: Buffer[] = [];
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      let from = 0;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
        pieces.push(chunk.subarray(from, at));
        yield { bytes: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces), line: line++ };
        pieces = [];
        from = at + 1;
      }
      if (from < chunk.length) pieces.push(chunk.subarray(from));
    }
  } catch (cause) {
    throw readFailure(path, line, cause as NodeJS.ErrnoException);
  } finally {
    file.destroy();
    input.destroy();
  }
  // A gzip member has a header even around nothing, and zlib does not mind an empty file.
  if (zipped && file.bytesRead === 0) throw readFailure(path, line, new Error('no bytes in it'));
  if (pieces.length > 0) yield { bytes: Buffer.concat(pieces), line };
}

function readFailure(path: string, line: number, cause: NodeJS.ErrnoException): RoutingError {
  // System errors (EISDIR, EACCES …) carry a syscall; those of zlib do not.
  return cause.syscall !== undefined
    ? new RoutingError('MISSING_FILE', `${path}: cannot be read (${cause.message})`, { cause })
    : new RoutingError(
        'TRUNCATED_FILE',
        `${path}:${line}: the file is cut short or damaged (${cause.message}); fetch it again`,
        { cause },
      );
}

/** The row of a line, or nothing for a blank one. */
function* parseRow<S extends z.ZodType>(
  path: string,
  line: number,
  bytes: Buffer,
  schema: S,
  onRow: (value: object) => void,
): Generator<{ row: z.infer<S>; line: number }> {
  let value: unknown;
  try {
    const text = UTF8.decode(bytes);
    if (text.trim() === '') return;
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof SyntaxError ? `not JSON (${cause.message})` : 'not UTF-8 text';
    throw new RoutingError('MALFORMED_JSON', `${path}:${line}: ${why}`, { cause });
  }
  const parsed = schema.safeParse(value, PLAIN);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const field = plainPath(issue.path) || '(row)';
    throw new RoutingError('INVALID_ROW', `${path}:${line}: field ${field}: ${issue.message}`, { cause: parsed.error });
  }
  onRow(value as object);
  yield { row: parsed.data, line };
}
