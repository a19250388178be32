/**
 * The shipped encoder: hashed n-grams and dense facts → z, one small ONNX graph.
 *
 *     z = [ (Σ_l w_l · table[id_l]) , clip((facts − mean) · scale) , known ]
 *
 * The table holds directions of a corpus learned without labels (`training/ngram-encoder.ts`);
 * `known` says how much of the text's n-grams that corpus had.
 */
import { createHash } from 'node:crypto';
import { GraphBuilder } from '../../onnx/graph.ts';
import { openSession, type Session } from '../../onnx/session.ts';
import type { Encoder } from '../encoder.ts';
import { DENSE_FACTS } from './facts.ts';
import { BUCKETS, type NgramFeatures, ngramFeatures } from './features.ts';

/** What is learned: everything that the graph holds. */
export interface NgramWeights {
  /** r, directions. */
  readonly directions: number;
  /** V × r, quantised; row v stands for `table[v] · rowScale[v]`. A row of zeros is an n-gram never seen. */
  readonly table: Int8Array;
  readonly rowScale: Float32Array;
  /** Mean and 1 / standard deviation of each dense fact, and of `known` (last). */
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

/** A standardised fact further out than this counts as this far; `known` may go further, to tell foreign text. */
export const FACT_LIMIT = 4;
const KNOWN_LIMIT = 20;

/** d of an encoder with r directions. */
export const ngramDimension = (directions: number): number => directions + DENSE_FACTS.length + 1;

/** Reference implementation of the graph. Writes d numbers at `out[at]`. */
export function encodeNgrams(weights: NgramWeights, f: NgramFeatures, out: Float32Array, at: number): void {
  const r = weights.directions;
  const acc = new Float64Array(r);
  let total = 0;
  let known = 0;
  for (let l = 0; l < f.ids.length; l++) {
    const id = f.ids[l]!;
    const w = f.weights[l]!;
    const scale = weights.rowScale[id]!;
    total += w;
    if (scale === 0) continue;
    known += w;
    for (let j = 0; j < r; j++) acc[j]! += w * scale * weights.table[id * r + j]!;
  }
  out.set(acc, at);
  const facts = DENSE_FACTS.length;
  for (let j = 0; j <= facts; j++) {
    const v = j < facts ? f.dense[j]! : known / total;
    const limit = j < facts ? FACT_LIMIT : KNOWN_LIMIT;
    out[at + r + j] = Math.min(limit, Math.max(-limit, (v - weights.mean[j]!) * weights.scale[j]!));
  }
}

/** The graph: ids int32 [L], weights float [L], dense float [1, D] → z [1, d]. */
export function ngramGraph(weights: NgramWeights): Uint8Array {
  const r = weights.directions;
  const facts = DENSE_FACTS.length;
  const g = new GraphBuilder('ngram-encoder');
  const ids = g.input('ids', 'int32', ['L']);
  const w = g.input('weights', 'float', ['L']);
  const dense = g.input('dense', 'float', [1, facts]);
  const scales = g.op('Gather', [g.constant(weights.rowScale, [BUCKETS]), ids]);
  const rows = g.op('Cast', [g.op('Gather', [g.constant(weights.table, [BUCKETS, r]), ids])], { to: 1 });
  const rowShape = g.constant(BigInt64Array.of(1n, -1n), [2]);
  const columnShape = g.constant(BigInt64Array.of(-1n, 1n), [2]);
  const asRow = g.op('Reshape', [w, rowShape]);
  const pooled = g.op('MatMul', [g.op('Reshape', [g.op('Mul', [w, scales]), rowShape]), rows]);
  const seen = g.op('Reshape', [g.op('Cast', [g.op('Greater', [scales, g.scalar(0)])], { to: 1 }), columnShape]);
  const ones = g.op('Add', [g.op('Mul', [seen, g.scalar(0)]), g.scalar(1)]);
  const known = g.op('Div', [g.op('MatMul', [asRow, seen]), g.op('MatMul', [asRow, ones])]);
  const facts1 = g.op('Concat', [dense, known], { axis: 1 });
  const standard = g.op('Mul', [
    g.op('Sub', [facts1, g.constant(weights.mean, [1, facts + 1])]),
    g.constant(weights.scale, [1, facts + 1]),
  ]);
  const limits = new Float32Array(facts + 1).fill(FACT_LIMIT);
  limits[facts] = KNOWN_LIMIT;
  const clipped = g.op('Min', [
    g.op('Max', [
      standard,
      g.constant(
        limits.map((l) => -l),
        [1, facts + 1],
      ),
    ]),
    g.constant(limits, [1, facts + 1]),
  ]);
  g.output('z', g.op('Concat', [pooled, clipped], { axis: 1 }), [1, ngramDimension(r)]);
  return g.build();
}

/** Names an encoder by its content. */
export const encoderIdOf = (model: Uint8Array): string =>
  `ngram-${createHash('sha256').update(model).digest('hex').slice(0, 16)}`;

/** Loads the encoder from its ONNX file. @throws `ARTIFACT_DAMAGED` */
export async function openNgramEncoder(model: Uint8Array): Promise<Encoder> {
  const session = await openSession(model, 'encoder.onnx');
  const probe = await encodeOne(session, '');
  const dimension = probe.length;
  return {
    id: encoderIdOf(model),
    dimension,
    knownCoordinate: dimension - 1,
    async encode(texts) {
      const out = new Float32Array(texts.length * dimension);
      for (const [i, text] of texts.entries()) out.set(await encodeOne(session, text), i * dimension);
      return out;
    },
  };
}

async function encodeOne(session: Session, text: string): Promise<Float32Array> {
  const f = ngramFeatures(text);
  const { z } = await session.run({
    ids: { data: f.ids, dims: [f.ids.length] },
    weights: { data: f.weights, dims: [f.ids.length] },
    dense: { data: f.dense, dims: [1, f.dense.length] },
  });
  return z!;
}
