/** One model for every prompt: the cheapest, the best, or a named one. A single point, no setting. */
import type { Contender, Frozen, Training } from '../contender.ts';
import { pure } from '../curve.ts';
import { fixedOrder } from '../plug-in.ts';

/** @param order columns to try in turn; the first one that was tried on a prompt answers it */
export const fixedRouter = (name: string, order: (training: Training) => readonly number[]): Contender => ({
  name,
  kind: 'baseline',
  async prepare(training): Promise<Frozen> {
    const columns = order(training);
    const { costUsd, quality } = fixedOrder(training.part, columns);
    const setting = { costUsd: mean(costUsd), quality: mean(quality) };
    return {
      points: [pure([setting], 0)],
      baselineQuality: mean(fixedOrder(training.part, training.baseline).quality),
      label: () => training.part.table.modelIds[columns[0]!]!,
      measure: async (test) => ({ outcomes: new Map([[0, fixedOrder(test, columns)]]) }),
    };
  },
});

/** Least mean cost on the training part. */
export const cheapest = (): Contender => fixedRouter('cheapest', ({ singles }) => singles.byRisingCost);

/** Greatest mean quality on the training part. */
export const bestSingle = (): Contender => fixedRouter('best-single', ({ singles }) => singles.byFallingQuality);

/** Greatest mean cost on the training part: the far end of the cost axis. */
export const dearest = (): Contender => fixedRouter('dearest', ({ singles }) => [...singles.byRisingCost].reverse());

/** Least mean quality on the training part: the low end of the quality axis. */
export const worstSingle = (): Contender =>
  fixedRouter('worst', ({ singles }) => [...singles.byFallingQuality].reverse());

/** What savings are measured against. */
export const baselineModel = (): Contender => fixedRouter('baseline', ({ baseline }) => baseline);

const mean = (xs: Float64Array): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;
