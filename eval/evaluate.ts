/** The whole run: dataset → task → folds → fitted and frozen routers → measured on the test parts → figures. */
import {
  type Clusters,
  clustersOf,
  type Dataset,
  type LanguageOf,
  languageDetector,
  type Prompt,
  RoutingError,
} from '../datasets/index.ts';
import type { CheckErrors } from '../router/policy/cascade.ts';
import { baselineModel, dearest, worstSingle } from './baselines/fixed.ts';
import type { Contender } from './contender.ts';
import { controlContenders, controlRows } from './control-rows.ts';
import type { FigureName } from './figures.ts';
import type { Ranked } from './flags.ts';
import { type FoldResult, runFold } from './fold.ts';
import type { HttpRouterOptions } from './http-router.ts';
import { inSampleSuspicion } from './predictions.ts';
import type { Evaluation, SensitivityRow } from './result.ts';
import { type LoadSource, rosterOf, routerName } from './routers.ts';
import { measureVariant, variantsOf } from './sensitivity.ts';
import type { SingleModels } from './single-models.ts';
import { foldRows, groupsWith, type SplitName } from './split.ts';
import { splitDuplicates } from './split-duplicates.ts';
import { type RouterStatistics, type Statistics, statistics } from './statistics.ts';
import { summarise } from './summarise.ts';
import { type MeasuredRouter, type Tally, type TestPart, tally, type Units } from './tally.ts';
import { prepareTask, type Task } from './task.ts';
import { checkSameTask, type TaskFile, taskFileOf } from './task-file.ts';

export interface EvaluateOptions {
  /** Names as on the command line; default: the shipped artifact and its rivals. */
  readonly routers?: readonly string[];
  readonly split?: SplitName;
  /** Only benchmarks whose name starts with this. */
  readonly benchmark?: string;
  readonly trainPrompts?: number;
  readonly seed?: number;
  /** What savings are measured against; default: the best single model on the training part. */
  readonly baseline?: string;
  readonly includeReasoning?: boolean;
  /** Bootstrap replicates. */
  readonly replicates?: number;
  /** Loads artifacts. */
  readonly load: LoadSource;
  /** Lists of single prompts carry their text; default: ids alone. */
  readonly showText?: boolean;
  /** Negative controls beside the routers, and the lead under other analyses; default: yes. */
  readonly checks?: boolean;
  /** Near-duplicate groups of the dataset's prompts, where they are known already. */
  readonly clusters?: Clusters;
  /** For routers that are asked over HTTP. */
  readonly http?: HttpRouterOptions;
  /** Show every learned router with its answers checked, too, by a check that errs so often. */
  readonly check?: CheckErrors;
  /** A frozen task that this run must be. */
  readonly task?: TaskFile;
  /** Given the task that is run, before anything is fitted. */
  readonly onTask?: (task: TaskFile, testGroups: number) => void;
  /** Told what is going on, a line at a time. */
  readonly onProgress?: (message: string) => void;
}

export const DEFAULT_REPLICATES = 1000;

/**
 * Evaluates routers on a dataset.
 * @throws `INVALID_CONFIG` for an unknown router, benchmark or baseline; `EMPTY_TABLE` when nothing is left to
 *         compare or to test on; what loading an artifact throws
 */
export async function evaluate(dataset: Dataset, options: EvaluateOptions): Promise<Evaluation> {
  const { split = 'group', seed = 0, replicates = DEFAULT_REPLICATES, onProgress = () => {} } = options;
  const task = prepareTask(dataset, options);
  checkBaseline(task, options.baseline);
  const roster = await rosterOf(options.routers ?? [], options.load, options.http, options.check);
  const { prompts } = task.part.table;
  const seen = (prompt: Prompt) => roster.sources.some((source) => source.seen(prompt));
  const rows = foldRows(prompts, {
    split,
    seed,
    seen,
    ...(options.trainPrompts !== undefined && { trainPrompts: options.trainPrompts }),
  });

  const taskFile = taskFileOf({
    task,
    folds: rows,
    split,
    seed,
    replicates,
    trainPrompts: options.trainPrompts,
    benchmark: options.benchmark,
    baseline: options.baseline,
  });
  if (options.task) checkSameTask(options.task, taskFile);
  const tested = new Set(rows.flatMap(({ test }) => test.map((i) => prompts[i]!.groupId)));
  options.onTask?.(taskFile, tested.size);

  // No row is printed for the ends of the axes and the baseline, but every figure needs them.
  const references = [dearest(), worstSingle(), baselineModel()];
  const controls = options.checks === false ? [] : controlContenders();
  const contenders = [...roster.contenders, ...references, ...controls];
  const runOptions = { seed, ...(options.baseline !== undefined && { baseline: options.baseline }) };
  const folds: FoldResult[] = [];
  for (const [f, fold] of rows.entries()) {
    const place = rows.length > 1 ? `${f + 1} of ${rows.length}, without ${fold.name}: ` : '';
    const result = await runFold(task.part, fold, contenders, {
      ...runOptions,
      onProgress: (message) => onProgress(place + message),
    });
    if (result) folds.push(result);
  }
  if (folds.length === 0) {
    throw new RoutingError('EMPTY_TABLE', 'no test prompt has an outcome of a model that training has outcomes of');
  }

  onProgress(`figures and ${replicates} bootstrap resamples`);
  const names = roster.contenders.map(({ name }) => name);
  const board = measuredBoard(folds, contenders);
  checkAsked((options.routers ?? []).map(routerName), board.unfit);
  const shown = names.filter((name) => board.measured.has(name)).map((name) => board.measured.get(name)!);
  const figures = (keep?: (unit: number) => boolean) =>
    boardStatistics(board, shown, { replicates, seed, ...(keep ? { keep } : { hierarchical: folds.length > 1 }) });
  const pooled = figures();

  const few = { replicates: Math.min(replicates, CHECK_REPLICATES), seed, hierarchical: folds.length > 1 };
  const learned = shown.filter(({ kind }) => kind === 'learned');
  const sensitivity: SensitivityRow[] = [];
  if (options.checks !== false && learned.length > 0) {
    onProgress('the same under other analyses');
    const again = contenders.filter((c) => !controls.includes(c) && (c.kind !== 'baseline' || NEEDED.has(c.name)));
    for (const variant of variantsOf(folds, task.hiddenReasoningIncluded)) {
      const changed = await measureVariant(variant, folds, again, runOptions);
      if (!changed) continue;
      const other = measuredBoard(changed, again);
      const { routers } = boardStatistics(
        other,
        learned.map(({ name }) => other.measured.get(name)!),
        few,
      );
      sensitivity.push({ analysis: variant.analysis, leads: routers.map((r) => leadOf(r, 'aiqMinusZero')) });
    }
    sensitivity.push({
      analysis: 'AIQ over cost instead of its logarithm',
      leads: pooled.routers.filter((_, k) => shown[k]!.kind === 'learned').map((r) => leadOf(r, 'aiqLinearMinusZero')),
    });
  }
  const control = (name: string) => board.measured.get(name)!;
  const controlled =
    controls.length === 0
      ? []
      : boardStatistics(
          board,
          controls.filter(({ name }) => board.measured.has(name)).map(({ name }) => control(name)),
          few,
        ).routers;

  onProgress('slices and near-duplicates');
  return summarise({
    task,
    taskHash: taskFile.hash,
    known: {
      inSample: inSampleExcess(roster.contenders, folds, seed),
      ranking: new Map(learned.map(({ name }) => [name, rankedBy(name, roster.contenders, board, task)])),
    },
    split,
    benchmark: options.benchmark ?? null,
    seed,
    replicates,
    folds,
    units: board.units,
    shown,
    measured: board.measured,
    pooled,
    byPart: split === 'benchmark' ? folds.map((_, p) => figures((u) => board.units.part[u] === p)) : [],
    trainedGroups: groupsWith(prompts, seen).size,
    unfit: board.unfit.filter(({ name }) => names.includes(name)),
    artifacts: roster.sources.map((source) => source.hash),
    tests: board.tests,
    languageOf: remembered(await languageDetector()),
    showText: options.showText ?? false,
    sensitivity,
    controls: controlRows(controlled),
    duplicates: splitDuplicates(
      folds.map(({ train, test }) => ({ train: train.table.prompts, test: test.table.prompts })),
      options.clusters ?? clustersOf(prompts),
    ),
  });
}

/** Forecasts given from outside that are surely better on the training part than on the test part, by how much. */
function inSampleExcess(contenders: readonly Contender[], folds: readonly FoldResult[], seed: number) {
  return new Map(
    contenders.flatMap((contender): [string, number][] => {
      const found = inSampleSuspicion(contender, folds, seed);
      return found && found.low > 0 ? [[contender.name, found.excess]] : [];
    }),
  );
}

/** Which models a router's forecasts leave out, and which they name that nobody here has heard of. */
function rankedBy(name: string, contenders: readonly Contender[], { measured, tests }: Board, task: Task): Ranked {
  const { modelIds } = task.part.table;
  const forecast = new Set<string>();
  measured.get(name)!.parts.forEach(({ measurement: { predicted } }, f) => {
    const own = tests[f]!.part.table.modelIds;
    predicted?.forEach((p, at) => {
      if (!Number.isNaN(p)) forecast.add(own[at % own.length]!);
    });
  });
  const { hiddenReasoningModels, unpricedModels, baseModels } = task.dropped;
  const heardOf = new Set([...modelIds, ...hiddenReasoningModels, ...unpricedModels, ...baseModels]);
  const given = contenders.find((c) => c.name === name)?.modelIds;
  return {
    given: given !== undefined,
    missing: forecast.size === 0 ? [] : modelIds.filter((id) => !forecast.has(id)),
    unknown: (given ?? []).filter((id) => !heardOf.has(id)),
  };
}

/** Every router is sliced by the same languages. */
function remembered(languageOf: LanguageOf): LanguageOf {
  const known = new Map<string, string>();
  return (text) => {
    const language = known.get(text) ?? languageOf(text);
    known.set(text, language);
    return language;
  };
}

/** Replicates of what is only checked, not claimed. */
const CHECK_REPLICATES = 300;
/** Baselines that a lead cannot do without. */
const NEEDED = new Set(['cheapest', 'best-single', 'zero', 'random', 'dearest', 'worst', 'baseline']);

const leadOf = ({ name, figures, intervals }: RouterStatistics, figure: FigureName) => ({
  router: name,
  lead: { value: figures[figure], ...intervals[figure] },
});

function checkBaseline(task: Task, baseline: string | undefined): void {
  const { modelIds } = task.part.table;
  if (baseline === undefined || modelIds.includes(baseline)) return;
  const why = task.dropped.hiddenReasoningModels.includes(baseline)
    ? 'its hidden reasoning tokens make its cost unknown; --include-reasoning keeps it'
    : task.dropped.unpricedModels.includes(baseline)
      ? 'it has no price'
      : `the candidates are ${modelIds.join(', ')}`;
  throw new RoutingError('INVALID_CONFIG', `baseline "${baseline}" is no candidate of ${task.name}: ${why}`);
}

/** A router asked for by name that cannot take part is an error; one shown by default is left out and named. */
function checkAsked(asked: readonly string[], unfit: readonly { name: string; reason: string }[]): void {
  const failed = unfit.find(({ name }) => asked.includes(name));
  if (failed) throw new RoutingError('INVALID_CONFIG', `router "${failed.name}" cannot be evaluated: ${failed.reason}`);
}

/** Contenders as measured on the folds, ready for figures. */
interface Board {
  readonly tests: TestPart[];
  readonly units: Units;
  readonly measured: ReadonlyMap<string, MeasuredRouter>;
  readonly tallies: ReadonlyMap<string, Tally>;
  readonly unfit: readonly { readonly name: string; readonly reason: string }[];
}

function measuredBoard(folds: readonly FoldResult[], contenders: readonly Contender[]): Board {
  const { tests, units } = testParts(folds, folds[0]!.test.table.modelIds.length === 2);
  const unfit: { name: string; reason: string }[] = [];
  const measured = new Map<string, MeasuredRouter>();
  for (const { name, kind } of contenders) {
    const parts = folds.map((fold) => fold.measured.get(name)!);
    const reason = parts.find((part) => typeof part === 'string');
    if (reason !== undefined) unfit.push({ name, reason });
    else measured.set(name, { name, kind, parts: parts.filter((part) => typeof part !== 'string') });
  }
  const baseline = measured.get('baseline')!;
  const tallies = new Map([...measured].map(([name, router]) => [name, tally(router, baseline, tests, units)]));
  return { tests, units, measured, tallies, unfit };
}

function boardStatistics(
  { tallies, units }: Board,
  shown: readonly MeasuredRouter[],
  options: Parameters<typeof statistics>[3],
): Statistics {
  const of = (name: string) => tallies.get(name)!;
  return statistics(
    shown.map(({ name }) => of(name)),
    {
      cheapest: of('cheapest'),
      dearest: of('dearest'),
      worst: of('worst'),
      best: of('best-single'),
      random: of('random'),
      baseline: of('baseline'),
      zero: of('zero'),
      oracle: of('oracle'),
    },
    units,
    options,
  );
}

/**
 * Quality that one USD is worth where the cheapest and the best single model are equally good a choice on the training
 * part: there it pays most to tell prompts apart. 0 where money buys nothing.
 */
function exchangeRate({ byRisingCost, byFallingQuality, quality, costUsd }: SingleModels): number {
  const [cheap, good] = [byRisingCost[0]!, byFallingQuality[0]!];
  const spread = costUsd[good]! - costUsd[cheap]!;
  return spread > 0 ? Math.max(0, (quality[good]! - quality[cheap]!) / spread) : 0;
}

/** Test parts with their resampling units: a group inside one test part. */
function testParts(folds: readonly FoldResult[], twoModels: boolean): { tests: TestPart[]; units: Units } {
  const prompts: number[] = [];
  const part: number[] = [];
  const tests = folds.map((fold, f): TestPart => {
    const unitOfGroup = new Map<string, number>();
    const unitOf = Int32Array.from(fold.test.table.prompts, ({ groupId }) => {
      let unit = unitOfGroup.get(groupId);
      if (unit === undefined) {
        unit = prompts.push(0) - 1;
        part.push(f);
        unitOfGroup.set(groupId, unit);
      }
      prompts[unit]!++;
      return unit;
    });
    const [strong, weak] = fold.singles.byFallingQuality;
    const pair = twoModels && weak !== undefined ? { strong: strong!, weak } : undefined;
    return { part: fold.test, unitOf, qualityPerUsd: exchangeRate(fold.singles), ...(pair && { pair }) };
  });
  return {
    tests,
    units: { count: prompts.length, prompts: Float64Array.from(prompts), part: Int32Array.from(part) },
  };
}
