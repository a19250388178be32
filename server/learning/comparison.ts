/** What a refitted router was found to do better and worse than the one in force; all of it is kept with the verdict. */
import type { Diagnostics } from '../../eval/ope/diagnostics.ts';
import type { Change, WeighedPolicy } from '../../eval/ope/paired-policies.ts';
import type { Estimate } from '../../eval/result.ts';
import type { SliceComparison } from './slices.ts';

/** New minus old, on judged answers that neither of the two was fitted on. */
export interface Comparison {
  /** Answers compared, and the sessions they come from. */
  readonly rows: number;
  readonly groups: number;
  /** Of the forecasts for the models that answered, in nats; below 0 is better. */
  readonly logLoss: Estimate;
  readonly logLossOld: number;
  readonly logLossNew: number;
  readonly brierOld: number;
  readonly brierNew: number;
  /** Mean observed quality beside the two mean forecasts of it. */
  readonly observed: number;
  readonly forecastOld: number;
  readonly forecastNew: number;
  readonly calibration: CalibrationComparison;
  /** Null where no answer has a reported length. */
  readonly costForecast: CostForecast | null;
  /** Doubly robust; null where no row carries a usable propensity. */
  readonly value: ValueComparison | null;
  /** Kinds of traffic, each at a level that holds for all of them together. */
  readonly slices: readonly SliceComparison[];
}

/** Root mean square calibration error, freed of the noise of its bins; null where answers are too few. */
export interface CalibrationComparison {
  readonly old: Estimate;
  readonly fresh: Estimate;
  /** fresh − old. */
  readonly difference: Estimate;
}

/** What calls were forecast to cost beside what they did, over the models that answered, at today's list prices. */
export interface CostForecast {
  readonly calls: number;
  readonly realisedUsd: number;
  readonly forecastOldUsd: number;
  readonly forecastNewUsd: number;
}

export interface ValueComparison {
  /** Units: sessions with a draw of their own. */
  readonly rows: number;
  readonly quality: Estimate;
  readonly qualityOld: number;
  readonly qualityNew: number;
  /** quality − λ cost, where the policy has a λ (`qualityPerUsd`) and costs are known: then this is what is judged. */
  readonly utility: Estimate | null;
  /** USD a unit as realised, doubly robust; null where costs are not known. */
  readonly costUsd: Estimate | null;
  /** The same by self-normalised weights, each with its effective sample size; null without a shared action. */
  readonly snipsOld: WeighedPolicy | null;
  readonly snipsNew: WeighedPolicy | null;
  readonly snips: Estimate | null;
  readonly overlap: Overlap;
  /** Bounds that hold whatever the weights, where the intervals above rest on too few rows to be believed. */
  readonly exact: { readonly low: number; readonly high: number } | null;
  /** Standard error that the judged difference must have on such a log, reckoned without the answers' verdict on it. */
  readonly designError: number;
  /** Expected cost of a call, USD, both by the new router's forecast of answer lengths, at today's prices. */
  readonly costOldUsd: number;
  readonly costNewUsd: number;
  /** Share of the new router's choices that the log has tried often enough to judge without a model. */
  readonly tried: number;
  /** Share of decisions that change. */
  readonly changed: number;
  /** Share that moves to models with fewer than 10 judged answers in the whole log. */
  readonly unknown: number;
  /** Expected time to an answer by each model's mean; null where too few are known. */
  readonly latency: { readonly oldMs: number; readonly newMs: number } | null;
}

export interface Overlap {
  readonly change: Change;
  /** True where effective units are too few for intervals to be believed. */
  readonly isFew: boolean;
  readonly old: Diagnostics | null;
  readonly fresh: Diagnostics | null;
}

/** Milliseconds that one decision takes from its embedding on, in the thread that fits. */
export interface DecisionTimes {
  readonly oldP50: number;
  readonly oldP99: number;
  readonly newP50: number;
  readonly newP99: number;
}
