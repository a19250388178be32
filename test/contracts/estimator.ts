/** What every estimator promises, whatever it learns by: one line of a test file runs it for one more. */
import { describe, expect, test } from 'vitest';
import { normal, type OutcomeTable, type Prompt, RoutingError, seededRandom } from '../../datasets/index.ts';
import type { Estimator, Predictions } from '../../router/estimators/estimator.ts';
import { meanQuality } from '../../router/estimators/mean-quality.ts';

export interface EstimatorContract {
  readonly name: string;
  /** A fresh estimator with its default settings; `encoder`-based ones may embed any prompt below. */
  readonly make: () => Estimator | Promise<Estimator>;
  /** d of the embeddings that its prompts carry; absent: it reads `text` or nothing. */
  readonly dimension?: number;
}

export function testEstimator({ name, make, dimension }: EstimatorContract): void {
  const random = seededRandom(17);
  const vector = (d: number) => Float32Array.from({ length: d }, () => normal(random));
  const prompts: Prompt[] = Array.from({ length: 60 }, (_, i) => ({
    id: `p${i}`,
    source: 'contract',
    benchmark: 'contract',
    groupId: `g${i >> 1}`,
    text: i % 2 === 0 ? `What is ${i} plus ${i * 3}?` : `Write a function named f${i} that sorts a list.`,
    ...(dimension && { embedding: vector(dimension) }),
  }));
  const seen = prompts.slice(0, 40);
  const unseen = prompts.slice(40);
  const table = (
    modelIds: readonly string[],
    rows: readonly Prompt[],
    cell: (i: number, j: number) => number,
  ): OutcomeTable => {
    const quality = Float32Array.from({ length: rows.length * modelIds.length }, (_, at) =>
      cell(Math.floor(at / modelIds.length), at % modelIds.length),
    );
    return {
      name: 'contract',
      prompts: rows,
      modelIds,
      models: {},
      quality,
      outputTokens: quality.map((q, at) => (Number.isNaN(q) ? Number.NaN : 100 * (1 + (at % modelIds.length)))),
      costUsd: new Float64Array(quality.length).fill(Number.NaN),
      tokensRecorded: true,
    };
  };
  const IDS = ['c/often-wrong', 'c/half', 'c/nearly-always-right'];
  const full = table(IDS, seen, (i, j) => (i % 10 < [2, 5, 9][j]! ? 1 : 0));
  const holes = table(IDS, seen, (i, j) => ((i + j) % 3 === 0 ? Number.NaN : i % 10 < [2, 5, 9][j]! ? 1 : 0));

  const fitted = async (t: OutcomeTable, seed = 1) => (await make()).fit(t, seed);

  const expectValid = (p: Predictions, n: number, m: number): void => {
    expect(p.quality).toBeInstanceOf(Float32Array);
    expect(p.quality).toHaveLength(n * m);
    expect(p.quality.every((q) => q >= 0 && q <= 1)).toBe(true);
    if (p.outputTokens) {
      expect(p.outputTokens).toHaveLength(n * m);
      expect(p.outputTokens.every((t) => t > 0 && Number.isFinite(t))).toBe(true);
    }
    if (p.qualitySd) {
      expect(p.qualitySd).toHaveLength(n * m);
      expect(p.qualitySd.every((s) => s >= 0 && s <= 0.5)).toBe(true);
    }
  };

  describe(`the estimator ${name}${dimension ? ' on embeddings that prompts carry' : ''}`, () => {
    test('has a name', async () => {
      expect((await make()).name).toBe(name);
    });

    test('predicts n × m probabilities, in the columns of its table', async () => {
      const predictor = await fitted(full);
      expect(predictor.modelIds).toEqual(IDS);
      expectValid(await predictor.predict(unseen), unseen.length, IDS.length);
      expectValid(await predictor.predict(seen), seen.length, IDS.length);
    });

    test('predicts nothing for no prompt', async () => {
      expectValid(await (await fitted(full)).predict([]), 0, IDS.length);
    });

    test('predicts each prompt as it does among others', async () => {
      const predictor = await fitted(full);
      const all = await predictor.predict(unseen);
      const third = await predictor.predict([unseen[3]!]);
      expect([...third.quality]).toEqual([...all.quality.slice(3 * IDS.length, 4 * IDS.length)]);
    });

    test('expects most of the model that is right most often', async () => {
      const { quality } = await (await fitted(full)).predict(unseen);
      const mean = (j: number) => unseen.reduce((s, _, i) => s + quality[i * IDS.length + j]!, 0) / unseen.length;
      expect(mean(0)).toBeLessThan(mean(1));
      expect(mean(1)).toBeLessThan(mean(2));
    });

    test('is the same for the same table and seed', async () => {
      const [a, b] = await Promise.all([fitted(full, 5), fitted(full, 5)]);
      expect(await a.predict(unseen)).toEqual(await b.predict(unseen));
    });

    test('leaves its table as it was', async () => {
      const before = {
        quality: full.quality.slice(),
        outputTokens: full.outputTokens.slice(),
        ids: [...full.modelIds],
      };
      await (await fitted(full)).predict(unseen);
      expect(full.quality).toEqual(before.quality);
      expect(full.outputTokens).toEqual(before.outputTokens);
      expect(full.modelIds).toEqual(before.ids);
      expect(full.prompts).toEqual(seen);
    });

    test('takes missing cells, and a model that was never tried', async () => {
      expectValid(await (await fitted(holes)).predict(unseen), unseen.length, IDS.length);
      const never = table(IDS, seen, (i, j) => (j === 1 ? Number.NaN : i % 2));
      expectValid(await (await fitted(never)).predict(unseen), unseen.length, IDS.length);
    });

    test('takes one model, one prompt, and both', async () => {
      const one = table(['c/only'], seen, (i) => i % 2);
      expectValid(await (await fitted(one)).predict(unseen), unseen.length, 1);
      const single = table(IDS, seen.slice(0, 1), (_, j) => (j === 2 ? 1 : 0));
      expectValid(await (await fitted(single)).predict(unseen), unseen.length, IDS.length);
      const least = table(['c/only'], seen.slice(0, 1), () => 0.25);
      expectValid(await (await fitted(least)).predict(unseen), unseen.length, 1);
    });

    test('takes shares of success, and models that never fail or never succeed', async () => {
      const shares = table(IDS, seen, (i, j) => [0, 1, (i % 5) / 4][j]!);
      expectValid(await (await fitted(shares)).predict(unseen), unseen.length, IDS.length);
    });

    test('knows the rows it was fitted on only by what other groups tell, where it says it does', async () => {
      // Coin flips, and each prompt stands twice, in one group: whoever looks at the twin gets every row right.
      const flips = Array.from({ length: 200 }, () => [random(), random(), random()].map((u) => (u < 0.5 ? 1 : 0)));
      const rows = flips.map((_, i) => ({ ...prompts[0]!, id: `f${i}`, groupId: `g${i >> 1}` }));
      rows.forEach((row, i) => {
        const twin = rows[i - (i % 2)]!;
        Object.assign(row, { text: twin.id, ...(dimension && { embedding: vector(dimension) }) });
        if (i % 2 === 1) Object.assign(row, { embedding: twin.embedding });
      });
      const t = table(IDS, rows, (i, j) => flips[i - (i % 2)]![j]!);
      const { outOfFold } = await fitted(t);
      if (outOfFold === undefined) return;
      expectValid(outOfFold, rows.length, IDS.length);
      // Knowing nothing costs 1/4; a row forecast by its own outcome, or its twin's, would cost far less.
      expect(meanSquaredError(t, outOfFold)).toBeGreaterThan(0.235);
    });

    test.runIf(dimension)('learns what the embedding tells of quality', async () => {
      // What makes a prompt hard for one model, easy for another and is nothing to the third shows, under noise, in
      // every second coordinate.
      const topics = new Map<Prompt, number>();
      const embedded = (count: number): Prompt[] =>
        Array.from({ length: count }, (_, i) => {
          const topic = normal(random);
          const embedding = vector(dimension!).map((v, a) => (a % 2 === 0 ? v + topic : v));
          const prompt = { ...prompts[0]!, id: `e${i}`, groupId: `e${i}`, embedding };
          topics.set(prompt, topic);
          return prompt;
        });
      const chance = (p: Prompt, j: number) => 1 / (1 + Math.exp(-[2, -2, 0][j]! * topics.get(p)!));
      const train = embedded(400);
      const test = embedded(300);
      const t = table(IDS, train, (i, j) => (random() < chance(train[i]!, j) ? 1 : 0));
      const truth = table(IDS, test, (i, j) => chance(test[i]!, j));
      const predictor = await fitted(t);
      const means = await (await meanQuality().fit(t, 1)).predict(test);
      const worst = meanSquaredError(truth, means);
      // Half of what there is to know, at the least; and honest rows are worth as much as new ones.
      expect(meanSquaredError(truth, await predictor.predict(test))).toBeLessThan(0.5 * worst);
      if (predictor.outOfFold) {
        const own = table(IDS, train, (i, j) => chance(train[i]!, j));
        expect(meanSquaredError(own, predictor.outOfFold)).toBeLessThan(0.5 * worst);
      }
    });

    test('refuses a table without prompts', async () => {
      const empty = table(IDS, [], () => 0);
      await expect(fitted(empty)).rejects.toSatisfy((e) => e instanceof RoutingError && e.code === 'EMPTY_TABLE');
    });
  });
}

function meanSquaredError({ quality }: OutcomeTable, predicted: Predictions): number {
  return quality.reduce((sum, q, at) => sum + (q - predicted.quality[at]!) ** 2, 0) / quality.length;
}
