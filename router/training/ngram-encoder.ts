/** Fits the n-gram encoder on texts and the names of their benchmarks: directions, standardised facts. Uses no outcome. */
import { DENSE_FACTS } from '../encoder/ngram/facts.ts';
import {
  BUCKETS,
  GRAM_BUCKETS,
  type NgramFeatures,
  NO_GRAM,
  NO_WORD,
  ngramFeatures,
  Vocabulary,
} from '../encoder/ngram/features.ts';
import { encodeNgrams, type NgramWeights, ngramDimension, type WordTable } from '../encoder/ngram/ngram.ts';
import { inverseFrequency, multiply, sparseRows, truncatedSvd } from './lsa.ts';
import { quantiseRow } from './quantise.ts';
import { topicDirections } from './topic-directions.ts';
import type { WordVectors } from './word-vectors.ts';

/** r: 64 held .33 of shared ease out of fold against .34 for 192, at a third of the table (README). */
const DIRECTIONS = 64;
/** Directions that tell benchmarks apart: they took the share of MMLU-Pro's subjects known by text from .64 to .74. */
const TOPICS = 48;
/** An n-gram in fewer texts than this is left out, of words, or unknown, of characters: it could teach nothing that another text might use. */
const MIN_TEXTS = 3;
/** Beside word vectors directions are heard a quarter as loud: they pay in domain, the vectors beyond it (README). */
const DIRECTIONS_BESIDE_WORDS = 0.25;
/** A direction in which texts differ less than this, beside the first, is none. */
const LEAST_DIRECTION = 1e-4;
/** a: a word of this share of all tokens gets half the weight of the rarest (Arora et al. 2017). */
const COMMON = 1e-3;

/**
 * @param texts   training texts; at least a few hundred for the directions to mean something
 * @param options `kinds`: benchmark of each text, where known; progress is told in [0, 1]
 */
export function fitNgramEncoder(
  texts: readonly string[],
  options: {
    seed: number;
    kinds?: readonly string[];
    directions?: number;
    minTexts?: number;
    vectors?: WordVectors;
    onProgress?: (share: number) => void;
  },
): NgramWeights {
  const words = options.vectors && centredWords(options.vectors, texts);
  const vocabulary = words && new Vocabulary(words.hashes);
  const features = texts.map((t) => ngramFeatures(t, vocabulary));
  const n = texts.length;
  const r = Math.min(options.directions ?? DIRECTIONS, Math.max(1, n - 1));
  const x = sparseRows(features, BUCKETS);
  const minTexts = Math.min(options.minTexts ?? MIN_TEXTS, n);
  const idf = inverseFrequency(x, minTexts);
  for (let k = 0; k < x.columns.length; k++) x.values[k]! *= idf[x.columns[k]!]!;
  const svd = truncatedSvd(x, r, options.seed, { onPass: (done, of) => options.onProgress?.(done / of) });

  const topics = topicDirections(x, options.kinds ?? [], TOPICS);

  // A direction's scale: unit variance would call them all alike, raw scores bury the later ones; between the two.
  const volume = words === undefined ? 1 : DIRECTIONS_BESIDE_WORDS;
  const scale = (values: ArrayLike<number>, j: number): number => {
    const s = values[j]!;
    const second = Math.max(s, values[Math.min(1, values.length - 1)]!);
    // Of a few texts, or of texts all alike, the last directions are rounding errors.
    return s > LEAST_DIRECTION * values[0]! ? volume * (Math.sqrt(n) / s) * Math.sqrt(s / second) : 0;
  };
  const spread = spreadOf(multiply(x, topics.v, topics.r), n, topics.r);
  const width = r + topics.r;
  const columns = new Float32Array(BUCKETS * width);
  for (let j = 0; j < width; j++) {
    const [v, of, from, by] =
      j < r ? [svd.v, r, j, scale(svd.values, j)] : [topics.v, topics.r, j - r, scale(spread, j - r)];
    for (let k = 0; k < BUCKETS; k++) columns[k * width + j] = idf[k]! * v[k * of + from]! * by;
  }
  const table = new Int8Array(columns.length);
  const rowScale = new Float32Array(BUCKETS);
  for (let v = 0; v < BUCKETS; v++) quantiseRow(columns.subarray(v * width, (v + 1) * width), table, rowScale, v);
  const facts = DENSE_FACTS.length;
  const weights: NgramWeights = {
    directions: width,
    table,
    rowScale,
    unknownGrams: unknownGrams(features, minTexts),
    ...(words && { words }),
    mean: new Float32Array(facts),
    scale: new Float32Array(facts).fill(1),
  };
  standardise(weights, features);
  return weights;
}

/** Standard deviation of each column times √n: what singular values are to the other directions. */
function spreadOf(projected: Float32Array, n: number, r: number): Float64Array {
  return Float64Array.from({ length: r }, (_, j) => {
    let sum = 0;
    let square = 0;
    for (let i = 0; i < n; i++) {
      sum += projected[i * r + j]!;
      square += projected[i * r + j]! ** 2;
    }
    return Math.sqrt(Math.max(0, square - (sum * sum) / n));
  });
}

/**
 * Word vectors as the encoder holds them: less their mean over the training texts, and in such a unit that the
 * coordinates of a text have a mean square of 1.
 */
function centredWords(
  { dimension, hashes, frequency, table, rowScale }: WordVectors,
  texts: readonly string[],
): WordTable {
  const n = hashes.length + 1;
  const vectors = new Float32Array(n * dimension);
  for (let v = 1; v < n; v++) {
    for (let j = 0; j < dimension; j++) {
      vectors[v * dimension + j] = rowScale[v - 1]! * table[(v - 1) * dimension + j]!;
    }
  }
  const words: WordTable = {
    dimension,
    hashes: Float32Array.from({ length: n }, (_, v) => (v === NO_WORD ? -1 : hashes[v - 1]!)),
    weight: Float32Array.from({ length: n }, (_, v) => (v === NO_WORD ? 1 : COMMON / (COMMON + frequency[v - 1]!))),
    table: new Int8Array(n * dimension),
    rowScale: new Float32Array(n),
  };
  const vocabulary = new Vocabulary(words.hashes);
  const mean = new Float64Array(dimension);
  const pooled = texts.map((text) => {
    const sum = new Float64Array(dimension);
    let total = 0;
    for (const v of ngramFeatures(text, vocabulary).words) {
      if (v === NO_WORD) continue;
      total += words.weight[v]!;
      for (let j = 0; j < dimension; j++) sum[j]! += words.weight[v]! * vectors[v * dimension + j]!;
    }
    for (let j = 0; j < dimension; j++) mean[j]! += sum[j]! / (total || 1) / texts.length;
    return { sum, total };
  });
  let squares = 0;
  for (const { sum, total } of pooled) {
    for (let j = 0; j < dimension; j++) squares += ((sum[j]! - total * mean[j]!) / (1 + total)) ** 2;
  }
  const unit = squares > 0 ? Math.sqrt((texts.length * dimension) / squares) : 0;
  for (let v = 1; v < n; v++) {
    const row = Float64Array.from(mean, (m, j) => unit * (vectors[v * dimension + j]! - m));
    quantiseRow(row, words.table, words.rowScale, v);
  }
  return words;
}

/** Sets mean and scale of the facts from the training texts. */
function standardise(weights: NgramWeights, features: readonly NgramFeatures[]): void {
  const n = features.length;
  for (let j = 0; j < DENSE_FACTS.length; j++) {
    let sum = 0;
    let square = 0;
    for (const { dense } of features) {
      sum += dense[j]!;
      square += dense[j]! ** 2;
    }
    const mean = sum / n;
    const sd = Math.sqrt(Math.max(0, square / n - mean * mean));
    weights.mean[j] = mean;
    weights.scale[j] = sd > 1e-6 ? 1 / sd : 0;
  }
}

/** 1 for each character 4-gram that fewer than `minTexts` of the texts have. */
function unknownGrams(features: readonly NgramFeatures[], minTexts: number): Int8Array {
  const texts = new Int32Array(GRAM_BUCKETS + 1);
  for (const { grams } of features) for (const gram of grams) texts[gram]!++;
  texts[NO_GRAM] = minTexts; // a text without words is not foreign for that
  return Int8Array.from(texts, (count) => (count < minTexts ? 1 : 0));
}

/** n texts → n × d by the reference implementation: the same bytes on every machine. */
export function encodeAll(weights: NgramWeights, texts: readonly string[]): Float32Array {
  const d = ngramDimension(weights);
  const vocabulary = weights.words && new Vocabulary(weights.words.hashes);
  const out = new Float32Array(texts.length * d);
  texts.forEach((t, i) => {
    encodeNgrams(weights, ngramFeatures(t, vocabulary), out, i * d);
  });
  return out;
}
