/** Every estimator keeps the contract; beside it, what each alone promises. */
import { describe, expect, test } from 'vitest';
import { type Prompt, selectRows } from '../../datasets/index.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { artifactPredictor, embed, itemResponse, knn, meanQuality, ZOO } from '../../router/estimators/index.ts';
import { testEstimator } from '../contracts/estimator.ts';
import { failureOf, generatedTexts, irtWorld, logLoss, promptOf, smallEncoder, tableOf } from './fixtures.ts';

const { encoder } = await smallEncoder();

testEstimator({ name: 'mean-quality', make: meanQuality });
testEstimator({ name: 'knn', make: () => knn({ encoder }) });
testEstimator({ name: 'knn', make: () => knn({ encoder }), dimension: encoder.dimension });
for (const name of ['cluster', 'ridge', 'matrix-factors', 'mlp', 'irt', 'item-response'] as const) {
  testEstimator({ name, make: () => ZOO[name]({ encoder }) });
  testEstimator({ name, make: () => ZOO[name]({ encoder }), dimension: encoder.dimension });
}

/** An encoder of two dimensions for prompts that carry their embedding. */
const flat: Encoder = {
  id: 'flat',
  dimension: 2,
  encode: async (texts) => new Float32Array(2 * texts.length),
};
const at = (id: string, x: number, y: number): Prompt => promptOf(id, { embedding: Float32Array.of(x, y) });

describe('mean-quality', () => {
  test('is the mean of what was observed, by hand', async () => {
    const table = tableOf(['a', 'b'], [1, 0, 0, Number.NaN, 1, 0.5], {
      outputTokens: [10, 20, 20, Number.NaN, 30, 40],
    });
    const { quality, outputTokens } = await (await meanQuality().fit(table, 1)).predict([promptOf('x')]);
    expect([...quality].map((q) => Number(q.toFixed(6)))).toEqual([0.666667, 0.25]);
    expect([...outputTokens!]).toEqual([20, 30]);
  });

  test('expects nothing of a model never tried', async () => {
    const predictor = await meanQuality().fit(tableOf(['a', 'b'], [1, Number.NaN]), 1);
    expect([...(await predictor.predict([promptOf('x')])).quality]).toEqual([1, 0]);
  });
});

describe('knn', () => {
  const prompts = [at('e1', 1, 0), at('e2', 2, 0.1), at('n1', 0, 1), at('n2', 0.1, 3)];
  const table = tableOf(['a'], [1, 1, 0, 0], { prompts });

  test('follows the nearest by angle from the middle of the data, drawn to the mean, by hand', async () => {
    // Two neighbours of quality 1, or of 0, and two pseudo-neighbours at the mean 0.5: (1 + 1 + 2 · 0.5) / 4 and 1 / 4.
    const predictor = await knn({ encoder: flat, k: 2, shrink: 2 }).fit(table, 1);
    const { quality } = await predictor.predict([at('q', 50, 1), at('r', 0, 5)]);
    expect(quality[0]).toBeCloseTo(0.75, 6);
    expect(quality[1]).toBeCloseTo(0.25, 6);
  });

  test('is the mean for a prompt like nothing, and where no neighbour was tried', async () => {
    const holes = tableOf(['a', 'b'], [1, 1, Number.NaN, 1, 0, Number.NaN, 0, Number.NaN], { prompts });
    const predictor = await knn({ encoder: flat, k: 2, shrink: 2 }).fit(holes, 1);
    // b was tried in the east only, always right: to the north its mean, 1, is all there is.
    expect((await predictor.predict([at('q', 0, 1)])).quality[1]).toBeCloseTo(1, 6);
    const all = await knn({ encoder: flat, k: 99, shrink: 2 }).fit(table, 1);
    expect((await all.predict([at('zero', 0, 0)])).quality[0]).toBeCloseTo(0.5, 6);
  });
});

describe('item-response', () => {
  test('beats the means and the neighbours where ease is a direction of the embedding', async () => {
    const models = { a: { ability: -0.5, slope: 1 }, b: { ability: 0.8, slope: 1 } };
    const world = irtWorld({ n: 900, d: 4, models, ease: 1.5, seed: 41 });
    const prompts = world.table.prompts.map((p, i) => ({ ...p, embedding: world.z.slice(i * 4, i * 4 + 4) }));
    const whole = { ...world.table, prompts };
    const train = selectRows(whole, [...Array(300).keys()]);
    const held = selectRows(
      whole,
      Array.from({ length: 600 }, (_, i) => 300 + i),
    );
    const four: Encoder = { ...flat, dimension: 4 };
    const losses = await Promise.all(
      [meanQuality(), knn({ encoder: four }), itemResponse({ encoder: four })].map(async (estimator) => {
        const { quality } = await (await estimator.fit(train, 1)).predict(held.prompts);
        return logLoss(held.quality, quality);
      }),
    );
    expect(losses[2]!).toBeLessThan(losses[1]! - 0.005);
    expect(losses[1]!).toBeLessThan(losses[0]! - 0.02);
  });

  test('brings out-of-fold predictions of its own training rows, in their order', async () => {
    const texts = generatedTexts(100, 3);
    const prompts = texts.map((text, i) => promptOf(`p${i}`, { text }));
    const table = tableOf(
      ['a'],
      Array.from({ length: 100 }, (_, i) => (i % 5 < 2 ? 1 : 0)),
      { prompts },
    );
    const fitted = await itemResponse({ encoder }).fit(table, 1);
    expect(fitted.outOfFold.quality).toHaveLength(100);
    expect(logLoss(table.quality, fitted.outOfFold.quality)).toBeLessThan(0.3);
  });
});

describe('an artifact as it is', () => {
  test('predicts the models it knows, in the order asked, and leaves out the others', async () => {
    const artifact = await loadArtifact();
    const [first, second] = artifact.heads.modelIds;
    const predictor = artifactPredictor(artifact, [second!, 'nobody/knows', first!]);
    expect(predictor.modelIds).toEqual([second, first]);
    const other = artifactPredictor(artifact, [first!]);
    const prompts = generatedTexts(5, 4).map((text, i) => promptOf(`p${i}`, { text }));
    const [two, one] = await Promise.all([predictor.predict(prompts), other.predict(prompts)]);
    for (let i = 0; i < 5; i++) expect(two.quality[i * 2 + 1]).toBe(one.quality[i]);
    expect((await failureOf(() => artifactPredictor(artifact, ['nobody/knows']))).code).toBe('UNKNOWN_MODEL');
  });
});

describe('embed', () => {
  test('takes the embedding a prompt carries, else encodes its text, once', async () => {
    let calls = 0;
    const counting: Encoder = {
      id: 'counting',
      dimension: 2,
      encode: async (texts) => {
        calls += texts.length;
        return Float32Array.from(texts.flatMap((t) => [t.length, 1]));
      },
    };
    const prompts = [at('carried', 5, 6), promptOf('text', { text: 'four' })];
    expect([...(await embed(counting, prompts))]).toEqual([5, 6, 4, 1]);
    expect([...(await embed(counting, prompts))]).toEqual([5, 6, 4, 1]);
    expect(calls).toBe(1);
  });

  test('refuses an embedding of another length by the name of its prompt', async () => {
    const failure = await failureOf(() => embed(encoder, [at('short', 1, 2)]));
    expect(failure.code).toBe('ARTIFACT_MISMATCH');
    expect(failure.message).toContain('short');
  });
});
