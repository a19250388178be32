/** Streaming reader for plain or gzipped JSONL: one row in memory at a time, errors that name the line. */
import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import type { z } from 'zod';
import { RoutingError } from './errors.ts';

/**
 * Rows of a `.jsonl` or `.jsonl.gz` file, each parsed by `schema`. Blank lines are skipped.
 * @throws `MISSING_FILE`, `TRUNCATED_FILE` (damaged or cut gzip), `MALFORMED_JSON`, `INVALID_ROW`;
 *         each message starts with `file:line`
 */
export async function* readJsonl<S extends z.ZodType>(path: string, schema: S): AsyncGenerator<z.infer<S>> {
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  const file = createReadStream(path);
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  // pipe() does not forward errors of the source.
  file.on('error', (error: Error) => input.destroy(error));
  let failure: unknown;
  input.on('error', (error: Error) => {
    failure = error;
  });
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  let line = 0;
  let held: { text: string; line: number } | undefined;
  try {
    for await (const text of lines) {
      line++;
      if (held !== undefined) yield parseRow(path, held.line, held.text, schema);
      held = text.trim() === '' ? undefined : { text, line };
    }
  } catch (cause) {
    if (cause instanceof RoutingError) throw cause;
    failure = cause;
  } finally {
    lines.close();
    file.destroy();
  }
  // The last line is held back: after a cut it is half a row, and the cut is the error to report.
  if (failure !== undefined) {
    throw new RoutingError(
      'TRUNCATED_FILE',
      `${path}:${line}: the file is cut short or damaged (${(failure as Error).message}); fetch it again`,
      { cause: failure },
    );
  }
  if (held !== undefined) yield parseRow(path, held.line, held.text, schema);
}

function parseRow<S extends z.ZodType>(path: string, line: number, text: string, schema: S): z.infer<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${path}:${line}: not JSON (${(cause as Error).message})`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join('.') || '(row)';
  throw new RoutingError('INVALID_ROW', `${path}:${line}: field ${field}: ${issue.message}`, { cause: parsed.error });
}
