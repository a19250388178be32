/** What another policy would have reached if a model's forecasts were right: no weights, no correction. */
import { RoutingError } from '../../datasets/index.ts';

/**
 * The direct method's value of each row; their mean estimates the policy's mean quality.
 *
 *     vᵢ = Σₐ π(a|xᵢ) r̂(xᵢ, a)
 *
 * As good as the model, and no better: of all estimators here it varies least and is the only one that no amount
 * of data corrects. Its rows vary as the forecasts do, which says nothing of how far off these are: no interval is
 * made of them.
 *
 * @param target    n rows; π(a|xᵢ) over the models that row could choose, summing to 1
 * @param predicted n rows in the same order of models; r̂(xᵢ, a) by a model that never saw row i
 * @returns length n, within the range of the forecasts
 * @throws `UNDEFINED_METRIC` when there is no row
 * @see Dudík, Langford & Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011, §2
 */
export function directMethodRows(
  target: readonly ArrayLike<number>[],
  predicted: readonly ArrayLike<number>[],
): Float64Array {
  if (target.length === 0) throw new RoutingError('UNDEFINED_METRIC', 'direct method: there is no row');
  return Float64Array.from(target, (probabilities, i) => {
    let value = 0;
    for (let a = 0; a < probabilities.length; a++) value += probabilities[a]! * predicted[i]![a]!;
    return value;
  });
}

/** Mean of {@link directMethodRows}. */
export function directMethod(target: readonly ArrayLike<number>[], predicted: readonly ArrayLike<number>[]): number {
  const rows = directMethodRows(target, predicted);
  return rows.reduce((a, b) => a + b) / rows.length;
}
