/** Reads a spool file back in batches; what a killed process left half-written is kept aside. */
import { createReadStream } from 'node:fs';
import { type EncodedRow, rowFromLine } from './rows.ts';

/** Rows of one batch. */
const BATCH_ROWS = 200;

/** @throws the file system's error */
export async function* readSegment(
  path: string,
  keepDamaged: (lines: string[]) => Promise<void>,
): AsyncGenerator<EncodedRow[]> {
  const damaged: string[] = [];
  const rows: EncodedRow[] = [];
  let rest = '';
  const take = (line: string, row: EncodedRow | null) => {
    if (row !== null) rows.push(row);
    else if (line !== '') damaged.push(line);
  };
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 256 * 1024 })) {
    if (!chunk.includes('\n')) {
      rest += chunk;
      continue;
    }
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) take(line, rowFromLine(line));
    while (rows.length >= BATCH_ROWS) yield rows.splice(0, BATCH_ROWS);
  }
  // Without its line end it may be cut short, wherever that was: then it was never acknowledged.
  take(rest, isJson(rest) ? rowFromLine(rest) : null);
  if (rows.length > 0) yield rows;
  if (damaged.length > 0) await keepDamaged(damaged);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
