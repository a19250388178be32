/** Forecasts of rewards for rows that the forecasting model has not seen: without that an estimate flatters itself. */
import { deriveSeed, RoutingError, seededRandom, shuffled } from '../../datasets/index.ts';
import type { LoggedRow } from './logged-row.ts';
import { meanPerModel } from './reward-models.ts';

/** Forecast for a model on a prompt, in the unit of the rewards; finite, for models it never saw too. */
export type RewardPredictor = (row: LoggedRow, model: string) => number;

/** Learns rewards from what the logged actions brought. */
export interface RewardModel {
  readonly name: string;
  /** @param rewards of the rows' own actions, quality or cost; same length */
  fit(rows: readonly LoggedRow[], rewards: Float64Array): RewardPredictor;
}

export interface CrossFitOptions {
  /** Default: {@link meanPerModel}. */
  readonly model?: RewardModel;
  /** Default 5; never more than there are groups. */
  readonly folds?: number;
  readonly seed?: number;
}

/**
 * Splits the groups into K parts, and forecasts each part by a model fitted on the others.
 * @param groups of each row; a group is never on both sides
 * @returns predictor of each row, by its index: one that was fitted without the row's group
 * @throws `UNDEFINED_METRIC` with fewer than two groups
 * @see Chernozhukov et al., "Double/Debiased Machine Learning", The Econometrics Journal 2018, §3
 */
export function crossFit(
  rows: readonly LoggedRow[],
  rewards: Float64Array,
  groups: readonly string[],
  { model = meanPerModel(), folds = 5, seed = 0 }: CrossFitOptions = {},
): (index: number) => RewardPredictor {
  const names = [...new Set(groups)].sort();
  if (names.length < 2) {
    throw new RoutingError(
      'UNDEFINED_METRIC',
      `cross-fitting needs two sessions at least, the log has ${names.length}; log more, or give rows their sessions`,
    );
  }
  const k = Math.min(folds, names.length);
  const order = shuffled(names, seededRandom(deriveSeed(seed, 'cross-fit')));
  const foldOf = new Map(order.map((name, at) => [name, at % k]));
  const fold = groups.map((name) => foldOf.get(name)!);
  const predictors = Array.from({ length: k }, (_, f) => {
    const others = fold.flatMap((of, i) => (of === f ? [] : [i]));
    return model.fit(
      others.map((i) => rows[i]!),
      Float64Array.from(others, (i) => rewards[i]!),
    );
  });
  return (index) => predictors[fold[index]!]!;
}
