/**
 * Text → hashed n-grams, known words and dense facts.
 *
 * Word 1-2-grams go to buckets [0, 2^15), character 3-5-grams within words to [2^15, 2^16).
 * Words that have a vector are named by its row instead: those rows are never shared.
 */
import { mix32 } from '../../../datasets/index.ts';
import { promptText } from '../../request.ts';
import { canonicalText } from '../canonical-text.ts';
import { type DENSE_FACTS, denseFacts } from './facts.ts';
import { forEachToken, LETTERS, wordHash } from './tokens.ts';

export const WORD_BUCKETS = 1 << 15;
export const CHAR_BUCKETS = 1 << 15;
/** V, rows of the n-gram table. */
export const BUCKETS = WORD_BUCKETS + CHAR_BUCKETS;

/** Row of the word table that stands for "no word": a text without any known word has this one. */
export const NO_WORD = 0;

/** Rows of the words that have a vector: an open-addressed table, three times as fast as a Map where each word is looked up. */
export class Vocabulary {
  private readonly slots: Int32Array; // pairs: hash + 1, row
  private readonly mask: number;

  /** @param hashes {@link wordHash} of each row's word; that of row {@link NO_WORD} does not count */
  constructor(hashes: ArrayLike<number>) {
    let size = 4;
    while (size < 2 * hashes.length) size *= 2;
    this.mask = size - 1;
    this.slots = new Int32Array(2 * size);
    for (let row = NO_WORD + 1; row < hashes.length; row++) {
      const at = this.slotOf(hashes[row]!);
      this.slots[at] = hashes[row]! + 1;
      this.slots[at + 1] = row;
    }
  }

  /** {@link NO_WORD} of a word that has no vector. */
  rowOf(hash: number): number {
    return this.slots[this.slotOf(hash) + 1]!;
  }

  private slotOf(hash: number): number {
    let at = hash & this.mask;
    while (this.slots[2 * at] !== 0 && this.slots[2 * at] !== hash + 1) at = (at + 1) & this.mask;
    return 2 * at;
  }
}

export interface NgramFeatures {
  /** Bucket of each distinct n-gram, length L ≥ 1. */
  readonly ids: Int32Array;
  /** 1 + ln(count), each block (words, characters) of unit length and weighted √½: length L. */
  readonly weights: Float32Array;
  /** Row of each distinct word that the vocabulary has, length ≥ 1. */
  readonly words: Int32Array;
  /** Length {@link DENSE_FACTS}. */
  readonly dense: Float32Array;
}

// Scratch of one text at a time: counting never allocates in proportion to the buckets.
const counts = new Uint16Array(BUCKETS);
const touched = new Int32Array(BUCKETS);
let used = 0;
const CAP = 0xffff;

function add(bucket: number): void {
  const c = counts[bucket]!;
  if (c === 0) touched[used++] = bucket;
  if (c < CAP) counts[bucket] = c + 1;
}

/** 1 + ln(count) of the counts that nearly all n-grams have. */
const LOG_COUNT = Float64Array.from({ length: 64 }, (_, c) => 1 + Math.log(Math.max(1, c)));

/**
 * @param raw        any text; what is used of it is {@link promptText}, NFKC, {@link canonicalText}, in lower case
 * @param vocabulary of the encoder; without one no word is known
 */
export function ngramFeatures(raw: string, vocabulary?: Vocabulary): NgramFeatures {
  const kept = promptText(raw);
  const original = canonicalText(kept.normalize('NFKC'));
  const text = original.toLowerCase();
  used = 0;
  const words = new Set<number>();
  let previous = 0; // hash of the word before; 0 at the start
  forEachToken(text, (hash, kind, from, to) => {
    const row = vocabulary?.rowOf(wordHash(hash)) ?? NO_WORD;
    if (row !== NO_WORD) words.add(row);
    add(hash & (WORD_BUCKETS - 1));
    add(mix32(Math.imul(previous, 31) ^ hash) & (WORD_BUCKETS - 1));
    previous = hash;
    if (kind === LETTERS) addCharGrams(text, from, to);
  });
  if (used === 0) touched[used++] = 0; // an empty text is one n-gram that means nothing
  if (words.size === 0) words.add(NO_WORD);

  const ids = touched.slice(0, used);
  const weights = new Float32Array(used);
  let wordSquares = 0;
  let charSquares = 0;
  for (let k = 0; k < used; k++) {
    const c = counts[ids[k]!]!;
    const w = c < LOG_COUNT.length ? LOG_COUNT[c]! : 1 + Math.log(c);
    weights[k] = w;
    if (ids[k]! < WORD_BUCKETS) wordSquares += w * w;
    else charSquares += w * w;
  }
  const wordScale = Math.SQRT1_2 / Math.sqrt(wordSquares || 1);
  const charScale = Math.SQRT1_2 / Math.sqrt(charSquares || 1);
  for (let k = 0; k < used; k++) {
    weights[k]! *= ids[k]! < WORD_BUCKETS ? wordScale : charScale;
    counts[ids[k]!] = 0;
  }
  const chars = original.length + (raw.length - kept.length);
  return { ids, weights, words: Int32Array.from(words), dense: denseFacts(original, chars) };
}

/** Character 3-5-grams of `_word_`, where `_` marks the word's ends. */
function addCharGrams(text: string, from: number, to: number): void {
  for (let start = from - 1; start <= to - 2; start++) {
    let h = 0x811c9dc5;
    for (let k = start; k < start + 5 && k <= to; k++) {
      const code = k < from || k === to ? 95 : text.charCodeAt(k);
      h = Math.imul(h ^ code, 0x01000193);
      if (k - start >= 2) add(WORD_BUCKETS + (mix32(h + (k - start)) & (CHAR_BUCKETS - 1)));
    }
  }
}
