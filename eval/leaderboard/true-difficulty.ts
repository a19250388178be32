/**
 * What better text features could still bring: the plug-in policy told the true shared difficulty of each prompt,
 * as the mean score of models outside the pool, in ten bins. Not a bound for methods that also tell models apart.
 */
import { type Dataset, outcomeTable, type Prompt } from '../../datasets/index.ts';
import type { Contender, Forecast } from '../contender.ts';
import { outOfFold } from '../out-of-fold.ts';
import type { Part } from '../part.ts';
import { plugIn } from '../plug-in.ts';
import { additiveMeans, type SingleModels } from '../single-models.ts';

export const TRUE_DIFFICULTY = 'true shared difficulty';
const BINS = 10;
/** Outcomes' worth of pull from a model's mean in one bin to its mean over all. */
const PRIOR_PROMPTS = 20;

/** Ease of each prompt by id, for each column of the pool; NaN where nobody else was asked. */
export type EaseOf = (promptId: string, modelId: string) => number;

/**
 * Null for two models and no others: the outcome of the one says more of the other's rank than of the prompt.
 * @param pool models in competition. Their own scores say nothing here where other models answered the source;
 *             where none did, a model's bin is by the mean of the others of the pool
 */
export function trueEase(dataset: Dataset, pool: readonly string[]): EaseOf | null {
  const inPool = new Set(pool);
  const outside = dataset.outcomes.some((o) => !inPool.has(o.modelId));
  if (!outside && pool.length < 3) return null;
  const table = outcomeTable(
    { ...dataset, outcomes: dataset.outcomes.filter((o) => !outside || !inPool.has(o.modelId)) },
    { baseModels: true },
  );
  const m = table.modelIds.length;
  const means = additiveMeans(table.quality, m);
  const row = new Map(table.prompts.map((p, i) => [p.id, i]));
  const column = new Map(table.modelIds.map((id, j) => [id, j]));
  return (promptId, modelId) => {
    const i = row.get(promptId);
    if (i === undefined) return Number.NaN;
    const own = outside ? -1 : column.get(modelId);
    let sum = 0;
    let count = 0;
    for (let j = 0; j < m; j++) {
      const q = table.quality[i * m + j]!;
      if (j === own || Number.isNaN(q)) continue;
      // Over its model's mean: who was asked must not count as ease.
      sum += q - means[j]!;
      count++;
    }
    return sum / count;
  };
}

export const trueDifficulty = (ease: EaseOf | null): Contender =>
  plugIn(
    {
      name: TRUE_DIFFICULTY,
      fit: async (training) =>
        ease === null
          ? { unfit: 'two models and no others to tell a prompt’s difficulty by' }
          : outOfFold(training, async (part, singles) => fitBins(part, singles, ease)),
    },
    'hindsight',
  );

function fitBins(part: Part, singles: SingleModels, ease: EaseOf): (prompts: readonly Prompt[]) => Forecast {
  const { table } = part;
  const m = table.modelIds.length;
  const sorted = table.modelIds.map((id) =>
    Float64Array.from(table.prompts, (p) => ease(p.id, id))
      .filter((e) => !Number.isNaN(e))
      .sort(),
  );
  const edges = sorted.map((es) =>
    Array.from(
      { length: BINS - 1 },
      (_, b) => es[Math.floor(((b + 1) / BINS) * es.length)] ?? Number.POSITIVE_INFINITY,
    ),
  );
  const binOf = (p: Prompt, j: number): number => {
    const e = ease(p.id, table.modelIds[j]!);
    return Number.isNaN(e) ? -1 : edges[j]!.filter((edge) => e >= edge).length;
  };
  const sum = new Float64Array(m * BINS);
  const count = new Float64Array(m * BINS);
  table.prompts.forEach((p, i) => {
    for (let j = 0; j < m; j++) {
      const q = table.quality[i * m + j]!;
      const b = binOf(p, j);
      if (Number.isNaN(q) || b < 0) continue;
      sum[j * BINS + b]! += q;
      count[j * BINS + b]! += 1;
    }
  });
  return (prompts) => {
    const quality = new Float64Array(prompts.length * m);
    prompts.forEach((p, i) => {
      for (let j = 0; j < m; j++) {
        const b = binOf(p, j);
        const at = j * BINS + b;
        const mean = singles.quality[j]!;
        quality[i * m + j] = b < 0 ? mean : (sum[at]! + PRIOR_PROMPTS * mean) / (count[at]! + PRIOR_PROMPTS);
      }
    });
    return { quality };
  };
}
