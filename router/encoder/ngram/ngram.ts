/**
 * The shipped encoder: hashed n-grams, word vectors and dense facts → z, one small ONNX graph.
 *
 *     z = [ Σ_l w_l · table[id_l] , Σ_v s_v · vector[v] / (1 + Σ_v s_v) , clip((facts − mean) · scale) , −unknown ]
 *
 * The table holds directions of a corpus learned without outcomes (`training/ngram-encoder.ts`); the sums over v run
 * over the distinct known words of the text, weighted by how rare they are; `unknown` is the share of the text's
 * character 4-grams that the corpus did not have: high in other languages and in noise, and small beside the rest.
 */
import { createHash } from 'node:crypto';
import { GraphBuilder } from '../../onnx/graph.ts';
import { joinModels } from '../../onnx/join.ts';
import { type Feed, openSession, type Session } from '../../onnx/session.ts';
import type { Encoder } from '../encoder.ts';
import { DENSE_FACTS } from './facts.ts';
import { BUCKETS, GRAM_BUCKETS, type NgramFeatures, type NO_WORD, ngramFeatures, Vocabulary } from './features.ts';

/** What is learned: everything that the graph holds. */
export interface NgramWeights {
  /** r, directions. */
  readonly directions: number;
  /** V × r, quantised; row v stands for `table[v] · rowScale[v]`. */
  readonly table: Int8Array;
  readonly rowScale: Float32Array;
  /** Length {@link GRAM_BUCKETS} + 1: 1 for a character 4-gram that the corpus did not have, else 0. */
  readonly unknownGrams: Int8Array;
  /** Word vectors; an encoder may do without. */
  readonly words?: WordTable;
  /** Mean and 1 / standard deviation of each dense fact. */
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

/** Vectors of N words, 0 being {@link NO_WORD}; centred, so that a text without known words comes to 0. */
export interface WordTable {
  /** Length of a vector. */
  readonly dimension: number;
  /** Length N, {@link wordHash} of each word; −1 for no word. */
  readonly hashes: Float32Array;
  /** N × dimension, quantised as `table` is. */
  readonly table: Int8Array;
  readonly rowScale: Float32Array;
  /**
   * Length N, weight of each word in (0, 1], smaller for frequent words.
   * @see Arora, Liang & Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017
   */
  readonly weight: Float32Array;
}

/** A standardised fact further out than this counts as this far. */
export const FACT_LIMIT = 4;

/** d: directions, then word coordinates, dense facts, and how much of the text is known. */
export const ngramDimension = (weights: Pick<NgramWeights, 'directions' | 'words'>): number =>
  weights.directions + (weights.words?.dimension ?? 0) + DENSE_FACTS.length + 1;

/** Reference implementation of the graph. Writes d numbers at `out[at]`. */
export function encodeNgrams(weights: NgramWeights, f: NgramFeatures, out: Float32Array, at: number): void {
  const r = weights.directions;
  const acc = new Float64Array(r);
  for (let l = 0; l < f.ids.length; l++) {
    const id = f.ids[l]!;
    const w = f.weights[l]! * weights.rowScale[id]!;
    for (let j = 0; j < r; j++) acc[j]! += w * weights.table[id * r + j]!;
  }
  out.set(acc, at);
  let to = at + r;
  if (weights.words !== undefined) {
    const pooled = poolWords(weights.words, f.words);
    out.set(pooled, to);
    to += pooled.length;
  }
  const facts = DENSE_FACTS.length;
  for (let j = 0; j < facts; j++) {
    out[to + j] = Math.min(FACT_LIMIT, Math.max(-FACT_LIMIT, (f.dense[j]! - weights.mean[j]!) * weights.scale[j]!));
  }
  out[to + facts] = -unknownShare(weights, f);
}

/** Share of a text's character 4-grams that the corpus did not have. */
function unknownShare({ unknownGrams }: Pick<NgramWeights, 'unknownGrams'>, { grams }: NgramFeatures): number {
  let unknown = 0;
  for (const gram of grams) unknown += unknownGrams[gram]!;
  return unknown / grams.length;
}

/** Weighted mean of the words' vectors, drawn to 0 as if by one more word: few words say little. */
function poolWords({ dimension, table, rowScale, weight }: WordTable, rows: Int32Array): Float64Array {
  const sum = new Float64Array(dimension);
  let total = 1;
  for (const v of rows) {
    const w = weight[v]!;
    total += w;
    for (let j = 0; j < dimension; j++) sum[j]! += w * rowScale[v]! * table[v * dimension + j]!;
  }
  return sum.map((x) => x / total);
}

/**
 * The graph: ids int32 [L], weights float [L], grams int32 [G], dense float [1, D], with word vectors words
 * int32 [W] → z [1, d], and beside it the constant `vocabulary` [N], the hashes of the word table.
 */
export function ngramGraph(weights: NgramWeights): Uint8Array {
  const r = weights.directions;
  const facts = DENSE_FACTS.length;
  const g = new GraphBuilder('ngram-encoder');
  const ids = g.input('ids', 'int32', ['L']);
  const w = g.input('weights', 'float', ['L']);
  const grams = g.input('grams', 'int32', ['G']);
  const dense = g.op('Reshape', [g.input('dense', 'float', [1, facts]), g.constant(BigInt64Array.of(-1n), [1])]);
  const scales = g.op('Gather', [g.constant(weights.rowScale, [BUCKETS]), ids]);
  const rows = g.op('Cast', [g.op('Gather', [g.constant(weights.table, [BUCKETS, r]), ids])], { to: 1 });
  const parts = [g.op('MatMul', [g.op('Mul', [w, scales]), rows])];
  if (weights.words !== undefined) {
    const { dimension, hashes, table, rowScale, weight } = weights.words;
    const n = hashes.length;
    const words = g.input('words', 'int32', ['W']);
    const steps = g.op('Gather', [
      g.constant(
        Float32Array.from(weight, (x, v) => x * rowScale[v]!),
        [n],
      ),
      words,
    ]);
    const vectors = g.op('Cast', [g.op('Gather', [g.constant(table, [n, dimension]), words])], { to: 1 });
    const total = g.op('ReduceSum', [g.op('Gather', [g.constant(weight, [n]), words])]);
    parts.push(g.op('Div', [g.op('MatMul', [steps, vectors]), g.op('Add', [total, g.scalar(1)])]));
    g.output('vocabulary', g.constant(hashes, [n]), [n]);
  }
  const column = (values: Float32Array): string => g.constant(values, [facts]);
  const standard = g.op('Mul', [g.op('Sub', [dense, column(weights.mean)]), column(weights.scale)]);
  parts.push(g.op('Min', [g.op('Max', [standard, g.scalar(-FACT_LIMIT)]), g.scalar(FACT_LIMIT)]));
  const unseen = g.op('Gather', [g.constant(weights.unknownGrams, [GRAM_BUCKETS + 1]), grams]);
  parts.push(g.op('Neg', [g.op('ReduceMean', [g.op('Cast', [unseen], { to: 1 })])]));
  const shape = g.constant(BigInt64Array.of(1n, -1n), [2]);
  g.output('z', g.op('Reshape', [g.op('Concat', parts, { axis: 0 }), shape], {}, 'z'), [1, ngramDimension(weights)]);
  return g.build();
}

/** Names an encoder by its content. */
export const encoderIdOf = (model: Uint8Array): string =>
  `ngram-${createHash('sha256').update(model).digest('hex').slice(0, 16)}`;

export interface NgramEncoder extends Encoder {
  /** With heads only: one text → its embedding, and what the heads' output `all` says of it. */
  predict(text: string): Promise<{ embedding: Float32Array; all: Float32Array }>;
}

/**
 * Loads the encoder from its ONNX file.
 * @param heads the ONNX file of heads to run in the same session
 * @throws `ARTIFACT_DAMAGED`
 */
export async function openNgramEncoder(model: Uint8Array, heads?: Uint8Array): Promise<NgramEncoder> {
  const session = await openSession(heads === undefined ? model : joinModels(model, heads, 'z'), 'encoder.onnx');
  const hashes = session.outputs.includes('vocabulary') ? await session.run(feedsOf(session, ''), ['vocabulary']) : {};
  const vocabulary = hashes.vocabulary && new Vocabulary(hashes.vocabulary);
  const encodeOne = async (text: string): Promise<Float32Array> => {
    const { z } = await session.run(feedsOf(session, text, vocabulary), ['z']);
    return z!;
  };
  const dimension = (await encodeOne('')).length;
  return {
    id: encoderIdOf(model),
    dimension,
    knownCoordinate: dimension - 1,
    async predict(text) {
      const { z, all } = await session.run(feedsOf(session, text, vocabulary), ['z', 'all']);
      return { embedding: z!, all: all! };
    },
    async encode(texts) {
      const out = new Float32Array(texts.length * dimension);
      for (const [i, text] of texts.entries()) out.set(await encodeOne(text), i * dimension);
      return out;
    },
  };
}

function feedsOf(session: Session, text: string, vocabulary?: Vocabulary): Record<string, Feed> {
  const { dense, ...lists } = ngramFeatures(text, vocabulary);
  // An encoder fitted before some facts were added has inputs for the first of them.
  const facts = session.inputs.dense?.[1];
  const known = typeof facts === 'number' ? dense.subarray(0, facts) : dense;
  const feeds: Record<string, Feed> = { dense: { data: known, dims: [1, known.length] } };
  for (const name of ['ids', 'weights', 'grams', 'words'] as const) {
    if (session.inputs[name] !== undefined) feeds[name] = { data: lists[name], dims: [lists[name].length] };
  }
  return feeds;
}
