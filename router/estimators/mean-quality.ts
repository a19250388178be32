/** Baseline: each model's mean, whatever the prompt. Beat this first. */
import { RoutingError } from '../../datasets/index.ts';
import { DEFAULT_OUTPUT_TOKENS } from '../training/fit-tokens.ts';
import type { Estimator } from './estimator.ts';

export const meanQuality = (): Estimator => ({
  name: 'mean-quality',
  async fit({ modelIds, quality, outputTokens }) {
    if (quality.length === 0) throw new RoutingError('EMPTY_TABLE', 'mean-quality needs outcomes');
    const m = modelIds.length;
    // A model never tried is expected to fail: no evidence, no traffic.
    const means = modelIds.map((_, j) => columnMean(quality, m, j) ?? 0);
    const lengths = modelIds.map((_, j) => columnMean(outputTokens, m, j) ?? DEFAULT_OUTPUT_TOKENS);
    return {
      modelIds,
      async predict(prompts) {
        return {
          quality: Float32Array.from(prompts.flatMap(() => means)),
          outputTokens: Float32Array.from(prompts.flatMap(() => lengths)),
        };
      },
    };
  },
});

/** Mean of what was observed in column j; undefined where nothing was. */
export function columnMean(values: Float32Array, m: number, j: number): number | undefined {
  let sum = 0;
  let count = 0;
  for (let at = j; at < values.length; at += m) {
    if (Number.isNaN(values[at]!)) continue;
    sum += values[at]!;
    count++;
  }
  return count === 0 ? undefined : sum / count;
}
