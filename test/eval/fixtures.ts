/** Small made-up worlds with a known truth, and routers that know more or less of it. */
import {
  type Dataset,
  deriveSeed,
  hashFraction,
  type Outcome,
  type OutcomeTable,
  outcomeTable,
  type Prompt,
  seededRandom,
} from '../../datasets/index.ts';
import { realisedCosts } from '../../eval/costs.ts';
import type { LearnedSource } from '../../eval/learned.ts';
import { type Part, partOf } from '../../eval/part.ts';
import type { LoadSource } from '../../eval/routers.ts';
import type { Estimator, Predictor } from '../../router/estimators/estimator.ts';

export interface World {
  readonly prompts?: number;
  readonly seed?: number;
  /** Name → skill; prices rise with skill. Default: three models. */
  readonly skills?: Readonly<Record<string, number>>;
  readonly benchmarks?: number;
  /** Share of cells without an outcome. */
  readonly holes?: number;
  /** Prompts in a group. */
  readonly groupSize?: number;
}

export const SKILLS = { 'a/small': 0.3, 'b/middle': 0.6, 'c/large': 0.9 } as const;

/** How hard a prompt is, in [0, 1): known to nobody but the prompt's id. */
export const difficultyOf = (prompt: Pick<Prompt, 'groupId'>): number => hashFraction(`difficulty:${prompt.groupId}`);

/** Chance that a model of this skill solves a prompt of this difficulty. */
export const chance = (skill: number, difficulty: number): number => 1 / (1 + Math.exp(-8 * (skill - difficulty)));

/** Prompts of random difficulty, models of different skill, binary outcomes, answers of 100 tokens. */
export function world(options: World = {}): Dataset {
  const { prompts: n = 400, seed = 1, skills = SKILLS, benchmarks = 2, holes = 0, groupSize = 1 } = options;
  const random = seededRandom(deriveSeed(seed, 'world'));
  const prompts: Prompt[] = [];
  const outcomes: Outcome[] = [];
  for (let i = 0; i < n; i++) {
    const groupId = `g${seed}-${Math.floor(i / groupSize)}`;
    const prompt: Prompt = {
      id: `p${i}`,
      source: 'world',
      benchmark: `bench-${i % benchmarks}`,
      text: 'x'.repeat(40 + (i % 7) * 40),
      groupId,
    };
    prompts.push(prompt);
    for (const [modelId, skill] of Object.entries(skills)) {
      const solved = random() < chance(skill, difficultyOf(prompt));
      if (random() < holes) continue;
      outcomes.push({ promptId: prompt.id, modelId, quality: solved ? 1 : 0, outputTokens: 100 });
    }
  }
  const models = Object.fromEntries(
    Object.entries(skills).map(([id, skill]) => [
      id,
      { inputUsdPerMTok: 10 ** (2 * skill), outputUsdPerMTok: 4 * 10 ** (2 * skill) },
    ]),
  );
  return { name: 'world', prompts, outcomes, models };
}

export function partFrom(dataset: Dataset): Part {
  const table = outcomeTable(dataset);
  return partOf(table, realisedCosts(table, dataset));
}

/** Predicts with a function of prompt and model; fitted to nothing. */
export const knowing = (quality: (prompt: Prompt, modelId: string) => number): Estimator => ({
  name: 'knowing',
  fit: async (table: OutcomeTable) => predictorOf(table.modelIds, quality),
});

export const predictorOf = (
  modelIds: readonly string[],
  quality: (prompt: Prompt, modelId: string) => number,
): Predictor => ({
  modelIds,
  predict: async (prompts) => ({
    quality: Float32Array.from(prompts.flatMap((p) => modelIds.map((id) => quality(p, id)))),
  }),
});

/** The truth of a {@link world}: what the best possible router would predict. */
export const truth = (prompt: Prompt, modelId: string): number =>
  chance(SKILLS[modelId as keyof typeof SKILLS] ?? 0.5, difficultyOf(prompt));

/** Predictions that have nothing to do with the prompt, and are sure of themselves. */
export const noise = (prompt: Prompt, modelId: string): number => hashFraction(`noise:${prompt.id}:${modelId}`);

export function fakeSource(options: {
  asItIs?: (prompt: Prompt, modelId: string) => number;
  estimator?: Estimator;
  modelIds?: readonly string[];
  seen?: (groupId: string) => boolean;
}): LearnedSource {
  const quality = options.asItIs ?? truth;
  return {
    hash: 'fake',
    encoderId: 'fake-encoder',
    modelIds: options.modelIds ?? Object.keys(SKILLS),
    seen: ({ groupId }) => options.seen?.(groupId) ?? false,
    fitted: ({ groupId }) => options.seen?.(groupId) ?? false,
    asItIs: (modelIds) => predictorOf(modelIds, quality),
    estimator: () => options.estimator ?? knowing(quality),
  };
}

export const loading =
  (source: LearnedSource): LoadSource =>
  async () =>
    source;
