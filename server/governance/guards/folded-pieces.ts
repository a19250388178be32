/** Pieces of a text by how long it is once it is folded: ﷺ is one character, and 18 letters of what is looked at. */
import { IN_ONE_GO } from './breath.ts';

/** Letters of U+FDFA in NFKC, of which no character has more. */
const MOST_LETTERS = 18;

/** By code unit, as they come up; 0: not known yet. */
const LETTERS = new Uint8Array(0x10000);

/** In NFKC. Halves of characters beyond the first plane are one each; of those none has more than three times its length. */
function lettersOf(code: number): number {
  if (LETTERS[code] === 0) LETTERS[code] = Math.max(1, String.fromCharCode(code).normalize('NFKC').length);
  return LETTERS[code]!;
}

/** Where a piece that begins at `from` ends, of so many letters at most, but of one character at least. */
export function endOfPiece(text: string, from: number, most = IN_ONE_GO): number {
  if (text.length - from <= most / MOST_LETTERS) return text.length;
  let left = most;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    left -= code < 0x80 ? 1 : lettersOf(code);
    if (left < 0) return Math.max(at, from + 1);
  }
  return text.length;
}

/** It is short enough to be looked at at once. */
export const isInOneGo = (text: string): boolean => text.length <= IN_ONE_GO && endOfPiece(text, 0) === text.length;
