/** The questions that the gate asks, each a function of what was compared: passed, failed, or the log cannot tell. */
import { type Diagnostics, effectiveRowsNeeded } from '../../eval/ope/diagnostics.ts';
import { LEAST_EFFECTIVE_CHANGE } from '../../eval/ope/paired-policies.ts';
import type { Estimate } from '../../eval/result.ts';
import type { CalibrationComparison, Comparison, CostForecast, DecisionTimes, ValueComparison } from './comparison.ts';
import type { Check, GateOptions, Limits } from './gate.ts';
import { gatePower, POWER_WANTED, type Power } from './power.ts';
import { LEAST_SLICE_UNITS, type SliceComparison } from './slices.ts';

/** Log loss on answers of both: the whole interval must lie below 0. */
export function forecastsCheck({ logLoss }: Comparison): Check {
  const name = 'forecasts';
  const { value, high } = logLoss;
  if (value !== null && high !== null && high < 0) {
    return { name, result: 'passed', detail: `better forecasts: log loss ${withInterval(logLoss)}` };
  }
  return {
    name,
    result: 'failed',
    detail: `its forecasts are not shown to be better: log loss ${withInterval(logLoss)} must lie below 0`,
  };
}

/** Bounds that hold for any number of units are about so many times as wide as an interval that needs many. */
const EXACT_WIDTH = 2.2;

/** What the choices check needs; the rest of a {@link ValueComparison} is for people. */
export type JudgedValue = Pick<
  ValueComparison,
  'rows' | 'quality' | 'utility' | 'snips' | 'overlap' | 'exact' | 'designError' | 'costOldUsd' | 'costNewUsd'
>;

/** Whether an interval of the difference may be believed at all. */
export const hasOverlap = ({ overlap }: Pick<JudgedValue, 'overlap'>, limits: Limits): boolean =>
  !overlap.isFew && brokenOverlap(overlap, limits) === null;

/**
 * Whether the new choices are not worse: the interval's lower end at −`maxQualityLoss` or above it, and above 0 where
 * they cost more and the policy says nothing of what money is worth. Mass on what the log never saw counts at its worst.
 *
 * Where effective units are too few for the interval, bounds take its place that hold for any number of them. Where the
 * log does not cover the change, where propensities look wrong, or where the interval leaves open what a log of this
 * power may leave open, it cannot tell.
 */
export function choicesCheck(
  value: JudgedValue | null,
  { maxQualityLoss }: Pick<GateOptions, 'maxQualityLoss'>,
  limits: Limits,
): { check: Check; power: Power | null; mustBeBetter: boolean } {
  const name = 'choices';
  const say = (result: Check['result'], detail: string) => ({ name, result, detail });
  if (value === null) {
    const detail = 'no judged answer carries the probability of a choice that was left to chance';
    return { check: say('unknown', detail), power: null, mustBeBetter: false };
  }
  const { overlap, exact, designError, rows } = value;
  const { change } = overlap;
  const counted = value.utility === null ? 'quality' : 'utility';
  const judged = value.utility ?? value.quality;
  const isDearer = value.utility === null && value.costNewUsd > value.costOldUsd;
  const threshold = isDearer ? 0 : -maxQualityLoss;
  const broken = brokenOverlap(overlap, limits);
  const power = {
    ...gatePower(designError * (overlap.isFew ? EXACT_WIDTH : 1), rows, { effect: limits.effect, threshold }),
    ...(broken !== null && change.share > 0 && { power: 0 }),
  };
  const check = () => {
    if (change.share === 0) return say('passed', 'the same choices as before');
    if (broken !== null) return say('unknown', broken);
    const bounds = overlap.isFew ? (value.utility === null ? exact : null) : judged;
    const low = moved(bounds?.low, -change.unseen);
    const high = moved(bounds?.high, change.unseen);
    const shown = overlap.isFew && bounds !== null ? `, at any time within ${signed(low!)} to ${signed(high!)}` : '';
    const found = `${counted} ${withInterval(judged)}${shown}`;
    const isEnough = low !== null && (isDearer ? low > threshold : low >= threshold);
    if (isEnough && contradicts(value)) {
      return say('unknown', `self-normalised weights say otherwise: ${withInterval(value.snips!)} beside ${found}`);
    }
    const price = isDearer ? `, for which it costs more (${moreBy(value)})` : '';
    if (isEnough) return say('passed', `${low! > 0 ? 'better answers' : `${counted} not worse`}: ${found}${price}`);
    const wanted = isDearer
      ? `it would cost more (${moreBy(value)}) without answers shown to be better: ${found} must lie above 0`
      : `${counted} may fall: ${found}, at worst −${maxQualityLoss} is allowed`;
    if (high !== null && high < threshold) return say('failed', wanted);
    if (overlap.isFew) return say('unknown', `${fewWords(value)}; ${wanted}`);
    if (power.power < POWER_WANTED) return say('unknown', `${powerWords(power, limits)}; ${wanted}`);
    return say('failed', wanted);
  };
  return { check: check(), power, mustBeBetter: isDearer };
}

/** Why no figure of the difference can be believed; null: nothing speaks against it. */
function brokenOverlap({ change, old, fresh }: JudgedValue['overlap'], limits: Limits): string | null {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  if (old === null || fresh === null) {
    return `the log never did what the ${fresh === null ? 'new router' : 'router in force'} would do; let the gateway explore (policy.exploration)`;
  }
  if (Math.max(change.thin, change.unseen) > limits.maxThin) {
    return `no overlap: ${percent(Math.max(change.thin, change.unseen))} of the choices change from or to ones that the log made with a probability under 0.01; let the gateway explore more (policy.exploration)`;
  }
  for (const { meanWeight, meanWeightSe, meanWeightZ, impossible } of [old, fresh]) {
    const isOff =
      meanWeightZ === null
        ? Math.abs(meanWeight - (1 - impossible)) > 1e-6
        : Math.abs(meanWeightZ) > limits.maxMeanWeightZ;
    if (isOff) {
      return `the mean weight ${meanWeight.toFixed(3)} ± ${(limits.maxMeanWeightZ * meanWeightSe).toFixed(3)} is not ${Number((1 - impossible).toFixed(3))}: propensities are wrong, or rows are missing`;
    }
  }
  return null;
}

const contradicts = ({ quality, snips }: JudgedValue): boolean =>
  snips !== null &&
  ((quality.value! > 0 && snips.high !== null && snips.high < 0) ||
    (quality.value! < 0 && snips.low !== null && snips.low > 0));

const moved = (end: number | null | undefined, by: number): number | null =>
  end === null || end === undefined ? null : end + by;

function fewWords({ rows, overlap }: JudgedValue): string {
  const { old, fresh, change } = overlap;
  const effective = Math.min(...[old, fresh].map((d: Diagnostics | null) => d?.effectiveRows ?? 0));
  const needed = effectiveRowsNeeded(rows);
  return effective < needed
    ? `only ${Math.floor(effective)} effective sessions of ${rows}, ${Math.ceil(needed)} are needed`
    : `only ${Math.floor(change.effective)} effective sessions tell the two routers apart, ${LEAST_EFFECTIVE_CHANGE} are needed`;
}

const powerWords = ({ power, units, unitsNeeded }: Power, { effect }: Limits): string =>
  `power ${(100 * power).toFixed(0)} % to find a gain of ${effect} in ${units} sessions; ${unitsNeeded} would be needed`;

const moreBy = ({ costOldUsd, costNewUsd }: JudgedValue): string =>
  costOldUsd > 0 ? `+${Number((100 * (costNewUsd / costOldUsd - 1)).toPrecision(2))} %` : 'the old one is free';

export function knownModelsCheck({ unknown }: ValueComparison, { maxUnknown }: GateOptions): Check {
  const name = 'known models';
  const share = `${(100 * unknown).toFixed(0)} % of the requests would move to models with fewer than 10 judged answers`;
  return unknown > maxUnknown
    ? { name, result: 'unknown', detail: `${share}; let the gateway try them first (policy.exploration)` }
    : { name, result: 'passed', detail: share };
}

/** Not shown to be off by more than the limit, unless shown to be nearer than before; not shown to be further off than before. */
export function calibrationCheck({ fresh, difference }: CalibrationComparison, limits: Limits): Check {
  const name = 'calibration';
  const { maxCalibrationError, maxCalibrationLoss } = limits;
  const found = `calibration error ${plain(fresh)}, ${withInterval(difference)} against the one in force`;
  const isOff =
    fresh.low !== null && fresh.low > maxCalibrationError && !(difference.high !== null && difference.high < 0);
  const isWorse = difference.low !== null && difference.low > maxCalibrationLoss;
  if (!isOff && !isWorse) return { name, result: 'passed', detail: found };
  const limit = isOff ? `${maxCalibrationError} is allowed` : `+${maxCalibrationLoss} is allowed`;
  return { name, result: 'failed', detail: `its forecasts are off: ${found}; ${limit}` };
}

const plain = ({ value, low, high }: Estimate): string =>
  value === null
    ? 'unknown'
    : `${value.toFixed(3)}${low === null || high === null ? '' : ` (${low.toFixed(3)} to ${high.toFixed(3)})`}`;

/** One check for all slices that are fine, and one for each that is not. */
export function slicesCheck(slices: readonly SliceComparison[], { maxSliceLoss }: Limits): Check[] {
  const checks = slices.flatMap((slice): Check[] => {
    const { name, isProtected, units, quality } = slice;
    const loses = quality.high !== null && quality.high < -maxSliceLoss;
    const said = `${name} (${units} sessions): quality ${withInterval(quality)}`;
    if (loses)
      return [{ name: 'slices', result: 'failed', detail: `worse for ${said}, at worst −${maxSliceLoss} is allowed` }];
    if (!isProtected || (quality.low !== null && quality.low >= -maxSliceLoss)) return [];
    const few = units < LEAST_SLICE_UNITS ? `, of which the log has too few to tell` : '';
    return [
      {
        name: 'slices',
        result: 'unknown',
        detail: `protected ${said}${few}; a loss beyond −${maxSliceLoss} must be ruled out`,
      },
    ];
  });
  const fine: Check = { name: 'slices', result: 'passed', detail: `no loss shown in ${slices.length} slices` };
  return checks.length > 0 || slices.length === 0 ? checks : [fine];
}

/** Deciding may not take much longer than before, unless it is quick in any case. */
export function decisionTimeCheck({ oldP50, oldP99, newP50, newP99 }: DecisionTimes, limits: Limits): Check {
  const { maxDecisionRatio, decisionMs } = limits;
  const detail = `a decision takes ${newP50.toFixed(2)} ms (99 %: ${newP99.toFixed(2)}), before ${oldP50.toFixed(2)} (${oldP99.toFixed(2)})`;
  const isSlow =
    (newP50 > decisionMs[0] && newP50 > maxDecisionRatio * oldP50) ||
    (newP99 > decisionMs[1] && newP99 > maxDecisionRatio * oldP99);
  if (!isSlow) return { name: 'decision time', result: 'passed', detail };
  return { name: 'decision time', result: 'failed', detail: `${detail}; ${maxDecisionRatio} times as long is allowed` };
}

export function latencyCheck(latency: ValueComparison['latency'], { maxLatencyRatio }: Limits): Check[] {
  if (latency === null) return [];
  const { oldMs, newMs } = latency;
  const detail = `an answer is expected after ${newMs.toFixed(0)} ms, before ${oldMs.toFixed(0)}`;
  if (!(newMs > maxLatencyRatio * oldMs)) return [{ name: 'latency', result: 'passed', detail }];
  return [
    { name: 'latency', result: 'failed', detail: `slower answers: ${detail}; ${maxLatencyRatio} times is allowed` },
  ];
}

/** Off by more than the limit is refused, unless the router in force was further off still. */
export function costForecastCheck(forecast: CostForecast | null, { maxCostRatio }: Limits): Check[] {
  if (forecast === null) return [];
  const { calls, realisedUsd, forecastOldUsd, forecastNewUsd } = forecast;
  const off = (usd: number) => Math.abs(Math.log(usd / realisedUsd));
  const times = (usd: number) => `${Number((usd / realisedUsd).toPrecision(2))} times`;
  const detail = `the cost of ${calls} calls was forecast ${times(forecastNewUsd)} as high as it was, before ${times(forecastOldUsd)}`;
  const isOff = off(forecastNewUsd) > Math.log(maxCostRatio) && !(off(forecastNewUsd) < off(forecastOldUsd));
  if (!isOff) return [{ name: 'cost forecast', result: 'passed', detail }];
  return [{ name: 'cost forecast', result: 'failed', detail: `${detail}; a factor of ${maxCostRatio} is allowed` }];
}

const signed = (x: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(3)}`;

/** `+0.020 (95 % interval −0.010 to +0.050)` */
function withInterval({ value, low, high }: Estimate): string {
  if (value === null) return 'unknown';
  const ends = low === null || high === null ? 'no interval' : `95 % interval ${signed(low)} to ${signed(high)}`;
  return `${signed(value)} (${ends})`;
}
