/** Splits that keep a group (near-duplicate questions) on one side, in every source. */
import { deriveSeed, hashFraction, seededRandom, shuffled } from './random.ts';
import type { Prompt } from './schema.ts';

/**
 * What a group is for, once and for all: 72 % train, 8 % certificate (to prove the tolerance, and for nothing
 * else), 10 % calibration, 10 % report.
 */
export type Role = 'train' | 'certificate' | 'calibration' | 'report';

/** The role of a group in everything that is shipped: by hash of its id, never by seed. */
export function roleOf(groupId: string): Role {
  const u = hashFraction(`role:${groupId}`);
  if (u < 0.72) return 'train';
  if (u < 0.8) return 'certificate';
  return u < 0.9 ? 'calibration' : 'report';
}

export interface Split {
  /** Row indices into the prompts given. */
  readonly train: number[];
  readonly test: number[];
}

/** A seeded share of the groups to test, the others to train. */
export function splitByGroup(prompts: readonly Prompt[], testShare: number, seed: number): Split {
  const groups = [...new Set(prompts.map((p) => p.groupId))].sort();
  const order = shuffled(groups, seededRandom(deriveSeed(seed, 'split-by-group')));
  const test = new Set(order.slice(0, Math.round(groups.length * testShare)));
  return partition(prompts, (p) => test.has(p.groupId));
}

/**
 * One split per left-out benchmark (full names; those under `minPrompts` are merged into
 * one, named `(small)`). Training drops every group that stands in the test part.
 */
export function splitsByBenchmark(prompts: readonly Prompt[], minPrompts = 100): { benchmark: string; split: Split }[] {
  const rows = new Map<string, number[]>();
  prompts.forEach((p, i) => {
    const list = rows.get(p.benchmark);
    if (list === undefined) rows.set(p.benchmark, [i]);
    else list.push(i);
  });
  const merged = new Map<string, number[]>();
  for (const [name, list] of [...rows].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const key = list.length < minPrompts ? '(small)' : name;
    merged.set(key, [...(merged.get(key) ?? []), ...list]);
  }
  return [...merged].map(([benchmark, test]) => {
    const inTest = new Set(test);
    const groups = new Set(test.map((i) => prompts[i]!.groupId));
    const train = prompts.map((_, i) => i).filter((i) => !inTest.has(i) && !groups.has(prompts[i]!.groupId));
    return { benchmark, split: { train, test } };
  });
}

/** Fold of each prompt in 0 … folds − 1, groups kept together, near-equal sizes, seeded. */
export function groupFolds(prompts: readonly Prompt[], folds: number, seed: number): Int32Array {
  const groups = [...new Set(prompts.map((p) => p.groupId))].sort();
  const order = shuffled(groups, seededRandom(deriveSeed(seed, 'group-folds')));
  const fold = new Map(order.map((g, i) => [g, i % folds]));
  return Int32Array.from(prompts, (p) => fold.get(p.groupId)!);
}

/** At most `count` rows, whole groups only, seeded. */
export function sampleRows(prompts: readonly Prompt[], rows: readonly number[], count: number, seed: number): number[] {
  if (rows.length <= count) return [...rows];
  const byGroup = new Map<string, number[]>();
  for (const i of rows) {
    const g = prompts[i]!.groupId;
    byGroup.set(g, [...(byGroup.get(g) ?? []), i]);
  }
  const order = shuffled([...byGroup.keys()].sort(), seededRandom(deriveSeed(seed, 'sample-rows')));
  const out: number[] = [];
  for (const g of order) {
    const list = byGroup.get(g)!;
    if (out.length + list.length > count) continue;
    out.push(...list);
    if (out.length === count) break;
  }
  return out.sort((a, b) => a - b);
}

function partition(prompts: readonly Prompt[], isTest: (p: Prompt) => boolean): Split {
  const train: number[] = [];
  const test: number[] = [];
  prompts.forEach((p, i) => {
    (isTest(p) ? test : train).push(i);
  });
  return { train, test };
}
