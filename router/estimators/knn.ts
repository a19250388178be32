/**
 * k nearest neighbours by cosine of the standardised embeddings: a prompt's quality and answer length are those of
 * the training prompts most like it, drawn to the model's mean by pseudo-neighbours. How many of both is chosen on
 * the training prompts themselves, each forecast without its own group.
 * @see Hu et al., "RouterBench", 2024, arXiv 2403.12031 (k 5 to 40); Somerstep et al., "CARROT", 2025, arXiv
 *      2502.03261 (k 2 to 512, tuned); Li, "Rethinking Predictive Modeling for LLM Routing", 2025, arXiv 2505.12601
 */
import { RoutingError } from '../../datasets/index.ts';
import type { Encoder } from '../encoder/encoder.ts';
import { DEFAULT_OUTPUT_TOKENS } from '../training/fit-tokens.ts';
import { unitLength } from '../training/unit-length.ts';
import { embed } from './embed.ts';
import type { Estimator } from './estimator.ts';
import { columnMean } from './mean-quality.ts';
import { squaredError } from './squared-error.ts';
import { standardiser } from './standardise.ts';

const NEIGHBOURS = [5, 10, 20, 40, 80, 160, 320];
/** Pseudo-neighbours at the model's mean. */
const SHRINK = [3, 10, 30];

/** @param options `k` and `shrink` fix what is chosen otherwise: neighbours, and pseudo-neighbours at the mean */
export const knn = (options: { encoder: Encoder; k?: number; shrink?: number }): Estimator => ({
  name: 'knn',
  async fit({ name, prompts: rows, modelIds, quality, outputTokens }) {
    if (rows.length === 0) throw new RoutingError('EMPTY_TABLE', `${name} has no prompts, knn needs neighbours`);
    const { encoder } = options;
    const d = encoder.dimension;
    const m = modelIds.length;
    const embeddings = await embed(encoder, rows);
    const standardised = standardiser(embeddings, d);
    const z = unitLength(standardised(embeddings), d);
    const ks = (options.k === undefined ? NEIGHBOURS : [options.k]).map((k) => Math.min(k, rows.length));
    const groups = rows.map((p) => p.groupId);
    const own = nearest(z, z, d, ks.at(-1)!, (i, t) => groups[i] !== groups[t]);

    let best: { error: number; k: number; shrink: number } | undefined;
    const others = meansWithout(quality, m, groups, 0);
    for (const k of ks) {
      for (const shrink of options.shrink === undefined ? SHRINK : [options.shrink]) {
        const error = squaredError(quality, blend(quality, m, own, k, others, shrink));
        if (best === undefined || error < best.error) best = { error, k, shrink };
      }
    }
    const { k, shrink } = best!;
    const tokens = meansWithout(outputTokens, m, groups, DEFAULT_OUTPUT_TOKENS);
    const meanQuality = means(quality, m, 0);
    const meanTokens = means(outputTokens, m, DEFAULT_OUTPUT_TOKENS);
    return {
      modelIds,
      outOfFold: {
        quality: blend(quality, m, own, k, others, shrink),
        outputTokens: blend(outputTokens, m, own, k, tokens, shrink),
      },
      async predict(prompts) {
        const near = nearest(unitLength(standardised(await embed(encoder, prompts)), d), z, d, k);
        return {
          quality: blend(quality, m, near, k, meanQuality, shrink),
          outputTokens: blend(outputTokens, m, near, k, meanTokens, shrink),
        };
      },
    };
  },
});

/** Of each query the training rows most like it, nearest first. */
type Neighbours = readonly Int32Array[];

/**
 * @param queries of unit length, n × d
 * @param z       training rows of unit length
 * @param allowed which training rows t query i may have; default: all
 */
function nearest(
  queries: Float32Array,
  z: Float32Array,
  d: number,
  k: number,
  allowed: (i: number, t: number) => boolean = () => true,
): Neighbours {
  const n = z.length / d;
  const similarity = new Float64Array(n);
  const index = new Int32Array(k + 1);
  const value = new Float64Array(k + 1);
  return Array.from({ length: queries.length / d }, (_, i) => {
    similarities(queries, i * d, z, d, similarity);
    let count = 0;
    for (let t = 0; t < n; t++) {
      const s = similarity[t]!;
      if ((count === k && s <= value[k - 1]!) || !allowed(i, t)) continue;
      let low = 0;
      let high = count;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (value[middle]! >= s) low = middle + 1;
        else high = middle;
      }
      index.copyWithin(low + 1, low, count);
      value.copyWithin(low + 1, low, count);
      index[low] = t;
      value[low] = s;
      if (count < k) count++;
    }
    return index.slice(0, count);
  });
}

/** Cosines of one query with every row of z, four rows at a time, which is twice as fast. */
function similarities(queries: Float32Array, at: number, z: Float32Array, d: number, out: Float64Array): void {
  const n = out.length;
  for (let t = 0; t < n; t += 4) {
    // The last rows are taken again where their number is no multiple of four.
    const first = Math.max(0, Math.min(t, n - 4));
    const z0 = first * d;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let a = 0; a < d; a++) {
      const q = queries[at + a]!;
      s0 += q * z[z0 + a]!;
      s1 += q * z[z0 + d + a]!;
      s2 += q * z[z0 + 2 * d + a]!;
      s3 += q * z[z0 + 3 * d + a]!;
    }
    out[first] = s0;
    out[first + 1] = s1;
    out[first + 2] = s2;
    out[first + 3] = s3;
  }
}

/**
 * queries × m: mean over the first k neighbours that have a value, and over `shrink` more at the model's mean.
 * @param means m for all queries, or queries × m
 */
function blend(
  values: Float32Array,
  m: number,
  neighbours: Neighbours,
  k: number,
  means: Float64Array,
  shrink: number,
): Float32Array {
  const out = new Float32Array(neighbours.length * m);
  const sums = new Float64Array(m);
  const counts = new Float64Array(m);
  neighbours.forEach((near, i) => {
    for (let j = 0; j < m; j++) sums[j] = shrink * means[(i * m + j) % means.length]!;
    counts.fill(shrink);
    for (let r = 0; r < Math.min(k, near.length); r++) {
      for (let j = 0, at = near[r]! * m; j < m; j++) {
        const v = values[at + j]!;
        if (Number.isNaN(v)) continue;
        sums[j]! += v;
        counts[j]!++;
      }
    }
    for (let j = 0; j < m; j++) out[i * m + j] = sums[j]! / counts[j]!;
  });
  return out;
}

const means = (values: Float32Array, m: number, none: number): Float64Array =>
  Float64Array.from({ length: m }, (_, j) => columnMean(values, m, j) ?? none);

/** n × m: each model's mean over the rows of other groups. */
function meansWithout(values: Float32Array, m: number, groups: readonly string[], none: number): Float64Array {
  const zero = () => ({ sums: new Float64Array(m), counts: new Float64Array(m) });
  const all = zero();
  const byGroup = new Map(groups.map((g) => [g, zero()]));
  groups.forEach((g, i) => {
    for (const total of [all, byGroup.get(g)!]) {
      for (let j = 0; j < m; j++) {
        const v = values[i * m + j]!;
        if (Number.isNaN(v)) continue;
        total.sums[j]! += v;
        total.counts[j]!++;
      }
    }
  });
  return Float64Array.from(values, (_, at) => {
    const own = byGroup.get(groups[Math.floor(at / m)]!)!;
    const j = at % m;
    const count = all.counts[j]! - own.counts[j]!;
    return count > 0 ? (all.sums[j]! - own.sums[j]!) / count : none;
  });
}
