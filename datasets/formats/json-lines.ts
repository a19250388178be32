/** Lines of JSON out of a stream, as an archive's members are; for files on disk there is `readJsonl`. */
import { RoutingError } from '../errors.ts';
import type { Bytes } from './bytes.ts';
import { parsePythonJson } from './json-array.ts';

const NEWLINE = 0x0a;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The value of each line that is not blank; `row` is the number of the line, from 1.
 * @throws `MALFORMED_JSON`, and what reading the bytes throws
 */
export async function* jsonLines(label: string, bytes: Bytes): AsyncGenerator<{ value: unknown; row: number }> {
  let row = 1;
  let pieces: Uint8Array[] = [];
  for await (const chunk of bytes) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      pieces.push(chunk.subarray(from, at));
      yield* parseLine(label, row++, pieces);
      pieces = [];
      from = at + 1;
    }
    if (from < chunk.length) pieces.push(Uint8Array.from(chunk.subarray(from)));
  }
  yield* parseLine(label, row, pieces);
}

function* parseLine(label: string, row: number, pieces: readonly Uint8Array[]) {
  let text: string;
  try {
    text = UTF8.decode(Buffer.concat(pieces));
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${label}:${row}: not UTF-8 text`, { cause });
  }
  if (text.trim() !== '') yield { value: parsePythonJson(`${label}:${row}`, text), row };
}
