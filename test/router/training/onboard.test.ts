import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normal, seededRandom, selectModels } from '../../../datasets/index.ts';
import { predictHeads, selectHeads } from '../../../router/heads/heads.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { cholesky } from '../../../router/training/linear-algebra.ts';
import { onboardModel } from '../../../router/training/onboard.ts';
import { priorOverModels, putRows, rowInputs, rowOf } from '../../../router/training/onboard-row.ts';
import { failureOf, irtWorld, logLoss, sigmoid } from '../fixtures.ts';

const D = 6;
const MODELS = {
  'm/a': { ability: -1.5, slope: 1 },
  'm/b': { ability: -0.5, slope: 1 },
  'm/c': { ability: 0.5, slope: 1 },
  'm/d': { ability: 1.5, slope: 1 },
};
const world = irtWorld({ n: 3000, models: MODELS, ease: 1.5, seed: 1 });
const heads = fitHeads(world.table, world.z, 1).heads;

/** n prompts and a model's answers to them, by a true ability and slope on the first coordinate of z. */
function answers(n: number, ability: number, slope: number, seed: number) {
  const random = seededRandom(seed);
  const z = Float32Array.from({ length: n * D }, () => normal(random));
  const truth = Array.from({ length: n }, (_, i) => sigmoid(ability + slope * z[i * D]!));
  return { z, truth, quality: truth.map((p) => (random() < p ? 1 : 0)) };
}
const predicted = (h: typeof heads, id: string, z: Float32Array) => predictHeads(selectHeads(h, [id]), z, z.length / D);

describe('onboarding a model', () => {
  test('leaves every other model and the factors as they were', () => {
    const { z, quality } = answers(50, 0, 1, 2);
    const more = onboardModel(heads, { modelId: 'new/x', z, quality });
    expect(more.modelIds).toEqual([...heads.modelIds, 'new/x']);
    expect(selectHeads(more, heads.modelIds)).toEqual(heads);
    expect(rowOf(more, 'new/x')?.evidence).toBe(50);
  });

  test('finds the row of a model whose answers it has, the closer the more of them', () => {
    const fresh = answers(500, 0, 0, 99).z;
    const truth = Array.from({ length: 500 }, (_, i) => sigmoid(0.8 + 1.5 * fresh[i * D]!));
    const error = (n: number): number => {
      let sum = 0;
      for (let seed = 0; seed < 8; seed++) {
        const { z, quality } = answers(n, 0.8, 1.5, 100 + seed);
        const p = predicted(onboardModel(heads, { modelId: 'new/x', z, quality }), 'new/x', fresh).quality;
        sum += truth.reduce((s, t, i) => s + Math.abs(t - p[i]!), 0) / 500 / 8;
      }
      return sum;
    };
    const [none, few, some, many] = [0, 30, 300, 3000].map(error) as [number, number, number, number];
    expect(few).toBeLessThan(none);
    expect(some).toBeLessThan(0.7 * few);
    expect(many).toBeLessThan(some);
    expect(many).toBeLessThan(0.02);
  });

  test('refits a model it was fitted with to the same predictions', () => {
    const j = 2;
    const m = world.table.modelIds.length;
    const quality = world.table.quality.filter((_, at) => at % m === j);
    const again = onboardModel(heads, { modelId: 'm/c', z: world.z, quality });
    const [before, after] = [heads, again].map((h) => predicted(h, 'm/c', world.z).quality) as [
      Float32Array,
      Float32Array,
    ];
    expect(again.modelIds).toEqual(heads.modelIds);
    before.forEach((p, i) => void expect(Math.abs(p - after[i]!)).toBeLessThan(0.05));
  });

  test('says without labels what is known of any model: the mean row, as uncertain as models differ', () => {
    const none = onboardModel(heads, { modelId: 'new/x', z: new Float32Array(0), quality: [] });
    const row = rowOf(none, 'new/x')!;
    const prior = priorOverModels(heads);
    row.row.forEach((v, a) => void expect(v).toBeCloseTo(prior.mean[a]!, 6));
    row.covariance.forEach((v, a) => void expect(v).toBeCloseTo(prior.covariance[a]!, 6));
    expect(row.evidence).toBe(0);
    // Abilities −1.5, −.5, .5, 1.5 vary by 1.25 and two models' worth of the starting 4 is mixed in: (4·1.25 + 2·4) / 6.
    expect(row.covariance[0]).toBeGreaterThan(1.25);
    expect(row.covariance[0]).toBeLessThan(3.5);
  });

  test('starts on the row of published scores where there is one, and on a predecessor where told', () => {
    const start = rowOf(onboardModel(heads, { modelId: 'new/x', z: new Float32Array(0), quality: [] }), 'new/x')!;
    const scored = putRows(heads, [{ ...start, row: start.row.map((v, a) => (a === 0 ? 2 : v)) }]);
    const { z, quality } = answers(30, 2, 1, 5);
    const level = (h: typeof heads, like?: string): number =>
      rowOf(onboardModel(h, { modelId: 'new/x', z: z.slice(0, 0), quality: [], ...(like && { like }) }), 'new/x')!
        .row[0]!;
    expect(level(scored)).toBeCloseTo(2, 6);
    expect(level(heads, 'm/a')).toBeCloseTo(rowOf(heads, 'm/a')!.row[0]!, 6);
    const truth = answers(2000, 2, 1, 6);
    const loss = (h: typeof heads): number =>
      logLoss(truth.quality, predicted(onboardModel(h, { modelId: 'new/x', z, quality }), 'new/x', truth.z).quality);
    expect(loss(scored)).toBeLessThan(
      loss(putRows(heads, [{ ...start, row: start.row.map((v, a) => (a === 0 ? -2 : v)) }])),
    );
  });

  test('adds new labels to the old ones of a model that is told to be like itself', () => {
    const { z, quality } = answers(40, 0.5, 1, 12);
    const again = rowOf(onboardModel(heads, { modelId: 'm/c', like: 'm/c', z, quality }), 'm/c')!;
    const old = rowOf(heads, 'm/c')!;
    expect(again.evidence).toBe(old.evidence + 40);
    const afresh = rowOf(onboardModel(heads, { modelId: 'm/c', z, quality }), 'm/c')!;
    expect(afresh.evidence).toBe(40);
    expect(Math.abs(again.row[0]! - old.row[0]!)).toBeLessThan(Math.abs(afresh.row[0]! - old.row[0]!) + 0.3);
    expect(again.covariance[0]).toBeLessThan(afresh.covariance[0]!);
  });

  test('has an uncertainty that covers the truth about as often as it says', () => {
    let inside = 0;
    let all = 0;
    for (let seed = 0; seed < 60; seed++) {
      const random = seededRandom(seed);
      const ability = 1.2 * normal(random);
      const { z, quality } = answers(60, ability, 1.2, 1000 + seed);
      const row = rowOf(onboardModel(heads, { modelId: 'new/x', z, quality }), 'new/x')!;
      all++;
      if (Math.abs(row.row[0]! - ability) < 1.96 * Math.sqrt(row.covariance[0]!)) inside++;
    }
    expect(inside / all).toBeGreaterThan(0.87);
  });

  test('is never without a number, whatever the labels: none, all right, separable, partial', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 40 }),
        fc.integer(),
        fc.constantFrom('right', 'wrong', 'separable', 'partial', 'missing'),
        (n, seed, kind) => {
          const { z } = answers(n, 0, 1, seed);
          const quality = Array.from({ length: n }, (_, i) => {
            if (kind === 'right') return 1;
            if (kind === 'wrong') return 0;
            if (kind === 'missing') return Number.NaN;
            return kind === 'partial' ? 0.3 : Number(z[i * D]! > 0);
          });
          const row = rowOf(onboardModel(heads, { modelId: 'new/x', z, quality }), 'new/x')!;
          for (const v of [...row.row, ...row.covariance, ...row.tokens]) expect(Number.isFinite(v)).toBe(true);
          cholesky(row.covariance, Math.sqrt(row.covariance.length)); // throws unless positive definite
        },
      ),
      { numRuns: 60 },
    );
  });

  test('learns how long the answers are, and needs no lengths', () => {
    const random = seededRandom(3);
    const table = {
      ...world.table,
      outputTokens: world.table.quality.map((_, at) =>
        Math.exp(5 + 0.4 * world.z[Math.floor(at / 4) * D + 1]! + 0.3 * normal(random)),
      ),
    };
    const long = fitHeads(table, world.z, 1).heads;
    const { z, quality } = answers(100, 0, 1, 8);
    const outputTokens = quality.map((_, i) => Math.exp(7 + 0.4 * z[i * D + 1]! + 0.3 * normal(random)) - 1);
    const told = onboardModel(long, { modelId: 'new/x', z, quality, outputTokens });
    const mean = (x: ArrayLike<number>) => Array.from(x).reduce((a, b) => a + b, 0) / x.length;
    expect(mean(predicted(told, 'new/x', z).outputTokens) / mean(outputTokens)).toBeCloseTo(1, 0.7);
    const untold = onboardModel(long, { modelId: 'new/x', z, quality });
    expect(mean(predicted(untold, 'new/x', z).outputTokens)).toBeCloseTo(
      mean(predicted(long, 'm/a', z).outputTokens),
      -1.5,
    );
  });

  test('refuses embeddings of another encoder, qualities out of range and an unknown predecessor', async () => {
    const z = new Float32Array(2 * D);
    const codeOf = async (more: object) =>
      (await failureOf(() => onboardModel(heads, { modelId: 'new/x', z, quality: [0, 1], ...more }))).code;
    expect(await codeOf({ z: new Float32Array(5) })).toBe('ARTIFACT_MISMATCH');
    expect(await codeOf({ quality: [0, 1.5] })).toBe('INVALID_ROW');
    expect(await codeOf({ like: 'no/model' })).toBe('UNKNOWN_MODEL');
  });

  test('reads the inputs that predictions are made of, out of domain too', () => {
    const far = Float32Array.from({ length: 4 * D }, (_, a) => (a < 2 * D ? 50 : 0.3));
    const { x } = rowInputs(heads, far, 4);
    const w = heads.factors.count + 1;
    const out = predictHeads(selectHeads(heads, ['m/b']), far, 4);
    for (let i = 0; i < 4; i++) {
      let l = 0;
      for (let a = 0; a < w; a++) l += x[i * w + a]! * rowOf(heads, 'm/b')!.row[a]!;
      expect(l).toBeCloseTo(out.logits[i]!, 4);
    }
  });

  test('gains over a model left out of the fit most of what its own labels give', () => {
    const others = selectModels(world.table, ['m/a', 'm/b', 'm/c']);
    const base = fitHeads(others, world.z, 1).heads;
    const test = answers(4000, 1.5, 1.5, 50);
    const loss = (n: number, seed = 60): number => {
      const { z, quality } = answers(n, 1.5, 1.5, seed);
      return logLoss(
        test.quality,
        predicted(onboardModel(base, { modelId: 'm/d', z, quality }), 'm/d', test.z).quality,
      );
    };
    const [none, full] = [loss(0), loss(3000)];
    const gain = [60, 61, 62, 63].map((seed) => (none - loss(100, seed)) / (none - full));
    expect(gain.reduce((a, b) => a + b, 0) / 4).toBeGreaterThan(0.8);
  });
});
