/** Two policies on logged units → what the gate asks about: the difference, what it rests on, and how sure it could be. */
import { directMethodRows } from '../../eval/ope/direct-method.ts';
import {
  type PairedOptions,
  type PairedPolicies,
  type PairedRewards,
  type PairedUnits,
  pairPolicies,
} from '../../eval/ope/paired-policies.ts';
import type { JudgedValue } from './gate-checks.ts';
import { designError } from './power.ts';

/** @throws `UNDEFINED_METRIC` without a unit, or for a propensity that is none */
export function judgedValue(
  units: PairedUnits,
  options: PairedOptions,
): { judged: PairedPolicies; value: Omit<JudgedValue, 'costOldUsd' | 'costNewUsd'> } {
  const judged = pairPolicies(units, options);
  const { quality, utility, snips, change, isFew, old, fresh, exact } = judged;
  const value = {
    rows: judged.units,
    quality,
    utility,
    snips,
    overlap: { change, isFew, old, fresh },
    exact,
    designError: errorByDesign(units, utility === null ? null : options.qualityPerUsd),
  };
  return { judged, value };
}

/** @param qualityPerUsd λ where utility is judged, null where quality is */
function errorByDesign(units: PairedUnits, qualityPerUsd: number | null): number {
  const { sampled, old, fresh, logging } = units;
  const { of, forecasts } = qualityPerUsd === null ? units.quality : worth(units.quality, units.cost!, qualityPerUsd);
  let squares = 0;
  let known = 0;
  sampled.forEach((a, i) => {
    if (a < 0) return;
    squares += (of[i]! - forecasts[i]![a]!) ** 2;
    known++;
  });
  const was = directMethodRows(old, forecasts);
  return designError({
    fresh,
    old,
    logging,
    residualVariance: known === 0 ? 0 : squares / known,
    forecastDifference: directMethodRows(fresh, forecasts).map((v, i) => v - was[i]!),
  });
}

/** Quality less what it cost, λ of it for each USD. */
const worth = (quality: PairedRewards, cost: PairedRewards, perUsd: number): PairedRewards => ({
  of: quality.of.map((q, i) => q - perUsd * cost.of[i]!),
  forecasts: quality.forecasts.map((row, i) => row.map((q, a) => q - perUsd * cost.forecasts[i]![a]!)),
});
