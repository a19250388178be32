/**
 * Text → hashed word 1-2-grams, known words, hashed character 4-grams and dense facts.
 *
 * Words that have a vector are named by its row: those rows are never shared. Character 4-grams only tell how
 * familiar a text is.
 */
import { mix32 } from '../../../datasets/index.ts';
import { promptText } from '../../request.ts';
import { canonicalText } from '../canonical-text.ts';
import { type DENSE_FACTS, denseFacts } from './facts.ts';
import { forEachToken, LETTERS, wordHash } from './tokens.ts';

/** V, buckets of word 1-2-grams: rows of the table of directions. */
export const BUCKETS = 1 << 15;
/** Buckets of character 4-grams: so many that most of what a corpus never had falls on an empty one. */
export const GRAM_BUCKETS = 1 << 17;
/** Bucket beyond them that stands for "no 4-gram": a text without any has this one. */
export const NO_GRAM = GRAM_BUCKETS;

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
  /** Bucket of each distinct word 1-2-gram, length L ≥ 1. */
  readonly ids: Int32Array;
  /** 1 + ln(count), brought to unit length: length L. */
  readonly weights: Float32Array;
  /** Bucket of each distinct character 4-gram within words, length ≥ 1. */
  readonly grams: Int32Array;
  /** Row of each distinct word that the vocabulary has, length ≥ 1. */
  readonly words: Int32Array;
  /** Length {@link DENSE_FACTS}. */
  readonly dense: Float32Array;
}

/** Scratch of one text at a time: counting never allocates in proportion to the buckets. */
class Counter {
  private readonly counts: Uint16Array;
  private readonly touched: Int32Array;
  private used = 0;

  constructor(buckets: number) {
    this.counts = new Uint16Array(buckets);
    this.touched = new Int32Array(buckets);
  }

  add(bucket: number): void {
    const c = this.counts[bucket]!;
    if (c === 0) this.touched[this.used++] = bucket;
    if (c < 0xffff) this.counts[bucket] = c + 1;
  }

  /** Buckets in order of first appearance, with their counts if wanted; afterwards all are 0 again. */
  take(counts?: number[]): Int32Array {
    const ids = this.touched.slice(0, this.used);
    for (const id of ids) {
      counts?.push(this.counts[id]!);
      this.counts[id] = 0;
    }
    this.used = 0;
    return ids;
  }
}

const words = new Counter(BUCKETS);
const grams = new Counter(GRAM_BUCKETS + 1);

/**
 * @param raw        any text; what is used of it is {@link promptText}, NFKC, {@link canonicalText}, in lower case
 * @param vocabulary of the encoder; without one no word is known
 */
export function ngramFeatures(raw: string, vocabulary?: Vocabulary): NgramFeatures {
  const kept = promptText(raw);
  const original = canonicalText(kept.normalize('NFKC'));
  const text = original.toLowerCase();
  const rows = new Set<number>();
  let previous = 0; // hash of the word before; 0 at the start
  forEachToken(text, (hash, kind, from, to) => {
    const row = vocabulary?.rowOf(wordHash(hash)) ?? NO_WORD;
    if (row !== NO_WORD) rows.add(row);
    words.add(hash & (BUCKETS - 1));
    words.add(mix32(Math.imul(previous, 31) ^ hash) & (BUCKETS - 1));
    previous = hash;
    if (kind === LETTERS) addGrams(text, from, to);
  });

  const counts: number[] = [];
  const ids = ofNone(words.take(counts), 0); // an empty text is one n-gram that means nothing
  // Loops: `from` with a function goes through an iterator, at ten times the price.
  const weights = new Float32Array(ids.length);
  let squares = 0;
  for (let k = 0; k < weights.length; k++) {
    const count = counts[k] ?? 1;
    weights[k] = count === 1 ? 1 : 1 + Math.log(count);
    squares += weights[k]! * weights[k]!;
  }
  const unit = 1 / Math.sqrt(squares);
  for (let k = 0; k < weights.length; k++) weights[k]! *= unit;
  const chars = original.length + (raw.length - kept.length);
  return {
    ids,
    weights,
    grams: ofNone(grams.take(), NO_GRAM),
    words: ofNone(Int32Array.from(rows), NO_WORD),
    dense: denseFacts(original, chars),
  };
}

/** A list for a network, which takes no empty one. */
const ofNone = (ids: Int32Array, none: number): Int32Array => (ids.length > 0 ? ids : Int32Array.of(none));

/** Character 4-grams of `_word_`, where `_` marks the word's ends. */
function addGrams(text: string, from: number, to: number): void {
  for (let start = from - 1; start <= to - 3; start++) {
    let h = 0x811c9dc5;
    for (let k = start; k < start + 4; k++) {
      const code = k < from || k === to ? 95 : text.charCodeAt(k);
      h = Math.imul(h ^ code, 0x01000193);
    }
    grams.add(mix32(h + 3) & (GRAM_BUCKETS - 1));
  }
}
