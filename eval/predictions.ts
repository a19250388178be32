/**
 * Routers of any language, by a file of what they predict. One row a pair,
 *
 *     {"promptId": "p1", "modelId": "a/small", "quality": 0.7, "costUsd": 0.0002, "outputTokens": 180}
 *
 * or one a prompt, `{"promptId": "p1", "quality": {"a/small": 0.7, …}, "costUsd": {…}, "outputTokens": {…}}`. Cost and
 * tokens may be left out. Such a router is the plug-in router with these forecasts, so it is compared like any other.
 *
 * Its settings are chosen on the training prompts that the file has predictions for. **These must not come from a fit
 * that saw the outcomes of those prompts**: predict them out of fold, or from a fit on other data. That cannot be
 * checked, but a router that was sure of what it had seen shows: see {@link inSampleSuspicion}.
 */
import { z } from 'zod';
import { deriveSeed, type Prompt, RoutingError, readNumberedJsonl, sampleRows } from '../datasets/index.ts';
import { PLAIN } from '../datasets/plain-issues.ts';
import type { Contender, Forecaster } from './contender.ts';
import { aucFrom, aucOrder } from './metrics/auc.ts';
import { forEachResample } from './metrics/bootstrap.ts';
import { type Part, selectPartRows } from './part.ts';
import { plugIn } from './plug-in.ts';
import { type Prediction, PredictionTable } from './prediction-table.ts';

/** Fewest training prompts to choose settings on. */
export const MIN_TUNING_PROMPTS = 50;

/**
 * @param name what it is called in reports
 * @param path `.jsonl` or `.jsonl.gz`
 * @throws `INVALID_ROW`, `MALFORMED_JSON`, `DUPLICATE_ROW`, `TRUNCATED_FILE`, each with `file:line`; `MISSING_FILE`;
 *         `EMPTY_TABLE` for a file without rows. Measured on prompts it has no predictions for: `INVALID_CONFIG`
 */
export async function predictionsRouter(name: string, path: string): Promise<Contender> {
  const table = await readPredictions(path);
  return {
    ...plugIn(predictionsForecaster(name, path, table), 'learned'),
    given: ({ table: { prompts, modelIds } }) => table.forecast(prompts, modelIds),
    modelIds: table.modelIds,
  };
}

/** The same file as a table. @throws as {@link predictionsRouter} */
export async function readPredictions(path: string): Promise<PredictionTable> {
  const table = new PredictionTable();
  let rows = 0;
  for await (const { row, line } of readNumberedJsonl(path, Row)) {
    rows++;
    for (const [modelId, prediction] of row.predictions) {
      if (table.add(row.promptId, modelId, prediction)) continue;
      throw new RoutingError(
        'DUPLICATE_ROW',
        `${path}:${line}: a second prediction of ${modelId} on prompt ${row.promptId}; keep one of them`,
      );
    }
  }
  if (rows === 0) {
    throw new RoutingError('EMPTY_TABLE', `${path}: no predictions in it; a row is {"promptId", "modelId", "quality"}`);
  }
  return table;
}

const Quality = z.number().min(0).max(1);
const Usd = z.number().nonnegative();
const Tokens = z.number().nonnegative();
const Id = z.string().min(1);

const Pair = z.object({
  promptId: Id,
  modelId: Id,
  quality: Quality,
  costUsd: Usd.optional(),
  outputTokens: Tokens.optional(),
});
const PerPrompt = z.object({
  promptId: Id,
  quality: z.record(Id, Quality),
  costUsd: z.record(Id, Usd).optional(),
  outputTokens: z.record(Id, Tokens).optional(),
});

interface Row {
  readonly promptId: string;
  readonly predictions: readonly (readonly [modelId: string, Prediction])[];
}

/** A row of either form. Told apart by `quality`, so that an error names the field at fault and not "either form". */
const Row = z.unknown().transform((value, context): Row => {
  const perPrompt = typeof (value as { quality?: unknown } | null)?.quality === 'object';
  const parsed = perPrompt ? PerPrompt.safeParse(value, PLAIN) : Pair.safeParse(value, PLAIN);
  const refuse = (path: PropertyKey[], message: string) => {
    context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  };
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return refuse(issue!.path, issue!.message);
  }
  const { data } = parsed;
  if ('modelId' in data) return { promptId: data.promptId, predictions: [[data.modelId, data]] };
  for (const field of ['costUsd', 'outputTokens'] as const) {
    const stray = Object.keys(data[field] ?? {}).find((id) => !Object.hasOwn(data.quality, id));
    if (stray !== undefined) return refuse([field, stray], 'this model has no quality in the row');
  }
  const predictions = Object.entries(data.quality).map(([id, quality]): [string, Prediction] => [
    id,
    { quality, costUsd: data.costUsd?.[id], outputTokens: data.outputTokens?.[id] },
  ]);
  return predictions.length === 0 ? refuse(['quality'], 'no model in it') : { promptId: data.promptId, predictions };
});

const predictionsForecaster = (name: string, path: string, table: PredictionTable): Forecaster => ({
  name,
  async fit({ part: { table: training } }) {
    const { prompts, modelIds } = training;
    const theirs = new Set(table.modelIds);
    const known = modelIds.filter((id) => theirs.has(id));
    if (known.length < 2) {
      return {
        unfit:
          `${path} has predictions for ${known.length} of the ${modelIds.length} models, two are needed: it names ` +
          `${some([...theirs].sort())}; the task has ${some(modelIds)}. Ids must be the same to the letter`,
      };
    }
    const covered = (prompt: Prompt) => table.covers(prompt.id, known);
    const rows = prompts.flatMap((prompt, i) => (covered(prompt) ? [i] : []));
    if (rows.length < MIN_TUNING_PROMPTS) {
      const ids =
        rows.length === 0 ? ` Its prompts are ${some([...table.promptIds].slice(0, SHOWN + 1))}; the task’s are ` : '';
      return {
        unfit:
          `${path} has predictions for ${rows.length} of the ${prompts.length} training prompts, and settings are chosen on at ` +
          `least ${MIN_TUNING_PROMPTS}; add predictions for training prompts, made by a fit that has not seen their outcomes.` +
          (ids && `${ids}${some(prompts.map(({ id }) => id))}`),
      };
    }
    return {
      tuning: {
        rows,
        forecast: table.forecast(
          rows.map((i) => prompts[i]!),
          modelIds,
        ),
      },
      async forecast(asked) {
        const missing = asked.filter((prompt) => !covered(prompt));
        if (missing.length > 0) {
          throw new RoutingError(
            'INVALID_CONFIG',
            `router "${name}" cannot be evaluated: ${missing.length} of ${asked.length} test prompts have no prediction in ` +
              `${path}, e.g. ${missing[0]!.id}; every prompt of the data may be tested, so predict them all`,
          );
        }
        return table.forecast(asked, modelIds);
      },
    };
  },
});

const SHOWN = 5;
const some = (ids: readonly string[]): string =>
  ids.slice(0, SHOWN).join(', ') + (ids.length > SHOWN ? ', …' : '') || 'none';

/** How much better forecasts rank answers on the prompts that settings were chosen on than on the test prompts. */
export interface InSample {
  /** AUC between answers of one model on one benchmark, in [0, 1]. */
  readonly trainingAuc: number;
  readonly testAuc: number;
  /** trainingAuc − testAuc. Near 0 for honest forecasts. */
  readonly excess: number;
  /** The excess is above this in 95 % of resamples by group. */
  readonly low: number;
}

/** Prompts compared on either side: an AUC over so many is known to about a hundredth. */
const MAX_COMPARED = 2000;
const REPLICATES = 200;

/**
 * Compares forecasts that were handed in on both parts of each fold, folds weighted by their test prompts. Forecasts
 * from a fit that saw the outcomes of the training part rank its answers better. A left-out benchmark may be harder to
 * rank than the others, so there a smaller excess means nothing.
 * @returns null for a router without such forecasts, and where no part has both a good and a bad answer
 */
export function inSampleSuspicion(
  contender: Contender,
  folds: readonly { readonly train: Part; readonly test: Part }[],
  seed = 0,
): InSample | null {
  if (!contender.given) return null;
  let [weight, training, tested] = [0, 0, 0];
  const excess = new Float64Array(REPLICATES);
  for (const { train, test } of folds) {
    const a = ranking(contender.given, train, seed);
    const b = ranking(contender.given, test, seed);
    const [aucA, aucB] = [a.auc(), b.auc()];
    if (aucA === null || aucB === null) continue;
    const n = test.table.prompts.length;
    weight += n;
    training += n * aucA;
    tested += n * aucB;
    const [drawnA, drawnB] = [a.resampled('training'), b.resampled('test')];
    // A resample without a good or a bad answer says nothing: it counts as it was.
    for (let r = 0; r < REPLICATES; r++) excess[r]! += n * ((drawnA[r] ?? aucA) - (drawnB[r] ?? aucB));
  }
  if (weight === 0) return null;
  const sorted = excess.map((x) => x / weight).sort();
  return {
    trainingAuc: training / weight,
    testAuc: tested / weight,
    excess: (training - tested) / weight,
    low: sorted[Math.floor(0.05 * REPLICATES)]!,
  };
}

/** Tried cells with a forecast of at most {@link MAX_COMPARED} prompts, compared only within a benchmark and model. */
function ranking(given: (part: Part) => { readonly quality: ArrayLike<number> }, whole: Part, seed: number) {
  const m = whole.table.modelIds.length;
  const all = given(whole).quality;
  const has = (i: number) => {
    for (let at = i * m; at < i * m + m; at++) if (!Number.isNaN(all[at]!)) return true;
    return false;
  };
  const rows = whole.table.prompts.flatMap((_, i) => (has(i) ? [i] : []));
  const sample = sampleRows(whole.table.prompts, rows, MAX_COMPARED, deriveSeed(seed, 'in-sample'));
  const part = selectPartRows(whole, sample);
  const { quality } = part.table;
  const forecast = given(part).quality;
  const predicted: number[] = [];
  const observed: number[] = [];
  const kind: number[] = [];
  const unit: number[] = [];
  const benchmarks = new Map<string, number>();
  const groups = new Map<string, number>();
  part.table.prompts.forEach(({ benchmark, groupId }, i) => {
    for (let j = 0; j < m; j++) {
      const at = i * m + j;
      if (Number.isNaN(quality[at]!) || Number.isNaN(forecast[at]!)) continue;
      predicted.push(forecast[at]!);
      observed.push(quality[at]!);
      kind.push(numberOf(benchmarks, benchmark) * m + j);
      unit.push(numberOf(groups, groupId));
    }
  });
  const order = aucOrder(Float64Array.from(predicted), Int32Array.from(kind));
  const outcomes = Float64Array.from(observed);
  return {
    auc: () => aucFrom(order, outcomes),
    resampled(side: string): (number | null)[] {
      const out: (number | null)[] = [];
      const weights = new Float64Array(unit.length);
      forEachResample(groups.size, REPLICATES, deriveSeed(seed, side), (drawn) => {
        for (let k = 0; k < weights.length; k++) weights[k] = drawn[unit[k]!]!;
        out.push(aucFrom(order, outcomes, weights));
      });
      return out;
    },
  };
}

function numberOf(numbers: Map<string, number>, key: string): number {
  const known = numbers.get(key);
  if (known !== undefined) return known;
  numbers.set(key, numbers.size);
  return numbers.size - 1;
}
