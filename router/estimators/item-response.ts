/** The shipped method: low-rank item-response heads over a frozen encoder (`training/fit-heads.ts`). */
import type { OutcomeTable } from '../../datasets/index.ts';
import type { Encoder } from '../encoder/encoder.ts';
import { predictHeads } from '../heads/heads.ts';
import { fitHeads, type HeadsFit } from '../training/fit-heads.ts';
import { embed } from './embed.ts';
import type { Estimator, Predictions, Predictor } from './estimator.ts';

export interface ItemResponsePredictor extends Predictor {
  /** For the training table, rows in its order: predictions that never saw the row's own group. */
  readonly outOfFold: Predictions;
  readonly fit: HeadsFit;
}

export const itemResponse = ({
  encoder,
}: {
  encoder: Encoder;
}): Omit<Estimator, 'fit'> & { fit(table: OutcomeTable, seed: number): Promise<ItemResponsePredictor> } => ({
  name: 'item-response',
  async fit(table, seed) {
    const fit = fitHeads(table, await embed(encoder, table.prompts), seed, {
      ...(encoder.knownCoordinate !== undefined && { knownCoordinate: encoder.knownCoordinate }),
    });
    return {
      modelIds: table.modelIds,
      outOfFold: fit.outOfFold,
      fit,
      async predict(prompts) {
        return predictHeads(fit.heads, await embed(encoder, prompts), prompts.length);
      },
    };
  },
});
