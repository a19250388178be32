/** The estimator around a network trained on inner folds (`cross-fit.ts`): what mlp, matrix-factors and irt share. */
import type { Encoder } from '../encoder/encoder.ts';
import { answerLengths } from './answer-lengths.ts';
import { type CrossFitOptions, crossFit } from './cross-fit.ts';
import { embed } from './embed.ts';
import type { Estimator } from './estimator.ts';
import { innerFolds } from './inner-folds.ts';

export const gradientTrained = (name: string, encoder: Encoder, options: CrossFitOptions): Estimator => ({
  name,
  async fit(table, seed) {
    const folds = innerFolds(table, seed);
    const m = table.modelIds.length;
    const d = encoder.dimension;
    const z = await embed(encoder, table.prompts);
    const fit = crossFit(z, d, table.quality, m, folds, seed, options);
    const lengths = answerLengths(z, d, table.outputTokens, m, folds);
    return {
      modelIds: table.modelIds,
      outOfFold: { quality: fit.outOfFold, outputTokens: lengths.outOfFold },
      async predict(prompts) {
        const queries = await embed(encoder, prompts);
        return {
          quality: fit.predict(queries, prompts.length),
          outputTokens: lengths.predict(queries, prompts.length),
        };
      },
    };
  },
});
