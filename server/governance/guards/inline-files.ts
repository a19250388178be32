/** Files that a request carries as base64: looked into where they hold text; of all others it is said that nobody did. */
import { decoded, encoded, isNoise, kindOfBytes, SNIFFED } from './file-text.ts';
import type { Found, Seen } from './plug-in.ts';

/** What was seen of a text, or of a file. */
export interface ReadOver extends Seen {
  /** It could not be looked into. */
  readonly isUnread?: boolean;
}

/** Characters of base64 of a text that is looked into: 12 MiB of it. */
const MOST_CHARS = 16 * 1024 * 1024;
/** What is shorter, and says nowhere that it is a file, may as well be a word. */
const MAY_BE_A_WORD = 512;

const NOTHING: Found = {};

/**
 * @param value base64, a `data:` URL of it, or an address where a file lies
 * @param look  at the text in it
 */
export async function lookIntoBytes(value: string, look: (text: string) => Promise<Seen>): Promise<ReadOver> {
  if (/^(?:https?|gs|s3):\//.test(value)) return { text: value, found: NOTHING, isUnread: true };
  const from = value.startsWith('data:') ? value.indexOf(',') + 1 : 0;
  if (from === 0 && value.length <= MAY_BE_A_WORD) {
    const seen = await look(value);
    if (Object.keys(seen.found).length > 0) return seen;
  }
  const [text, isUnread] = textIn(value, from);
  if (text === null) return { text: value, found: NOTHING, isUnread };
  const seen = await look(text);
  const isChanged = seen.text !== text;
  const out = isChanged ? value.slice(0, from) + encoded(seen.text).toString('base64') : value;
  return { text: out, found: seen.found, isUnread };
}

/** Null where it is no text, or too much of it. And whether it holds more, or may, than is in the text. */
function textIn(value: string, from: number): [text: string | null, isUnread: boolean] {
  // Most are pictures: their first bytes say so.
  const head = Buffer.from(value.slice(from, from + Math.ceil(SNIFFED / 3) * 4), 'base64');
  const kind = kindOfBytes(head);
  if (head.length === 0 || kind === 'binary' || value.length - from > MOST_CHARS) return [null, true];
  const text = decoded(Buffer.from(from === 0 ? value : value.slice(from), 'base64'));
  return isNoise(text) ? [null, true] : [text, kind !== 'text' || text.includes('\0')];
}
