/**
 * The plug-in router: forecast quality and cost of every model, then take argmax p̂ − λ · ĉ. Every learned
 * router and most baselines are this with another forecaster, so they differ in what they know and in nothing else.
 */
import { type OutcomeTable, type Prompt, promptChars } from '../datasets/index.ts';
import {
  type Contender,
  type ContenderKind,
  type Forecast,
  type Forecaster,
  type Frozen,
  isUnfit,
  type Measurement,
  type SettingOutcome,
  type Training,
} from './contender.ts';
import { CONSTANT_TOKENS, listCostUsd } from './costs.ts';
import { freeze, targetCosts } from './curve.ts';
import { type Part, selectPartRows } from './part.ts';
import type { SingleModels } from './single-models.ts';
import { type Beliefs, choicesAt, sweep } from './sweep.ts';

/** @param options `knobs`: the gateway can run this router, so its settings are told as knobs of the gateway's policy */
export const plugIn = (
  forecaster: Forecaster,
  kind: ContenderKind,
  options: { readonly knobs?: boolean } = {},
): Contender => {
  const fitOnce = once(forecaster);
  return {
    name: forecaster.name,
    kind,
    async prepare(training) {
      const fitted = await fitOnce(training);
      if (isUnfit(fitted)) return fitted;
      const part = selectPartRows(training.part, fitted.tuning.rows);
      const price = costForecaster(part, training.singles, fitted.tuning.forecast);
      const tuning = { quality: fitted.tuning.forecast.quality, costUsd: price(part, fitted.tuning.forecast) };
      return freezeSweep(
        tuning,
        part,
        training,
        async (test) => {
          const forecast = await fitted.forecast(test.table.prompts);
          const { quality, outputTokens } = forecast;
          return { quality, costUsd: price(test, forecast), ...(outputTokens && { outputTokens }) };
        },
        options,
      );
    },
  };
};

/**
 * Fits once for a table: the same answers analysed at other prices or operating points need no other forecasts. What
 * was fitted goes when its table does.
 */
function once(forecaster: Forecaster): Forecaster['fit'] {
  const fits = new WeakMap<OutcomeTable, ReturnType<Forecaster['fit']>>();
  return (training) => {
    const { table } = training.part;
    const known = fits.get(table);
    if (known) return known;
    const fitting = forecaster.fit(training).then((fitted) => {
      if (isUnfit(fitted)) return fitted;
      const forecasts = new WeakMap<readonly Prompt[], Promise<Forecast>>();
      return {
        ...fitted,
        forecast: (prompts: readonly Prompt[]) => {
          const done = forecasts.get(prompts) ?? fitted.forecast(prompts);
          forecasts.set(prompts, done);
          return done;
        },
      };
    });
    fits.set(table, fitting);
    return fitting;
  };
}

/** Freezes the curve of beliefs on `part`; `believe` gives the beliefs of a test part. */
export function freezeSweep(
  tuning: Beliefs,
  part: Part,
  training: Training,
  believe: (test: Part) => Promise<Beliefs>,
  options: { hindsight?: boolean; predicts?: boolean; knobs?: boolean } = {},
): Frozen {
  const { singles } = training;
  const swept = sweep(tuning, part, singles.byRisingCost);
  const alwaysCheapest = fixedOrder(part, singles.byRisingCost);
  const alwaysDearest = fixedOrder(part, [...singles.byRisingCost].reverse());
  // Every router may send a share of its prompts to the cheapest model, whatever it predicts.
  const cheapest = swept.length;
  const settings = [...swept, { costUsd: mean(alwaysCheapest.costUsd), quality: mean(alwaysCheapest.quality) }];
  const targets = targetCosts(settings[cheapest]!.costUsd, mean(alwaysDearest.costUsd), training.gridPoints);
  const points = freeze(settings, targets);
  const used = [...new Set(points.flatMap((p) => [p.a, p.b]))].sort((a, b) => a - b);
  const lambdas = used.filter((s) => s !== cheapest);
  const measured = (beliefs: Beliefs, on: Part): Measurement => {
    const chosen = choicesAt(
      beliefs,
      on,
      singles.byRisingCost,
      lambdas.map((s) => swept[s]!.lambda),
    );
    const outcomes = new Map<number, SettingOutcome>(lambdas.map((s, k) => [s, lookUp(on, chosen[k]!)]));
    if (used.includes(cheapest)) outcomes.set(cheapest, fixedOrder(on, singles.byRisingCost));
    return {
      outcomes,
      ...(options.predicts !== false && { predicted: beliefs.quality, expected: beliefs }),
      preference: beliefs.quality,
    };
  };
  return {
    points,
    baselineQuality: mean(fixedOrder(part, training.baseline).quality),
    label: (s) => (s === cheapest ? 'always cheapest' : `λ=${formatLambda(swept[s]!.lambda)}`),
    // With every candidate within the tolerance, `qualityPerUsd` is λ, and without one the cheapest wins.
    ...(options.knobs && {
      knobs: (s: number) => {
        const lambda = swept[s]?.lambda ?? Number.POSITIVE_INFINITY;
        return { tolerance: 1, qualityPerUsd: Number.isFinite(lambda) ? lambda : null };
      },
    }),
    tuned: () => ({ part, measurement: measured(tuning, part) }),
    async measure(test): Promise<Measurement> {
      const beliefs = await believe(test);
      return {
        ...measured(beliefs, test),
        ...(options.hindsight !== false && { hindsight: sweep(beliefs, test, singles.byRisingCost) }),
      };
    },
  };
}

/** What each prompt cost and reached when the first tried model of a fixed order answers it. */
export function fixedOrder(part: Part, order: readonly number[]): SettingOutcome {
  const m = part.table.modelIds.length;
  const n = part.table.prompts.length;
  const choice = new Int16Array(n);
  for (let i = 0; i < n; i++) choice[i] = order.find((j) => !Number.isNaN(part.table.quality[i * m + j]!))!;
  return lookUp(part, choice);
}

export function lookUp(part: Part, choice: Int16Array): SettingOutcome {
  const m = part.table.modelIds.length;
  return {
    choice,
    costUsd: Float64Array.from(choice, (j, i) => part.costUsd[i * m + j]!),
    quality: Float64Array.from(choice, (j, i) => part.table.quality[i * m + j]!),
  };
}

/**
 * Expected cost of every cell: list price × (characters / 4 in, forecast tokens out), then scaled per model so
 * that on the training part its mean is the realised one. A model without list price is expected to cost its mean.
 * A cost that the forecast itself gives stands as it is.
 */
function costForecaster(
  train: Part,
  singles: SingleModels,
  forecast: Forecast,
): (part: Part, forecast: Forecast) => Float64Array {
  const m = train.table.modelIds.length;
  const raw = rawCosts(train, singles, forecast);
  const realised = new Float64Array(m);
  const expected = new Float64Array(m);
  for (let at = 0; at < raw.length; at++) {
    if (Number.isNaN(train.costUsd[at]!) || Number.isNaN(raw[at]!)) continue;
    realised[at % m]! += train.costUsd[at]!;
    expected[at % m]! += raw[at]!;
  }
  const scale = realised.map((x, j) => (expected[j]! > 0 ? x / expected[j]! : 1));
  return (part, f) => {
    const out = rawCosts(part, singles, f);
    for (let at = 0; at < out.length; at++) {
      const own = Number.isNaN(out[at]!) ? singles.costUsd[at % m]! : out[at]! * scale[at % m]!;
      const given = f.costUsd?.[at] ?? Number.NaN;
      out[at] = Number.isNaN(given) ? own : given;
    }
    return out;
  };
}

function rawCosts(part: Part, singles: SingleModels, { outputTokens }: Forecast): Float64Array {
  const { table } = part;
  const m = table.modelIds.length;
  const out = new Float64Array(table.prompts.length * m);
  table.prompts.forEach((prompt, i) => {
    const chars = promptChars(prompt);
    for (let j = 0; j < m; j++) {
      const forecast = outputTokens?.[i * m + j] ?? Number.NaN;
      const tokens =
        part.constantLength[i] === 1 ? CONSTANT_TOKENS : Number.isNaN(forecast) ? singles.outputTokens[j]! : forecast;
      out[i * m + j] = listCostUsd(table, j, chars, tokens);
    }
  });
  return out;
}

const mean = (xs: Float64Array): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;

const formatLambda = (lambda: number): string =>
  lambda === Number.POSITIVE_INFINITY ? '∞' : lambda === 0 ? '0' : lambda.toPrecision(3);
