/**
 * The zero router: knows each model's mean quality and mean cost and nothing of the prompt, so that its curve
 * is the best random mix of single models. A router that does not beat it has learned nothing that pays.
 */
import type { Contender, Frozen, Training } from '../contender.ts';
import type { Part } from '../part.ts';
import { freezeSweep } from '../plug-in.ts';
import type { Beliefs } from '../sweep.ts';

export const zeroRouter = (): Contender => ({
  name: 'zero',
  kind: 'baseline',
  async prepare(training): Promise<Frozen> {
    const believe = (part: Part): Beliefs => meanBeliefs(training, part);
    return freezeSweep(believe(training.part), training.part, training, async (test) => believe(test));
  },
});

/** Each model's mean on the training part, for every prompt alike. */
function meanBeliefs({ singles }: Training, part: Part): Beliefs {
  const m = part.table.modelIds.length;
  const cells = part.table.prompts.length * m;
  return {
    quality: Float64Array.from({ length: cells }, (_, at) => singles.quality[at % m]!),
    costUsd: Float64Array.from({ length: cells }, (_, at) => singles.costUsd[at % m]!),
  };
}
