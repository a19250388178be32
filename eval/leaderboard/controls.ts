/**
 * Negative controls: routers whose place is known beforehand. Noise and permuted labels must not beat the zero
 * router, and a router that has seen the test outcomes must stand out as impossible. A board on which they do
 * not behave measures something else than skill.
 */
import { deriveSeed, hashFraction, type OutcomeTable, seededRandom, shuffled } from '../../datasets/index.ts';
import type { Estimator } from '../../router/estimators/estimator.ts';
import type { Contender, Training } from '../contender.ts';
import type { Part } from '../part.ts';
import { freezeSweep } from '../plug-in.ts';
import type { Beliefs } from '../sweep.ts';

/** Says of every prompt something else, sure of itself, and nothing of it is true. */
export const pureNoise = (): Estimator => ({
  name: 'control: pure noise',
  async fit({ modelIds }, seed) {
    return {
      modelIds,
      predict: async (prompts) => ({
        quality: Float32Array.from(
          prompts.flatMap((p) => modelIds.map((id) => hashFraction(`noise:${p.id}:${id}`, seed))),
        ),
      }),
    };
  },
});

/** A method that learns from outcomes of which each belongs to another prompt: model means are right, texts mislead. */
export const permutedLabels = (method: Estimator): Estimator => ({
  name: 'control: permuted labels',
  fit: (table, seed) => method.fit(permuted(table, seed), seed),
});

function permuted(table: OutcomeTable, seed: number): OutcomeTable {
  const m = table.modelIds.length;
  const rows = table.prompts.map((_, i) => i);
  const from = shuffled(rows, seededRandom(deriveSeed(seed, 'permuted-labels')));
  const moved = <T extends Float32Array | Float64Array>(values: T, to: T): T => {
    from.forEach((r, i) => {
      to.set(values.subarray(r * m, r * m + m), i * m);
    });
    return to;
  };
  return {
    ...table,
    quality: moved(table.quality, new Float32Array(table.quality.length)),
    outputTokens: moved(table.outputTokens, new Float32Array(table.outputTokens.length)),
    costUsd: moved(table.costUsd, new Float64Array(table.costUsd.length)),
  };
}

/** How much of a test outcome leaks into the forecast; the rest is the model's mean. */
const LEAK = 0.5;

/** Forecasts half the mean and half the very outcome it is tested on. */
export const leakyRouter = (): Contender => ({
  name: 'control: sees the test outcomes',
  kind: 'hindsight',
  prepare: async (training) =>
    freezeSweep(leaked(training, training.part), training.part, training, async (test) => leaked(training, test), {
      hindsight: false,
      predicts: false,
    }),
});

function leaked({ singles }: Training, { table }: Part): Beliefs {
  const m = table.modelIds.length;
  return {
    quality: Float64Array.from(table.quality, (q, at) => (1 - LEAK) * singles.quality[at % m]! + LEAK * q),
    costUsd: Float64Array.from(table.quality, (_, at) => singles.costUsd[at % m]!),
  };
}
