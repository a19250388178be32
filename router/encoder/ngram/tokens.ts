/** Text → words, numbers and signs, each as a hash: what n-grams are made of, and what has a word vector. */
import { mix32 } from '../../../datasets/index.ts';

export const LETTERS = 1;
export const DIGITS = 2;
export const SIGN = 3;
const SPACE = 0;

/**
 * Calls `visit` for each run of letters of any script, each run of digits, and each other sign but white space.
 * A number is known by its length alone (`#4`), so that what counts is its size, not its digits.
 *
 * @param text  in lower case
 * @param visit told the token's 32-bit hash, its kind, and where it begins and ends
 */
export function forEachToken(
  text: string,
  visit: (hash: number, kind: number, from: number, to: number) => void,
): void {
  const n = text.length;
  let i = 0;
  while (i < n) {
    const kind = kindOf(text.charCodeAt(i));
    if (kind === SPACE) {
      i++;
      continue;
    }
    let end = i + 1;
    if (kind !== SIGN) while (end < n && kindOf(text.charCodeAt(end)) === kind) end++;
    let h: number;
    if (kind === DIGITS) h = mix32(0x9e3779b9 + Math.min(end - i, 12));
    else {
      h = 0x811c9dc5;
      for (let k = i; k < end; k++) h = Math.imul(h ^ text.charCodeAt(k), 0x01000193);
      h = mix32(h);
    }
    visit(h, kind, i, end);
    i = end;
  }
}

function kindOf(code: number): number {
  if (code < 128) return ASCII_KIND[code]!;
  if (code === 0xa0 || code === 0x2028 || code === 0x2029 || code === 0x3000) return SPACE;
  if (code < 0xc0 || (code >= 0x2000 && code <= 0x2bff) || (code >= 0x3001 && code <= 0x303f)) return SIGN;
  return LETTERS;
}

const ASCII_KIND = Uint8Array.from({ length: 128 }, (_, c) => {
  if (c <= 32 || c === 127) return SPACE;
  if (c >= 48 && c <= 57) return DIGITS;
  return (c >= 97 && c <= 122) || (c >= 65 && c <= 90) ? LETTERS : SIGN;
});

/**
 * A token's name among the word vectors: 24 of its hash's bits, so that float32 holds it exactly.
 * One unknown word in some six hundred passes for a known one.
 */
export const wordHash = (tokenHash: number): number => tokenHash >>> 8;
