/** Brier score, and what it is made of. */
import { equalMassBins } from './calibration-error.ts';
import { checkColumns, NOT_NEGATIVE, UNIT, weightedMean } from './columns.ts';

/**
 *     BS = Σ wᵢ (p̂ᵢ − yᵢ)² / Σ wᵢ
 *
 * @param predicted p̂, in [0, 1]; length n
 * @param observed  y, quality, in [0, 1], graded or 0 and 1; length n
 * @param weights   ≥ 0, length n; all 1 without
 * @returns in [0, 1], 0 is best; null without rows or weight
 * @throws `UNDEFINED_METRIC` when lengths differ or a number is outside its range
 * @see Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950
 */
export function brierScore(
  predicted: Float64Array,
  observed: Float64Array,
  weights?: ArrayLike<number>,
): number | null {
  check(predicted, observed, weights);
  return weightedMean(
    predicted.map((p, i) => (p - observed[i]!) ** 2),
    weights,
  );
}

/** brier = reliability − resolution + uncertainty + withinBins, exactly. */
export interface BrierDecomposition {
  readonly brier: number;
  /** Σ_b n_b/n (p̄_b − ȳ_b)²: miscalibration, 0 is best. */
  readonly reliability: number;
  /** Σ_b n_b/n (ȳ_b − ȳ)²: how far the bins' outcomes spread, higher is better. */
  readonly resolution: number;
  /** Σ (yᵢ − ȳ)² / n: the Brier score of always saying ȳ; ȳ(1 − ȳ) for outcomes of 0 and 1. */
  readonly uncertainty: number;
  /** Σ_b n_b/n (var_b p̂ − 2 cov_b(p̂, y)): what binning hides; 0 when each bin holds one prediction. */
  readonly withinBins: number;
}

/**
 * Murphy's decomposition with the remainder that bins of unequal predictions leave (Stephenson et al.).
 * The identity needs no outcome to be 0 or 1, so it holds for graded ones too.
 *
 * @param bin as {@link equalMassBins} gives them; length n
 * @returns null without rows or weight
 * @see Murphy, 1973; Stephenson, Coelho & Jolliffe, "Two Extra Components in the Brier Score Decomposition", 2008
 */
export function brierDecomposition(
  predicted: Float64Array,
  observed: Float64Array,
  bin: Int32Array = equalMassBins(predicted),
  weights?: ArrayLike<number>,
): BrierDecomposition | null {
  const n = check(predicted, observed, weights);
  const total = weights ? sum(weights) : n;
  const mean = weightedMean(observed, weights);
  if (mean === null) return null;
  const bins = 1 + bin.reduce((a, b) => Math.max(a, b), -1);
  const mass = new Float64Array(bins);
  const p = new Float64Array(bins);
  const y = new Float64Array(bins);
  for (let i = 0; i < n; i++) {
    const w = weights?.[i] ?? 1;
    mass[bin[i]!]! += w;
    p[bin[i]!]! += w * predicted[i]!;
    y[bin[i]!]! += w * observed[i]!;
  }
  let [brier, reliability, resolution, uncertainty, withinBins] = [0, 0, 0, 0, 0];
  for (let b = 0; b < bins; b++) {
    if (mass[b] === 0) continue;
    p[b]! /= mass[b]!;
    y[b]! /= mass[b]!;
    reliability += (mass[b]! / total) * (p[b]! - y[b]!) ** 2;
    resolution += (mass[b]! / total) * (y[b]! - mean) ** 2;
  }
  for (let i = 0; i < n; i++) {
    const w = (weights?.[i] ?? 1) / total;
    const dp = predicted[i]! - p[bin[i]!]!;
    brier += w * (predicted[i]! - observed[i]!) ** 2;
    uncertainty += w * (observed[i]! - mean) ** 2;
    if (w > 0) withinBins += w * (dp * dp - 2 * dp * (observed[i]! - y[bin[i]!]!));
  }
  return { brier, reliability, resolution, uncertainty, withinBins };
}

const check = (predicted: Float64Array, observed: Float64Array, weights: ArrayLike<number> | undefined): number =>
  checkColumns('brier', {
    predicted: { values: predicted, bounds: UNIT },
    observed: { values: observed, bounds: UNIT },
    weights: weights && { values: weights, bounds: NOT_NEGATIVE },
  });

function sum(values: ArrayLike<number>): number {
  let s = 0;
  for (let i = 0; i < values.length; i++) s += values[i]!;
  return s;
}
