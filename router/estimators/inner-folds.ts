/** The folds inside a training table on which an estimator chooses its own settings and forecasts its own rows. */
import { groupFolds, type OutcomeTable, RoutingError } from '../../datasets/index.ts';

const FOLDS = 5;

/**
 * Fold of each row, 0 … F − 1, groups kept together; F is 5, or the number of groups where there are fewer.
 * @throws `EMPTY_TABLE` when the table has no prompts
 */
export function innerFolds({ name, prompts }: OutcomeTable, seed: number): Int32Array {
  if (prompts.length === 0) {
    throw new RoutingError('EMPTY_TABLE', `${name} has no prompts to learn from; give outcomes of at least one`);
  }
  return groupFolds(prompts, Math.min(FOLDS, new Set(prompts.map((p) => p.groupId)).size), seed);
}

export const foldCount = (folds: Int32Array): number => folds.reduce((most, f) => Math.max(most, f + 1), 0);
