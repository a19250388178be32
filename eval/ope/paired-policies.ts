/** Two policies on the same logged units: what the one would bring more than the other, and whether the log can tell. */
import { RoutingError } from '../../datasets/index.ts';
import type { Estimate } from '../result.ts';
import { differenceSequence } from './confidence-sequence.ts';
import { type Diagnostics, diagnose, effectiveRowsNeeded, THIN_PROPENSITY } from './diagnostics.ts';
import { differenceRows } from './difference.ts';
import { directMethodRows } from './direct-method.ts';
import { doublyRobustRows } from './doubly-robust.ts';
import { ipsRows } from './ips.ts';
import { ratioEstimates, type Statistic } from './ratio-interval.ts';

/** n units, each drawn once and independent of the others (`session-units.ts`). */
export interface PairedUnits {
  /** n rows of the models that could be drawn there and still can. */
  readonly models: readonly (readonly string[])[];
  /** π_b over them; sums to less than 1 where a model could be drawn that is gone now. */
  readonly logging: readonly Float64Array[];
  /** Which of them was drawn; −1: one that is gone. Length n. */
  readonly sampled: Int32Array;
  /** Its propensity, in (0, 1]; length n. */
  readonly propensities: Float64Array;
  readonly old: readonly Float64Array[];
  readonly fresh: readonly Float64Array[];
  readonly quality: PairedRewards;
  /** USD; null where costs are not known. */
  readonly cost: PairedRewards | null;
}

export interface PairedRewards {
  /** What the unit brought; length n. */
  readonly of: Float64Array;
  /** n rows over `models`, by something that saw no reward of the unit. */
  readonly forecasts: readonly Float64Array[];
}

export interface PairedOptions {
  readonly replicates: number;
  readonly seed: number;
  /** λ: quality that a USD is worth; null: money is not counted. */
  readonly qualityPerUsd: number | null;
}

export interface WeighedPolicy {
  readonly value: number;
  readonly ess: number;
}

/** Where the two policies differ, and what the log knows of that: a difference rests on nothing else. */
export interface Change {
  /** Share of the units that would get another model: mean of Σₐ max(0, π_new − π_old). */
  readonly share: number;
  /** Of all mass, what moves from or to actions with a propensity under 0.01; the greater of the two. */
  readonly thin: number;
  /** Of all mass, what moves from or to what could not be drawn there, or was never drawn anywhere; the greater of the two. */
  readonly unseen: number;
  /**
   * (Σ|v|)² / Σv² with v = w_new − w_old: units of equal weight that would tell as much of the difference; the lesser
   * of that drawn and that expected, Σₐ |π_new − π_old| and Σₐ (π_new − π_old)² / π_b in place of |v| and v². A log that
   * happened to draw no rare model shows few great weights, though there were some to come. 0 where nothing differs.
   */
  readonly effective: number;
}

export interface PairedPolicies {
  readonly units: number;
  readonly change: Change;
  /** Doubly robust, new − old. */
  readonly quality: Estimate;
  readonly qualityOld: number;
  readonly qualityNew: number;
  /** USD a unit, new − old; null where costs are not known. */
  readonly costUsd: Estimate | null;
  /** quality − λ cost, new − old; null without λ or costs. */
  readonly utility: Estimate | null;
  /** Self-normalised, each with its effective units; null where the policy takes no logged action. */
  readonly snipsOld: WeighedPolicy | null;
  readonly snipsNew: WeighedPolicy | null;
  /** Their difference, of quality; null where one has none. */
  readonly snips: Estimate | null;
  /** Null where the policy takes no logged action. */
  readonly old: Diagnostics | null;
  readonly fresh: Diagnostics | null;
  /** True where effective units, of one policy or of the change, are too few for the intervals to be believed. */
  readonly isFew: boolean;
  /**
   * Bounds of the quality difference that hold for any number of units and any weights; null where these are not so
   * few or great that the other interval may be too narrow, or where something moves to what was never seen.
   */
  readonly exact: { readonly low: number; readonly high: number } | null;
  /** What each unit adds to {@link quality} (and utility, where there is one): for slices. */
  readonly rows: { readonly quality: Float64Array; readonly utility: Float64Array | null };
}

/**
 * Of fewer effective units than this, the interval of a difference is not believed: README.md has what it held of the
 * truth below and above.
 */
export const LEAST_EFFECTIVE_CHANGE = 100;
/** Mass that is rounding. */
const ROUNDING = 1e-9;

/**
 * The difference by {@link differenceRows}, SNIPS beside it, what each rests on, and 95 % intervals over units.
 * @throws `UNDEFINED_METRIC` without a unit, or for a propensity that is none
 */
export function pairPolicies(units: PairedUnits, options: PairedOptions): PairedPolicies {
  const { models, sampled, propensities, quality, cost } = units;
  const n = models.length;
  if (n === 0) throw new RoutingError('UNDEFINED_METRIC', 'paired policies: there is no unit');
  const { replicates, seed, qualityPerUsd } = options;
  const each = { of: Int32Array.from({ length: n }, (_, i) => i), count: n };
  const atSampled = (rows: readonly Float64Array[]) =>
    Float64Array.from(rows, (row, i) => (sampled[i]! < 0 ? 0 : row[sampled[i]!]!));
  const oldTarget = atSampled(units.old);
  const newTarget = atSampled(units.fresh);
  const oldWeights = oldTarget.map((p, i) => p / propensities[i]!);
  const newWeights = newTarget.map((p, i) => p / propensities[i]!);

  const differencesOf = ({ of, forecasts }: PairedRewards) =>
    differenceRows({
      rewards: of,
      propensities,
      predicted: atSampled(forecasts),
      fresh: { target: newTarget, predictedTarget: directMethodRows(units.fresh, forecasts) },
      old: { target: oldTarget, predictedTarget: directMethodRows(units.old, forecasts) },
    });
  const robustValue = (target: Float64Array, policy: readonly Float64Array[]) =>
    mean(
      doublyRobustRows({
        rewards: quality.of,
        target,
        propensities,
        predicted: atSampled(quality.forecasts),
        predictedTarget: directMethodRows(policy, quality.forecasts),
      }),
    );
  const qualityRows = differencesOf(quality);
  const costRows = cost && differencesOf(cost);
  const utilityRows =
    costRows === null || qualityPerUsd === null ? null : qualityRows.map((q, i) => q - qualityPerUsd * costRows[i]!);

  const takesAny = (weights: Float64Array) => weights.some((w) => w > 0);
  const both = takesAny(oldWeights) && takesAny(newWeights);
  const meanOf = (numerator: Float64Array, range?: readonly [number, number]): Statistic => ({
    ratios: [{ numerator, denominator: null }],
    ...(range && { range }),
  });
  const weighed = ipsRows(quality.of, newTarget, propensities);
  const weighedOld = ipsRows(quality.of, oldTarget, propensities);
  const statistics: Record<string, Statistic | null> = {
    quality: meanOf(qualityRows, [-1, 1]),
    costUsd: costRows && meanOf(costRows),
    utility: utilityRows && meanOf(utilityRows),
    snips: both
      ? {
          ratios: [
            { numerator: weighed, denominator: newWeights },
            { numerator: weighedOld.map((v) => -v), denominator: oldWeights },
          ],
          range: [-1, 1],
        }
      : null,
  };
  const asked = Object.entries(statistics).flatMap(([name, s]) => (s === null ? [] : [[name, s] as const]));
  const found = ratioEstimates(
    asked.map(([, s]) => s),
    each,
    { replicates, seed },
  );
  const estimates = new Map(asked.map(([name], k) => [name, found[k]!]));
  const drawn = new Set<string>();
  sampled.forEach((a, i) => {
    if (a >= 0) drawn.add(models[i]![a]!);
  });
  const diagnosed = (weights: Float64Array, target: readonly Float64Array[]) =>
    takesAny(weights) ? diagnose({ weights, sessions: each.of, models, target, logging: units.logging, drawn }) : null;
  const old = diagnosed(oldWeights, units.old);
  const fresh = diagnosed(newWeights, units.fresh);
  const change = changeOf(units, drawn, oldWeights, newWeights);
  const isFew =
    old === null ||
    fresh === null ||
    Math.min(old.effectiveRows, fresh.effectiveRows) < effectiveRowsNeeded(n) ||
    change.effective < LEAST_EFFECTIVE_CHANGE;
  const isExact = isFew && change.share > ROUNDING && change.unseen <= ROUNDING;
  return {
    units: n,
    change,
    isFew,
    quality: settled(estimates.get('quality')!, qualityRows),
    qualityOld: robustValue(oldTarget, units.old),
    qualityNew: robustValue(newTarget, units.fresh),
    costUsd: costRows && settled(estimates.get('costUsd')!, costRows),
    utility: utilityRows && settled(estimates.get('utility')!, utilityRows),
    snipsOld: old && { value: ratio(weighedOld, oldWeights), ess: old.effectiveRows },
    snipsNew: fresh && { value: ratio(weighed, newWeights), ess: fresh.effectiveRows },
    snips: estimates.get('snips') ?? null,
    old,
    fresh,
    exact: isExact ? exactBounds(units, oldTarget, newTarget) : null,
    rows: { quality: qualityRows, utility: utilityRows },
  };
}

/** Where both do the same on every unit the difference is 0, exactly and without chance. */
const settled = (estimate: Estimate, rows: Float64Array): Estimate =>
  rows.every((v) => v === 0) ? { value: 0, low: 0, high: 0 } : estimate;

function changeOf(
  { models, logging, old, fresh }: PairedUnits,
  drawn: ReadonlySet<string>,
  oldWeights: Float64Array,
  newWeights: Float64Array,
): Change {
  const n = models.length;
  // To and from.
  const thin = [0, 0];
  const unseen = [0, 0];
  let share = 0;
  let expected = 0;
  let expectedSquares = 0;
  let seen = 0;
  let seenSquares = 0;
  for (let i = 0; i < n; i++) {
    for (let a = 0; a < logging[i]!.length; a++) {
      const moved = fresh[i]![a]! - old[i]![a]!;
      if (moved === 0) continue;
      const p = logging[i]![a]!;
      const side = moved > 0 ? 0 : 1;
      if (p < THIN_PROPENSITY) thin[side]! += Math.abs(moved) / n;
      if (p === 0 || !drawn.has(models[i]![a]!)) unseen[side]! += Math.abs(moved) / n;
      if (moved > 0) share += moved / n;
      if (p > 0) {
        expected += Math.abs(moved);
        expectedSquares += (moved * moved) / p;
      }
    }
    const v = newWeights[i]! - oldWeights[i]!;
    seen += Math.abs(v);
    seenSquares += v * v;
  }
  const ofEqualWeight = (total: number, squares: number) => (squares > 0 ? (total * total) / squares : 0);
  return {
    share,
    thin: Math.max(...thin),
    unseen: Math.max(...unseen),
    effective: Math.min(ofEqualWeight(expected, expectedSquares), ofEqualWeight(seen, seenSquares)),
  };
}

function exactBounds({ quality, propensities }: PairedUnits, old: Float64Array, fresh: Float64Array) {
  const { low, high } = differenceSequence({ rewards: quality.of, propensities, fresh, old });
  return { low: low.at(-1)!, high: high.at(-1)! };
}

const sum = (values: Float64Array): number => {
  let total = 0;
  for (const v of values) total += v;
  return total;
};
const mean = (values: Float64Array): number => sum(values) / values.length;
const ratio = (numerator: Float64Array, denominator: Float64Array): number => sum(numerator) / sum(denominator);
