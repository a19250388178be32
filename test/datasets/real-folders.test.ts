/** The public sources, where they lie beside the repository: the numbers they are known by. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { mergeDatasets, outcomeTable, readDataset, roleOf, splitByGroup, summarise } from '../../datasets/index.ts';

const root = fileURLToPath(new URL('../../../shared/data/outcomes', import.meta.url));
const present = existsSync(root);
if (!present) console.log('real-folders: skipped, ../shared/data/outcomes is not there');

describe.skipIf(!present)('the public sources', () => {
  // prompts, groups, models, outcomes, oracle (of all models, base models too) as their README states them.
  test.each([
    ['zeroeval', 2203, 2201, 40, 74_361, 0.989],
    ['livecodebench', 698, 697, 40, 23_575, 0.952],
    ['ulab-llmrouter', 5313, 5220, 9, 47_817, 0.818],
    ['routellm', 15_441, 14_769, 2, 30_882, 0.865],
  ])(
    '%s reads to the counts and the oracle that its source states',
    async (name, prompts, groups, models, outcomes, oracle) => {
      const s = summarise(await readDataset(join(root, name)));
      expect([s.prompts, s.groups, s.models.length, s.outcomes]).toEqual([prompts, groups, models, outcomes]);
      expect(s.oracle).toBeCloseTo(oracle, 3);
      expect(s.promptsWithoutOutcomes).toBe(0);
    },
  );

  test('mmlu-pro loses its fourteen base models and nothing else', async () => {
    const data = await readDataset(join(root, 'mmlu-pro'));
    expect([data.prompts.length, data.outcomes.length]).toEqual([9156, 291_224]);
    expect(outcomeTable(data, { baseModels: true }).modelIds).toHaveLength(32);
    expect(outcomeTable(data).modelIds).toHaveLength(18);
  });

  test('merge without a clash of ids, split without a group on both sides, and fill every role', async () => {
    const names = ['livecodebench', 'ulab-llmrouter', 'zeroeval'];
    const { prompts } = mergeDatasets(await Promise.all(names.map((name) => readDataset(join(root, name)))));
    expect(prompts).toHaveLength(698 + 5313 + 2203);
    const { train, test: held } = splitByGroup(prompts, 0.3, 1);
    const heldGroups = new Set(held.map((i) => prompts[i]!.groupId));
    expect(train.some((i) => heldGroups.has(prompts[i]!.groupId))).toBe(false);
    const groups = [...new Set(prompts.map((p) => p.groupId))];
    const share = groups.filter((g) => roleOf(g) === 'train').length / groups.length;
    // Standard error 0.005 on 8 000 groups: nearly four of them.
    expect(Math.abs(share - 0.72)).toBeLessThan(0.018);
  });
});
