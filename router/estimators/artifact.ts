/** An artifact as it is: its own heads, on the models it knows; fitted to nothing. */
import { RoutingError } from '../../datasets/index.ts';
import type { Artifact } from '../artifact/artifact.ts';
import { predictHeads, selectHeads } from '../heads/heads.ts';
import { embed } from './embed.ts';
import type { Predictor } from './estimator.ts';

/**
 * @param modelIds columns wanted; those that the artifact does not know are left out
 * @throws `UNKNOWN_MODEL` when it knows none of them
 */
export function artifactPredictor(artifact: Artifact, modelIds: readonly string[]): Predictor {
  const heads = selectHeads(artifact.heads, modelIds);
  if (heads.modelIds.length === 0) {
    throw new RoutingError(
      'UNKNOWN_MODEL',
      `artifact ${artifact.hash} knows none of these models: ${modelIds.join(', ')}`,
    );
  }
  return {
    modelIds: heads.modelIds,
    async predict(prompts) {
      return predictHeads(heads, await embed(artifact.encoder, prompts), prompts.length);
    },
  };
}
