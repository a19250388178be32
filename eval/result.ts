/**
 * What an evaluation answers. This is the JSON of `--json`, field for field: names are stable, costs are USD
 * per prompt, shares and qualities fractions, and what is not defined is null. The README lists them.
 */
import type { ContenderKind } from './contender.ts';
import type { CostBasis } from './costs.ts';
import type { FigureName } from './figures.ts';
import type { SplitName } from './split.ts';

export interface Estimate {
  readonly value: number | null;
  /** Bounds of the 95 % bootstrap interval. */
  readonly low: number | null;
  readonly high: number | null;
}

/** What to put under `policy:` in the configuration so that the gateway decides as one setting does. */
export interface PolicyKnobs {
  readonly tolerance: number;
  /** Null: the cheapest adequate model, whatever the quality. */
  readonly qualityPerUsd: number | null;
}

export interface CurveEntry {
  /** The frozen setting: one trade-off λ, or a random mix of two. */
  readonly setting: string;
  readonly costUsd: number;
  readonly quality: number;
  /** 95 % bootstrap intervals; absent for the {@link START_SETTING}. */
  readonly interval?: { readonly costUsd: Bounds; readonly quality: Bounds };
  /** The settings of the mix as knobs, with the share of prompts each gets; absent where no knob stands for one. */
  readonly knobs?: readonly { readonly share: number; readonly policy: PolicyKnobs }[];
}

export interface Bounds {
  readonly low: number | null;
  readonly high: number | null;
}

/** One bin of a reliability curve over all forecasts. */
export interface ReliabilityBin {
  readonly predicted: number;
  readonly observed: number;
  /** 95 % interval of what was observed; null for a bin of one graded answer. */
  readonly low: number | null;
  readonly high: number | null;
  /** Answers. */
  readonly n: number;
}

/** Prompts of one kind at the operating point, beside the baseline on the same prompts. */
export interface Slice {
  readonly name: string;
  readonly prompts: number;
  readonly groups: number;
  readonly quality: number;
  readonly baselineQuality: number;
  /** Quality minus the baseline's. */
  readonly qualityChange: Estimate;
  /** Cost / the baseline's cost; null where that is 0. */
  readonly costShare: Estimate;
}

export interface RegrettedCell {
  readonly model: string;
  readonly quality: number;
  readonly costUsd: number;
  /** Quality that the router forecast. */
  readonly predicted: number | null;
}

/** A prompt on which another choice would have been worth more. */
export interface Regretted {
  readonly promptId: string;
  readonly benchmark: string;
  /** In quality, money counted at the exchange rate. */
  readonly regret: number;
  readonly chosen: RegrettedCell;
  readonly better: RegrettedCell;
  /** Only where texts may be shown. */
  readonly text?: string;
}

/** A router where it is asked to keep 98 % of the baseline's quality. */
export interface OperatingPoint {
  /** False where it keeps so much nowhere on the training part: then the baseline answers everything. */
  readonly reached: boolean;
  readonly costUsd: number;
  readonly quality: number;
  readonly knobs: readonly { readonly share: number; readonly policy: PolicyKnobs }[];
  readonly byBenchmark: readonly Slice[];
  readonly byLanguage: readonly Slice[];
  readonly mostRegretted: readonly Regretted[];
}

/** The start of a curve whose own first point costs more: every router may send prompts to the cheapest model. */
export const START_SETTING = 'start: always cheapest';

/** The router's own operating points, without the {@link START_SETTING}. */
export const ownPoints = ({ curve }: RouterResult): readonly CurveEntry[] =>
  curve.filter((point) => point.setting !== START_SETTING);

export interface RouterResult {
  readonly name: string;
  readonly kind: ContenderKind;
  readonly aiq: Estimate;
  readonly aiqMinusZero: Estimate;
  readonly aiqLinear: number | null;
  readonly gapRecovered: number | null;
  readonly apgr: number | null;
  readonly cpt50: number | null;
  readonly cpt80: number | null;
  readonly qualityNeutralCost: number | null;
  readonly savingsAt: { readonly '95': number | null; readonly '98': number | null; readonly '100': number | null };
  readonly ece: number | null;
  /**
   * Frozen operating points as measured on the test part, by rising cost, after the {@link START_SETTING} where
   * they begin above the cheapest model. AIQ over `costRange` is the area under exactly this curve.
   */
  readonly curve: readonly CurveEntry[];
  /** Intervals of the figures above that are plain numbers. */
  readonly intervals: Readonly<Record<string, { readonly low: number | null; readonly high: number | null }>>;
  /** The operating point of greatest quality on the training part, as measured on the test part. */
  readonly best: { readonly costUsd: number; readonly quality: number };
  /** Asked on the training part to keep 95, 98 or 100 % of the baseline's quality: what was saved and kept. */
  readonly promised: Readonly<
    Record<
      '95' | '98' | '100',
      {
        readonly saving: Estimate;
        readonly kept: Estimate;
        /** False where it keeps so much nowhere on the training part: then the baseline answers everything. */
        readonly reached: boolean;
      }
    >
  >;
  /** Calibration error of each model. */
  readonly eceByModel: Readonly<Record<string, number>> | null;
  /** Over all operating points: what was predicted for the chosen models, and what they reached. */
  readonly chosen: { readonly predicted: number; readonly observed: number } | null;
  /** Share of prompts that go to another model than with the zero router at the same operating point. */
  readonly differsFromZero: number | null;
  /** Every figure by name (`figures.ts`), each with its interval. */
  readonly metrics: Readonly<Record<FigureName, Estimate>>;
  /** Forecasts against outcomes; null for routers that forecast none. */
  readonly reliability: readonly ReliabilityBin[] | null;
  /** Of learned routers; null for the others. */
  readonly operatingPoint: OperatingPoint | null;
  /**
   * Some figures on every resample, base64 of 32-bit floats, so that a later result of the same task can be compared
   * in pairs; null for rows that are not learned.
   */
  readonly replicates: Readonly<Record<string, string>> | null;
  /** AIQ if settings and hull had been chosen on the test part: optimistic, never the headline. */
  readonly hindsightAiq: number | null;
}

export const FLAG_CODES = [
  'LEAKY_ROUTER', // nothing that does not see the outcomes is known to recover so much
  'IN_SAMPLE_FORECASTS', // settings were chosen on forecasts that are better than those of the test part
  'PROMISE_NOT_KEPT', // asked to keep 98 %, it surely kept less
  'MODELS_NOT_RANKED', // a candidate that the router has no forecast for
  'BELOW_ZERO', // a random mix of single models does better
  'NEAR_DUPLICATES_ACROSS_SPLIT', // test prompts whose twin was trained on
  'CONTROL_FAILED', // noise beats the zero router, or a router that sees the outcomes does not stand out
  'SIGN_CHANGES', // the lead's sign hangs on a choice of the analysis
  'HIDDEN_REASONING', // costs lack hidden tokens
  'BENCHMARKS_NOT_NEW', // an artifact was trained on other prompts of the benchmarks left out
  'FEW_TRAINING_PROMPTS',
  'FEW_TEST_GROUPS',
  'NOTHING_TO_ROUTE', // the oracle is no better than the best mix of single models
] as const;
export type FlagCode = (typeof FLAG_CODES)[number];

/** Something that a reader must not miss. `red`: do not trust the figures concerned. */
export interface Flag {
  readonly code: FlagCode;
  readonly severity: 'red' | 'note';
  readonly message: string;
  /** The router concerned; absent where it is the whole comparison. */
  readonly router?: string;
}

/** The lead over the zero router under one other way to analyse the same answers. */
export interface SensitivityRow {
  readonly analysis: string;
  readonly leads: readonly { readonly router: string; readonly lead: Estimate }[];
}

/** A router whose place is known beforehand. */
export interface ControlRow {
  readonly name: string;
  readonly lead: Estimate;
  readonly gapRecovered: number | null;
  readonly expected: string;
  readonly passed: boolean;
}

export interface BenchmarkResult {
  readonly benchmark: string;
  readonly prompts: number;
  readonly groups: number;
  readonly trainPrompts: number;
  readonly routers: readonly { readonly name: string; readonly aiq: Estimate; readonly aiqMinusZero: Estimate }[];
}

export interface Dropped {
  /** Groups of this data that a router under evaluation was fitted on: never tested on. */
  readonly trainedGroups: number;
  /** Prompts. */
  readonly contaminated: number;
  /** Prompts. */
  readonly noOutcome: number;
  readonly hiddenReasoningModels: readonly string[];
  readonly unpricedModels: readonly string[];
  readonly baseModels: readonly string[];
  /** Routers that were asked for and have no say on this data, with the reason. */
  readonly routers: readonly { readonly name: string; readonly reason: string }[];
}

/** Test prompts that are nearly the same as a training prompt. */
export interface SplitDuplicates {
  readonly testPrompts: number;
  /** In [0, 1], of the test prompts that have a text. */
  readonly share: number;
  /** Ids of a test prompt and of a training prompt. */
  readonly examples: readonly (readonly [string, string])[];
  /** Test prompts without text, which cannot be compared. */
  readonly unchecked: number;
}

export interface Evaluation {
  /** Of this result's form; a field that changes its meaning raises it. */
  readonly schemaVersion: 1;
  /** Results are comparable only under the same one (`task-file.ts`). */
  readonly taskHash: string;
  readonly flags: readonly Flag[];
  readonly splitDuplicates: SplitDuplicates;
  /** Empty where they were not asked for. */
  readonly sensitivity: readonly SensitivityRow[];
  readonly controls: readonly ControlRow[];
  readonly dataset: string;
  readonly split: SplitName;
  readonly benchmark: string | null;
  readonly seed: number;
  /** Training prompts; the mean over left-out benchmarks. */
  readonly trainPrompts: number;
  /** Prompts and groups of the test part. */
  readonly prompts: number;
  readonly groups: number;
  /** All groups of the data that could train or be tested. */
  readonly groupsInData: number;
  readonly models: number;
  readonly modelIds: readonly string[];
  readonly costBasis: CostBasis;
  readonly costBasisShares: Readonly<Record<CostBasis, number>>;
  /** Candidates whose hidden reasoning tokens were not counted, kept on request: their costs are too low. */
  readonly hiddenReasoningIncluded: readonly string[];
  /** Share of (prompt, candidate) cells without an outcome: there no router may choose that candidate. */
  readonly untriedShare: number;
  readonly dropped: Dropped;
  /** On all test prompts; where the model has no outcome, the next one by quality answers. */
  readonly baseline: { readonly model: string; readonly costUsd: number; readonly quality: number };
  /** The cost axis: the cheapest and the dearest single model, measured as the baseline is. */
  readonly costRange: {
    readonly cheapest: string;
    readonly lowUsd: number;
    readonly dearest: string;
    readonly highUsd: number;
  };
  readonly bootstrap: { readonly replicates: number; readonly unit: 'group' | 'benchmark, then group' };
  /** Content hashes of the artifacts in use. */
  readonly artifacts: readonly string[];
  readonly routers: readonly RouterResult[];
  /** Each candidate alone on the test part, adjusted for the prompts it was not tried on, no stand-ins; empty with left-out benchmarks. */
  readonly singleModels: readonly { readonly model: string; readonly costUsd: number; readonly quality: number }[];
  /** Only with `--split benchmark`. */
  readonly byBenchmark: readonly BenchmarkResult[];
}
