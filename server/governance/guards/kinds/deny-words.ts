/**
 * Finds words and phrases whatever their case, width and Unicode form: Aho and Corasick's automaton over the folded text,
 * in time that grows with the text alone.
 *
 * @see A. V. Aho and M. J. Corasick, "Efficient string matching: an aid to bibliographic search", CACM 18(6), 1975
 */
import { OF_UNSPACED, openWord, wordsAsLatin } from '../../../privacy/look-alikes.ts';

export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface WordsFound {
  readonly ranges: readonly Range[];
  /** Where, at the text's end, a word may have begun. */
  readonly open: number;
}

interface Node {
  readonly next: Map<string, Node>;
  fail: Node;
  depth: number;
  /** Lengths of the words that end here. */
  ends: number[];
}

export class Words {
  readonly #root = nodeAt(0);

  constructor(words: readonly string[]) {
    for (const word of words) this.#add([...folded(word.trim())]);
    this.#link();
  }

  /** @param from nothing that begins before is of interest */
  find(text: string, from: number): WordsFound {
    const { letters, starts } = foldedWithPlaces(text);
    const ranges: Range[] = [];
    let node = this.#root;
    /** Where it was before the last character. */
    let before = node;
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i]!;
      if (i > 0 && starts[i] !== starts[i - 1]) before = node;
      while (node !== this.#root && !node.next.has(letter)) node = node.fail;
      node = node.next.get(letter) ?? this.#root;
      for (const length of node.ends) {
        const first = i - length + 1;
        const start = starts[first]!;
        if (start >= from && isWhole(letters, first, i)) ranges.push({ start, end: endOf(starts, i) });
      }
    }
    // The last character may yet get an accent and be another; and a word that ends with it, a next letter.
    const last = starts.indexOf(starts[Math.max(letters.length - 1, 0)]!);
    return { ranges, open: Math.min(starts[Math.max(last - before.depth, 0)]!, openWord(text)) };
  }

  #add(letters: readonly string[]): void {
    let node = this.#root;
    for (const letter of letters) {
      let next = node.next.get(letter);
      if (next === undefined) {
        next = nodeAt(node.depth + 1);
        node.next.set(letter, next);
      }
      node = next;
    }
    if (letters.length > 0) node.ends = [letters.length];
  }

  #link(): void {
    const queue = [this.#root];
    for (let at = 0; at < queue.length; at++) {
      const node = queue[at]!;
      for (const [letter, next] of node.next) {
        let fail = node.fail;
        while (fail !== this.#root && !fail.next.has(letter)) fail = fail.fail;
        next.fail = node === this.#root ? this.#root : (fail.next.get(letter) ?? this.#root);
        next.ends = [...next.ends, ...next.fail.ends];
        queue.push(next);
      }
    }
  }
}

function nodeAt(depth: number): Node {
  const node = { next: new Map(), depth, ends: [] } as unknown as Node;
  node.fail = node;
  return node;
}

/** One character may be several letters: ﬁ is two. */
function endOf(starts: readonly number[], last: number): number {
  let next = last + 1;
  while (next < starts.length - 1 && starts[next] === starts[last]) next++;
  return starts[next]!;
}

/** Not a part of a longer word. Scripts that leave no spaces have no such bounds. */
const isWhole = (letters: readonly string[], first: number, last: number): boolean =>
  !(isOfWord(letters[first]!) && isOfWord(letters[first - 1] ?? ' ')) &&
  !(isOfWord(letters[last]!) && isOfWord(letters[last + 1] ?? ' '));

const isOfWord = (letter: string): boolean =>
  letter < '\u0080' ? /[a-z0-9_]/.test(letter) : /[\p{L}\p{N}\p{M}]/u.test(letter) && !OF_UNSPACED.test(letter);

const folded = (text: string): string => foldedWithPlaces(text).letters.join('');

interface Folded {
  readonly letters: string[];
  /** Where each letter begins in the text; and, one more, where the text ends. */
  readonly starts: number[];
}

/** What has no look of its own, or only changes that of what stands before it. */
const IGNORED = /^[\p{Default_Ignorable_Code_Point}]$/u;
/** A character with what is written over and under it. */
const CLUSTERS = /[\s\S]\p{M}*/gu;

/** Letters in one case and form, look-alikes as what they look like among Latin ones, runs of space as one space, what cannot be seen left out. */
function foldedWithPlaces(written: string): Folded {
  // Of the same length.
  const text = wordsAsLatin(written);
  const letters: string[] = [];
  const starts: number[] = [];
  const put = (letter: string, start: number) => {
    if (letter <= ' ' || (letter >= '\u0080' && /\s/.test(letter))) {
      if (letters.at(-1) === ' ') return;
      letter = ' ';
    }
    letters.push(letter);
    starts.push(start);
  };
  // Plain text, up to the first letter of another kind, and the one before it, which may be its base.
  const other = text.search(/[^\0-\x7F]/);
  const plain = other < 0 ? text.length : Math.max(other - 1, 0);
  const lower = text.slice(0, plain).toLowerCase();
  for (let i = 0; i < plain; i++) put(lower[i]!, i);
  CLUSTERS.lastIndex = plain;
  for (const { 0: cluster, index } of text.matchAll(CLUSTERS)) {
    if (cluster.length === 1 && cluster < '\u0080') put(cluster.toLowerCase(), index);
    else {
      const seen = [...cluster].filter((character) => !IGNORED.test(character)).join('');
      for (const letter of seen.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFC')) put(letter, index);
    }
  }
  starts.push(text.length);
  return { letters, starts };
}
