/**
 * Cluster profiles: k-means on the standardised embeddings, and of each cluster every model's mean quality and answer length,
 * drawn to the model's own mean by pseudo-prompts. A new prompt takes the profiles of its nearest clusters. How many
 * clusters there are, how many of them answer and how hard profiles are shrunk is chosen on inner folds.
 * @see Jitkrittum et al., "Universal Model Routing for Efficient LLM Inference" (UniRoute), 2025, arXiv 2502.08773;
 *      Zhang et al., "Beyond GPT-5: Making LLMs Cheaper and Better via Performance-Efficiency Optimized Routing"
 *      (Avengers-Pro), 2025, arXiv 2508.12631 (unit length, softmax of −9 × distance over the three nearest)
 */
import type { Encoder } from '../encoder/encoder.ts';
import { DEFAULT_OUTPUT_TOKENS } from '../training/fit-tokens.ts';
import { kMeans, squaredDistances } from '../training/k-means.ts';
import { unitLength } from '../training/unit-length.ts';
import { embed } from './embed.ts';
import type { Estimator } from './estimator.ts';
import { foldCount, innerFolds } from './inner-folds.ts';
import { squaredError } from './squared-error.ts';
import { standardiser } from './standardise.ts';

const CLUSTERS = [8, 16, 32, 64];
const NEAREST = [1, 3];
/** Pseudo-prompts at the model's mean. */
const SHRINK = [3, 10, 30];
const SHARPNESS = 9;

export const cluster = ({ encoder }: { encoder: Encoder }): Estimator => ({
  name: 'cluster',
  async fit(table, seed) {
    const folds = innerFolds(table, seed);
    const m = table.modelIds.length;
    const d = encoder.dimension;
    const embeddings = await embed(encoder, table.prompts);
    const standardised = standardiser(embeddings, d);
    const z = unitLength(standardised(embeddings), d);
    let best: { error: number; centres: Float32Array; nearest: number; shrink: number } | undefined;
    for (const k of CLUSTERS) {
      const centres = kMeans(z, d, k, seed);
      for (const nearest of NEAREST) {
        const members = membership(z, d, centres, nearest);
        for (const shrink of SHRINK) {
          const error = squaredError(table.quality, outOfFold(table.quality, m, members, folds, shrink, 0));
          if (best === undefined || error < best.error) best = { error, centres, nearest, shrink };
        }
      }
    }
    const { centres, nearest, shrink } = best!;
    const members = membership(z, d, centres, nearest);
    const own = (values: Float32Array, none: number) => outOfFold(values, m, members, folds, shrink, none);
    const quality = profiles(table.quality, m, members, shrink, 0);
    const outputTokens = profiles(table.outputTokens, m, members, shrink, DEFAULT_OUTPUT_TOKENS);
    return {
      modelIds: table.modelIds,
      outOfFold: { quality: own(table.quality, 0), outputTokens: own(table.outputTokens, DEFAULT_OUTPUT_TOKENS) },
      async predict(prompts) {
        const queries = membership(unitLength(standardised(await embed(encoder, prompts)), d), d, centres, nearest);
        return { quality: blended(quality, m, queries), outputTokens: blended(outputTokens, m, queries) };
      },
    };
  },
});

/** Of each prompt the nearest clusters, nearest first, and their weights, which sum to 1. */
interface Membership {
  readonly clusters: number;
  readonly width: number;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

function membership(z: Float32Array, d: number, centres: Float32Array, nearest: number): Membership {
  const n = z.length / d;
  const clusters = centres.length / d;
  const width = Math.min(nearest, clusters);
  const index = new Int32Array(n * width);
  const weight = new Float64Array(n * width);
  const distance = new Float64Array(clusters);
  for (let i = 0; i < n; i++) {
    squaredDistances(z, i * d, centres, d, distance);
    let sum = 0;
    for (let r = 0; r < width; r++) {
      let c = 0;
      for (let o = 1; o < clusters; o++) if (distance[o]! < distance[c]!) c = o;
      index[i * width + r] = c;
      weight[i * width + r] = Math.exp(-SHARPNESS * Math.sqrt(distance[c]!));
      sum += weight[i * width + r]!;
      distance[c] = Number.POSITIVE_INFINITY;
    }
    for (let r = 0; r < width; r++) weight[i * width + r]! /= sum;
  }
  return { clusters, width, index, weight };
}

/**
 * clusters × m: means over the prompts of a cluster (each belongs to its nearest one), shrunk to the column's mean.
 * @param has which rows count; default: all
 */
function profiles(
  values: Float32Array,
  m: number,
  { clusters, width, index }: Membership,
  shrink: number,
  none: number,
  has: (i: number) => boolean = () => true,
): Float64Array {
  const sums = new Float64Array(clusters * m);
  const counts = new Float64Array(clusters * m);
  for (let i = 0; i < values.length / m; i++) {
    if (!has(i)) continue;
    const c = index[i * width]!;
    for (let j = 0; j < m; j++) {
      const v = values[i * m + j]!;
      if (Number.isNaN(v)) continue;
      sums[c * m + j]! += v;
      counts[c * m + j]!++;
    }
  }
  const means = Array.from({ length: m }, (_, j) => {
    let sum = 0;
    let count = 0;
    for (let c = j; c < sums.length; c += m) {
      sum += sums[c]!;
      count += counts[c]!;
    }
    return count === 0 ? none : sum / count;
  });
  return sums.map((s, at) => (s + shrink * means[at % m]!) / (counts[at]! + shrink));
}

function blended(table: Float64Array, m: number, { width, index, weight }: Membership): Float32Array {
  const n = index.length / width;
  const out = new Float32Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let s = 0;
      for (let r = i * width; r < (i + 1) * width; r++) s += weight[r]! * table[index[r]! * m + j]!;
      out[i * m + j] = s;
    }
  }
  return out;
}

/** n × m: each row from profiles that its own fold had no part in. */
function outOfFold(
  values: Float32Array,
  m: number,
  members: Membership,
  folds: Int32Array,
  shrink: number,
  none: number,
): Float32Array {
  const out = new Float32Array(values.length);
  for (let f = 0; f < foldCount(folds); f++) {
    const all = blended(
      profiles(values, m, members, shrink, none, (i) => folds[i] !== f),
      m,
      members,
    );
    folds.forEach((fold, i) => {
      if (fold === f) out.set(all.subarray(i * m, i * m + m), i * m);
    });
  }
  return out;
}
