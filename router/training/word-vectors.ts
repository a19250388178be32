/**
 * Word vectors from plain texts, without labels: words that keep the same company get similar vectors.
 *
 * Positive pointwise mutual information of words within a window, factorised: what skip-gram with negative
 * sampling does in the limit, here by counting, so that it is reproducible and takes two passes.
 * @see Levy & Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", NeurIPS 2014
 * @see Levy, Goldberg & Dagan, "Improving Distributional Similarity with Lessons Learned from Word Embeddings", TACL 2015
 */
import { deriveSeed, RoutingError, seededRandom } from '../../datasets/index.ts';
import { forEachToken, wordHash } from '../encoder/ngram/tokens.ts';
import { type SparseRows, truncatedSvd } from './lsa.ts';
import { quantiseRow } from './quantise.ts';
import { WordPairs } from './word-pairs.ts';

export interface WordVectors {
  /** Length of a vector. */
  readonly dimension: number;
  /** Length V, {@link wordHash} of each word, most frequent first. */
  readonly hashes: Uint32Array;
  /** Length V, share of all tokens in (0, 1]. */
  readonly frequency: Float32Array;
  /** V × dimension, quantised: row v stands for `table[v] · rowScale[v]`. */
  readonly table: Int8Array;
  readonly rowScale: Float32Array;
}

export interface WordVectorOptions {
  readonly seed: number;
  /** Default 64; 32 lost .006 of ease explained on unseen sources, 100 won .005 at half as much again (README). */
  readonly dimension?: number;
  /** Words kept at most, the most frequent; 32 000 at 64 dimensions are 2.4 MB. */
  readonly maxWords?: number;
  /** Occurrences below which a word is left out: its company would be chance. */
  readonly minCount?: number;
  /** Told what is being done, and how many texts are read or how far along it is in [0, 1]. */
  readonly onProgress?: (step: 'counting words' | 'counting pairs' | 'factorising', done: number) => void;
}

const DEFAULTS = { dimension: 64, maxWords: 32_000, minCount: 10 };
/** Words to either side that count as company, nearer ones more: 1 / distance. Of 2, 5 and 20 none was clearly better. */
const WINDOW = 5;
/** Words more frequent than this share of the text are thinned out, as in word2vec (Mikolov et al. 2013). */
const FREQUENT = 1e-4;
/** Contexts count by this power of their frequency, else rare ones seem to tell too much (Levy et al. 2015). */
const CONTEXT_POWER = 0.75;
const SVD_PASSES = 4;

/**
 * @param texts called twice, each time for all texts in the same order
 * @throws `EMPTY_TABLE` when no two words occur often enough
 */
export async function trainWordVectors(
  texts: () => AsyncIterable<string>,
  options: WordVectorOptions,
): Promise<WordVectors> {
  const { dimension, maxWords, minCount } = { ...DEFAULTS, ...options };
  const progress = options.onProgress ?? (() => {});
  const counts = await countWords(texts(), (n) => progress('counting words', n));
  let total = 0;
  for (const count of counts.values()) total += count;
  const words = [...counts]
    .filter(([, count]) => count >= minCount)
    .sort(([a, countA], [b, countB]) => countB - countA || a - b)
    .slice(0, maxWords);
  const frequency = Float32Array.from(words, ([, count]) => count / total);
  const hashes = Uint32Array.from(words, ([hash]) => hash);
  if (words.length < 2) throw tooFewWords(total, minCount);

  const pairs = await countPairs(texts(), hashes, frequency, options.seed, (n) => progress('counting pairs', n));
  const matrix = positiveInformation(pairs, words.length);
  if (matrix.columns.length === 0) throw tooFewWords(total, minCount);
  progress('factorising', 0);
  const r = Math.min(dimension, words.length);
  const { projected } = truncatedSvd(matrix, r, deriveSeed(options.seed, 'word-vectors'), {
    passes: SVD_PASSES,
    onPass: (done, of) => progress('factorising', done / of),
  });
  const table = new Int8Array(words.length * r);
  const rowScale = new Float32Array(words.length);
  for (let v = 0; v < words.length; v++) quantiseRow(projected.subarray(v * r, v * r + r), table, rowScale, v);
  return { dimension: r, hashes, frequency, table, rowScale };
}

const tooFewWords = (total: number, minCount: number): RoutingError =>
  new RoutingError(
    'EMPTY_TABLE',
    `word vectors need words that stand near each other ${minCount} times or more; ${total} words were read: give more text`,
  );

async function countWords(texts: AsyncIterable<string>, onTexts: (n: number) => void): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  let n = 0;
  for await (const text of texts) {
    forEachToken(normalised(text), (hash) => {
      const word = wordHash(hash);
      counts.set(word, (counts.get(word) ?? 0) + 1);
    });
    onTexts(++n);
  }
  return counts;
}

async function countPairs(
  texts: AsyncIterable<string>,
  hashes: Uint32Array,
  frequency: Float32Array,
  seed: number,
  onTexts: (n: number) => void,
): Promise<WordPairs> {
  const pairs = new WordPairs(hashes.length);
  const row = new Map(Array.from(hashes, (hash, v) => [hash, v]));
  const kept = frequency.map((f) => Math.sqrt(FREQUENT / f) + FREQUENT / f);
  const random = seededRandom(deriveSeed(seed, 'word-pairs'));
  // What is left of the last words, newest last.
  const window = new Int32Array(WINDOW);
  let n = 0;
  for await (const text of texts) {
    let length = 0;
    forEachToken(normalised(text), (hash) => {
      const v = row.get(wordHash(hash));
      if (v === undefined || random() >= kept[v]!) return;
      for (let d = 1; d <= Math.min(length, WINDOW); d++) {
        const other = window[(length - d) % WINDOW]!;
        if (other !== v) pairs.add(v, other, 1 / d);
      }
      window[length++ % WINDOW] = v;
    });
    onTexts(++n);
  }
  return pairs;
}

const normalised = (text: string): string => text.normalize('NFKC').toLowerCase();

/** max(0, ln p(a, b) / (p(a) p(b)^power)) of each pair, V × V, only what is above 0. */
function positiveInformation(pairs: WordPairs, words: number): SparseRows {
  const sums = new Float64Array(words);
  pairs.forEach((a, b, count) => {
    sums[a]! += count;
    sums[b]! += count;
  });
  const smoothed = sums.map((s) => s ** CONTEXT_POWER);
  const all = smoothed.reduce((x, y) => x + y, 0);
  const cells = (visit: (row: number, column: number, value: number) => void): void =>
    pairs.forEach((a, b, count) => {
      const joint = Math.log((count * all) / sums[a]!) - Math.log(smoothed[b]!);
      const mirrored = Math.log((count * all) / sums[b]!) - Math.log(smoothed[a]!);
      if (joint > 0) visit(a, b, joint);
      if (mirrored > 0) visit(b, a, mirrored);
    });
  const starts = new Int32Array(words + 1);
  cells((row) => starts[row + 1]!++);
  for (let v = 0; v < words; v++) starts[v + 1]! += starts[v]!;
  const columns = new Int32Array(starts[words]!);
  const values = new Float32Array(columns.length);
  const next = starts.slice();
  cells((row, column, value) => {
    columns[next[row]!] = column;
    values[next[row]!++] = value;
  });
  return { n: words, width: words, starts, columns, values };
}
