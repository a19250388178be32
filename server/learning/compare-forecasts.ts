/** How near two routers' forecasts come to what the models that answered reached, and what their answers cost. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { forEachResample, percentileInterval } from '../../eval/metrics/bootstrap.ts';
import { equalMassBins } from '../../eval/metrics/calibration-error.ts';
import { ratioEstimates, type Units, unitsOf } from '../../eval/ope/ratio-interval.ts';
import type { Estimate } from '../../eval/result.ts';
import { expectedCostUsd } from '../../router/policy/decide.ts';
import type { CalibrationComparison, Comparison, CostForecast } from './comparison.ts';
import type { Forecasts } from './forecasts.ts';
import type { Sample } from './log.ts';

export interface ForecastInput {
  readonly samples: readonly Sample[];
  /** Samples whose model both have a forecast for. */
  readonly rows: readonly number[];
  readonly before: Forecasts;
  readonly after: Forecasts;
}

/** Of the calibration error, whose interval only has to tell small from large. */
const CALIBRATION_REPLICATES = 200;
const BINS = 10;
/** Answers in a bin whose mean says anything. */
const LEAST_PER_BIN = 10;
const LEAST_PROBABILITY = 1e-4;

export function compareForecasts({
  samples,
  rows,
  before,
  after,
  seed,
  replicates,
}: ForecastInput & { readonly seed: number; readonly replicates: number }): Omit<
  Comparison,
  'value' | 'slices' | 'costForecast'
> {
  const observed = Float64Array.from(rows, (i) => samples[i]!.quality);
  const told = ({ column, quality, count }: Forecasts) =>
    Float64Array.from(rows, (i) => quality[i * count + column.get(samples[i]!.executed)!]!);
  const old = told(before);
  const fresh = told(after);
  const units = unitsOf(rows.map((i) => samples[i]!.group));
  const lossOld = observed.map((q, k) => logLoss(q, old[k]!));
  const lossNew = observed.map((q, k) => logLoss(q, fresh[k]!));
  const squared = (forecast: Float64Array) => mean(observed.map((q, k) => (q - forecast[k]!) ** 2));
  const [logLossDifference] = ratioEstimates(
    [{ ratios: [{ numerator: lossNew.map((l, k) => l - lossOld[k]!), denominator: null }] }],
    units,
    { replicates, seed },
  );
  return {
    rows: rows.length,
    groups: units.count,
    logLoss: logLossDifference!,
    logLossOld: mean(lossOld),
    logLossNew: mean(lossNew),
    brierOld: squared(old),
    brierNew: squared(fresh),
    observed: mean(observed),
    forecastOld: mean(old),
    forecastNew: mean(fresh),
    calibration: compareCalibration(observed, old, fresh, units, seed),
  };
}

/**
 * Root mean square calibration error over bins of equal mass, freed of the noise of their means
 * (`debiasedSquaredCalibrationError`), of both forecasts and their difference. Bins stay as they are while sessions are
 * resampled. A resample has that noise once more, so replicates are moved to have the mean of the value itself.
 */
export function compareCalibration(
  observed: Float64Array,
  old: Float64Array,
  fresh: Float64Array,
  units: Units,
  seed: number,
): CalibrationComparison {
  const bins = Math.min(BINS, Math.floor(observed.length / LEAST_PER_BIN));
  const nothing: Estimate = { value: null, low: null, high: null };
  if (bins < 1) return { old: nothing, fresh: nothing, difference: nothing };
  const errors = [old, fresh].map((forecast) => new BinnedError(observed, forecast, bins));
  const once = new Uint16Array(units.count).fill(1);
  const values = errors.map((error) => error.squared(units, once));
  const replicates = errors.map(() => new Float64Array(CALIBRATION_REPLICATES));
  forEachResample(units.count, CALIBRATION_REPLICATES, seed, (weights, r) => {
    errors.forEach((error, k) => {
      replicates[k]![r] = error.squared(units, weights);
    });
  });
  const roots = replicates.map((list, k) => {
    const shift = values[k]! - mean(list);
    return list.map((v) => root(v + shift));
  });
  const [rootOld, rootNew] = values.map(root);
  return {
    old: { value: rootOld!, ...percentileInterval(roots[0]!) },
    fresh: { value: rootNew!, ...percentileInterval(roots[1]!) },
    difference: { value: rootNew! - rootOld!, ...percentileInterval(roots[1]!.map((v, r) => v - roots[0]![r]!)) },
  };
}

const root = (squared: number): number => Math.sqrt(Math.max(0, squared));

/** Outcome less forecast, by bins of the forecast. */
class BinnedError {
  readonly #bin: Int32Array;
  readonly #difference: Float64Array;
  readonly #bins: number;

  constructor(observed: Float64Array, forecast: Float64Array, bins: number) {
    this.#bin = equalMassBins(forecast, bins);
    this.#difference = observed.map((q, i) => q - forecast[i]!);
    this.#bins = bins;
  }

  /** Σ_b (n_b / n) (d_b² − s_b² / n_b), rows counted as often as their unit was drawn. */
  squared({ of }: Units, weights: Uint16Array): number {
    const count = new Float64Array(this.#bins);
    const sum = new Float64Array(this.#bins);
    const squares = new Float64Array(this.#bins);
    let n = 0;
    for (let i = 0; i < of.length; i++) {
      const w = weights[of[i]!]!;
      if (w === 0) continue;
      const b = this.#bin[i]!;
      const d = this.#difference[i]!;
      n += w;
      count[b]! += w;
      sum[b]! += w * d;
      squares[b]! += w * d * d;
    }
    let error = 0;
    for (let b = 0; b < this.#bins; b++) {
      const k = count[b]!;
      if (k < 2) continue;
      const d = sum[b]! / k;
      const variance = (squares[b]! - k * d * d) / (k - 1);
      error += (k / n) * (d * d - variance / k);
    }
    return error;
  }
}

/**
 * Both routers' forecasts of lengths beside those reported, all priced as of today: a change of prices since is no
 * fault of a forecast.
 */
export function costForecastOf(
  { samples, rows, before, after }: ForecastInput,
  candidates: readonly Candidate[],
): CostForecast | null {
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  let calls = 0;
  let realisedUsd = 0;
  let forecastOldUsd = 0;
  let forecastNewUsd = 0;
  for (const i of rows) {
    const { executed, facts, outputTokens } = samples[i]!;
    if (outputTokens === null) continue;
    const candidate = byId.get(executed)!;
    const forecast = ({ column, count, outputTokens: told }: Forecasts) =>
      expectedCostUsd(candidate, facts, told[i * count + column.get(executed)!]!);
    calls++;
    realisedUsd += expectedCostUsd(candidate, facts, outputTokens);
    forecastOldUsd += forecast(before);
    forecastNewUsd += forecast(after);
  }
  return realisedUsd > 0 ? { calls, realisedUsd, forecastOldUsd, forecastNewUsd } : null;
}

function logLoss(quality: number, forecast: number): number {
  const p = Math.min(1 - LEAST_PROBABILITY, Math.max(LEAST_PROBABILITY, forecast));
  return -(quality * Math.log(p) + (1 - quality) * Math.log(1 - p));
}

function mean(values: Float64Array): number {
  let sum = 0;
  for (const v of values) sum += v;
  return sum / values.length;
}
