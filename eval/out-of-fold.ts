/**
 * Honest forecasts for the training part itself: each group is forecast by a fit that has not seen it. Settings
 * chosen on forecasts of prompts a router was fitted on would trust it more than it deserves on new ones.
 */
import { deriveSeed, groupFolds, type Prompt } from '../datasets/index.ts';
import type { FittedForecaster, Forecast, Training } from './contender.ts';
import { type Part, selectPartRows } from './part.ts';
import { type SingleModels, singleModels } from './single-models.ts';

export const FOLDS = 5;

type Forecasts = (prompts: readonly Prompt[]) => Forecast | Promise<Forecast>;

/**
 * Fits on all of the training part, and {@link FOLDS} times on the rest of it for its own forecasts.
 * @param learn may see only the part and the model means given to it
 * @param options `learnAll`: the fit on all of the training part, where it is at hand already; `rows`: forecast
 *        only these of the training part
 */
export async function outOfFold(
  training: Training,
  learn: (part: Part, singles: SingleModels, seed: number) => Promise<Forecasts>,
  options: { readonly learnAll?: () => Promise<Forecasts>; readonly rows?: readonly number[] } = {},
): Promise<FittedForecaster> {
  const { part, seed } = training;
  const { prompts, modelIds } = part.table;
  const m = modelIds.length;
  const fold = groupFolds(prompts, FOLDS, deriveSeed(seed, 'out-of-fold'));
  const all = prompts.map((_, i) => i);
  const rows = options.rows ?? all;
  const place = new Map(rows.map((i, k) => [i, k]));
  const quality = new Float64Array(rows.length * m).fill(Number.NaN);
  const outputTokens = new Float64Array(rows.length * m).fill(Number.NaN);
  for (let f = 0; f < FOLDS; f++) {
    const rest = all.filter((i) => fold[i] !== f);
    const own = rows.filter((i) => fold[i] === f);
    if (own.length === 0 || rest.length === 0) continue;
    const restPart = selectPartRows(part, rest);
    const forecasts = await learn(restPart, singleModels(restPart), seed);
    const forecast = await forecasts(own.map((i) => prompts[i]!));
    own.forEach((i, k) => {
      for (let j = 0; j < m; j++) {
        quality[place.get(i)! * m + j] = forecast.quality[k * m + j]!;
        outputTokens[place.get(i)! * m + j] = forecast.outputTokens?.[k * m + j] ?? Number.NaN;
      }
    });
  }
  const full = await (options.learnAll?.() ?? learn(part, training.singles, seed));
  return {
    tuning: { rows, forecast: { quality, outputTokens } },
    forecast: async (ps) => full(ps),
  };
}
