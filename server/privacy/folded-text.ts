/** A text as a reader takes it, whatever its characters are written as, and where each of them stands in it. */
import { lettersAsLatin } from './look-alikes.ts';

export interface FoldedText {
  readonly plain: string;
  /** Characters that have become longer or shorter, in their order. */
  readonly resized: readonly Resized[];
}

export interface Resized {
  /** Where it stands in the plain text, and how long it is there: 0 or 1. */
  readonly at: number;
  readonly length: number;
  /** Where what it is written as begins, and ends, in the text. */
  readonly start: number;
  readonly end: number;
}

/** @returns what tells where the characters of the plain text stand in the text; it is asked for ever later ones */
export function placesIn(
  resized: readonly Resized[],
): (at: number) => { readonly start: number; readonly end: number } {
  let passed = 0;
  return (at) => {
    while (passed < resized.length && resized[passed]!.at <= at) passed++;
    const last = resized[passed - 1];
    if (last === undefined) return { start: at, end: at + 1 };
    if (at < last.at + last.length) return last;
    const start = last.end + at - (last.at + last.length);
    return { start, end: start + 1 };
  };
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
  const steps = folding(text, Number.POSITIVE_INFINITY);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** As above, in steps of so many characters that are written otherwise. */
export function* folding(text: string, size: number): Generator<undefined, FoldedText | null> {
  const pieces: string[] = [];
  const resized: Resized[] = [];
  let copied = 0;
  let length = 0;
  let seen = 0;
  for (let from = 0; ; ) {
    // Others may have used it since the last step.
    OTHERWISE.lastIndex = from;
    const match = OTHERWISE.exec(text);
    if (match === null) break;
    const start = match.index;
    const character = match[0].length > 1 ? match[0] : String.fromCodePoint(text.codePointAt(start)!);
    const end = start + character.length;
    from = end;
    if (++seen % size === 0) yield;
    const plain = character[0] === '%' || character[0] === '&' ? '@' : plainOf(character);
    if (plain === character) continue;
    pieces.push(text.slice(copied, start), plain);
    length += start - copied;
    if (plain.length !== character.length) resized.push({ at: length, length: plain.length, start, end });
    length += plain.length;
    copied = end;
  }
  if (pieces.length === 0) return null;
  pieces.push(text.slice(copied));
  return { plain: pieces.join(''), resized };
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
