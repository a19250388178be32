/** Fits the n-gram encoder on texts alone: directions by LSA, dense facts standardised. Uses no outcome. */
import { DENSE_FACTS } from '../encoder/ngram/facts.ts';
import { BUCKETS, type NgramFeatures, ngramFeatures } from '../encoder/ngram/features.ts';
import { encodeNgrams, type NgramWeights, ngramDimension } from '../encoder/ngram/ngram.ts';
import { inverseFrequency, sparseRows, truncatedSvd } from './lsa.ts';

/** r: 64 held .33 of shared ease out of fold against .34 for 192, at a third of the table (README). */
const DIRECTIONS = 64;
/** An n-gram in fewer texts than this is unknown: it could teach nothing that another text might use. */
const MIN_TEXTS = 3;

/**
 * @param texts   training texts; at least a few hundred for the directions to mean something
 * @param options progress is told in [0, 1]
 */
export function fitNgramEncoder(
  texts: readonly string[],
  options: { seed: number; directions?: number; minTexts?: number; onProgress?: (share: number) => void },
): NgramWeights {
  const features = texts.map((t) => ngramFeatures(t));
  const n = texts.length;
  const r = Math.min(options.directions ?? DIRECTIONS, Math.max(1, n - 1));
  const x = sparseRows(features, BUCKETS);
  const idf = inverseFrequency(x, Math.min(options.minTexts ?? MIN_TEXTS, n));
  for (let k = 0; k < x.columns.length; k++) x.values[k]! *= idf[x.columns[k]!]!;
  const svd = truncatedSvd(x, r, options.seed, { onPass: (done, of) => options.onProgress?.(done / of) });

  // A direction's scale: unit variance would call them all alike, raw scores bury the later ones; between the two.
  const scale = Float64Array.from({ length: r }, (_, j) => {
    const s = svd.values[j]!;
    return s > 0 ? (Math.sqrt(n) / s) * Math.sqrt(s / svd.values[Math.min(1, r - 1)]!) : 0;
  });
  const table = new Int8Array(BUCKETS * r);
  const rowScale = new Float32Array(BUCKETS);
  for (let v = 0; v < BUCKETS; v++) {
    if (idf[v] === 0) continue;
    let peak = 0;
    for (let j = 0; j < r; j++) peak = Math.max(peak, Math.abs(idf[v]! * svd.v[v * r + j]! * scale[j]!));
    rowScale[v] = Math.max(peak, 1e-12) / 127;
    for (let j = 0; j < r; j++) table[v * r + j] = Math.round((idf[v]! * svd.v[v * r + j]! * scale[j]!) / rowScale[v]!);
  }
  const facts = DENSE_FACTS.length + 1;
  const weights: NgramWeights = {
    directions: r,
    table,
    rowScale,
    mean: new Float32Array(facts),
    scale: new Float32Array(facts).fill(1),
  };
  standardise(weights, features);
  return weights;
}

/** Sets mean and scale of the facts (and of `known`) from the training texts. */
function standardise(weights: NgramWeights, features: readonly NgramFeatures[]): void {
  const facts = DENSE_FACTS.length;
  const sum = new Float64Array(facts + 1);
  const square = new Float64Array(facts + 1);
  for (const f of features) {
    for (let j = 0; j <= facts; j++) {
      const v = j < facts ? f.dense[j]! : knownShare(weights, f);
      sum[j]! += v;
      square[j]! += v * v;
    }
  }
  const n = features.length;
  for (let j = 0; j <= facts; j++) {
    const mean = sum[j]! / n;
    const sd = Math.sqrt(Math.max(0, square[j]! / n - mean * mean));
    weights.mean[j] = mean;
    weights.scale[j] = sd > 1e-6 ? 1 / sd : 0;
  }
}

function knownShare(weights: NgramWeights, f: NgramFeatures): number {
  let known = 0;
  let total = 0;
  f.ids.forEach((id, l) => {
    total += f.weights[l]!;
    if (weights.rowScale[id]! > 0) known += f.weights[l]!;
  });
  return known / total;
}

/** n texts → n × d by the reference implementation: the same bytes on every machine. */
export function encodeAll(weights: NgramWeights, texts: readonly string[]): Float32Array {
  const d = ngramDimension(weights.directions);
  const out = new Float32Array(texts.length * d);
  texts.forEach((t, i) => {
    encodeNgrams(weights, ngramFeatures(t), out, i * d);
  });
  return out;
}
