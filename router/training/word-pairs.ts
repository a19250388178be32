/** Counts how often two words stand near each other: one open-addressed table of typed arrays, since there are millions of pairs. */
import { mix32 } from '../../datasets/index.ts';

/** Share of the slots in use beyond which the table is doubled. */
const FULL = 0.7;

export class WordPairs {
  private keys: Uint32Array;
  private counts: Float32Array;
  private used = 0;
  private readonly words: number;

  /** @param words size of the vocabulary, below 65 536: a pair's key is 32 bits wide */
  constructor(words: number, slots = 1 << 20) {
    this.words = words;
    this.keys = new Uint32Array(slots);
    this.counts = new Float32Array(slots);
  }

  /** Adds to the count of two different words, in whatever order. */
  add(a: number, b: number, weight: number): void {
    const key = Math.max(a, b) * this.words + Math.min(a, b); // of different words never 0, which marks a free slot
    const at = this.slotOf(key);
    if (this.keys[at] === 0) {
      this.keys[at] = key;
      if (++this.used > FULL * this.keys.length) {
        this.grow();
        this.counts[this.slotOf(key)]! += weight;
        return;
      }
    }
    this.counts[at]! += weight;
  }

  /** Tells every pair once, in the order of its words: the same whatever the order of adding. */
  forEach(visit: (a: number, b: number, count: number) => void): void {
    for (const key of this.keys.filter((k) => k !== 0).sort()) {
      visit(Math.floor(key / this.words), key % this.words, this.counts[this.slotOf(key)]!);
    }
  }

  private slotOf(key: number): number {
    const mask = this.keys.length - 1;
    let at = mix32(key) & mask;
    while (this.keys[at] !== 0 && this.keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  private grow(): void {
    const { keys, counts } = this;
    this.keys = new Uint32Array(2 * keys.length);
    this.counts = new Float32Array(2 * keys.length);
    for (let k = 0; k < keys.length; k++) {
      if (keys[k] === 0) continue;
      const at = this.slotOf(keys[k]!);
      this.keys[at] = keys[k]!;
      this.counts[at] = counts[k]!;
    }
  }
}
