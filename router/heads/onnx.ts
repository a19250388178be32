/** Heads as an ONNX graph: z [n, d] → logits, qualitySd, logTokens [n, m], difficulty, outOfDomain [n, 1]. */
import { GraphBuilder } from '../onnx/graph.ts';
import { type Heads, meanLoadings } from './heads.ts';

export function headsGraph(heads: Heads): Uint8Array {
  const { dimension: d, regions, factors, domain, tokens } = heads;
  const m = heads.modelIds.length;
  const k = factors.count;
  const w = k + 1;
  const g = new GraphBuilder('heads');
  const z = g.input('z', 'float', ['n', d]);
  const rowAxis = g.constant(BigInt64Array.of(1n), [1]);

  // Distance: 1 − cosine with the nearest centre; a z of zeros is at 1.
  const c = domain.centres.length / d;
  const norm = g.op('Sqrt', [g.op('MatMul', [g.op('Mul', [z, z]), ones(g, d)])]);
  const unit = g.op('Div', [z, g.op('Max', [norm, g.scalar(1e-12)])]);
  const cosines = g.op('MatMul', [unit, g.constant(transposed(domain.centres, c, d), [d, c])]);
  const distance = g.op('Sub', [g.scalar(1), g.op('ReduceMax', [cosines], { axes: [1], keepdims: 1 })]);
  const fading = g.op('Mul', [g.op('Sub', [g.scalar(domain.far), distance]), g.scalar(1 / (domain.far - domain.near))]);
  const near = g.op('Min', [g.op('Max', [fading, g.scalar(0)]), g.scalar(1)]);
  const inDomain = domain.known === null ? near : g.op('Min', [near, knownRatio(g, z, d, domain.known)]);
  g.output('outOfDomain', g.op('Sub', [g.constant(Float32Array.of(1), [1, 1]), inDomain]), ['n', 1]);

  const linear = (
    from: string,
    width: number,
    weights: Float64Array,
    bias: Float64Array,
    count: number,
    low: Float32Array,
    high: Float32Array,
  ): string => {
    const raw = g.op('Add', [
      g.op('MatMul', [from, g.constant(transposed(weights, count, width), [width, count])]),
      g.constant(Float32Array.from(bias), [1, count]),
    ]);
    const clipped = g.op('Min', [g.op('Max', [raw, g.constant(low, [1, count])]), g.constant(high, [1, count])]);
    return g.op('Mul', [clipped, inDomain]);
  };
  const low = Float32Array.from({ length: k }, (_, f) => factors.limits[f * 2]!);
  const high = Float32Array.from({ length: k }, (_, f) => factors.limits[f * 2 + 1]!);
  const b = regions.names.length;
  const input = b === 0 ? z : g.op('Concat', [z, regionShares(g, z, d, regions)], { axis: 1 });
  const f = linear(input, d + b, factors.weights, factors.bias, k, low, high);
  const one = g.op('Add', [g.op('Mul', [inDomain, g.scalar(0)]), g.scalar(1)]);
  const x = g.op('Concat', [one, f], { axis: 1 });
  g.output('logits', g.op('MatMul', [x, g.constant(transposed(heads.rows, m, w), [w, m])]), ['n', m]);

  const average = meanLoadings(heads);
  const first = g.op('MatMul', [
    f,
    g.constant(
      Float32Array.from(average, (l) => -l),
      [k, 1],
    ),
  ]);
  g.output('difficulty', first, ['n', 1]);

  // Var(x · row) = Σ_ab x_a x_b Σ_ab, and the factors' own error grows with the distance from the training prompts.
  const pairs = g.op('Reshape', [
    g.op('MatMul', [g.op('Unsqueeze', [x, g.constant(BigInt64Array.of(2n), [1])]), g.op('Unsqueeze', [x, rowAxis])]),
    g.constant(BigInt64Array.of(-1n, BigInt(w * w)), [2]),
  ]);
  const rowVariance = g.op('MatMul', [pairs, g.constant(transposed(heads.covariance, m, w * w), [w * w, m])]);
  const factorVariance = Float32Array.from({ length: m }, (_, j) => {
    let v = 0;
    for (let a = 1; a < w; a++) v += heads.rows[j * w + a]! ** 2 * factors.variance[a - 1]!;
    return v;
  });
  const remote = g.op('Max', [g.op('Mul', [distance, g.scalar(1 / domain.typical)]), g.scalar(1)]);
  const variance = g.op('Add', [rowVariance, g.op('MatMul', [remote, g.constant(factorVariance, [1, m])])]);
  const p = g.op('Sigmoid', ['logits']);
  const spread = g.op('Mul', [p, g.op('Sub', [g.scalar(1), p])]);
  const sd = g.op('Mul', [spread, g.op('Sqrt', [g.op('Max', [variance, g.scalar(0)])])]);
  g.output('qualitySd', g.op('Min', [sd, g.scalar(0.5)]), ['n', m]);

  const length = linear(
    z,
    d,
    tokens.weights,
    Float64Array.of(tokens.bias),
    1,
    Float32Array.of(tokens.limits[0]),
    Float32Array.of(tokens.limits[1]),
  );
  const slopes = Float32Array.from({ length: m }, (_, j) => tokens.rows[j * 2 + 1]!);
  const intercepts = Float32Array.from({ length: m }, (_, j) => tokens.rows[j * 2]! + tokens.logSmear[j]!);
  g.output(
    'logTokens',
    g.op('Add', [g.op('MatMul', [length, g.constant(slopes, [1, m])]), g.constant(intercepts, [1, m])]),
    ['n', m],
  );
  return g.build();
}

/** How far the known share lies below what training prompts had: 1 within the limit, limit / value beyond it. */
function knownRatio(g: GraphBuilder, z: string, d: number, known: NonNullable<Heads['domain']['known']>): string {
  const selector = new Float32Array(d);
  selector[known.coordinate] = 1;
  const value = g.op('MatMul', [z, g.constant(selector, [d, 1])]);
  const limit = Math.min(-1e-6, known.limit);
  const low = g.op('Min', [value, g.constant(Float32Array.of(limit), [1, 1])]);
  return g.op('Div', [g.constant(Float32Array.of(limit), [1, 1]), low]);
}

function regionShares(g: GraphBuilder, z: string, d: number, regions: Heads['regions']): string {
  const b = regions.names.length;
  const logits = g.op('Add', [
    g.op('MatMul', [z, g.constant(transposed(regions.weights, b, d), [d, b])]),
    g.constant(Float32Array.from(regions.bias), [1, b]),
  ]);
  return g.op('Softmax', [logits], { axis: 1 });
}

const ones = (g: GraphBuilder, d: number): string => g.constant(new Float32Array(d).fill(1), [d, 1]);

function transposed(a: Float64Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j]!;
  return out;
}
