/** What a file is, by what stands in it; its name decides nothing. */
import { RoutingError } from '../errors.ts';
import { headOf, isZip } from './bytes.ts';

const DELIMITERS = [',', ';', '\t', '|'] as const;
export type Delimiter = (typeof DELIMITERS)[number];

/** The delimiter that parts the first line into most columns; text in quotes does not count. */
function delimiterOf(head: string): Delimiter {
  const line = head.replace(/"(?:[^"]|"")*"/g, '').split(/[\r\n]/, 1)[0]!;
  const counts = DELIMITERS.map((d) => line.split(d).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))]!;
}

export type Format =
  | { readonly kind: 'inspect-zip' }
  | { readonly kind: 'inspect' }
  | { readonly kind: 'promptfoo' }
  | { readonly kind: 'promptfoo-lines' }
  | { readonly kind: 'rows' }
  | { readonly kind: 'lines' }
  | { readonly kind: 'csv'; readonly delimiter: Delimiter };

/** @throws `MISSING_FILE`, `TRUNCATED_FILE`, `EMPTY_TABLE` for a file without content, `MALFORMED_JSON` for
 *         what is no text, `INVALID_ROW` for one that is none of these */
export async function formatOf(path: string): Promise<Format> {
  if (await isZip(path)) return { kind: 'inspect-zip' };
  const { text, whole } = await headOf(path);
  const head = text.trimStart();
  if (head.includes('\0')) {
    throw new RoutingError(
      'MALFORMED_JSON',
      `${path}: not UTF-8 text; save it as UTF-8 (a spreadsheet: as "CSV UTF-8")`,
    );
  }
  if (head === '') throw new RoutingError('EMPTY_TABLE', `${path}: is empty`);
  if (head.startsWith('[')) return { kind: 'rows' };
  if (!head.startsWith('{')) return { kind: 'csv', delimiter: delimiterOf(head) };
  const first = firstObject(head);
  const keys = new Set(first.keys);
  const more = first.end !== undefined && head.slice(first.end).trim() !== '';
  const alone = first.end !== undefined && whole && !more;
  if (!more && keys.has('eval') && ['status', 'version', 'samples', 'plan', 'results'].some((k) => keys.has(k))) {
    return { kind: 'inspect' };
  }
  if (!more && (keys.has('evalId') || (keys.has('results') && !keys.has('model') && !keys.has('modelId')))) {
    return { kind: 'promptfoo' };
  }
  if (keys.has('provider') && (keys.has('promptIdx') || keys.has('testIdx') || keys.has('gradingResult'))) {
    return { kind: 'promptfoo-lines' };
  }
  const inLines = !/[\r\n]/.test(head.slice(0, first.end).trimEnd());
  if (inLines) return { kind: 'lines' };
  throw new RoutingError(
    'INVALID_ROW',
    `${path}: a JSON document with ${alone ? 'only' : ''} the fields ${first.keys.slice(0, 10).join(', ')}, which is neither ` +
      'a result of promptfoo nor a log of Inspect; give rows as lines (.jsonl), as one list, or as CSV',
  );
}

/** The keys of the first object as far as the text goes, and where the object ends if it does. */
function firstObject(text: string): { keys: string[]; end?: number } {
  const keys: string[] = [];
  let depth = 0;
  let key = false;
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!;
    if (c === '"') {
      const from = at++;
      while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
      if (depth === 1 && key) keys.push(text.slice(from + 1, at));
      key = false;
    } else if (c === '{' || c === '[') {
      depth++;
      key = c === '{';
    } else if (c === '}' || c === ']') {
      if (--depth === 0) return { keys, end: at + 1 };
    } else if (c === ',') key = depth === 1;
  }
  return { keys };
}
