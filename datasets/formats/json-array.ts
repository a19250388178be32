/** Elements of a JSON array, one at a time: result files of a hundred megabytes never stand in memory as a whole. */
import { RoutingError } from '../errors.ts';
import { type Bytes, cutShort } from './bytes.ts';

/** One element larger than this is no row of ours. */
const MAX_ELEMENT_BYTES = 64 << 20;

const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Elements of the array that the file is, or, with `key`, of the array under that key of the object that it is; `row`
 * counts from 1. NaN and Infinity, which Python writes, become null.
 * @param label the file, for messages
 * @throws `WRONG_FORMAT` when there is no such array, `MALFORMED_JSON`, `INVALID_ROW` for an element over 64 MB,
 *         `TRUNCATED_FILE` when the file ends early
 */
export async function* jsonArray(
  label: string,
  bytes: Bytes,
  key?: string,
): AsyncGenerator<{ value: unknown; row: number }> {
  const level = key === undefined ? 1 : 2;
  let depth = 0;
  let inString = false;
  let escaped = false;
  let inside = false;
  let found = false;
  let row = 0;
  /** Pieces of the element being read; null between elements. */
  let element: Uint8Array[] | null = null;
  let elementBytes = 0;
  let afterComma = false;
  /** The last string at depth 1, which is a key once a colon follows. */
  let name: number[] | null = null;
  let lastName: string | undefined;
  let current: string | undefined;
  let first = true;

  for await (const chunk of bytes) {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) {
          inString = false;
          if (name !== null) {
            lastName = Buffer.from(name).toString('utf8');
            name = null;
          }
        }
        if (inString && name !== null && name.length < 256) name.push(byte);
        continue;
      }
      // Blanks, and the byte order mark that may stand in front.
      if (byte <= 0x20 || (first && (byte === 0xef || byte === 0xbb || byte === 0xbf))) continue;
      if (first) {
        first = false;
        if (byte !== (key === undefined ? OPEN_BRACKET : OPEN_BRACE)) throw noArray(label, key);
      }
      const between = inside && depth === level;
      if (between && (byte === COMMA || byte === CLOSE_BRACKET)) {
        if (element !== null) {
          element.push(chunk.subarray(start, at));
          yield { value: parseElement(label, ++row, element), row };
          element = null;
        } else if (byte === COMMA || afterComma) {
          throw new RoutingError('MALFORMED_JSON', `${label}: row ${row + 1}: nothing beside a comma`);
        }
        afterComma = byte === COMMA;
      } else if (between && element === null) {
        element = [];
        elementBytes = 0;
        start = at;
      }
      if (byte === QUOTE) {
        inString = true;
        if (depth === 1 && !inside) name = [];
      } else if (byte === COLON) {
        if (depth === 1) current = lastName;
      } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
        depth++;
        if (byte === OPEN_BRACKET && !found && depth === level && (key === undefined || current === key)) {
          inside = true;
          found = true;
        }
      } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) {
        depth--;
        if (depth < level) inside = false;
      }
    }
    if (element !== null) {
      const rest = chunk.subarray(start);
      elementBytes += rest.length;
      if (elementBytes > MAX_ELEMENT_BYTES) {
        throw new RoutingError('INVALID_ROW', `${label}: row ${row + 1}: longer than 64 MB`);
      }
      // The chunk's memory may be used again by whoever reads the file.
      element.push(Uint8Array.from(rest));
    }
  }
  if (first) throw cutShort(label, 'no JSON in it');
  if (depth !== 0 || inString) throw cutShort(label, `ends inside row ${row + 1}`);
  if (!found) throw noArray(label, key);
}

function noArray(label: string, key: string | undefined): RoutingError {
  return new RoutingError(
    'WRONG_FORMAT',
    key === undefined ? `${label}: is no JSON array` : `${label}: is no JSON object with an array "${key}"`,
  );
}

function parseElement(label: string, row: number, pieces: readonly Uint8Array[]): unknown {
  let text: string;
  try {
    text = UTF8.decode(Buffer.concat(pieces));
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${label}: row ${row}: not UTF-8 text`, { cause });
  }
  return parsePythonJson(`${label}: row ${row}`, text);
}

/** JSON as Python writes it. @throws `MALFORMED_JSON` */
export function parsePythonJson(label: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    try {
      return JSON.parse(
        text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/gs, (token) => (token.startsWith('"') ? token : 'null')),
      );
    } catch {
      throw new RoutingError('MALFORMED_JSON', `${label}: not JSON (${(cause as Error).message})`, { cause });
    }
  }
}
