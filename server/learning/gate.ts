/** When a refitted router replaces the one in force. Every limit is fixed before a log is looked at; see README.md. */

import { counted } from '../counted.ts';
import type { Comparison, DecisionTimes } from './comparison.ts';
import {
  calibrationCheck,
  choicesCheck,
  costForecastCheck,
  decisionTimeCheck,
  forecastsCheck,
  knownModelsCheck,
  latencyCheck,
  slicesCheck,
} from './gate-checks.ts';
import type { Power } from './power.ts';

export type { Estimate } from '../../eval/result.ts';
export type { Comparison, DecisionTimes, ValueComparison } from './comparison.ts';

export interface GateOptions {
  /** Judged answers that the incumbent never saw, at least; hints are none. */
  readonly minFeedback: number;
  /** Quality (utility, where the policy counts money) that the lower end of the interval may lie below the incumbent's, in [0, 1]. */
  readonly maxQualityLoss: number;
  /** Share of decisions that may move to models the log hardly knows, in [0, 1]. */
  readonly maxUnknown: number;
  /** Other limits than {@link LIMITS}. */
  readonly limits?: Partial<Limits>;
}

/** A loss of half a point is one that nobody would miss, and of the size that 20 000 judged answers can rule out. */
export const DEFAULT_GATE: GateOptions = { minFeedback: 50, maxQualityLoss: 0.005, maxUnknown: 0.1 };

export interface Limits {
  /** A gain worth finding: the power is reckoned for it, in [0, 1]. */
  readonly effect: number;
  /** Mass that may move to or from actions with a propensity under 0.01: above it a difference is a forecast. */
  readonly maxThin: number;
  /** Standard errors that a mean weight may be from what it must be. Chance passes 3 once in 370; a wrong propensity soon does. */
  readonly maxMeanWeightZ: number;
  /** Root mean square calibration error that may be shown, unless the incumbent's is shown to be greater. */
  readonly maxCalibrationError: number;
  /** By how much it may be shown to be worse calibrated than the incumbent. */
  readonly maxCalibrationLoss: number;
  /** Quality that a slice may be shown to lose, and a protected one may possibly lose. */
  readonly maxSliceLoss: number;
  /** Times as long as the incumbent's that a decision may take … */
  readonly maxDecisionRatio: number;
  /** … unless it takes less than this in any case, milliseconds at the median and at the 99th percentile. */
  readonly decisionMs: readonly [number, number];
  /** Expected time to an answer, new / old. */
  readonly maxLatencyRatio: number;
  /** Forecast / realised cost, or its inverse. */
  readonly maxCostRatio: number;
}

export const LIMITS: Limits = {
  effect: 0.01,
  maxThin: 0.02,
  maxMeanWeightZ: 3,
  maxCalibrationError: 0.05,
  maxCalibrationLoss: 0.01,
  maxSliceLoss: 0.02,
  // Two measurements in one thread of a busy machine differ by half; three times is a change of the heads.
  maxDecisionRatio: 3,
  decisionMs: [1, 6],
  maxLatencyRatio: 1.2,
  maxCostRatio: 2,
};

/** Resampling fewer sessions than this gives no interval worth its name. */
const MIN_SESSIONS = 10;

/** `insufficient`: it forecasts better, and what its choices bring the log cannot tell; a randomised trial could. */
export type VerdictKind = 'promote' | 'refuse' | 'insufficient';

export interface Check {
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'unknown';
  /** What was found against which limit; for people. */
  readonly detail: string;
}

export interface Verdict {
  /** `kind` is `promote`. */
  readonly promote: boolean;
  readonly kind: VerdictKind;
  /** Why not, or what was shown; for people. */
  readonly reasons: readonly string[];
  /** All that was asked, in order; empty where there was too little to ask anything. */
  readonly checks: readonly Check[];
  /** Of the check of the choices; null where it could not be made. */
  readonly power: Power | null;
  readonly decisionTimes: DecisionTimes | null;
  /** It costs more, and the policy says nothing of what money is worth: a trial has to show better answers, not none worse. */
  readonly mustBeBetter: boolean;
  readonly limits: Limits;
}

/**
 * Refuses where a check fails, else holds back where one cannot tell, else promotes.
 * @param unseen judged answers that the incumbent never saw
 * @param times measured beside the comparison, which is the same for the same log where they are not; null: not measured
 */
export function judge(
  unseen: number,
  comparison: Comparison | null,
  options: GateOptions,
  times: DecisionTimes | null = null,
): Verdict {
  const limits: Limits = { ...LIMITS, ...options.limits };
  const base = { checks: [], power: null, decisionTimes: times, mustBeBetter: false, limits };
  const tooLittle = whyTooLittle(unseen, comparison, options);
  if (tooLittle !== null || comparison === null) {
    // Nothing to put on trial either: nobody has shown that it forecasts anything better.
    return { ...base, promote: false, kind: 'refuse', reasons: [`insufficient evidence: ${tooLittle}`] };
  }
  const { check, power, mustBeBetter } = choicesCheck(comparison.value, options, limits);
  const checks = [
    forecastsCheck(comparison),
    check,
    ...(comparison.value === null ? [] : [knownModelsCheck(comparison.value, options)]),
    calibrationCheck(comparison.calibration, limits),
    ...slicesCheck(comparison.slices, limits),
    ...(times === null ? [] : [decisionTimeCheck(times, limits)]),
    ...latencyCheck(comparison.value?.latency ?? null, limits),
    ...costForecastCheck(comparison.costForecast, limits),
  ];
  return { ...base, ...verdictOf(checks), checks, power, mustBeBetter };
}

/** What some checks make together. */
export function verdictOf(checks: readonly Check[]): Pick<Verdict, 'kind' | 'promote' | 'reasons'> {
  const details = (result: Check['result']) => checks.filter((c) => c.result === result).map(({ detail }) => detail);
  const failed = details('failed');
  const unknown = details('unknown').map((detail) => `insufficient evidence: ${detail}`);
  if (failed.length > 0) return { kind: 'refuse', promote: false, reasons: [...failed, ...unknown] };
  if (unknown.length > 0) return { kind: 'insufficient', promote: false, reasons: unknown };
  // What stands first is what a router is promoted for; the rest are bounds that it keeps.
  return { kind: 'promote', promote: true, reasons: details('passed').slice(0, 2) };
}

function whyTooLittle(unseen: number, comparison: Comparison | null, { minFeedback }: GateOptions): string | null {
  if (unseen < minFeedback) {
    return `${counted(unseen, 'judged answer')} since the router in force was fitted, ${minFeedback} ${minFeedback === 1 ? 'is' : 'are'} needed`;
  }
  if (comparison === null) {
    return 'the new judged answers are of one session, or of models that are no candidates';
  }
  if (comparison.groups < MIN_SESSIONS) {
    return `the new judged answers come from ${counted(comparison.groups, 'session')}, ${MIN_SESSIONS} are needed`;
  }
  return null;
}
