/** Near-duplicates that a split by group did not keep together: test prompts with a twin among the training prompts. */

import type { Prompt } from '../datasets/index.ts';
import { nearDuplicateGroups } from '../datasets/near-duplicates.ts';
import type { SplitDuplicates } from './result.ts';

const EXAMPLES = 5;

/** @param folds prompts of the training and of the test part of each fold */
export function splitDuplicates(
  folds: readonly { readonly train: readonly Prompt[]; readonly test: readonly Prompt[] }[],
): SplitDuplicates {
  const prompts = [...new Set(folds.flatMap(({ train, test }) => [...train, ...test]))];
  const withText = prompts.filter(({ text }) => text.trim() !== '');
  const near = nearDuplicateGroups(withText.map(({ text }) => text));
  const cluster = new Map(withText.map(({ id }, i) => [id, near[i]!]));
  let compared = 0;
  let unchecked = 0;
  let found = 0;
  const examples: [string, string][] = [];
  for (const { train, test } of folds) {
    const twin = new Map<number, string>();
    for (const { id } of train) {
      const k = cluster.get(id);
      if (k !== undefined && !twin.has(k)) twin.set(k, id);
    }
    for (const { id } of test) {
      const k = cluster.get(id);
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
