/** Learned routers as contenders: an artifact as it is, or an estimator fitted on the training part. */
import { deriveSeed, type Prompt, RoutingError, sampleRows } from '../datasets/index.ts';
import type { TrainedOn } from '../router/artifact/trained-on.ts';
import type { Estimator, Predictions, Predictor, ZooName } from '../router/estimators/index.ts';
import type { Contender, FittedForecaster, Forecast, Forecaster } from './contender.ts';
import { outOfFold } from './out-of-fold.ts';
import { plugIn } from './plug-in.ts';
import { groupsWith } from './split.ts';

/** What evaluation needs of an artifact; `artifact-source.ts` makes one from a folder. */
export interface LearnedSource extends TrainedOn {
  /** The artifact's content hash, for reports. */
  readonly hash: string;
  /** Embeddings of other encoders do not go with it. */
  readonly encoderId: string;
  /** Candidate models that the artifact has heads for. */
  readonly modelIds: readonly string[];
  /** Predictions of the artifact's own heads. */
  asItIs(modelIds: readonly string[]): Predictor;
  /** A method of the zoo over the frozen encoder. */
  estimator(name: ZooName): Estimator;
}

/**
 * Fewest prompts outside the encoder's own training groups to choose settings on. Where there are fewer,
 * settings are chosen on all of the training part, with an encoder that has seen some of its labels.
 */
export const MIN_FRESH_PROMPTS = 200;

/** Prompts forecast out of fold by an estimator that must be refitted for it: enough to place a few settings. */
export const MAX_TUNING_PROMPTS = 3000;

/** The artifact's own heads, on the models they know. */
export const artifactAsItIs = (name: string, source: LearnedSource): Contender =>
  plugIn(
    {
      name,
      async fit({ part }) {
        const known = part.table.modelIds.filter((id) => source.modelIds.includes(id));
        if (known.length < 2) {
          return {
            unfit: `it knows ${known.length} of the ${part.table.modelIds.length} models that training has outcomes of`,
          };
        }
        const predictor = source.asItIs(known);
        const forecast = async (prompts: readonly Prompt[]) =>
          toColumns(predictor.modelIds, await predictor.predict(prompts), part.table.modelIds);
        const rows = tuningRows(part.table.prompts, source);
        return { tuning: { rows, forecast: await forecast(rows.map((i) => part.table.prompts[i]!)) }, forecast };
      },
    },
    'learned',
    { knobs: true },
  );

/** An estimator over the artifact's frozen encoder, fitted on the training part. */
export const fittedOn = (name: string, source: Pick<LearnedSource, 'fitted'>, estimator: Estimator): Contender =>
  plugIn(estimatorForecaster(name, estimator, source), 'learned', { knobs: name.endsWith('+fit') });

export const estimatorForecaster = (
  name: string,
  estimator: Estimator,
  source: Pick<LearnedSource, 'fitted'>,
): Forecaster => ({
  name,
  async fit(training): Promise<FittedForecaster> {
    const { table } = training.part;
    const predictor = await estimator.fit(table, training.seed);
    const through = (p: Predictor) => async (prompts: readonly Prompt[]) =>
      toColumns(p.modelIds, await p.predict(prompts), table.modelIds);
    const rows = tuningRows(table.prompts, source);
    if (predictor.outOfFold) {
      const own = toColumns(predictor.modelIds, predictor.outOfFold, table.modelIds);
      const forecast = selectForecastRows(own, rows, table.modelIds.length);
      return { tuning: { rows, forecast }, forecast: through(predictor) };
    }
    return outOfFold(training, async (part, _singles, seed) => through(await estimator.fit(part.table, seed)), {
      learnAll: async () => through(predictor),
      rows: sampleRows(table.prompts, rows, MAX_TUNING_PROMPTS, deriveSeed(training.seed, 'tuning-rows')),
    });
  },
});

/** Rows whose groups the encoder has not learned from, if they are enough; else all. */
function tuningRows(prompts: readonly Prompt[], source: Pick<LearnedSource, 'fitted'>): number[] {
  const all = prompts.map((_, i) => i);
  const fitted = groupsWith(prompts, (p) => source.fitted(p));
  const fresh = all.filter((i) => !fitted.has(prompts[i]!.groupId));
  return fresh.length >= MIN_FRESH_PROMPTS ? fresh : all;
}

/** Predictions in another order of columns; models without one are NaN. @throws `INTERNAL` on a NaN prediction */
function toColumns(from: readonly string[], predictions: Predictions, to: readonly string[]): Forecast {
  const n = predictions.quality.length / from.length;
  const columns = to.map((id) => from.indexOf(id));
  const pick = (values: Float32Array, check: boolean): Float64Array => {
    const out = new Float64Array(n * to.length).fill(Number.NaN);
    for (let i = 0; i < n; i++) {
      columns.forEach((j, k) => {
        if (j < 0) return;
        const x = values[i * from.length + j]!;
        if (check && Number.isNaN(x)) throw new RoutingError('INTERNAL', `prediction for ${to[k]} is not a number`);
        out[i * to.length + k] = x;
      });
    }
    return out;
  };
  return {
    quality: pick(predictions.quality, true),
    ...(predictions.outputTokens && { outputTokens: pick(predictions.outputTokens, false) }),
  };
}

function selectForecastRows(forecast: Forecast, rows: readonly number[], m: number): Forecast {
  const pick = (values: Float32Array | Float64Array): Float64Array => {
    const out = new Float64Array(rows.length * m);
    rows.forEach((r, i) => {
      for (let j = 0; j < m; j++) out[i * m + j] = values[r * m + j]!;
    });
    return out;
  };
  return {
    quality: pick(forecast.quality),
    ...(forecast.outputTokens && { outputTokens: pick(forecast.outputTokens) }),
  };
}
