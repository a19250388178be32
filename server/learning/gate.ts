/** When a refitted router replaces the one in force. Frozen before any log is looked at; see README.md. */

export interface GateOptions {
  /** Judged answers that the incumbent never saw, at least. */
  readonly minFeedback: number;
  /** Quality that the lower end of the interval may lie below the incumbent's, in [0, 1]. */
  readonly maxQualityLoss: number;
  /** Share of decisions that may move to models the log hardly knows, in [0, 1]. */
  readonly maxUnknown: number;
}

export const DEFAULT_GATE: GateOptions = { minFeedback: 50, maxQualityLoss: 0.05, maxUnknown: 0.1 };

/** Resampling fewer sessions than this gives no interval worth its name. */
const MIN_SESSIONS = 10;

export interface Estimate {
  readonly value: number;
  /** Ends of the 95 % interval, from a paired bootstrap over sessions. */
  readonly low: number;
  readonly high: number;
}

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
  /** Doubly robust; null where no row carries a usable propensity. */
  readonly value: ValueComparison | null;
}

export interface ValueComparison {
  readonly rows: number;
  readonly quality: Estimate;
  readonly qualityOld: number;
  readonly qualityNew: number;
  /** The same by self-normalised weights, each with its effective sample size; null without a shared action. */
  readonly snipsOld: { readonly value: number; readonly ess: number } | null;
  readonly snipsNew: { readonly value: number; readonly ess: number } | null;
  /** Expected cost of a call, USD, both by the new router's forecast of answer lengths. */
  readonly costOldUsd: number;
  readonly costNewUsd: number;
  /** Share of the new router's choices that the log has tried often enough to judge without a model. */
  readonly tried: number;
  /** Share of decisions that change. */
  readonly changed: number;
  /** Share that moves to models with fewer than 10 judged answers in the whole log. */
  readonly unknown: number;
}

export interface Verdict {
  readonly promote: boolean;
  /** Why not, or what was shown; for people. */
  readonly reasons: readonly string[];
}

export function judge(unseen: number, comparison: Comparison | null, options: GateOptions): Verdict {
  if (unseen >= options.minFeedback && comparison === null) {
    return refuse(
      'insufficient evidence: the new judged answers are of one session, or of models that are no candidates',
    );
  }
  if (unseen < options.minFeedback || comparison === null) {
    return refuse(
      `insufficient evidence: ${unseen} judged answers since the router in force was fitted, ${options.minFeedback} are needed`,
    );
  }
  if (comparison.groups < MIN_SESSIONS) {
    return refuse(
      `insufficient evidence: the new judged answers come from ${comparison.groups} sessions, ${MIN_SESSIONS} are needed`,
    );
  }
  const { logLoss, value } = comparison;
  const reasons: string[] = [];
  if (!(logLoss.high < 0)) {
    reasons.push(
      `its forecasts are not shown to be better: log loss ${signed(logLoss.value)} (95 % interval ${signed(logLoss.low)} to ${signed(logLoss.high)}) must lie below 0`,
    );
  }
  if (value === null) {
    reasons.push('no judged answer carries the probability of the choice, so that the choices cannot be compared');
  } else {
    const { quality } = value;
    if (!(quality.low >= -options.maxQualityLoss)) {
      reasons.push(
        `quality may fall: ${signed(quality.value)} (95 % interval ${signed(quality.low)} to ${signed(quality.high)}), at worst −${options.maxQualityLoss} is allowed`,
      );
    }
    if (value.unknown > options.maxUnknown) {
      reasons.push(
        `${(100 * value.unknown).toFixed(0)} % of the requests would move to models with fewer than 10 judged answers; let the gateway try them first (policy.exploration)`,
      );
    }
    if (value.costNewUsd > value.costOldUsd && !(quality.low > 0)) {
      reasons.push(
        `it would cost more (${moreBy(value)}) without answers shown to be better: quality ${signed(quality.value)} (95 % interval ${signed(quality.low)} to ${signed(quality.high)}) must lie above 0`,
      );
    }
  }
  if (reasons.length > 0) return { promote: false, reasons };
  const { quality, costNewUsd, costOldUsd } = value!;
  const better = quality.low > 0 ? 'better answers' : 'quality not worse';
  const dearer = costNewUsd > costOldUsd ? `, for which it costs more (${moreBy(value!)})` : '';
  return {
    promote: true,
    reasons: [
      `better forecasts (log loss ${signed(logLoss.value)}), ${better} (${signed(quality.value)}, at worst ${signed(quality.low)})${dearer}`,
    ],
  };
}

const refuse = (reason: string): Verdict => ({ promote: false, reasons: [reason] });

const moreBy = ({ costOldUsd, costNewUsd }: ValueComparison): string =>
  costOldUsd > 0 ? `+${Number((100 * (costNewUsd / costOldUsd - 1)).toPrecision(2))} %` : 'the old one is free';

const signed = (x: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(3)}`;
