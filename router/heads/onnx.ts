/** Heads as an ONNX graph: z [n, d] → logits, qualitySd, logTokens [n, m], difficulty, outOfDomain [n, 1], and `all` of them. */
import { GraphBuilder } from '../onnx/graph.ts';
import { type Heads, meanLoadings } from './heads.ts';

/**
 * Few operators, wide ones: for one prompt each costs a microsecond, whatever it works on. So what is linear in z is one
 * product, and what is linear in the factors another.
 */
export function headsGraph(heads: Heads): Uint8Array {
  const { dimension: d, regions, factors, domain, tokens } = heads;
  const m = heads.modelIds.length;
  const k = factors.count;
  const b = regions.names.length;
  const c = domain.centres.length / d;
  const g = new GraphBuilder('heads');
  const z = g.input('z', 'float', ['n', d]);
  const row = (values: ArrayLike<number>): string => g.constant(Float32Array.from(values), [1, values.length]);

  const { known } = domain;
  const parts = [
    { rows: domain.centres, bias: new Float64Array(c) },
    { rows: regions.weights, bias: regions.bias },
    { rows: ofEmbedding(factors.weights, k, d, b), bias: factors.bias },
    { rows: tokens.weights, bias: Float64Array.of(tokens.bias) },
    ...(known ? [{ rows: unitVector(d, known.coordinate), bias: new Float64Array(1) }] : []),
  ].filter(({ bias }) => bias.length > 0);
  const rows = Float64Array.from(parts.flatMap((part) => [...part.rows]));
  const bias = parts.flatMap((part) => [...part.bias]);
  const linear = g.op('Add', [
    g.op('MatMul', [z, g.constant(transposed(rows, bias.length, d), [d, bias.length])]),
    row(bias),
  ]);
  const widths = [c, ...(b > 0 ? [b] : []), k + 1, ...(known ? [1] : [])];
  const columns = g.columns(linear, widths);
  const fromZ = columns[b > 0 ? 2 : 1]!;

  // Distance: 1 − cosine with the nearest centre; a z of zeros is at 1.
  const norm = g.op('Max', [g.op('ReduceL2', [z], { axes: [1], keepdims: 1 }), g.scalar(1e-12)]);
  const cosine = g.op('Div', [g.op('ReduceMax', [columns[0]!], { axes: [1], keepdims: 1 }), norm]);
  const distance = g.op('Sub', [g.scalar(1), cosine]);
  const fading = g.op('Mul', [g.op('Sub', [g.scalar(domain.far), distance]), g.scalar(1 / (domain.far - domain.near))]);
  const near = g.op('Min', [g.op('Max', [fading, g.scalar(0)]), g.scalar(1)]);
  const inDomain = known === null ? near : g.op('Min', [near, knownRatio(g, columns.at(-1)!, known.limit)]);
  g.output('outOfDomain', g.op('Sub', [g.scalar(1), inDomain], {}, 'outOfDomain'), ['n', 1]);

  const raw = b === 0 ? fromZ : g.op('Add', [fromZ, regionEffects(g, columns[1]!, factors, d, b)]);
  const limits = [...Array.from({ length: k }, (_, f) => factors.limits.subarray(f * 2, f * 2 + 2)), tokens.limits];
  const clipped = g.op('Min', [
    g.op('Max', [raw, row(limits.map(([low]) => low!))]),
    row(limits.map(([, high]) => high!)),
  ]);
  const one = g.op('Max', [inDomain, g.scalar(1)]);
  // x: 1, K factors, length.
  const x = g.op('Concat', [one, g.op('Mul', [clipped, inDomain])], { axis: 1 });
  const predicted = g.op('MatMul', [x, g.constant(outputRows(heads), [k + 2, 2 * m + 1])]);
  g.columns(predicted, [m, m, 1], ['logits', 'logTokens', 'difficulty']);
  g.output('logits', 'logits', ['n', m]);
  g.output('logTokens', 'logTokens', ['n', m]);
  g.output('difficulty', 'difficulty', ['n', 1]);

  const remote = g.op('Max', [g.op('Mul', [distance, g.scalar(1 / domain.typical)]), g.scalar(1)]);
  const variance = rowVariance(g, heads, x, remote);
  const p = g.op('Sigmoid', ['logits']);
  const spread = g.op('Mul', [p, g.op('Sub', [g.scalar(1), p])]);
  const sd = g.op('Mul', [spread, g.op('Sqrt', [g.op('Max', [variance, g.scalar(0)])])]);
  g.output('qualitySd', g.op('Min', [sd, g.scalar(0.5)], {}, 'qualitySd'), ['n', m]);
  g.output('all', g.op('Concat', [predicted, 'qualitySd', 'outOfDomain'], { axis: 1 }, 'all'), ['n', 3 * m + 2]);
  return g.build();
}

/** The output `all` of one prompt, 3 m + 2 values: to fetch one output costs half of what fetching five does. */
export function unpackHeads(all: Float32Array) {
  const m = (all.length - 2) / 3;
  return {
    logits: all.subarray(0, m),
    logTokens: all.subarray(m, 2 * m),
    difficulty: all[2 * m]!,
    qualitySd: all.subarray(2 * m + 1, 3 * m + 1),
    outOfDomain: all[3 * m + 1]!,
  };
}

/** What regions add to each factor, and nothing to the length. */
function regionEffects(g: GraphBuilder, logits: string, factors: Heads['factors'], d: number, b: number): string {
  const k = factors.count;
  const weights = new Float32Array(b * (k + 1));
  for (let f = 0; f < k; f++) {
    for (let r = 0; r < b; r++) weights[r * (k + 1) + f] = factors.weights[f * (d + b) + d + r]!;
  }
  return g.op('MatMul', [g.op('Softmax', [logits], { axis: 1 }), g.constant(weights, [b, k + 1])]);
}

/** (K + 2) × (2 m + 1): x → logits, log tokens, difficulty. */
function outputRows(heads: Heads): Float32Array {
  const { tokens, factors } = heads;
  const m = heads.modelIds.length;
  const k = factors.count;
  const width = 2 * m + 1;
  const out = new Float32Array((k + 2) * width);
  for (let j = 0; j < m; j++) {
    for (let a = 0; a <= k; a++) out[a * width + j] = heads.rows[j * (k + 1) + a]!;
    out[m + j] = tokens.rows[j * 2]! + tokens.logSmear[j]!;
    out[(k + 1) * width + m + j] = tokens.rows[j * 2 + 1]!;
  }
  meanLoadings(heads).forEach((l, f) => {
    out[(f + 1) * width + 2 * m] = -l;
  });
  return out;
}

/**
 * Var(x · row) = Σ_ab x_a x_b Σ_ab over the K + 1 first of x, and the factors' own error, which grows with the distance
 * from the training prompts.
 */
function rowVariance(g: GraphBuilder, heads: Heads, x: string, remote: string): string {
  const m = heads.modelIds.length;
  const w = heads.factors.count + 1;
  const pairs: [number, number][] = [];
  for (let a = 0; a < w; a++) for (let b = a; b < w; b++) pairs.push([a, b]);
  const pick = (side: 0 | 1): string => {
    const selector = new Float32Array((w + 1) * pairs.length);
    pairs.forEach((pair, at) => {
      selector[pair[side] * pairs.length + at] = 1;
    });
    return g.op('MatMul', [x, g.constant(selector, [w + 1, pairs.length])]);
  };
  const weights = new Float32Array((pairs.length + 1) * m);
  for (let j = 0; j < m; j++) {
    const cell = (a: number, b: number): number => heads.covariance[(j * w + a) * w + b]!;
    pairs.forEach(([a, b], at) => {
      weights[at * m + j] = a === b ? cell(a, a) : cell(a, b) + cell(b, a);
    });
    for (let a = 1; a < w; a++)
      weights[pairs.length * m + j]! += heads.rows[j * w + a]! ** 2 * heads.factors.variance[a - 1]!;
  }
  const terms = g.op('Concat', [g.op('Mul', [pick(0), pick(1)]), remote], { axis: 1 });
  return g.op('MatMul', [terms, g.constant(weights, [pairs.length + 1, m])]);
}

/** How far the known share lies below what training prompts had: 1 within the limit, limit / value beyond it. */
function knownRatio(g: GraphBuilder, value: string, knownLimit: number): string {
  const limit = g.scalar(Math.min(-1e-6, knownLimit));
  return g.op('Div', [limit, g.op('Min', [value, limit])]);
}

/** K × d of K × (d + B): the weights of z alone. */
const ofEmbedding = (weights: Float64Array, k: number, d: number, b: number): Float64Array =>
  Float64Array.from({ length: k * d }, (_, at) => weights[Math.floor(at / d) * (d + b) + (at % d)]!);

const unitVector = (d: number, at: number): Float64Array => new Float64Array(d).with(at, 1);

function transposed(a: Float64Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j]!;
  return out;
}
