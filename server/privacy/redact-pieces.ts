/** Masks long texts piece by piece, so that others have their turn in between; says where a text may be cut for that. */
import { IN_ONE_GO, nextTurn } from '../governance/guards/breath.ts';
import { foldedForPlaces } from './folded-text.ts';
import { redact } from './redact.ts';
import type { Kind } from './redact-rules.ts';

/** A cut before this is none: so much is left of each piece that there are few, and a private key fits into the rest. */
const SHORTEST_CUT = IN_ONE_GO / 2;

/** As `redact` does, for texts of any length. What lies across a cut in a text without any gap may be missed. */
export async function redactInPieces(text: string, kinds?: ReadonlySet<Kind>): Promise<ReturnType<typeof redact>> {
  const found: Partial<Record<Kind, number>> = {};
  const out: string[] = [];
  for (let from = 0; from < text.length; ) {
    const piece = text.slice(from, from + IN_ONE_GO);
    const place = from + piece.length < text.length ? settled(piece, 0, SHORTEST_CUT) : 0;
    const length = place > 0 ? place : piece.length;
    const seen = redact(piece.slice(0, length), kinds);
    out.push(seen.text);
    for (const kind of Object.keys(seen.found) as Kind[]) found[kind] = (found[kind] ?? 0) + seen.found[kind]!;
    from += length;
    await nextTurn();
  }
  return { text: out.join(''), found };
}

/** What may stand between a word that announces a secret, or no address, and what it announces. */
const ANNOUNCED =
  /(?:bearer|basic|authorization|password|passwd|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token|version|\bv)["']?[ \t]*[:=]?[ \t]*["']?$/i;
/** Digits and capitals in groups, as in numbers of cards, accounts, phones and people. */
const GROUPS = /[A-Z0-9 ()./+-]+$/;
/** The beginning of a key whose end is lines away. */
const KEY_BEGINS = /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/g;
const KEY_ENDS = /-----END [A-Z ]{0,30}PRIVATE KEY-----/g;
/** The longest key that is found, with its first and last line. */
export const LONGEST_KEY = 20_100;

/** Places that are looked at closely in one call: some milliseconds. Beyond that only lines' ends are gaps. */
const MOST_TRIES = 300;

/**
 * The last gap between words where nothing that is looked for can go on: what is found has no gaps but in groups of
 * digits and capitals, after a word that announces a secret, and in a private key.
 *
 * @param from  where the text begins; what stands before is known
 * @param tried no gap is looked for up to this place
 * @returns `from` where there is none
 */
export function settled(text: string, from: number, tried: number): number {
  const keys = keysIn(text, from);
  let tries = 0;
  for (let i = text.length; i > Math.max(from, tried); i--) {
    while (keys.length > 0 && keys.at(-1)!.start >= i) keys.pop();
    const key = keys.at(-1);
    if (key !== undefined && i < key.end) {
      i = key.start + 1;
      continue;
    }
    const before = text[i - 1]!;
    if (isLineEnd(before)) return i;
    if (tries < MOST_TRIES && (isSpace(before) || isMark(before))) {
      tries++;
      if (isGap(text, i, from)) return i;
    }
  }
  return from;
}

/** Private keys from their first line on, whole or not. */
function keysIn(text: string, from: number): { start: number; end: number }[] {
  const keys: { start: number; end: number }[] = [];
  KEY_BEGINS.lastIndex = from;
  for (let begun = KEY_BEGINS.exec(text); begun !== null; begun = KEY_BEGINS.exec(text)) {
    KEY_ENDS.lastIndex = KEY_BEGINS.lastIndex;
    const ends = KEY_ENDS.exec(text);
    const end = ends === null ? Number.POSITIVE_INFINITY : KEY_ENDS.lastIndex;
    keys.push({ start: begun.index, end });
    if (ends === null) break;
    KEY_BEGINS.lastIndex = KEY_ENDS.lastIndex;
  }
  return keys;
}

const isSpace = (character: string): boolean => character === ' ' || character === '\t';
const isLineEnd = (character: string): boolean => character === '\n' || character === '\r';
/** Full stops, commas and the like of scripts that leave no space after them. */
const isMark = (character: string): boolean => '、。，！？；：」』）】'.includes(character);

const LOOKED_BACK = 80;
/** Longer than a value that takes marks for its own, with the sign that such values have before them. */
const VALUE_LOOKED_BACK = 220;

function isGap(text: string, i: number, from: number): boolean {
  const before = text[i - 1]!;
  const back = isSpace(before) ? LOOKED_BACK : VALUE_LOOKED_BACK;
  const tail = foldedForPlaces(text.slice(Math.max(from, i - back), i));
  if (ANNOUNCED.test(tail.slice(-LOOKED_BACK))) return false;
  if (isSpace(before)) return !mayBeGroup(GROUPS.exec(tail)?.[0] ?? '', tail) && !isHeadOfKey(text, i, from);
  // Between characters of a script without spaces: not in an address or a value, which take such marks for their own.
  const word = tail.slice(Math.max(tail.lastIndexOf(' '), tail.lastIndexOf('\n'), tail.lastIndexOf('\t')) + 1);
  return !/[:=@]/.test(word) && !ANNOUNCED.test(tail.slice(0, -word.length).slice(-LOOKED_BACK));
}

/** A number may have begun in these groups, or with the two capitals before a gap. */
const mayBeGroup = (groups: string, tail: string): boolean => /\d/.test(groups) || /(?:^|\W)[A-Z]{2} $/.test(tail);

/** `-----BEGIN RSA PRIVATE KEY-----`, of which not all has come. */
function isHeadOfKey(text: string, i: number, from: number): boolean {
  const head = text.slice(Math.max(from, i - LOOKED_BACK), i);
  const begun = head.lastIndexOf('-----');
  return begun >= 0 && /^-----B?E?G?I?N?[A-Z ]*-{0,4}$/.test(head.slice(begun));
}
