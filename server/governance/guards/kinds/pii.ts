/** Personal data and secrets, by the same rules as texts that are kept (`privacy/redact.ts`). */
import { foldedForPlaces, redact } from '../../../privacy/redact.ts';
import { IN_ONE_GO, nextTurn } from '../breath.ts';
import type { Guard, Seen } from '../plug-in.ts';
import type { PiiRule } from './rules.ts';

export function pii({ kinds }: PiiRule): Guard {
  const wanted = new Set(kinds);
  const look = (text: string) => redact(text, wanted);
  return {
    look: (text) => (text.length <= IN_ONE_GO ? look(text) : lookInPieces(text, look)),
    lookAt: ({ text, from, to }) => look(text.slice(from, to)),
    settled,
    mostWaiting: LONGEST_KEY,
  };
}

/** Cut where nothing that is looked for goes on. */
async function lookInPieces(text: string, look: (text: string) => Seen): Promise<Seen> {
  const found: Record<string, number> = {};
  let out = '';
  for (let from = 0; from < text.length; ) {
    const piece = text.slice(from, from + IN_ONE_GO);
    const place = from + piece.length < text.length ? settled(piece, 0, 0) : piece.length;
    const seen = look(place > 0 ? piece.slice(0, place) : piece);
    out += seen.text;
    for (const [what, count = 0] of Object.entries(seen.found)) found[what] = (found[what] ?? 0) + count;
    from += place > 0 ? place : piece.length;
    await nextTurn();
  }
  return { text: out, found };
}

/** What may stand between a word that announces a secret and the secret. */
const ANNOUNCED =
  /(?:bearer|basic|password|passwd|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token)["']?[ \t]*[:=]?[ \t]*["']?$/i;
/** Digits and capitals in groups, as in numbers of cards, accounts, phones and people. */
const GROUPS = /[A-Z0-9 ()./+-]+$/;
/** The beginning of a key whose end is lines away. */
const KEY_BEGINS = /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/g;
const KEY_ENDS = /-----END [A-Z ]{0,30}PRIVATE KEY-----/g;
/** The longest key that is found, with its first and last line. */
const LONGEST_KEY = 20_100;

/**
 * The last gap between words where nothing that is looked for can go on: what is found has no gaps but in groups of
 * digits and capitals, after a word that announces a secret, and in a private key.
 */
function settled(text: string, from: number, tried: number): number {
  const keys = keysIn(text, from);
  const inKey = (i: number) => keys.some(({ start, end }) => start < i && i < end);
  for (let i = text.length; i > tried; i--) if (isGap(text, i, from) && !inKey(i)) return i;
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

const LOOKED_BACK = 80;

function isGap(text: string, i: number, from: number): boolean {
  const before = text[i - 1]!;
  if (before === '\n' || before === '\r') return !isHeadOfKey(text, i, from);
  const isSpace = before === ' ' || before === '\t';
  if (!isSpace && !isMark(before)) return false;
  const tail = foldedForPlaces(text.slice(Math.max(from, i - LOOKED_BACK), i));
  if (ANNOUNCED.test(tail)) return false;
  if (isSpace) return !mayBeGroup(GROUPS.exec(tail)?.[0] ?? '', tail) && !isHeadOfKey(text, i, from);
  // Between characters of a script without spaces: not in an address or a value, which take such marks for their own.
  const word = tail.slice(Math.max(tail.lastIndexOf(' '), tail.lastIndexOf('\n'), tail.lastIndexOf('\t')) + 1);
  return word.length < LOOKED_BACK && !/[:=@]/.test(word) && !ANNOUNCED.test(tail.slice(0, -word.length));
}

/** Full stops, commas and the like of scripts that leave no space after them. */
const isMark = (character: string): boolean => '、。，！？；：」』）】'.includes(character);

/** A number may have begun in these groups, or with the two capitals before a gap. */
const mayBeGroup = (groups: string, tail: string): boolean => /\d/.test(groups) || /(?:^|\W)[A-Z]{2} $/.test(tail);

/** `-----BEGIN RSA PRIVATE KEY-----`, of which not all has come. */
function isHeadOfKey(text: string, i: number, from: number): boolean {
  const begun = text.lastIndexOf('-----', i);
  return begun >= from && i - begun < LOOKED_BACK && /^-----B?E?G?I?N?[A-Z ]*-{0,4}$/.test(text.slice(begun, i));
}
