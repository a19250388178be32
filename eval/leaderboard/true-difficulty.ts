/**
 * What better text features could still bring: the plug-in policy told the true shared difficulty of each prompt,
 * as the mean score of models outside the pool, in ten bins. Not a bound for methods that also tell models apart.
 */
import { type Dataset, outcomeTable, type Prompt } from '../../datasets/index.ts';
import { fitRows } from '../../router/training/fit-rows.ts';
import type { Contender, Forecast } from '../contender.ts';
import { outOfFold } from '../out-of-fold.ts';
import type { Part } from '../part.ts';
import { plugIn } from '../plug-in.ts';
import { additiveMeans, type SingleModels } from '../single-models.ts';

export const TRUE_DIFFICULTY = 'true shared difficulty';
const BINS = 10;

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
          : outOfFold(training, async (part, singles) => fitSlopes(part, singles, ease)),
    },
    'hindsight',
  );

/**
 * One logistic slope per model on the bin, shrunk to what all models have in common as in our own heads: means of
 * every (bin, model) for themselves are so noisy at a thousand labels that the truth loses to the zero router.
 */
function fitSlopes(part: Part, singles: SingleModels, ease: EaseOf): (prompts: readonly Prompt[]) => Forecast {
  const { table } = part;
  const n = table.prompts.length;
  const m = table.modelIds.length;
  const inputs = table.modelIds.map((id) => binsOf(table.prompts, (p) => ease(p.id, id)));
  const known = Float32Array.from(table.quality, (q, at) =>
    Number.isNaN(inputs[at % m]!(table.prompts[Math.floor(at / m)]!)) ? Number.NaN : q,
  );
  const x = inputs.map((bin) =>
    Float64Array.from({ length: 2 * n }, (_, k) => (k % 2 ? bin(table.prompts[k >> 1]!) : 1)),
  );
  const { rows } = fitRows((j) => x[j]!.map((v) => (Number.isNaN(v) ? 0 : v)), 2, known, n, m, {
    centre: Float64Array.of(0, 1),
    learnCentre: [0, 1],
    spread: Float64Array.of(2, 0.5),
    strength: 2,
  });
  return (prompts) => {
    const quality = new Float64Array(prompts.length * m);
    prompts.forEach((p, i) => {
      for (let j = 0; j < m; j++) {
        const bin = inputs[j]!(p);
        quality[i * m + j] = Number.isNaN(bin)
          ? singles.quality[j]!
          : 1 / (1 + Math.exp(-(rows[2 * j]! + rows[2 * j + 1]! * bin)));
      }
    });
    return { quality };
  };
}

/** Bin of a prompt by equal shares of these prompts, spread evenly from −1 to 1; NaN where its ease is not known. */
function binsOf(prompts: readonly Prompt[], ease: (prompt: Prompt) => number): (prompt: Prompt) => number {
  const sorted = Float64Array.from(prompts, ease)
    .filter((e) => !Number.isNaN(e))
    .sort();
  const edges = Array.from({ length: BINS - 1 }, (_, b) => sorted[Math.floor(((b + 1) / BINS) * sorted.length)]!);
  return (prompt) => {
    const e = ease(prompt);
    return Number.isNaN(e) ? Number.NaN : (2 * edges.filter((edge) => e >= edge).length) / (BINS - 1) - 1;
  };
}
