/**
 * The oracle: argmax q − λ · c over the true outcomes of the very prompt it routes. At its best end that is the
 * cheapest of the best models. Nothing can reach it; part of its lead is luck in the outcomes themselves.
 */
import type { Contender, Frozen } from '../contender.ts';
import type { Part } from '../part.ts';
import { freezeSweep } from '../plug-in.ts';
import type { Beliefs } from '../sweep.ts';

export const oracleRouter = (): Contender => ({
  name: 'oracle',
  kind: 'hindsight',
  prepare: async (training): Promise<Frozen> =>
    freezeSweep(truth(training.part), training.part, training, async (test) => truth(test), {
      hindsight: false,
      predicts: false,
    }),
});

const truth = ({ table, costUsd }: Part): Beliefs => ({ quality: table.quality, costUsd });
