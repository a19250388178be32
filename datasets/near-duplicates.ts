/**
 * Prompts that are nearly the same question. A split that puts such twins on both sides does not test a router, it
 * reminds it: they belong in one group.
 *
 * Two texts are near-duplicates when the sets of their 5-character shingles overlap by Jaccard ≥ 0.8, after case,
 * blanks and Unicode forms are levelled (digits and punctuation count) and templates are off: prefixes and suffixes
 * that very many texts share, such as an instruction or worked examples, would make everything alike. Candidates come
 * from MinHash with banding, so that the work grows with n and not with n²; each is then verified on the sets
 * themselves, up to collisions of 32-bit hashes. Groups are the connected components.
 *
 * @see Broder, "On the resemblance and containment of documents", 1997
 * @see Shrivastava, "Optimal Densification for Fast and Accurate Minwise Hashing", ICML 2017
 */
import { mix32 } from './random.ts';
import type { Prompt } from './schema.ts';

const SHINGLE = 5;
const THRESHOLD = 0.8;
/** Below this many characters beside the template, texts are the same only when they are equal as a whole. */
const SHORT = 16;

/** Bands of rows: 1 − (1 − s⁶)²⁴ of the pairs at Jaccard s become candidates, .9993 at 0.8 and 2·10⁻⁵ at 0.1. */
const ROWS = 6;
const BANDS = 24;
const HASHES = ROWS * BANDS;
/** The share of equal hashes estimates s to ±0.04: a pair this far below the threshold is not worth verifying. */
const ESTIMATE_SLACK = 0.2;
/** In a crowded bucket each text meets this many neighbours, of those that agree with it in the next band too. */
const NEIGHBOURS = 16;

/** A template is at least this long; what is shorter cannot make two different questions alike. */
const TEMPLATE_CHARS = 32;
/** A template stands in so many different texts; in small sets, in half of them. */
const TEMPLATE_TEXTS = 20;
/** A suffix is looked for in this many last characters. */
const SUFFIX_CHARS = 2000;

/**
 * Group number of each text, from 0, in order of first appearance. The same texts give the same groups, on every
 * machine. Empty and very short texts are together only when they are equal.
 * @param options.threshold Jaccard from which two texts are one question, in (0, 1]; the search is tuned for 0.8:
 *        below about 0.7 it misses pairs
 */
export function nearDuplicateGroups(texts: readonly string[], options: { threshold?: number } = {}): Int32Array {
  const threshold = options.threshold ?? THRESHOLD;
  const whole = numbered(texts.map(levelled));
  const bodies = withoutTemplates(whole.names);
  const sets = new DisjointSets(whole.names.length);
  // What is too short to compare by shingles stands for itself: it is distinct already.
  const long: number[] = [];
  const firstWith = new Map<string, number>();
  for (const [i, body] of bodies.entries()) {
    if (body.length < SHORT) continue;
    const first = firstWith.get(body);
    if (first !== undefined) sets.join(first, i);
    else {
      firstWith.set(body, i);
      long.push(i);
    }
  }
  const bodiesToCompare = long.map((i) => bodies[i]!);
  joinSimilar(bodiesToCompare, threshold, {
    together: (a, b) => sets.root(long[a]!) === sets.root(long[b]!),
    join: (a, b) => sets.join(long[a]!, long[b]!),
  });
  const number = new Map<number, number>();
  return Int32Array.from(whole.of, (i) => {
    const root = sets.root(i);
    const known = number.get(root) ?? number.size;
    number.set(root, known);
    return known;
  });
}

export interface CrossGroupDuplicates {
  /** Pairs of prompts in one near-duplicate group, directly or through others, whose `groupId` differs. */
  readonly pairs: number;
  /** Prompts with such a twin. */
  readonly promptsInvolved: number;
  /** Ids of some pairs, at most ten, each from another near-duplicate group. */
  readonly examples: readonly (readonly [idA: string, idB: string])[];
  /** Prompts without text (embedding only), which nothing here can compare. */
  readonly unchecked: number;
}

const EXAMPLES = 10;

/** Near-duplicate group of each prompt with a text, by its id. */
export type Clusters = ReadonlyMap<string, number>;

export function clustersOf(prompts: readonly Prompt[]): Clusters {
  const checked = prompts.filter((p) => p.text.trim() !== '');
  const near = nearDuplicateGroups(checked.map((p) => p.text));
  return new Map(checked.map(({ id }, i) => [id, near[i]!]));
}

/** Near-duplicate prompts that stand in different groups, so that a split by group can put them on both sides. */
export function crossGroupDuplicates(
  prompts: readonly Prompt[],
  clusters: Clusters = clustersOf(prompts),
): CrossGroupDuplicates {
  const checked = prompts.filter(({ id }) => clusters.has(id));
  const members = new Map<number, Prompt[]>();
  for (const p of checked) {
    const cluster = clusters.get(p.id)!;
    const list = members.get(cluster);
    if (list === undefined) members.set(cluster, [p]);
    else list.push(p);
  }
  let pairs = 0;
  let promptsInvolved = 0;
  const examples: [string, string][] = [];
  for (const list of members.values()) {
    const sizes = new Map<string, number>();
    for (const { groupId } of list) sizes.set(groupId, (sizes.get(groupId) ?? 0) + 1);
    if (sizes.size < 2) continue;
    pairs += pairsOf(list.length) - [...sizes.values()].reduce((sum, size) => sum + pairsOf(size), 0);
    promptsInvolved += list.length;
    const other = list.find((p) => p.groupId !== list[0]!.groupId)!;
    if (examples.length < EXAMPLES) examples.push([list[0]!.id, other.id]);
  }
  return { pairs, promptsInvolved, examples, unchecked: prompts.length - checked.length };
}

const pairsOf = (n: number): number => (n * (n - 1)) / 2;

const levelled = (text: string): string => text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();

function numbered(texts: readonly string[]): { names: string[]; of: Int32Array } {
  const number = new Map<string, number>();
  const of = Int32Array.from(texts, (text) => {
    const known = number.get(text) ?? number.size;
    number.set(text, known);
    return known;
  });
  return { names: [...number.keys()], of };
}

/** What is left of each text without the prefix and the suffix that many of them share. */
function withoutTemplates(texts: readonly string[]): string[] {
  const bodies = withoutPrefixes(texts);
  const ends = withoutPrefixes(bodies.map((body) => reversed(body.slice(-SUFFIX_CHARS))));
  return bodies.map((body, i) => body.slice(0, body.length - (Math.min(body.length, SUFFIX_CHARS) - ends[i]!.length)));
}

/**
 * Cuts from each text the longest prefix that it shares with enough others. In sorted order these stand beside it:
 * with l the common lengths of neighbours, the prefix is the greatest minimum of l over windows of that many texts.
 */
function withoutPrefixes(texts: readonly string[]): string[] {
  const n = texts.length;
  const many = Math.max(3, Math.min(TEMPLATE_TEXTS, Math.ceil(n / 2)));
  if (n < many) return [...texts];
  const order = Array.from(texts.keys()).sort((a, b) =>
    texts[a]! < texts[b]! ? -1 : texts[a]! > texts[b]! ? 1 : a - b,
  );
  const common = new Int32Array(n - 1);
  for (let i = 1; i < n; i++) common[i - 1] = commonPrefix(texts[order[i - 1]!]!, texts[order[i]!]!);
  const shared = new Int32Array(n);
  for (let from = 0; from + many <= n; from++) {
    let least = common[from]!;
    for (let k = from + 1; k < from + many - 1 && least >= TEMPLATE_CHARS; k++) least = Math.min(least, common[k]!);
    if (least < TEMPLATE_CHARS) continue;
    for (let k = from; k < from + many; k++) shared[k] = Math.max(shared[k]!, least);
  }
  const out = [...texts];
  order.forEach((i, rank) => {
    if (shared[rank]! >= TEMPLATE_CHARS) out[i] = texts[i]!.slice(wordStart(texts[i]!, shared[rank]!));
  });
  return out;
}

/** The start of the word that a cut at `at` would split; the cut itself where there is no blank before it. */
function wordStart(text: string, at: number): number {
  if (at === text.length) return at;
  const blank = text.lastIndexOf(' ', at - 1);
  return blank < 0 ? at : blank + 1;
}

function commonPrefix(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let at = 0;
  while (at < limit && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

function reversed(text: string): string {
  const bytes = Buffer.from(text, 'utf16le');
  new Uint16Array(bytes.buffer, bytes.byteOffset, text.length).reverse();
  return bytes.toString('utf16le');
}

interface Joined {
  together(a: number, b: number): boolean;
  join(a: number, b: number): void;
}

/** Joins all pairs of distinct texts that are alike; each text has a shingle at least. */
function joinSimilar(texts: readonly string[], threshold: number, joined: Joined): void {
  const n = texts.length;
  const signatures = new Uint32Array(n * HASHES);
  texts.forEach((text, i) => {
    sign(text, signatures.subarray(i * HASHES, i * HASHES + HASHES));
  });
  const keys = Array.from({ length: BANDS }, (_, band) => bandKeys(signatures, n, band));
  const sets = new RecentShingles(texts);
  const compare = (a: number, b: number): void => {
    if (joined.together(a, b)) return;
    if (estimate(signatures, a, b) < threshold - ESTIMATE_SLACK) return;
    if (jaccard(sets.of(a), sets.of(b)) >= threshold) joined.join(a, b);
  };
  for (let band = 0; band < BANDS; band++) {
    const order = sortedBy(keys[band]!);
    for (let from = 0, to = 1; from < n; from = to++) {
      while (to < n && keys[band]![order[to]!] === keys[band]![order[from]!]) to++;
      if (to - from < 2) continue;
      const bucket = order.subarray(from, to);
      const crowded = bucket.length > 2 * NEIGHBOURS;
      if (crowded) {
        const next = keys[(band + 1) % BANDS]!;
        bucket.sort((a, b) => next[a]! - next[b]! || a - b);
      }
      const reach = crowded ? NEIGHBOURS : bucket.length;
      for (let k = 1; k < bucket.length; k++) {
        for (let l = Math.max(0, k - reach); l < k; l++) compare(bucket[l]!, bucket[k]!);
      }
    }
  }
}

/** No shingle hashes to it: the mark of an empty bin. */
const EMPTY = 0xffffffff;

const shingleHash = (text: string, at: number): number => {
  let h = 0x811c9dc5;
  for (let k = at; k < at + SHINGLE; k++) h = Math.imul(h ^ text.charCodeAt(k), 0x01000193);
  return Math.min(mix32(h), EMPTY - 1);
};

/**
 * MinHash by one permutation: each shingle falls in one of the bins, and a bin keeps its least hash. An empty bin
 * takes the value of another, found by a sequence of its own, so that bins agree with probability s even where
 * there are fewer shingles than bins.
 */
function sign(text: string, bins: Uint32Array): void {
  bins.fill(EMPTY);
  for (let at = 0; at + SHINGLE <= text.length; at++) {
    const h = shingleHash(text, at);
    const bin = Math.floor((h / 2 ** 32) * HASHES);
    if (h < bins[bin]!) bins[bin] = h;
  }
  const filled = Uint8Array.from(bins, (h) => (h === EMPTY ? 0 : 1));
  for (let bin = 0; bin < HASHES; bin++) {
    if (filled[bin] === 1) continue;
    let from = bin;
    for (let attempt = 1; filled[from] === 0; attempt++)
      from = mix32(Math.imul(bin + 1, 0x9e3779b1) + attempt) % HASHES;
    bins[bin] = bins[from]!;
  }
}

function bandKeys(signatures: Uint32Array, n: number, band: number): Uint32Array {
  const keys = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    let h = band + 1;
    for (let row = 0; row < ROWS; row++) h = mix32(h ^ signatures[i * HASHES + band * ROWS + row]!) + row;
    keys[i] = h;
  }
  return keys;
}

/** Indices by rising key, then by index. Both go into one number of 53 bits, which sorts without a comparator. */
function sortedBy(keys: Uint32Array): Uint32Array {
  const n = keys.length;
  if (n > 2 ** 21) return Uint32Array.from(keys.keys()).sort((a, b) => keys[a]! - keys[b]! || a - b);
  const packed = Float64Array.from(keys, (key, i) => key * 2 ** 21 + i).sort();
  return Uint32Array.from(packed, (x) => x % 2 ** 21);
}

function estimate(signatures: Uint32Array, a: number, b: number): number {
  let equal = 0;
  for (let k = 0; k < HASHES; k++) if (signatures[a * HASHES + k] === signatures[b * HASHES + k]) equal++;
  return equal / HASHES;
}

/** |A ∩ B| / |A ∪ B| of two sorted sets, neither empty. */
function jaccard(a: Uint32Array, b: Uint32Array): number {
  let both = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const x = a[i]!;
    const y = b[j]!;
    if (x === y) both++;
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return both / (a.length + b.length - both);
}

/** Shingle sets of the texts compared last: all of them would take more memory than the texts. */
class RecentShingles {
  static readonly #CAPACITY = 2048;
  readonly #texts: readonly string[];
  readonly #sets = new Map<number, Uint32Array>();

  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  of(i: number): Uint32Array {
    const known = this.#sets.get(i);
    if (known !== undefined) return known;
    if (this.#sets.size >= RecentShingles.#CAPACITY) this.#sets.delete(this.#sets.keys().next().value!);
    const text = this.#texts[i]!;
    const all = Uint32Array.from({ length: text.length - SHINGLE + 1 }, (_, at) => shingleHash(text, at)).sort();
    const set = all.filter((h, k) => k === 0 || h !== all[k - 1]);
    this.#sets.set(i, set);
    return set;
  }
}

class DisjointSets {
  readonly #parent: Int32Array;

  constructor(n: number) {
    this.#parent = Int32Array.from({ length: n }, (_, i) => i);
  }

  root(i: number): number {
    let at = i;
    while (this.#parent[at] !== at) {
      this.#parent[at] = this.#parent[this.#parent[at]!]!;
      at = this.#parent[at]!;
    }
    return at;
  }

  /** The smaller number becomes the root: the result does not depend on the order of the joins. */
  join(a: number, b: number): void {
    const x = this.root(a);
    const y = this.root(b);
    this.#parent[Math.max(x, y)] = Math.min(x, y);
  }
}
