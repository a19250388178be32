/**
 * k nearest neighbours by cosine: a prompt's quality is that of the training prompts most like it,
 * drawn to the model's mean by `shrink` pseudo-neighbours.
 * @see Hu et al., "RouterBench", 2024 (kNN router); Li, "Rethinking predictive modeling for LLM routing", 2025
 */
import { RoutingError } from '../../datasets/index.ts';
import type { Encoder } from '../encoder/encoder.ts';
import { embed } from './embed.ts';
import type { Estimator } from './estimator.ts';
import { meanQuality } from './mean-quality.ts';

export const knn = ({
  encoder,
  k = 40,
  shrink = 10,
}: {
  encoder: Encoder;
  k?: number;
  shrink?: number;
}): Estimator => ({
  name: 'knn',
  async fit(table, seed) {
    if (table.prompts.length === 0) throw new RoutingError('EMPTY_TABLE', 'knn needs outcomes');
    const n = table.prompts.length;
    const m = table.modelIds.length;
    const d = encoder.dimension;
    const z = normalised(await embed(encoder, table.prompts), d);
    const means = await (await meanQuality().fit(table, seed)).predict([table.prompts[0]!]);
    return {
      modelIds: table.modelIds,
      async predict(prompts) {
        const queries = normalised(await embed(encoder, prompts), d);
        const quality = new Float32Array(prompts.length * m);
        const outputTokens = new Float32Array(prompts.length * m);
        const similarity = new Float32Array(n);
        for (let i = 0; i < prompts.length; i++) {
          for (let t = 0; t < n; t++) {
            let s = 0;
            for (let a = 0; a < d; a++) s += queries[i * d + a]! * z[t * d + a]!;
            similarity[t] = s;
          }
          const near = nearest(similarity, Math.min(k, n));
          for (let j = 0; j < m; j++) {
            quality[i * m + j] = blend(table.quality, near, m, j, means.quality[j]!, shrink);
            outputTokens[i * m + j] = blend(table.outputTokens, near, m, j, means.outputTokens![j]!, shrink);
          }
        }
        return { quality, outputTokens };
      },
    };
  },
});

function blend(
  values: Float32Array,
  rows: readonly number[],
  m: number,
  j: number,
  prior: number,
  weight: number,
): number {
  let sum = prior * weight;
  let count = weight;
  for (const t of rows) {
    const v = values[t * m + j]!;
    if (Number.isNaN(v)) continue;
    sum += v;
    count++;
  }
  return sum / count;
}

/** Indices of the k greatest values; ties by index. */
function nearest(similarity: Float32Array, k: number): number[] {
  const top: number[] = [];
  for (let t = 0; t < similarity.length; t++) {
    if (top.length === k && similarity[t]! <= similarity[top[k - 1]!]!) continue;
    let at = top.length;
    while (at > 0 && similarity[top[at - 1]!]! < similarity[t]!) at--;
    top.splice(at, 0, t);
    if (top.length > k) top.pop();
  }
  return top;
}

function normalised(z: Float32Array, d: number): Float32Array {
  const out = Float32Array.from(z);
  for (let i = 0; i < out.length; i += d) {
    let s = 0;
    for (let a = 0; a < d; a++) s += out[i + a]! ** 2;
    const scale = s > 0 ? 1 / Math.sqrt(s) : 0;
    for (let a = 0; a < d; a++) out[i + a]! *= scale;
  }
  return out;
}
