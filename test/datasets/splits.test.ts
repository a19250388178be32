import fc from 'fast-check';
import { expect, test } from 'vitest';
import { groupFolds, roleOf, sampleRows, splitByGroup, splitsByBenchmark } from '../../datasets/index.ts';
import { promptOf } from './fixtures.ts';

/** Prompts in few groups and benchmarks, so that both are shared often. */
const manyPrompts = fc
  .array(fc.record({ group: fc.integer({ min: 0, max: 12 }), benchmark: fc.integer({ min: 0, max: 3 }) }), {
    maxLength: 60,
  })
  .map((rows) => rows.map((r, i) => promptOf(`p${i}`, { groupId: `g${r.group}`, benchmark: `b${r.benchmark}` })));

const groupsOf = (prompts: readonly { groupId: string }[], rows: readonly number[]) =>
  new Set(rows.map((i) => prompts[i]!.groupId));

const numbersTo = (n: number) => Array.from({ length: n }, (_, i) => i);

test('puts every row on exactly one side, and never a group on both', () => {
  fc.assert(
    fc.property(manyPrompts, fc.double({ min: 0, max: 1, noNaN: true }), fc.integer(), (prompts, share, seed) => {
      const { train, test } = splitByGroup(prompts, share, seed);
      expect([...train, ...test].sort((a, b) => a - b)).toEqual(numbersTo(prompts.length));
      const testGroups = groupsOf(prompts, test);
      for (const group of groupsOf(prompts, train)) expect(testGroups.has(group)).toBe(false);
      expect(testGroups.size).toBe(Math.round(groupsOf(prompts, numbersTo(prompts.length)).size * share));
    }),
  );
});

test('splits by seed alone, whatever order the prompts come in', () => {
  const prompts = numbersTo(200).map((i) => promptOf(`p${i}`, { groupId: `g${i % 50}` }));
  const testOf = (list: typeof prompts, seed: number) =>
    splitByGroup(list, 0.3, seed)
      .test.map((i) => list[i]!.id)
      .sort();
  expect(testOf(prompts, 1)).toEqual(testOf([...prompts].reverse(), 1));
  expect(testOf(prompts, 1)).not.toEqual(testOf(prompts, 2));
});

test('leaves each benchmark out once, and its groups out of the training part', () => {
  fc.assert(
    fc.property(manyPrompts, fc.integer({ min: 1, max: 20 }), (prompts, minPrompts) => {
      const splits = splitsByBenchmark(prompts, minPrompts);
      const tested = splits.flatMap(({ split }) => split.test).sort((a, b) => a - b);
      expect(tested).toEqual(numbersTo(prompts.length));
      for (const { benchmark, split } of splits) {
        const names = new Set(split.test.map((i) => prompts[i]!.benchmark));
        if (benchmark !== '(small)') expect([...names]).toEqual([benchmark]);
        const testGroups = groupsOf(prompts, split.test);
        const inTest = new Set(split.test);
        // Every row is tested, trained on, or left out because its group is tested.
        numbersTo(prompts.length).forEach((i) => {
          const left = testGroups.has(prompts[i]!.groupId);
          expect(split.train.includes(i)).toBe(!inTest.has(i) && !left);
        });
      }
    }),
  );
});

test('merges benchmarks under the smallest size into one', () => {
  const prompts = ['big', 'big', 'big', 'tiny', 'little'].map((benchmark, i) => promptOf(`p${i}`, { benchmark }));
  const splits = splitsByBenchmark(prompts, 3);
  expect(splits.map(({ benchmark, split }) => [benchmark, split.test])).toEqual([
    ['big', [0, 1, 2]],
    ['(small)', [4, 3]],
  ]);
});

test('keeps a group in one fold, and folds of near-equal numbers of groups', () => {
  fc.assert(
    fc.property(manyPrompts, fc.integer({ min: 1, max: 6 }), fc.integer(), (prompts, folds, seed) => {
      const fold = groupFolds(prompts, folds, seed);
      const groups = new Map<string, number>();
      prompts.forEach((p, i) => {
        expect(fold[i]).toBe(groups.get(p.groupId) ?? fold[i]);
        groups.set(p.groupId, fold[i]!);
      });
      const sizes = numbersTo(folds).map((k) => [...groups.values()].filter((f) => f === k).length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      expect(groupFolds(prompts, folds, seed)).toEqual(fold);
    }),
  );
});

test('samples whole groups up to a number of rows', () => {
  fc.assert(
    fc.property(manyPrompts, fc.integer({ min: 0, max: 70 }), fc.integer(), (prompts, count, seed) => {
      const rows = numbersTo(prompts.length).filter((i) => i % 5 !== 0);
      const sample = sampleRows(prompts, rows, count, seed);
      expect(sample.length).toBeLessThanOrEqual(count);
      if (rows.length <= count) expect(sample).toEqual(rows);
      const groups = groupsOf(prompts, sample);
      expect(rows.filter((i) => groups.has(prompts[i]!.groupId))).toEqual(sample);
      expect(sampleRows(prompts, rows, count, seed)).toEqual(sample);
    }),
  );
});

test('samples exactly the number asked for where each group is one row', () => {
  const prompts = numbersTo(100).map((i) => promptOf(`p${i}`));
  expect(sampleRows(prompts, numbersTo(100), 30, 1)).toHaveLength(30);
});

test('gives groups their roles near 72, 8, 10 and 10 per cent', () => {
  const counts = { train: 0, certificate: 0, calibration: 0, report: 0 };
  for (let i = 0; i < 20_000; i++) counts[roleOf(`group ${i}`)]++;
  // Standard errors 0.0032, 0.0019, 0.0021 and 0.0021: four of them.
  expect(Math.abs(counts.train / 20_000 - 0.72)).toBeLessThan(0.0127);
  expect(Math.abs(counts.certificate / 20_000 - 0.08)).toBeLessThan(0.0077);
  expect(Math.abs(counts.calibration / 20_000 - 0.1)).toBeLessThan(0.0085);
  expect(Math.abs(counts.report / 20_000 - 0.1)).toBeLessThan(0.0085);
});

test('never changes the role of a group: the shipped artifact was trained by it', () => {
  const roles = ['mmlu-1', 'mmlu-2', 'mmlu-3', 'mmlu-4', 'q-12', 'q-14', '', 'gsm8k/17', 'prüfung'].map(roleOf);
  expect(roles).toEqual([
    'certificate',
    'report',
    'calibration',
    'train',
    'calibration',
    'report',
    'train',
    'train',
    'train',
  ]);
});
