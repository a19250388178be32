/**
 * Negative controls: routers whose place is known beforehand. Noise and permuted labels must not beat the zero
 * router, and a router that has seen the test outcomes must stand out as impossible. A board on which they do
 * not behave measures something else than skill.
 */
import { deriveSeed, hashFraction, seededRandom, shuffled } from '../../datasets/index.ts';
import type { Estimator } from '../../router/estimators/estimator.ts';
import { type Contender, isUnfit, type Training } from '../contender.ts';
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

/**
 * A router for which every outcome, cost included, belongs to another prompt, in training and in the test alike: model
 * means are right, and neither text nor length tells anything. (Permuted in training alone, what a prompt's length
 * says of its cost would still be true, and on some sources length alone pays.)
 */
export const permutedLabels = (router: Contender): Contender => ({
  name: 'control: permuted labels',
  kind: router.kind,
  async prepare(training) {
    const frozen = await router.prepare({ ...training, part: permuted(training.part, training.seed) });
    if (isUnfit(frozen)) return frozen;
    return { ...frozen, measure: (test) => frozen.measure(permuted(test, training.seed)) };
  },
});

function permuted(part: Part, seed: number): Part {
  const rows = part.table.prompts.map((_, i) => i);
  const from = shuffled(rows, seededRandom(deriveSeed(seed, 'permuted-labels')));
  return {
    ...part,
    table: { ...part.table, prompts: from.map((r) => part.table.prompts[r]!) },
    // Whether an answer's length is known is a fact of the prompt, too.
    constantLength: part.constantLength.map((_, i) => part.constantLength[from[i]!]!),
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
