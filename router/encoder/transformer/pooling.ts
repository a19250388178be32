/**
 * Token vectors → one vector, in the ways that sentence-transformers models are made for.
 * @see Reimers & Gurevych, "Sentence-BERT", EMNLP 2019; the `Pooling` module of sentence-transformers
 */

/** In the order in which their results are joined where a model uses several. */
export const POOLINGS = ['cls', 'max', 'mean', 'mean_sqrt_len_tokens', 'weightedmean', 'lasttoken'] as const;
export type Pooling = (typeof POOLINGS)[number];

/**
 * @param tokens   L × h, row-major, L ≥ 1; no padding among them
 * @param width    h
 * @param poolings at least one
 * @returns h numbers for each pooling, one after the other
 */
export function pool(tokens: Float32Array, width: number, poolings: readonly Pooling[]): Float32Array {
  const out = new Float32Array(width * poolings.length);
  for (const [i, pooling] of poolings.entries()) out.set(POOL[pooling](tokens, width), i * width);
  return out;
}

const POOL: Record<Pooling, (tokens: Float32Array, width: number) => ArrayLike<number>> = {
  cls: (tokens, width) => tokens.subarray(0, width),
  lasttoken: (tokens, width) => tokens.subarray(tokens.length - width),
  max(tokens, width) {
    const out = tokens.slice(0, width);
    for (let i = width; i < tokens.length; i++) out[i % width] = Math.max(out[i % width]!, tokens[i]!);
    return out;
  },
  mean: (tokens, width) => weightedSum(tokens, width, () => width / tokens.length),
  mean_sqrt_len_tokens: (tokens, width) => weightedSum(tokens, width, () => Math.sqrt(width / tokens.length)),
  /** A token weighs its position, 1 … L: in a model that reads left to right, later ones have seen more. */
  weightedmean(tokens, width) {
    const count = tokens.length / width;
    return weightedSum(tokens, width, (row) => (row + 1) / ((count * (count + 1)) / 2));
  },
};

function weightedSum(tokens: Float32Array, width: number, weight: (row: number) => number): Float64Array {
  const out = new Float64Array(width);
  for (let at = 0; at < tokens.length; at += width) {
    const w = weight(at / width);
    for (let j = 0; j < width; j++) out[j]! += w * tokens[at + j]!;
  }
  return out;
}

/** Scaled to length 1, in place; a vector of zeros stays as it is. */
export function normalise(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const v of vector) squares += v * v;
  if (squares === 0) return vector;
  const scale = 1 / Math.sqrt(squares);
  for (let j = 0; j < vector.length; j++) vector[j]! *= scale;
  return vector;
}
