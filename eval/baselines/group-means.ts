/**
 * Two routers that know one thing of a prompt: which benchmark it is from, or how long it is. What a learned
 * router gains beyond these it learned from the text.
 */
import { type Prompt, promptChars } from '../../datasets/index.ts';
import type { Contender, Forecast, Forecaster } from '../contender.ts';
import { outOfFold } from '../out-of-fold.ts';
import type { Part } from '../part.ts';
import { plugIn } from '../plug-in.ts';
import type { SingleModels } from '../single-models.ts';

/** Outcomes' worth of pull from a model's mean in one class of prompts towards its mean over all. */
const PRIOR_PROMPTS = 20;
const LENGTH_BINS = 10;

/** Mean of each (benchmark, model), shrunk to the model's mean, which is also what an unseen benchmark gets. */
export const benchmarkMean = (): Contender =>
  plugIn(
    classMeans('benchmark-mean', () => (prompt) => prompt.benchmark),
    'baseline',
  );

/** The same by length of the prompt, in ten classes of equal size on the training part. */
export const lengthOnly = (): Contender =>
  plugIn(
    classMeans('length-only', (prompts) => {
      const sorted = Float64Array.from(prompts, promptChars).sort();
      const edges = Array.from({ length: LENGTH_BINS - 1 }, (_, b) => {
        return sorted[Math.floor(((b + 1) / LENGTH_BINS) * sorted.length)] ?? Number.POSITIVE_INFINITY;
      });
      return (prompt) => String(edges.filter((edge) => promptChars(prompt) >= edge).length);
    }),
    'baseline',
  );

type ClassOf = (prompt: Prompt) => string;

const classMeans = (name: string, classesOf: (prompts: readonly Prompt[]) => ClassOf): Forecaster => ({
  name,
  fit: (training) =>
    outOfFold(training, async (part, singles) => fitMeans(part, singles, classesOf(part.table.prompts))),
});

function fitMeans(part: Part, singles: SingleModels, classOf: ClassOf): (prompts: readonly Prompt[]) => Forecast {
  const { table, constantLength } = part;
  const m = table.modelIds.length;
  const sums = new Map<
    string,
    { quality: Float64Array; n: Float64Array; tokens: Float64Array; lengths: Float64Array }
  >();
  table.prompts.forEach((prompt, i) => {
    const key = classOf(prompt);
    let s = sums.get(key);
    if (!s) {
      const zeros = () => new Float64Array(m);
      s = { quality: zeros(), n: zeros(), tokens: zeros(), lengths: zeros() };
      sums.set(key, s);
    }
    for (let j = 0; j < m; j++) {
      const at = i * m + j;
      if (Number.isNaN(table.quality[at]!)) continue;
      s.quality[j]! += table.quality[at]!;
      s.n[j]! += 1;
      if (constantLength[i] === 1 || Number.isNaN(table.outputTokens[at]!)) continue;
      s.tokens[j]! += table.outputTokens[at]!;
      s.lengths[j]! += 1;
    }
  });
  const shrunk = (sum: number, n: number, mean: number) =>
    n === 0 ? mean : Number.isNaN(mean) ? sum / n : (sum + PRIOR_PROMPTS * mean) / (n + PRIOR_PROMPTS);
  return (prompts) => {
    const quality = new Float64Array(prompts.length * m);
    const outputTokens = new Float64Array(prompts.length * m);
    prompts.forEach((prompt, i) => {
      const s = sums.get(classOf(prompt));
      for (let j = 0; j < m; j++) {
        quality[i * m + j] = shrunk(s?.quality[j] ?? 0, s?.n[j] ?? 0, singles.quality[j]!);
        outputTokens[i * m + j] = shrunk(s?.tokens[j] ?? 0, s?.lengths[j] ?? 0, singles.outputTokens[j]!);
      }
    });
    return { quality, outputTokens };
  };
}
