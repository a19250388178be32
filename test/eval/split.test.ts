import { describe, expect, test } from 'vitest';
import { type Prompt, splitByGroup } from '../../datasets/index.ts';
import { foldRows } from '../../eval/split.ts';
import { world } from './fixtures.ts';

const nothing = () => false;
const { prompts } = world({ prompts: 600, groupSize: 2, benchmarks: 3 });
const groupsOf = (rows: readonly number[]) => new Set(rows.map((i) => prompts[i]!.groupId));

describe('folds', () => {
  test('by group 30 % of the groups are tested, none of them trained on, the same for the same seed', () => {
    const [fold] = foldRows(prompts, { split: 'group', seed: 4, seen: nothing });
    expect(fold!.test).toEqual(splitByGroup(prompts, 0.3, 4).test);
    expect(groupsOf(fold!.test).size).toBe(90);
    for (const g of groupsOf(fold!.train)) expect(groupsOf(fold!.test).has(g)).toBe(false);
    expect(foldRows(prompts, { split: 'group', seed: 5, seen: nothing })[0]!.test).not.toEqual(fold!.test);
  });

  test('groups an artifact was fitted on are never tested, and may train', () => {
    const seen = (g: string) => Number(g.split('-')[1]) < 240; // 240 of 300 groups: 60 are left, fewer than 90
    const [fold] = foldRows(prompts, { split: 'group', seed: 4, seen: (p) => seen(p.groupId) });
    expect(groupsOf(fold!.test).size).toBe(60);
    for (const g of groupsOf(fold!.test)) expect(seen(g)).toBe(false);
    expect(fold!.train).toHaveLength(480);
    expect(() => foldRows(prompts, { split: 'group', seed: 4, seen: () => true })).toThrow(/nothing honest.*--router/);
  });

  test('a group with one prompt that an artifact was fitted on is never tested, by group or by benchmark', () => {
    // Groups are pairs p0 p1, p2 p3, …: every fourth prompt closes every second group, 150 of 300; 90 are tested.
    const seen = (p: Prompt) => Number(p.id.slice(1)) % 4 === 0;
    const closed = new Set(prompts.filter(seen).map((p) => p.groupId));
    expect(closed.size).toBe(150);
    const [fold] = foldRows(prompts, { split: 'group', seed: 4, seen });
    expect(groupsOf(fold!.test).size).toBe(90);
    for (const { test } of [fold!, ...foldRows(prompts, { split: 'benchmark', seed: 4, seen })]) {
      for (const g of groupsOf(test)) expect(closed.has(g)).toBe(false);
    }
  });

  test('by benchmark each is left out in turn with every group it shares', () => {
    const folds = foldRows(prompts, { split: 'benchmark', seed: 0, seen: nothing });
    expect(folds.map((f) => f.name)).toEqual(['bench-0', 'bench-1', 'bench-2']);
    for (const fold of folds) {
      for (const i of fold.test) expect(prompts[i]!.benchmark).toBe(fold.name);
      for (const g of groupsOf(fold.train)) expect(groupsOf(fold.test).has(g)).toBe(false);
    }
    expect(folds.reduce((sum, f) => sum + f.test.length, 0)).toBe(600);
    const one = prompts.map((p) => ({ ...p, benchmark: 'only' }));
    expect(() => foldRows(one, { split: 'benchmark', seed: 0, seen: nothing })).toThrow(/--split group/);
  });

  test('fewer training prompts leave the test part as it is', () => {
    const all = foldRows(prompts, { split: 'group', seed: 4, seen: nothing })[0]!;
    const some = foldRows(prompts, { split: 'group', seed: 4, seen: nothing, trainPrompts: 100 })[0]!;
    expect(some.train).toHaveLength(100);
    expect(some.test).toEqual(all.test);
    for (const i of some.train) expect(all.train).toContain(i);
  });
});
