/** Which prompts are trained on and which are tested: by group, with a benchmark left out, and never what an encoder has seen. */
import {
  deriveSeed,
  type Prompt,
  RoutingError,
  sampleRows,
  splitByGroup,
  splitsByBenchmark,
} from '../datasets/index.ts';

export const SPLITS = ['group', 'benchmark'] as const;
export type SplitName = (typeof SPLITS)[number];

/** Share of the groups in the test part of a split by group. */
export const TEST_SHARE = 0.3;

export interface FoldRows {
  /** `test`, or the left-out benchmark. */
  readonly name: string;
  readonly train: readonly number[];
  readonly test: readonly number[];
}

export interface SplitOptions {
  readonly split: SplitName;
  readonly seed: number;
  /** At most this many training prompts, whole groups. */
  readonly trainPrompts?: number;
  /** Prompts that a router under evaluation was fitted on: their groups may train, but never test. */
  readonly seen: (prompt: Prompt) => boolean;
}

/**
 * Folds of a task. By group: 30 % of the groups, fixed by the seed, drawn from those that no router has seen,
 * or all of those where they are fewer.
 * By benchmark: each in turn, those under 100 prompts merged; groups of a test part leave its training part.
 * @throws `EMPTY_TABLE` when nothing is left to test or train on; the message says what to do
 */
export function foldRows(prompts: readonly Prompt[], options: SplitOptions): FoldRows[] {
  const folds = options.split === 'group' ? byGroup(prompts, options) : byBenchmark(prompts, options);
  return folds.map((fold) => ({
    ...fold,
    train:
      options.trainPrompts === undefined
        ? fold.train
        : sampleRows(prompts, fold.train, options.trainPrompts, deriveSeed(options.seed, 'train-prompts')),
  }));
}

/** Groups with a prompt like this: near-duplicates of what was learned from are as good as learned from. */
export const groupsWith = (prompts: readonly Prompt[], holds: (prompt: Prompt) => boolean): Set<string> =>
  new Set(prompts.filter(holds).map((p) => p.groupId));

/** True where fewer groups are unseen than the test part should hold. */
export const testsAllUnseen = (groups: number, unseen: number): boolean => unseen <= TEST_SHARE * groups;

function byGroup(prompts: readonly Prompt[], { seed, seen }: SplitOptions): FoldRows[] {
  const groups = new Set(prompts.map((p) => p.groupId));
  const closed = groupsWith(prompts, seen);
  const open = prompts.filter((p) => !closed.has(p.groupId));
  const openGroups = new Set(open.map((p) => p.groupId));
  if (openGroups.size === 0) throw new RoutingError('EMPTY_TABLE', NOTHING_UNSEEN);
  // As many test groups as without seen ones; where there are fewer, all of them, whatever the seed.
  const share = testsAllUnseen(groups.size, openGroups.size) ? 1 : (TEST_SHARE * groups.size) / openGroups.size;
  const { test } = splitByGroup(open, share, seed);
  const testGroups = new Set(test.map((i) => open[i]!.groupId));
  const rows = prompts.map((_, i) => i);
  const fold = {
    name: 'test',
    train: rows.filter((i) => !testGroups.has(prompts[i]!.groupId)),
    test: rows.filter((i) => testGroups.has(prompts[i]!.groupId)),
  };
  if (fold.train.length === 0 || fold.test.length === 0) {
    throw new RoutingError(
      'EMPTY_TABLE',
      `${groups.size} ${groups.size === 1 ? 'group is' : 'groups are'} too few to split; bring more prompts, of other groups`,
    );
  }
  return [fold];
}

function byBenchmark(prompts: readonly Prompt[], { seen }: SplitOptions): FoldRows[] {
  const splits = splitsByBenchmark(prompts);
  if (splits.length < 2) {
    throw new RoutingError(
      'EMPTY_TABLE',
      'there is one benchmark only (those under 100 prompts count as one), so none can be left out; use --split group',
    );
  }
  const closed = groupsWith(prompts, seen);
  const folds = splits
    .map(({ benchmark, split }) => ({
      name: benchmark,
      train: split.train,
      test: split.test.filter((i) => !closed.has(prompts[i]!.groupId)),
    }))
    .filter((fold) => fold.test.length > 0 && fold.train.length > 0);
  if (folds.length === 0) throw new RoutingError('EMPTY_TABLE', NOTHING_UNSEEN);
  return folds;
}

const NOTHING_UNSEEN =
  'every group of this data was used to fit the artifact, so nothing honest is left to test it on; give other ' +
  'data, or name only routers without it, e.g. --router length-only --router cascade';
