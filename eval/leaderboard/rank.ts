/** The whole leader board: every method on every source, task by task. */
import { type Dataset, RoutingError } from '../../datasets/index.ts';
import { followsRouteLlm, type RouteLlmBoard, routeLlmBoard } from '../protocols/routellm.ts';
import { ADAPT_LABELS, type AdaptedBenchmark, type AdaptedSummary, adaptedSummary, measureAdapted } from './adapted.ts';
import { type MeanRank, meanRanks, type SourceBoard, sourceBoard } from './board.ts';
import type { VectorsChoice } from './encoded.ts';
import { entriesOf } from './entry.ts';
import { ALWAYS, CONTROLS, type Methods } from './field.ts';
import { labelsOf, type MeasureStore, measureSplits, type RankOptions } from './in-domain.ts';
import { type LearningCurve, learningCurve } from './learning-curve.ts';
import { type OnboardingBoard, onboardingBoard } from './onboarding.ts';
import { type Target, targetsOf } from './targets.ts';
import { TRUE_DIFFICULTY } from './true-difficulty.ts';
import { measureUnseen, type UnseenBenchmark, type UnseenBoard, unseenBoard } from './unseen.ts';

/** What each task answers; the names are those of the command line. */
export const TASKS = {
  'in-domain': 'other prompts of the same source: 30 % of the groups tested',
  'learning-curve': 'the same with 100 labels to all, ours and model means',
  unseen: 'each benchmark of a source left out in turn',
  adapted: `calibration on a left-out benchmark after ${ADAPT_LABELS} labels of it`,
  onboarding: 'a model left out, then met with 30 to 1 000 labels',
  routellm: 'a strong and a weak model, by RouteLLM’s own protocol',
} as const;
export type TaskName = keyof typeof TASKS;

export interface LeaderBoardOptions {
  readonly methods: Methods;
  /** The method that is shipped: the targets are about it. */
  readonly ours: string;
  readonly tasks: readonly TaskName[];
  readonly splits: number;
  /** Splits of the learning curve and of onboarding, which fit many times in each. */
  readonly fewSplits: number;
  /** Draws of labels for RouteLLM's protocol. */
  readonly draws: number;
  /** Training prompts of a split. */
  readonly labels: number;
  readonly seed: number;
  /** Bootstrap replicates. */
  readonly replicates: number;
  readonly onProgress?: (message: string) => void;
  readonly store?: MeasureStore;
  /** Word vectors for the board on a source; default: the shipped ones. */
  readonly vectorsOf?: (source: Dataset) => VectorsChoice;
}

export interface LeaderBoard {
  readonly ours: string;
  readonly methods: readonly string[];
  readonly splits: number;
  readonly labels: number;
  readonly seed: number;
  readonly replicates: number;
  readonly targets: readonly Target[];
  readonly boards: readonly SourceBoard[];
  readonly ranks: readonly MeanRank[];
  readonly curves: readonly LearningCurve[];
  readonly unseen: UnseenBoard | null;
  readonly adapted: {
    readonly benchmarks: readonly AdaptedBenchmark[];
    readonly summary: readonly AdaptedSummary[];
  } | null;
  readonly onboarding: readonly OnboardingBoard[];
  readonly routellm: RouteLlmBoard | null;
}

/**
 * @param datasets sources to rank on; each one's encoder learns from the texts of the others
 * @param only     sources to run, by name; the others only teach encoders
 * @throws `INVALID_CONFIG` when a source is not what its pool was written for, or stands there twice
 */
export async function leaderBoard(
  datasets: readonly Dataset[],
  options: LeaderBoardOptions,
  only?: readonly string[],
): Promise<LeaderBoard> {
  checkNames(datasets);
  const { seed, ours, onProgress = () => {} } = options;
  const methods = Object.keys(options.methods);
  const base = { ...options, onProgress };
  const run = (names: readonly string[], more: Partial<RankOptions> = {}): RankOptions => ({ ...base, ...more, names });
  const entries = entriesOf(datasets, seed, options.vectorsOf).filter(({ task }) => only?.includes(task.name) ?? true);
  const does = (task: TaskName) => options.tasks.includes(task);

  const boards: SourceBoard[] = [];
  const curves: LearningCurve[] = [];
  const unseen: UnseenBenchmark[] = [];
  const adapted: AdaptedBenchmark[] = [];
  const onboarding: OnboardingBoard[] = [];
  let routellm: RouteLlmBoard | null = null;
  const field = [...methods, ...ALWAYS, ...CONTROLS];
  for (const entry of entries) {
    if (does('in-domain')) {
      const splits = await measureSplits(entry, run(field, { labels: labelsOf(entry, options.labels) }));
      boards.push(sourceBoard(entry, splits, field, seed));
    }
    if (does('learning-curve')) {
      curves.push(
        await learningCurve(entry, run([ours, 'mean-quality', TRUE_DIFFICULTY], { splits: options.fewSplits })),
      );
    }
    if (does('unseen')) unseen.push(...(await measureUnseen(entry, run([...methods, ...ALWAYS]))));
    if (does('adapted')) adapted.push(...(await measureAdapted(entry, base)));
    if (does('onboarding')) {
      const board = await onboardingBoard(entry, run([], { splits: options.fewSplits }));
      if (board) onboarding.push(board);
    }
    if (does('routellm') && routellm === null && followsRouteLlm(entry)) {
      const names = [...methods, 'random', 'benchmark-mean', 'length-only', 'oracle'];
      routellm = await routeLlmBoard(entry, { ...run(names), draws: options.draws });
    }
  }
  if ([boards, curves, unseen, adapted, onboarding].every((list) => list.length === 0) && routellm === null) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `${entries.map(({ task }) => task.name).join(', ')}: no task of ${options.tasks.join(', ')} can be run on this data`,
    );
  }
  const board = {
    ours,
    methods,
    splits: options.splits,
    labels: options.labels,
    seed,
    replicates: options.replicates,
    boards,
    ranks: meanRanks(boards),
    curves,
    unseen: unseen.length > 0 ? unseenBoard(unseen, methods, seed) : null,
    adapted:
      adapted.length > 0 ? { benchmarks: adapted, summary: adaptedSummary(adapted, options.replicates, seed) } : null,
    onboarding,
    routellm,
  };
  return { ...board, targets: targetsOf(board) };
}

function checkNames(datasets: readonly Dataset[]): void {
  const names = datasets.map((d) => d.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new RoutingError('INVALID_CONFIG', `two folders are named ${twice}; give each source a name of its own`);
  }
}
