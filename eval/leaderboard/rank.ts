/** The whole leader board: every method on every source, task by task. */
import { type Dataset, RoutingError } from '../../datasets/index.ts';
import { type MeanRank, meanRanks, type SourceBoard, sourceBoard } from './board.ts';
import { type Entry, entriesOf } from './entry.ts';
import { ALWAYS, CONTROLS, type Methods } from './field.ts';
import { labelsOf, type MeasureStore, measureSplits } from './in-domain.ts';

export const TASKS = ['in-domain'] as const;
export type TaskName = (typeof TASKS)[number];

export interface LeaderBoardOptions {
  readonly methods: Methods;
  /** The method that is shipped: the targets are about it. */
  readonly ours: string;
  readonly tasks: readonly TaskName[];
  readonly splits: number;
  /** Training prompts of a split. */
  readonly labels: number;
  readonly seed: number;
  /** Bootstrap replicates. */
  readonly replicates: number;
  readonly onProgress?: (message: string) => void;
  readonly store?: MeasureStore;
}

export interface LeaderBoard {
  readonly ours: string;
  readonly methods: readonly string[];
  readonly splits: number;
  readonly labels: number;
  readonly seed: number;
  readonly replicates: number;
  readonly boards: readonly SourceBoard[];
  readonly ranks: readonly MeanRank[];
}

/**
 * @param datasets sources to rank on; each one's encoder learns from the texts of the others
 * @throws `INVALID_CONFIG` when a source is not what its pool was written for, or stands there twice
 */
export async function leaderBoard(datasets: readonly Dataset[], options: LeaderBoardOptions): Promise<LeaderBoard> {
  checkNames(datasets);
  const run = { ...options, onProgress: options.onProgress ?? (() => {}) };
  const methods = Object.keys(options.methods);
  const entries = entriesOf(datasets, options.seed);
  const boards = options.tasks.includes('in-domain') ? await inDomain(entries, methods, run) : [];
  return {
    ours: options.ours,
    methods,
    splits: options.splits,
    labels: options.labels,
    seed: options.seed,
    replicates: options.replicates,
    boards,
    ranks: meanRanks(boards),
  };
}

type Run = LeaderBoardOptions & { readonly onProgress: (message: string) => void };

async function inDomain(entries: readonly Entry[], methods: readonly string[], run: Run): Promise<SourceBoard[]> {
  const names = [...methods, ...ALWAYS, ...CONTROLS];
  const boards: SourceBoard[] = [];
  for (const entry of entries) {
    const splits = await measureSplits(entry, { ...run, names, labels: labelsOf(entry, run.labels) });
    boards.push(sourceBoard(entry, splits, names, run.seed));
  }
  return boards;
}

function checkNames(datasets: readonly Dataset[]): void {
  const names = datasets.map((d) => d.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new RoutingError('INVALID_CONFIG', `two folders are named ${twice}; give each source a name of its own`);
  }
}
