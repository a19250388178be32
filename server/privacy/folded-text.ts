/** A text as a reader takes it, whatever its characters are written as, and where each of them stands in it. */
import { lettersAsLatin } from './look-alikes.ts';

export interface FoldedText {
  readonly plain: string;
  /** Where what each character of it is written as begins, and ends, in the text. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** What is written otherwise than in ASCII, or as an escape of the sign that makes an address. */
const OTHERWISE = /[^\0-\x7f]|%40|&(?:#0*64|#[xX]0*40|commat);/g;
const INVISIBLE = /^\p{Default_Ignorable_Code_Point}$/u;
const HYPHENS = /^[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]$/;

/**
 * The text as a reader takes it: wide, bold and other scripts' digits as digits, wide and styled letters and signs as
 * ASCII, any space as a space, what cannot be seen left out. Null where it is the same.
 */
export function foldedText(text: string): FoldedText | null {
  OTHERWISE.lastIndex = 0;
  const pieces: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  let copied = 0;
  const copyTo = (to: number) => {
    pieces.push(text.slice(copied, to));
    for (let i = copied; i < to; i++) {
      starts.push(i);
      ends.push(i + 1);
    }
  };
  for (let match = OTHERWISE.exec(text); match !== null; match = OTHERWISE.exec(text)) {
    const at = match.index;
    const character = match[0].length > 1 ? match[0] : String.fromCodePoint(text.codePointAt(at)!);
    OTHERWISE.lastIndex = at + character.length;
    const plain = character[0] === '%' || character[0] === '&' ? '@' : plainOf(character);
    if (plain === character) continue;
    copyTo(at);
    pieces.push(plain);
    for (let i = 0; i < plain.length; i++) {
      starts.push(at);
      ends.push(at + character.length);
    }
    copied = at + character.length;
  }
  if (pieces.length === 0) return null;
  copyTo(text.length);
  return { plain: pieces.join(''), starts, ends };
}

/** Characters are few, and come again. */
const PLAIN = new Map<string, string>();
const MOST_PLAIN = 5000;

/** One character, as above; itself where it is none of those. */
function plainOf(character: string): string {
  let plain = PLAIN.get(character);
  if (plain === undefined) {
    plain = foldedCharacter(character);
    if (PLAIN.size >= MOST_PLAIN) PLAIN.clear();
    PLAIN.set(character, plain);
  }
  return plain;
}

function foldedCharacter(character: string): string {
  if (INVISIBLE.test(character)) return '';
  if (HYPHENS.test(character)) return '-';
  if (/^\p{Zs}$/u.test(character)) return ' ';
  if (/^\p{Nd}$/u.test(character)) return digitOf(character);
  const plain = character.normalize('NFKC');
  return /^[!-~]$/.test(plain) ? plain : character;
}

/** Digits of every script stand in tens, one after the other, from zero on. */
function digitOf(character: string): string {
  const wide = character.normalize('NFKC');
  if (/^\d$/.test(wide)) return wide;
  const code = character.codePointAt(0)!;
  let zero = code;
  while (code - zero < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero--;
  return String(code - zero);
}

/** As above, where only the words matter; letters that look like Latin ones as those. */
export const foldedForPlaces = (text: string): string => lettersAsLatin(foldedText(text)?.plain ?? text);
