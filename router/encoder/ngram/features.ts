/**
 * Text → hashed n-grams and dense facts, in one pass over the characters.
 *
 * Word 1-2-grams go to buckets [0, 2^15), character 3-5-grams within words to [2^15, 2^16).
 * A number becomes its length (`#4`), so that what counts is its size, not its digits.
 */
import { mix32 } from '../../../datasets/index.ts';
import { promptText } from '../../request.ts';
import { canonicalText } from '../canonical-text.ts';
import { type DENSE_FACTS, denseFacts } from './facts.ts';

export const WORD_BUCKETS = 1 << 15;
export const CHAR_BUCKETS = 1 << 15;
/** V, rows of the n-gram table. */
export const BUCKETS = WORD_BUCKETS + CHAR_BUCKETS;

export interface NgramFeatures {
  /** Bucket of each distinct n-gram, length L ≥ 1. */
  readonly ids: Int32Array;
  /** 1 + ln(count), each block (words, characters) of unit length and weighted √½: length L. */
  readonly weights: Float32Array;
  /** Length {@link DENSE_FACTS}. */
  readonly dense: Float32Array;
}

// One scratch table per process: counting never allocates in proportion to the buckets.
const counts = new Uint16Array(BUCKETS);
const touched = new Int32Array(BUCKETS);
const CAP = 0xffff;

/** @param raw any text; what is used of it is {@link promptText}, NFKC, {@link canonicalText}, in lower case */
export function ngramFeatures(raw: string): NgramFeatures {
  const original = canonicalText(promptText(raw).normalize('NFKC'));
  const text = original.toLowerCase();
  let used = 0;
  const add = (bucket: number): void => {
    const c = counts[bucket]!;
    if (c === 0) touched[used++] = bucket;
    if (c < CAP) counts[bucket] = c + 1;
  };

  let previous = 0; // hash of the word before; 0 at the start
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
    if (kind === DIGIT) h = mix32(0x9e3779b9 + Math.min(end - i, 12));
    else {
      h = 0x811c9dc5;
      for (let k = i; k < end; k++) h = Math.imul(h ^ text.charCodeAt(k), 0x01000193);
      h = mix32(h);
    }
    add(h % WORD_BUCKETS);
    add(mix32(Math.imul(previous, 31) ^ h) % WORD_BUCKETS);
    previous = h;
    if (kind === LETTER) charGrams(text, i, end, add);
    i = end;
  }
  if (used === 0) touched[used++] = 0; // an empty text is one n-gram that means nothing

  const ids = touched.slice(0, used);
  const weights = new Float32Array(used);
  let words = 0;
  let chars = 0;
  for (let k = 0; k < used; k++) {
    const w = 1 + Math.log(Math.max(1, counts[ids[k]!]!));
    weights[k] = w;
    if (ids[k]! < WORD_BUCKETS) words += w * w;
    else chars += w * w;
  }
  const wordScale = Math.SQRT1_2 / Math.sqrt(words || 1);
  const charScale = Math.SQRT1_2 / Math.sqrt(chars || 1);
  for (let k = 0; k < used; k++) {
    weights[k]! *= ids[k]! < WORD_BUCKETS ? wordScale : charScale;
    counts[ids[k]!] = 0;
  }
  return { ids, weights, dense: denseFacts(original, original.length) };
}

/** Character 3-5-grams of `_word_`, where `_` marks the word's ends. */
function charGrams(text: string, from: number, to: number, add: (bucket: number) => void): void {
  for (let start = from - 1; start <= to - 2; start++) {
    let h = 0x811c9dc5;
    for (let k = start; k < start + 5 && k <= to; k++) {
      const code = k < from || k === to ? 95 : text.charCodeAt(k);
      h = Math.imul(h ^ code, 0x01000193);
      if (k - start >= 2) add(WORD_BUCKETS + (mix32(h + (k - start)) % CHAR_BUCKETS));
    }
  }
}

const SPACE = 0;
const LETTER = 1;
const DIGIT = 2;
const SIGN = 3;

/** Letters of any script, digits, white space, and everything else one by one. */
function kindOf(code: number): number {
  if (code < 128) return ASCII_KIND[code]!;
  if (code === 0xa0 || code === 0x2028 || code === 0x2029 || code === 0x3000) return SPACE;
  if (code < 0xc0 || (code >= 0x2000 && code <= 0x2bff) || (code >= 0x3001 && code <= 0x303f)) return SIGN;
  return LETTER;
}

const ASCII_KIND = Uint8Array.from({ length: 128 }, (_, c) => {
  if (c <= 32 || c === 127) return SPACE;
  if (c >= 48 && c <= 57) return DIGIT;
  return (c >= 97 && c <= 122) || (c >= 65 && c <= 90) ? LETTER : SIGN;
});
