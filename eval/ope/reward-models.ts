/** Models of what an answer is worth or costs, for the estimators that correct a forecast. */
import { cholesky, choleskySolve } from '../../router/training/linear-algebra.ts';
import type { RewardModel } from './cross-fit.ts';
import type { LoggedRow } from './logged-row.ts';

/** Rows of the overall mean that a model's own mean is pulled by. */
const PRIOR_ROWS = 10;

/**
 * Each model's mean, pulled to the overall one: (Σ rᵢ + k r̄) / (nₐ + k). A model never drawn has the overall mean.
 * @param prior k, in rows
 */
export const meanPerModel = (prior = PRIOR_ROWS): RewardModel => ({
  name: 'mean per model',
  fit(rows, rewards) {
    const means = shrunkMeans(rows, rewards, prior);
    return (_, model) => means(model);
  },
});

/**
 * What was forecast when deciding, as far as it proves right within models, plus each model's mean error pulled to
 * the mean error of all. The forecasts are older than the answers, so no answer is in its own forecast.
 *
 *     r̂(x, a) = β f(x, a) + mean error of a,    β = Σ (fᵢ − f̄_{aᵢ}) (rᵢ − r̄_{aᵢ}) / Σ (fᵢ − f̄_{aᵢ})², cut to [0, 1]
 *
 * Forecasts that say nothing leave each model's mean. Where they do not vary within models, β = 1.
 * @param forecast of a row for a model; where it has none, {@link meanPerModel} steps in
 */
export const correctedForecast = (
  forecast: (row: LoggedRow, model: string) => number | undefined,
  prior = PRIOR_ROWS,
): RewardModel => ({
  name: 'logged forecasts, corrected per model',
  fit(rows, rewards) {
    const known = rows.flatMap((row, i) => (forecast(row, row.sampled) === undefined ? [] : [i]));
    const some = known.map((i) => rows[i]!);
    const told = Float64Array.from(some, (row) => forecast(row, row.sampled)!);
    const brought = Float64Array.from(known, (i) => rewards[i]!);
    const slope = slopeWithinModels(some, told, brought);
    const means = shrunkMeans(rows, rewards, prior);
    const errors = shrunkMeans(
      some,
      brought.map((reward, k) => reward - slope * told[k]!),
      prior,
    );
    return (row, model) => {
      const value = forecast(row, model);
      return value === undefined ? means(model) : slope * value + errors(model);
    };
  },
});

/**
 * Each model's mean plus one linear map of the embedding that all models share: how easy the prompt is.
 *
 *     r̂(x, a) = μₐ + w · (z(x) − z̄),    w = argmin Σ (rᵢ − μ_{aᵢ} − w · (zᵢ − z̄))² + λ n ‖w‖² tr(Z'Z) / (n d)
 *
 * Rows without an embedding take w · 0.
 * @param penalty λ > 0, in units of the mean variance of a coordinate
 */
export const ridgeOverEmbeddings = (penalty = 0.1, prior = PRIOR_ROWS): RewardModel => ({
  name: 'ridge over embeddings',
  fit(rows, rewards) {
    const means = shrunkMeans(rows, rewards, prior);
    const known = rows.flatMap((row, i) => (row.embedding === undefined ? [] : [i]));
    const d = known.length === 0 ? 0 : rows[known[0]!]!.embedding!.length;
    if (d === 0) return (_, model) => means(model);
    const centre = new Float64Array(d);
    for (const i of known) for (let j = 0; j < d; j++) centre[j]! += rows[i]!.embedding![j]! / known.length;
    const gram = new Float64Array(d * d);
    const right = new Float64Array(d);
    for (const i of known) {
      const z = Float64Array.from(centre, (c, j) => rows[i]!.embedding![j]! - c);
      const error = rewards[i]! - means(rows[i]!.sampled);
      for (let j = 0; j < d; j++) {
        right[j]! += z[j]! * error;
        for (let l = 0; l <= j; l++) gram[j * d + l]! += z[j]! * z[l]!;
      }
    }
    let trace = 0;
    for (let j = 0; j < d; j++) trace += gram[j * d + j]!;
    if (!(trace > 0)) return (_, model) => means(model);
    for (let j = 0; j < d; j++) {
      for (let l = 0; l < j; l++) gram[l * d + j] = gram[j * d + l]!;
      gram[j * d + j]! += (penalty * trace) / d;
    }
    const w = choleskySolve(cholesky(gram, d), right, d);
    return ({ embedding }, model) => {
      let ease = 0;
      if (embedding !== undefined) for (let j = 0; j < d; j++) ease += w[j]! * (embedding[j]! - centre[j]!);
      return means(model) + ease;
    };
  },
});

function shrunkMeans(rows: readonly LoggedRow[], values: Float64Array, prior: number): (model: string) => number {
  const totals = new Map<string, { sum: number; count: number }>();
  let sum = 0;
  rows.forEach(({ sampled }, i) => {
    const total = totals.get(sampled) ?? { sum: 0, count: 0 };
    totals.set(sampled, { sum: total.sum + values[i]!, count: total.count + 1 });
    sum += values[i]!;
  });
  const overall = rows.length === 0 ? 0 : sum / rows.length;
  const means = new Map(
    [...totals].map(([model, t]) => [model, (t.sum + prior * overall) / (t.count + prior)] as const),
  );
  return (model) => means.get(model) ?? overall;
}

/** The least-squares slope of rewards on forecasts, each less its model's mean, cut to [0, 1]. */
function slopeWithinModels(rows: readonly LoggedRow[], told: Float64Array, brought: Float64Array): number {
  const meanTold = shrunkMeans(rows, told, 0);
  const meanBrought = shrunkMeans(rows, brought, 0);
  let products = 0;
  let squares = 0;
  rows.forEach(({ sampled }, k) => {
    const deviation = told[k]! - meanTold(sampled);
    products += deviation * (brought[k]! - meanBrought(sampled));
    squares += deviation * deviation;
  });
  // Rounding of means is no variation.
  return squares > 1e-18 * rows.length ? Math.min(1, Math.max(0, products / squares)) : 1;
}
