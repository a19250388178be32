/** Near-duplicates that a split by group did not keep together: test prompts with a twin among the training prompts. */

import type { Clusters, Prompt } from '../datasets/index.ts';
import type { SplitDuplicates } from './result.ts';

const EXAMPLES = 5;

/**
 * @param folds    prompts of the training and of the test part of each fold
 * @param clusters near-duplicate groups, of these prompts at least
 */
export function splitDuplicates(
  folds: readonly { readonly train: readonly Prompt[]; readonly test: readonly Prompt[] }[],
  clusters: Clusters,
): SplitDuplicates {
  let compared = 0;
  let unchecked = 0;
  let found = 0;
  const examples: [string, string][] = [];
  for (const { train, test } of folds) {
    const twin = new Map<number, string>();
    for (const { id } of train) {
      const k = clusters.get(id);
      if (k !== undefined && !twin.has(k)) twin.set(k, id);
    }
    for (const { id } of test) {
      const k = clusters.get(id);
      if (k === undefined) {
        unchecked++;
        continue;
      }
      compared++;
      const other = twin.get(k);
      if (other === undefined) continue;
      found++;
      if (examples.length < EXAMPLES) examples.push([id, other]);
    }
  }
  return { testPrompts: found, share: compared === 0 ? 0 : found / compared, examples, unchecked };
}
