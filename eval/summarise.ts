/** Everything measured → the result that is printed, drawn and written as JSON. */
import type { LanguageOf, Prompt } from '../datasets/index.ts';
import { chosenSums, differenceSum, type MeasuredPart } from './choices.ts';
import { packReplicates } from './compare-results.ts';
import type { Frozen } from './contender.ts';
import { mainBasis } from './costs.ts';
import { FIGURES, type FigureName } from './figures.ts';
import { type FlagFacts, flagsOf } from './flags.ts';
import type { FoldResult } from './fold.ts';
import { aiq, type CostRange, curveFrom } from './metrics/aiq.ts';
import type { Interval } from './metrics/bootstrap.ts';
import { calibrationError } from './metrics/calibration-error.ts';
import { byCost } from './metrics/curve-point.ts';
import { reliabilityCurve } from './metrics/reliability.ts';
import { upperHull } from './metrics/upper-hull.ts';
import { cheapestKeeping, OPERATING_SHARE, type SettingShare, settingShares } from './operating-point.ts';
import {
  type BenchmarkResult,
  type ControlRow,
  type CurveEntry,
  type Estimate,
  type Evaluation,
  type OperatingPoint,
  type ReliabilityBin,
  type RouterResult,
  type SensitivityRow,
  type SplitDuplicates,
  START_SETTING,
} from './result.ts';
import { singleModels } from './single-models.ts';
import { mostRegretted, type OperatingPart, operatingMeans, slices } from './slices.ts';
import type { SplitName } from './split.ts';
import type { RouterStatistics, Statistics } from './statistics.ts';
import type { MeasuredRouter, TestPart, Units } from './tally.ts';
import type { Task } from './task.ts';

export interface Measured {
  readonly task: Task;
  readonly taskHash: string;
  readonly known: FlagFacts;
  readonly split: SplitName;
  readonly benchmark: string | null;
  readonly seed: number;
  readonly replicates: number;
  readonly folds: readonly FoldResult[];
  readonly units: Units;
  /** Routers with a row, in the order of the table. */
  readonly shown: readonly MeasuredRouter[];
  /** These and the references, by name. */
  readonly measured: ReadonlyMap<string, MeasuredRouter>;
  readonly pooled: Statistics;
  /** One for each left-out benchmark. */
  readonly byPart: readonly Statistics[];
  readonly trainedGroups: number;
  readonly unfit: readonly { readonly name: string; readonly reason: string }[];
  readonly artifacts: readonly string[];
  readonly tests: readonly TestPart[];
  readonly languageOf: LanguageOf;
  /** Prompts may be shown with their text. */
  readonly showText: boolean;
  readonly sensitivity: readonly SensitivityRow[];
  readonly controls: readonly ControlRow[];
  readonly duplicates: SplitDuplicates;
}

export function summarise(run: Measured): Evaluation {
  const { task, folds, pooled } = run;
  const prompts = sum(folds.map((fold) => fold.test.table.prompts.length));
  const labels = (name: string) => {
    const all = new Set(run.measured.get(name)!.parts.map((part) => part.frozen.label(0)));
    return all.size === 1 ? [...all][0]! : `${all.size} models, by left-out benchmark`;
  };
  const judged: Omit<Evaluation, 'flags'> = {
    schemaVersion: 1,
    taskHash: run.taskHash,
    splitDuplicates: run.duplicates,
    sensitivity: run.sensitivity,
    controls: run.controls,
    dataset: task.name,
    split: run.split,
    benchmark: run.benchmark,
    seed: run.seed,
    trainPrompts: Math.round(sum(folds.map((fold) => fold.trainPrompts)) / folds.length),
    prompts,
    groups: run.units.count,
    groupsInData: new Set(task.part.table.prompts.map((p) => p.groupId)).size,
    models: task.part.table.modelIds.length,
    modelIds: task.part.table.modelIds,
    costBasis: mainBasis(task.costShares),
    costBasisShares: task.costShares,
    hiddenReasoningIncluded: task.hiddenReasoningIncluded,
    untriedShare: task.untriedShare,
    dropped: { trainedGroups: run.trainedGroups, ...task.dropped, routers: run.unfit },
    baseline: { model: labels('baseline'), ...pooled.baseline },
    costRange: {
      cheapest: labels('cheapest'),
      lowUsd: pooled.range.lowUsd,
      dearest: labels('dearest'),
      highUsd: pooled.range.highUsd,
    },
    bootstrap: { replicates: run.replicates, unit: folds.length > 1 ? 'benchmark, then group' : 'group' },
    artifacts: run.artifacts,
    routers: run.shown.map((router, r) => routerResult(router, run, pooled.routers[r]!, prompts)),
    singleModels: folds.length === 1 ? singlesOf(folds[0]!) : [],
    byBenchmark: run.byPart.map((part, p) => benchmarkResult(part, folds[p]!, run.units, p)),
  };
  return { ...judged, flags: flagsOf(judged, run.known) };
}

function routerResult(router: MeasuredRouter, run: Measured, own: RouterStatistics, prompts: number): RouterResult {
  const parts = router.parts;
  const zero = run.measured.get('zero')!.parts;
  const chosen = parts.map((part, p) => chosenSums(part, run.folds[p]!.test));
  const differs = parts.map((part, p) => differenceSum(part, zero[p]!));
  const { figures, intervals } = own;
  const reaches = (share: number) => parts.every(({ frozen }) => cheapestKeeping(frozen, share) !== null);
  const estimate = (name: FigureName): Estimate => ({ value: figures[name], ...intervals[name] });
  const named: Record<string, Interval> = Object.fromEntries(PLAIN.map((f) => [f, intervals[f]]));
  const metrics = Object.fromEntries(FIGURES.map((f) => [f, estimate(f)])) as Record<FigureName, Estimate>;
  return {
    name: router.name,
    kind: router.kind,
    aiq: estimate('aiq'),
    aiqMinusZero: estimate('aiqMinusZero'),
    aiqLinear: figures.aiqLinear,
    gapRecovered: figures.gapRecovered,
    apgr: figures.apgr,
    cpt50: figures.cpt50,
    cpt80: figures.cpt80,
    qualityNeutralCost: figures.qualityNeutralCost,
    savingsAt: { '95': figures.saving95, '98': figures.saving98, '100': figures.saving100 },
    ece: figures.ece,
    curve: curveOf(parts, own, run.pooled.range),
    intervals: named,
    best: own.points.at(-1)!,
    promised: {
      '95': {
        saving: estimate('promisedSaving95'),
        kept: estimate('keptQuality95'),
        reached: reaches(0.95),
      },
      '98': {
        saving: estimate('promisedSaving98'),
        kept: estimate('keptQuality98'),
        reached: reaches(0.98),
      },
      '100': {
        saving: estimate('promisedSaving100'),
        kept: estimate('keptQuality100'),
        reached: reaches(1.0),
      },
    },
    eceByModel: eceByModel(parts, run.folds),
    chosen: chosen.every((c) => c !== null)
      ? {
          predicted: sum(chosen.map((c) => c!.predicted)) / prompts,
          observed: sum(chosen.map((c) => c!.observed)) / prompts,
        }
      : null,
    differsFromZero: differs.every((d) => d !== null) ? sum(differs.map((d) => d!)) / prompts : null,
    metrics,
    reliability: reliabilityOf(parts, run.folds),
    operatingPoint: router.kind === 'learned' ? operatingPointOf(router, run) : null,
    replicates: router.kind === 'learned' ? packReplicates(own.replicates) : null,
    hindsightAiq: parts.length === 1 ? hindsight(parts[0]!, run.pooled.range) : null,
  };
}

/** Figures that stand as plain numbers in the result, their intervals under `intervals`. */
const PLAIN: readonly FigureName[] = [
  'aiqLinear',
  'gapRecovered',
  'apgr',
  'cpt50',
  'cpt80',
  'qualityNeutralCost',
  'saving95',
  'saving98',
  'saving100',
  'ece',
];

function operatingPointOf(router: MeasuredRouter, run: Measured): OperatingPoint {
  const baseline = run.measured.get('baseline')!;
  const parts = router.parts.map((measured, f): OperatingPart => {
    const { unitOf, qualityPerUsd, part } = run.tests[f]!;
    return { part, unitOf, qualityPerUsd, router: measured, baseline: baseline.parts[f]! };
  });
  const { replicates, seed, languageOf } = run;
  const [first] = router.parts;
  const mix = router.parts.length === 1 ? cheapestKeeping(first!.frozen, OPERATING_SHARE) : null;
  const language = (prompt: Prompt) => languageOf(prompt.text);
  const texts = parts.every(({ part }) => part.table.prompts.every(({ text }) => text !== ''));
  return {
    reached: router.parts.every(({ frozen }) => cheapestKeeping(frozen, OPERATING_SHARE) !== null),
    ...operatingMeans(parts),
    knobs: mix ? knobsOf(first!.frozen, settingShares(first!.frozen, mix)) : [],
    byBenchmark: slices(parts, (p) => p.benchmark, { replicates, seed }),
    byLanguage: texts ? slices(parts, language, { replicates, seed }) : [],
    mostRegretted: mostRegretted(parts, MOST_REGRETTED, run.showText),
  };
}

/** Prompts in the list of a router's worst choices. */
const MOST_REGRETTED = 20;

/** Settings as knobs of the gateway's policy; none where one of them has no such knob. */
function knobsOf(frozen: Frozen, settings: readonly SettingShare[]): NonNullable<CurveEntry['knobs']> {
  if (!frozen.knobs) return [];
  return settings.map(({ setting, share }) => ({ share, policy: frozen.knobs!(setting) }));
}

/** Forecasts of all models together. */
function reliabilityOf(parts: readonly MeasuredPart[], folds: readonly FoldResult[]): ReliabilityBin[] | null {
  const predicted: number[] = [];
  const observed: number[] = [];
  parts.forEach(({ measurement }, p) => {
    measurement.predicted?.forEach((forecast, at) => {
      const y = folds[p]!.test.table.quality[at]!;
      if (Number.isNaN(forecast) || Number.isNaN(y)) return;
      predicted.push(Math.min(1, Math.max(0, forecast)));
      observed.push(y);
    });
  });
  if (predicted.length === 0) return null;
  return reliabilityCurve(Float64Array.from(predicted), Float64Array.from(observed));
}

/** Distinct points by rising cost, from where AIQ starts. */
function curveOf(parts: readonly MeasuredPart[], own: RouterStatistics, range: CostRange): CurveEntry[] {
  const entries = own.points.map((point, k) => ({
    setting: parts.length === 1 ? settingOf(parts[0]!.frozen, k) : `operating point ${k + 1} of ${own.points.length}`,
    ...point,
    interval: own.pointIntervals[k]!,
    ...(parts.length === 1 && withKnobs(parts[0]!.frozen, k)),
  }));
  const distinct = byCost(entries).filter((p, k, all) => {
    const last = all[k - 1];
    return !last || last.costUsd !== p.costUsd || last.quality !== p.quality;
  });
  return curveFrom(distinct, range).map((point) => ({ setting: START_SETTING, ...point }));
}

function withKnobs(frozen: Frozen, k: number): Pick<CurveEntry, 'knobs'> {
  const knobs = knobsOf(frozen, settingShares(frozen, { a: k, b: k, weight: 0 }));
  return knobs.length > 0 ? { knobs } : {};
}

function settingOf({ points, label }: Frozen, k: number): string {
  const { a, b, weight } = points[k]!;
  if (a === b || weight === 0) return label(a);
  if (weight === 1) return label(b);
  return `${(1 - weight).toFixed(3)} × ${label(a)} + ${weight.toFixed(3)} × ${label(b)}`;
}

/** AIQ with hull and settings chosen on the test part itself. */
function hindsight({ measurement }: MeasuredPart, range: CostRange): number | null {
  const points = measurement.hindsight;
  if (!points) return null;
  const withCheapest = [...points, { costUsd: range.lowUsd, quality: range.lowQuality }];
  return aiq(
    upperHull(withCheapest).map((k) => withCheapest[k]!),
    range,
  );
}

function eceByModel(parts: readonly MeasuredPart[], folds: readonly FoldResult[]): Record<string, number> | null {
  const cells = new Map<string, { predicted: number[]; observed: number[] }>();
  parts.forEach(({ measurement: { predicted } }, p) => {
    if (!predicted) return;
    const { table } = folds[p]!.test;
    const m = table.modelIds.length;
    table.modelIds.forEach((id, j) => {
      const own = cells.get(id) ?? { predicted: [], observed: [] };
      cells.set(id, own);
      for (let at = j; at < predicted.length; at += m) {
        if (Number.isNaN(predicted[at]!) || Number.isNaN(table.quality[at]!)) continue;
        own.predicted.push(predicted[at]!);
        own.observed.push(table.quality[at]!);
      }
    });
  });
  const errors = [...cells].flatMap(([id, { predicted, observed }]) => {
    const ece = calibrationError(Float64Array.from(predicted), Float64Array.from(observed));
    return ece === null ? [] : [[id, ece] as const];
  });
  return errors.length === 0 ? null : Object.fromEntries(errors);
}

function singlesOf({ test }: FoldResult): Evaluation['singleModels'] {
  const { quality, costUsd } = singleModels(test);
  return test.table.modelIds
    .map((model, j) => ({ model, costUsd: costUsd[j]!, quality: quality[j]! }))
    .filter(({ costUsd: usd }) => !Number.isNaN(usd));
}

function benchmarkResult(part: Statistics, fold: FoldResult, units: Units, p: number): BenchmarkResult {
  return {
    benchmark: fold.name,
    prompts: fold.test.table.prompts.length,
    groups: units.part.reduce((count, own) => count + (own === p ? 1 : 0), 0),
    trainPrompts: fold.trainPrompts,
    routers: part.routers.map(({ name, figures, intervals }) => ({
      name,
      aiq: { value: figures.aiq, ...intervals.aiq },
      aiqMinusZero: { value: figures.aiqMinusZero, ...intervals.aiqMinusZero },
    })),
  };
}

const sum = (xs: readonly number[]): number => xs.reduce((total, x) => total + x, 0);
