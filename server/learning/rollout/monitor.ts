/** What a trial has shown, and what follows from it. Pure: the same numbers, the same move (README.md has the table). */
import { ArmDifference } from '../../../eval/ope/arm-difference.ts';
import type { Arm } from '../../db/records.ts';
import type { GateSays, RolloutConfig } from './begin.ts';
import type { Failures } from './trials.ts';

/** One conversation of a trial: what it was drawn into, and what came of it, whoever answered in the end. */
export interface Unit {
  readonly arm: Arm;
  /** Probability of that arm, in (0, 1]. */
  readonly armProbability: number;
  /** Mean of its judged answers, in [0, 1]; an answer that failed is 0. */
  readonly quality: number;
  /** Whose it was. Default: the only team's. */
  readonly team?: string;
}

export interface Side {
  readonly units: number;
  /** Mean over units, in [0, 1]; null without any. */
  readonly quality: number | null;
}

/** Candidate against incumbent. */
export interface TrialNumbers {
  readonly candidate: Side;
  readonly incumbent: Side;
  /** Candidate − incumbent: of the two means; null while a side has none. */
  readonly difference: number | null;
  /** Bounds on it that hold at all times together with a probability of 95 %. */
  readonly low: number;
  readonly high: number;
}

/** What the shadow has shown. */
export interface ShadowNumbers {
  readonly decisions: number;
  /** Of these, made too late or not at all. */
  readonly missing: number;
  /** 99th percentile of the time that a decision took on the same requests, ms; null without any. */
  readonly p99Ms: number | null;
  readonly p99InForceMs: number | null;
  /** Share in which the two would have called different models; null without any. */
  readonly changed: number | null;
}

export type Move =
  /** Not enough is known yet. */
  | { readonly kind: 'wait' }
  /** From the shadow to the canary. */
  | { readonly kind: 'advance'; readonly reason: string }
  | { readonly kind: 'promote'; readonly reason: string }
  /** The trial ends and what is in force stays; `turnedDown` where it was worse or failed, and may not come back. */
  | { readonly kind: 'stop'; readonly turnedDown: boolean; readonly reason: string }
  /** What is in force goes out of force. */
  | { readonly kind: 'roll-back'; readonly reason: string };

/** Units that one of several teams may have beyond those of all the others together. */
const MOST_AHEAD = 20;

/**
 * What a trial has shown, a unit at a time. Of several teams none has more units than the others together and
 * {@link MOST_AHEAD}: what is beyond is passed over, by what was known before the unit, so that the bounds hold.
 */
export class TrialTally {
  readonly #ofTeam = new Map<string, number>();
  #taken = 0;
  readonly #bounds = new ArmDifference();
  readonly #sums = { candidate: { units: 0, sum: 0 }, incumbent: { units: 0, sum: 0 } };

  /** In an order that later units do not change: that in which they were judged. */
  add({ arm, armProbability, quality, team = '' }: Unit): void {
    const own = (this.#ofTeam.get(team) ?? 0) + 1;
    const isAlone = this.#ofTeam.size === 0 || (this.#ofTeam.size === 1 && this.#ofTeam.has(team));
    if (!isAlone && own > this.#taken - (own - 1) + MOST_AHEAD) return;
    this.#ofTeam.set(team, own);
    this.#taken++;
    this.#bounds.add(quality, arm === 'candidate', armProbability);
    this.#sums[arm].units++;
    this.#sums[arm].sum += quality;
  }

  get numbers(): TrialNumbers {
    const side = (arm: Arm): Side => {
      const { units, sum } = this.#sums[arm];
      return { units, quality: units === 0 ? null : sum / units };
    };
    const [candidate, incumbent] = [side('candidate'), side('incumbent')];
    const difference =
      candidate.quality === null || incumbent.quality === null ? null : candidate.quality - incumbent.quality;
    return { candidate, incumbent, difference, low: this.#bounds.low, high: this.#bounds.high };
  }
}

type Limits = Pick<RolloutConfig, 'shadowDecisions' | 'canaryOutcomes' | 'maxQualityLoss' | 'maxOutcomes'>;

/** Failures of a router beside the one in force after which it is taken off: one may be chance. */
const MOST_FAILURES = 3;

/** What was said of it before the trial. */
export interface BeforeTrial {
  /** One that was shown to be no worse need only not turn out worse. */
  readonly gate: GateSays;
  /** One that costs more, and was not shown to be worth it, has to show that here. */
  readonly mustBeBetter: boolean;
}

export function nextMove(
  kind: 'canary' | 'watch',
  { gate, mustBeBetter }: BeforeTrial,
  numbers: TrialNumbers,
  failures: Failures,
  limits: Limits,
): Move {
  const { candidate, incumbent, difference, low, high } = numbers;
  const isWatch = kind === 'watch';
  const worst = mustBeBetter && gate !== 'promote' && !isWatch ? 0 : -limits.maxQualityLoss;
  if (high < 0) {
    const reason = `worse answers: quality ${told(numbers)} lies below 0`;
    return isWatch ? { kind: 'roll-back', reason } : { kind: 'stop', turnedDown: true, reason };
  }
  // In a watch the one beside is that before: what it cannot do is no fault of the one on trial.
  if (!isWatch && failures.count >= MOST_FAILURES) {
    return {
      kind: 'stop',
      turnedDown: true,
      reason: `it could not decide ${failures.count} requests (${failures.code})`,
    };
  }
  const isEnough = candidate.units >= limits.canaryOutcomes;
  if (isEnough && low > worst) {
    const reason =
      worst === 0
        ? `better answers, for which it may cost more: quality ${told(numbers)} lies above 0`
        : `quality not worse: ${told(numbers)} lies above −${limits.maxQualityLoss}`;
    return isWatch ? { kind: 'stop', turnedDown: false, reason } : { kind: 'promote', reason };
  }
  if (!isWatch && isEnough && gate === 'promote' && difference !== null && difference >= worst) {
    return {
      kind: 'promote',
      reason: `passed the gate, and ${candidate.units} judged conversations do not speak against it: quality ${told(numbers)}`,
    };
  }
  const units = candidate.units + incumbent.units;
  if (units >= limits.maxOutcomes) {
    return {
      kind: 'stop',
      turnedDown: false,
      reason: `insufficient evidence: after ${units} judged conversations quality ${told(numbers)} is not told from 0`,
    };
  }
  return { kind: 'wait' };
}

/** A decision in the shadow may take so long, or twice what the router in force takes on the same machine. */
const SHADOW_P99_MS = 15;
/** Share of decisions that may be missing: what is late belongs to the slowest hundredth. */
const MOST_MISSING = 0.01;

export function nextShadowMove(numbers: ShadowNumbers, failures: Failures, limits: Limits): Move {
  const { decisions, missing, p99Ms, p99InForceMs, changed } = numbers;
  if (failures.count > 0) {
    return { kind: 'stop', turnedDown: true, reason: `it could not decide a request in the shadow (${failures.code})` };
  }
  if (decisions < limits.shadowDecisions || p99Ms === null || p99InForceMs === null) return waitOrLate(numbers, limits);
  const most = Math.max(SHADOW_P99_MS, 2 * p99InForceMs);
  if (missing > MOST_MISSING * decisions || p99Ms > most) {
    return {
      kind: 'stop',
      turnedDown: false,
      reason: `too slow: ${missing} of ${decisions} decisions were late, the 99th percentile is ${p99Ms.toFixed(1)} ms, ${most.toFixed(1)} are allowed`,
    };
  }
  return {
    kind: 'advance',
    reason: `${decisions} decisions in the shadow without a failure, 99th percentile ${p99Ms.toFixed(1)} ms; ${(100 * (changed ?? 0)).toFixed(0)} % choose another model`,
  };
}

/** None in time at all is no reason to wait for ever. */
const waitOrLate = ({ decisions, missing }: ShadowNumbers, { shadowDecisions }: Limits): Move =>
  decisions >= shadowDecisions && missing === decisions
    ? { kind: 'stop', turnedDown: false, reason: `too slow: none of ${decisions} decisions was made in time` }
    : { kind: 'wait' };

/** For people. */
const told = ({ difference, low, high }: TrialNumbers): string =>
  `${difference === null ? '' : `${signed(difference)} `}(${signed(low)} to ${signed(high)}, at all times with 95 %)`;

const signed = (x: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(3)}`;
