/** Files that a request carries as base64: looked into where they hold text; of all others it is said that nobody did. */
import { decoded, encoded, hasControls, isNoise, kindOfBytes, SNIFFED } from './file-text.ts';
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
  if (ADDRESS.test(value)) return { text: value, found: NOTHING, isUnread: true };
  const isUrl = /^\s*data:/i.test(value);
  const from = isUrl ? value.indexOf(',') + 1 : 0;
  if (value === '') return { text: value, found: NOTHING };
  const head = value.slice(0, from);
  const bytes = value.slice(from).replace(/\s+/g, '');
  // Whoever reads it all the same reads something that is not known here; its letters are looked at as they are.
  if ((isUrl && !/;\s*base64\s*,$/i.test(head)) || !BASE64.test(bytes))
    return { ...(await look(value)), isUnread: true };
  if (from === 0 && value.length <= MAY_BE_A_WORD) {
    const seen = await look(value);
    if (Object.keys(seen.found).length > 0) return seen;
  }
  const named = PLAIN_HEAD.test(head) ? { text: head, found: NOTHING } : await look(head);
  const [text, isUnread] = textIn(bytes);
  if (text === null) return { text: named.text + value.slice(from), found: named.found, isUnread };
  const seen = await look(text);
  const isChanged = seen.text !== text;
  const rest = isChanged ? encoded(seen.text).toString('base64') : value.slice(from);
  return { text: named.text + rest, found: sum(named.found, seen.found), isUnread };
}

/** Of media. Any other that is not `data:` is unread as well, but what it says is looked at. */
const ADDRESS = /^(?:https?|gs|s3):\/[^\s]{1,8000}$/;
/** Padding in the middle is read on by some, and by others not. */
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
/** It says nothing of anybody; a `name` might. */
const PLAIN_HEAD = /^(?:data:[a-z0-9.+-]{0,40}\/?[a-z0-9.+-]{0,80}(?:;charset=[\w-]{1,20})?;base64,)?$/i;

const sum = (a: Found, b: Found): Found => {
  const all: Record<string, number> = { ...a } as Record<string, number>;
  for (const [what, count = 0] of Object.entries(b)) all[what] = (all[what] ?? 0) + count;
  return all;
};

/** Null where it is no text, or too much of it. And whether it holds more, or may, than is in the text. */
function textIn(bytes: string): [text: string | null, isUnread: boolean] {
  // Most are pictures: their first bytes say so.
  const head = Buffer.from(bytes.slice(0, Math.ceil(SNIFFED / 3) * 4), 'base64');
  const kind = kindOfBytes(head);
  if (head.length === 0 || kind === 'binary' || bytes.length > MOST_CHARS) return [null, true];
  const text = decoded(Buffer.from(bytes, 'base64'));
  return isNoise(text) ? [null, true] : [text, kind !== 'text' || hasControls(text)];
}
