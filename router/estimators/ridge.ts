/**
 * Ridge plug-in: one linear regression per model on the embedding for quality, one for the logarithm of its answer's
 * length; the rule that routes (argmax of quality − λ · cost) stands elsewhere.
 * @see Somerstep et al., "CARROT: A Cost Aware Rate Optimal Router", 2025, arXiv 2502.03261 (plug-in, cost from
 *      predicted tokens); Xue et al., "R2-Router", 2026, arXiv 2602.02823 (ridge heads, one strength for all)
 */
import type { Encoder } from '../encoder/encoder.ts';
import { answerLengths } from './answer-lengths.ts';
import { embed } from './embed.ts';
import type { Estimator } from './estimator.ts';
import { innerFolds } from './inner-folds.ts';
import { predictColumns, ridgeColumns } from './ridge-columns.ts';

export const ridge = ({ encoder }: { encoder: Encoder }): Estimator => ({
  name: 'ridge',
  async fit(table, seed) {
    const folds = innerFolds(table, seed);
    const m = table.modelIds.length;
    const d = encoder.dimension;
    const z = await embed(encoder, table.prompts);
    const fit = ridgeColumns(z, d, table.quality, m, folds);
    const lengths = answerLengths(z, d, table.outputTokens, m, folds);
    return {
      modelIds: table.modelIds,
      outOfFold: { quality: fit.outOfFold.map(clip), outputTokens: lengths.outOfFold },
      async predict(prompts) {
        const queries = await embed(encoder, prompts);
        return {
          quality: predictColumns(fit, queries, prompts.length).map(clip),
          outputTokens: lengths.predict(queries, prompts.length),
        };
      },
    };
  },
});

const clip = (q: number): number => Math.min(1, Math.max(0, q));
