import { describe, expect, test } from 'vitest';
import { type Dataset, seededRandom } from '../../datasets/index.ts';
import { adaptedSummary, measureAdapted } from '../../eval/leaderboard/adapted.ts';
import { entriesOf } from '../../eval/leaderboard/entry.ts';
import type { Methods } from '../../eval/leaderboard/field.ts';
import type { SplitMeasure } from '../../eval/leaderboard/measure.ts';
import { heldOutModels } from '../../eval/leaderboard/onboarding.ts';
import { type LeaderBoard, type LeaderBoardOptions, leaderBoard, type TaskName } from '../../eval/leaderboard/rank.ts';
import { leaderBoardText } from '../../eval/leaderboard/text.ts';
import { trueEase } from '../../eval/leaderboard/true-difficulty.ts';
import { unseenFolds } from '../../eval/leaderboard/unseen.ts';
import { foldsOf } from '../../eval/protocols/routellm.ts';
import { itemResponse, meanQuality } from '../../router/estimators/index.ts';
import { chance, difficultyOf, knowing, noise, truth, type World, world as wordy } from './fixtures.ts';

/** Embeddings in place of an encoder that would have to be fitted first. */
const world = (options: World = {}): Dataset => {
  const data = wordy(options);
  return { ...data, prompts: data.prompts.map((p) => ({ ...p, embedding: Float32Array.of(1, p.text.length / 100) })) };
};

const METHODS: Methods = {
  'knows the chances': () => knowing(truth),
  'mean-quality': meanQuality,
  guessing: () => knowing(noise),
};

const run = (
  datasets: readonly Dataset[],
  tasks: readonly TaskName[],
  methods: Methods = METHODS,
  more: Partial<LeaderBoardOptions> = {},
) =>
  leaderBoard(datasets, {
    methods,
    ours: Object.keys(methods)[0]!,
    tasks,
    splits: 2,
    fewSplits: 1,
    draws: 2,
    labels: 200,
    seed: 1,
    replicates: 60,
    ...more,
  });

/** Embeddings that tell difficulty; five models, of which b/gem is much the best for its price. */
function legible(options: World = {}): Dataset {
  const skills = { 'a/small': 0.3, 'b/gem': 0.95, 'c/middle': 0.5, 'd/large': 0.7, 'e/huge': 0.8 };
  const data = wordy({ prompts: 500, seed: 3, skills, ...options });
  const random = seededRandom(5);
  return {
    ...data,
    name: 'legible',
    prompts: data.prompts.map((p) => ({ ...p, embedding: Float32Array.of(difficultyOf(p), random(), random()) })),
    models: { ...data.models, 'b/gem': { inputUsdPerMTok: 6, outputUsdPerMTok: 24 } },
  };
}

describe('the learning curve', () => {
  test('runs from 100 labels to all of the training part, for ours and the model means', async () => {
    const { curves } = await run([world({ prompts: 400 })], ['learning-curve']);
    // 70 % of 400 prompts train; 400 labels and more are not there.
    expect(curves[0]!.points.map((p) => p.trainPrompts)).toEqual([100, 200, 280]);
    const names = curves[0]!.points[0]!.methods.map(({ name }) => name);
    expect(names).toEqual(['knows the chances', 'mean-quality', 'true shared difficulty']);
    for (const { methods } of curves[0]!.points) expect(methods[0]!.minusZero.value).toBeGreaterThan(0.02);
  });
});

test('each figure of a learning curve stands in its own row, in whatever order measures were kept', async () => {
  const kept = new Map<string, object>();
  const turned = (measure: object | undefined) =>
    measure && {
      ...measure,
      contenders: Object.fromEntries(Object.entries((measure as SplitMeasure).contenders).reverse()),
    };
  const straight = {
    get: (key: string) => kept.get(key),
    set: (key: string, m: unknown) => kept.set(key, m as object),
  };
  const data = [world({ prompts: 400 })];
  const first = await run(data, ['learning-curve'], METHODS, { store: straight });
  expect(kept.size).toBeGreaterThan(0);
  const again = await run(data, ['learning-curve'], METHODS, {
    store: { ...straight, get: (key) => turned(kept.get(key)) },
  });
  expect(again.curves).toEqual(first.curves);
  expect(leaderBoardText(again)).toBe(leaderBoardText(first));
});

describe('unseen benchmarks', () => {
  test('who knows the chances is above zero on each, and in the mean, whose interval draws benchmarks too', async () => {
    const { unseen } = await run([world({ prompts: 600, benchmarks: 3 })], ['unseen']);
    const lead = (standings: LeaderBoard['boards'][number]['rows'] | readonly { name: string }[]) =>
      (standings as NonNullable<typeof unseen>['benchmarks'][number]['standings']).find(
        ({ name }) => name === 'knows the chances',
      )!.minusZero;
    expect(unseen!.benchmarks.map(({ name, trainPrompts, testPrompts }) => [name, trainPrompts, testPrompts])).toEqual(
      ['bench-0', 'bench-1', 'bench-2'].map((name) => [name, 400, 200]),
    );
    for (const { standings } of unseen!.benchmarks) expect(lead(standings).low).toBeGreaterThan(0);
    const each = unseen!.benchmarks.map(({ standings }) => lead(standings).value!);
    expect(unseen!.pooled).toHaveLength(1);
    expect(lead(unseen!.pooled[0]!.standings).value).toBeCloseTo((each[0]! + each[1]! + each[2]!) / 3);
  });

  test('a source of many small benchmarks is left out by the part before the slash', () => {
    const prompts = world({ prompts: 4000, benchmarks: 20 }).prompts.map((p, i) => ({
      ...p,
      benchmark: `${i % 2 ? 'odd' : 'even'}/${p.benchmark}`,
    }));
    expect(unseenFolds(prompts, 1).map(({ name }) => name)).toEqual(['even', 'odd']);
    expect(unseenFolds(world({ prompts: 100, benchmarks: 1 }).prompts, 1)).toEqual([]);
  });

  test('200 labels make probabilities fit a benchmark on which all models do worse than elsewhere', async () => {
    const easy = legible({ prompts: 1400, benchmarks: 2 });
    const random = seededRandom(9);
    const harder = new Set(easy.prompts.filter((p) => p.benchmark === 'bench-1').map((p) => p.id));
    const dataset: Dataset = {
      ...easy,
      outcomes: easy.outcomes.map((o) => (harder.has(o.promptId) && random() < 0.6 ? { ...o, quality: 0 } : o)),
    };
    const [entry] = entriesOf([dataset], 1);
    const measured = await measureAdapted(entry!, { seed: 1, onProgress: () => {} });
    expect(measured.map(({ name, testPrompts }) => [name, testPrompts])).toEqual([
      ['bench-0', 500],
      ['bench-1', 500],
    ]);
    const [before, means, refitted] = adaptedSummary(measured, 50, 1);
    expect(before!.error.value).toBeGreaterThan(0.2);
    expect(refitted!.error.value).toBeLessThan(before!.error.value! / 2);
    expect(means!.brierMinusMeans.value).toBe(0);
    expect(refitted!.brierMinusMeans.value).toBeLessThan(0);
  });
});

describe('onboarding', () => {
  test('the model worth having brings its gain from 100 labels already', async () => {
    const board = await run([legible({ prompts: 500 })], ['onboarding'], { 'item-response': itemResponse });
    const [source] = board.onboarding;
    const gem = source!.models.find(({ modelId }) => modelId === 'b/gem')!;
    expect(gem.brings.low).toBeGreaterThan(0.03);
    expect(gem.labels.map(({ count }) => count)).toEqual([30, 100, 300]);
    expect(gem.labels[1]!.share).toBeGreaterThan(0.8);
    expect(gem.labels[1]!.share).toBeCloseTo(gem.labels[1]!.brings.value! / gem.brings.value!);
    expect(leaderBoardText(board)).toContain('Onboarding on legible');
  });

  test('neither the cheapest nor the dearest model is held out, so that the cost axis stays', () => {
    const [entry] = entriesOf([legible()], 1);
    expect(heldOutModels(entry!.task.part)).toEqual(['b/gem', 'd/large', 'c/middle']);
  });
});

describe('RouteLLM’s protocol', () => {
  /** 60 subjects of MMLU and GSM8K, one strong and one weak model. */
  const pair = (): Dataset => {
    const data = world({ prompts: 3000, skills: { 'a/weak': 0.4, 'b/strong': 0.8 }, seed: 4 });
    return {
      ...data,
      name: 'pair',
      prompts: data.prompts.map((p, i) => ({
        ...p,
        benchmark: i % 5 === 0 ? 'gsm8k' : `mmlu/subject-${i % 60}`,
        ...(i === 0 && { contaminated: true }),
      })),
    };
  };
  const skill: Record<string, number> = { 'a/weak': 0.4, 'b/strong': 0.8 };

  test('who knows the chances is well above a random order, which is at a half', async () => {
    const { routellm, targets } = await run([pair()], ['routellm'], {
      'knows the chances': () => knowing((prompt, id) => chance(skill[id]!, difficultyOf(prompt))),
      'mean-quality': meanQuality,
    });
    expect(routellm!.parts.map(({ part, draws }) => [part, draws])).toEqual([
      ['mmlu', 2],
      ['unseen subjects', 2],
      ['unseen subjects, all labels', 2],
      ['gsm8k', 2],
    ]);
    for (const { rows } of routellm!.parts) {
      const of = (name: string) => rows.find((row) => row.name === name)!;
      expect(of('knows the chances').apgr.low).toBeGreaterThan(0.6);
      expect(of('knows the chances').cpt50.value).toBeLessThan(0.4);
      expect(of('random').apgr.low).toBeLessThan(0.5);
      expect(of('random').apgr.high).toBeGreaterThan(0.5);
    }
    // Without an order of prompts the curve is the diagonal, also where five fits are read as one.
    for (const part of ['mmlu', 'gsm8k'] as const) {
      const { rows } = routellm!.parts.find((p) => p.part === part)!;
      expect(rows.find(({ name }) => name === 'mean-quality')!.apgr.value).toBeCloseTo(0.5);
    }
    // 600 prompts of GSM8K less the contaminated one, each tested once in each draw.
    expect(routellm!.parts.at(-1)!.testPrompts).toBe(599);
    expect(targets.map(({ name, met }) => [name, met])).toContainEqual(['RouteLLM mmlu: APGR', true]);
  });

  test('a random order needs the share itself', async () => {
    const { routellm } = await run([pair()], ['routellm'], {
      'mean-quality': meanQuality,
      guessing: () => knowing(noise),
    });
    const random = routellm!.parts[0]!.rows.find(({ name }) => name === 'random')!;
    expect(random.cpt50.value).toBeGreaterThan(0.35);
    expect(random.cpt50.value).toBeLessThan(0.65);
  });

  test('tested groups are never trained on, unseen subjects are, labels are no more than 1 500', () => {
    const { prompts } = pair();
    for (const part of ['mmlu', 'unseen subjects', 'gsm8k'] as const) {
      for (const { train, test } of foldsOf(part, prompts, 7)) {
        const groups = new Set(train.map((i) => prompts[i]!.groupId));
        expect(test.some((i) => groups.has(prompts[i]!.groupId))).toBe(false);
        expect(train.length).toBeLessThanOrEqual(1500);
        if (part !== 'unseen subjects') continue;
        const subjects = new Set(train.map((i) => prompts[i]!.benchmark));
        expect(subjects.size).toBe(24);
        expect(test.some((i) => subjects.has(prompts[i]!.benchmark))).toBe(false);
      }
    }
    expect(foldsOf('mmlu', world().prompts, 1)).toEqual([]);
  });

  test('is not for a source of three models, and a run of nothing but it says so', async () => {
    await expect(run([world()], ['routellm'])).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });
});

describe('the true shared difficulty', () => {
  const dataset: Dataset = {
    ...world({ prompts: 2, skills: { 'a/x': 0, 'b/y': 0 } }),
    outcomes: [
      { promptId: 'p0', modelId: 'a/x', quality: 1 },
      { promptId: 'p0', modelId: 'b/y', quality: 1 },
      { promptId: 'p1', modelId: 'a/x', quality: 1 },
      { promptId: 'p1', modelId: 'b/y', quality: 0 },
      { promptId: 'p0', modelId: 'c/outside-base', quality: 0.9 },
      { promptId: 'p1', modelId: 'c/outside-base', quality: 0.3 },
    ],
  };

  test('is what models outside the pool scored above their mean', () => {
    const ease = trueEase(dataset, ['a/x', 'b/y'])!;
    // The mean is .6.
    expect(ease('p0', 'a/x')).toBeCloseTo(0.3);
    expect(ease('p1', 'b/y')).toBeCloseTo(-0.3);
    expect(ease('nobody', 'a/x')).toBeNaN();
    const two = { ...dataset, outcomes: dataset.outcomes.filter((o) => !o.modelId.startsWith('c/')) };
    expect(trueEase(two, ['a/x', 'b/y'])).toBeNull();
  });

  test('without any is what the others of the pool scored, never the model’s own outcome', () => {
    const ease = trueEase(dataset, ['a/x', 'b/y', 'c/outside-base'])!;
    // b/y: 1 and 0, mean ½; c: ±.3. Of a/x the mean of both.
    expect(ease('p0', 'a/x')).toBeCloseTo(0.4);
    expect(ease('p1', 'b/y')).toBeCloseTo(-0.15);
  });
});
