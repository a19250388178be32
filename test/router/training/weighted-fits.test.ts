/** A weight is how many rows like it a row stands for: 2 is the row twice, 0 the row left out, in every fit of a log. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normal, seededRandom, selectRows } from '../../../datasets/index.ts';
import { headsToJson } from '../../../router/artifact/heads-json.ts';
import { predictHeads } from '../../../router/heads/heads.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { fitRows } from '../../../router/training/fit-rows.ts';
import { fitItemFactors } from '../../../router/training/item-factors.ts';
import { knownCells } from '../../../router/training/known-cells.ts';
import { refitHeads } from '../../../router/training/refit-heads.ts';
import { ridgeOutOfFold } from '../../../router/training/ridge.ts';
import { failureOf, irtWorld, tableOf } from '../fixtures.ts';

interface Rows {
  readonly n: number;
  readonly m: number;
  readonly x: Float64Array;
  readonly quality: Float32Array;
  readonly weight: Float64Array;
}

const M = 3;
const W = 2;

/** Rows with whole weights: some cells missing, some rows of weight 0. */
const weighted: fc.Arbitrary<Rows> = fc
  .record({
    seed: fc.integer({ min: 1, max: 1e6 }),
    weights: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 12, maxLength: 30 }),
  })
  .map(({ seed, weights }) => {
    const random = seededRandom(seed);
    const n = weights.length;
    return {
      n,
      m: M,
      x: Float64Array.from({ length: n * W }, (_, at) => (at % W === 0 ? 1 : normal(random))),
      quality: Float32Array.from({ length: n * M }, () => {
        const u = random();
        return u < 0.3 ? Number.NaN : random() < 0.6 ? 1 : 0;
      }),
      weight: Float64Array.from(weights),
    };
  })
  .filter(({ weight }) => weight.some((w) => w > 0));

/** Every row as often as its weight says, and which row it was. */
function repeated({ n, m, x, quality, weight }: Rows) {
  const of = Array.from({ length: n }, (_, i) => i).flatMap((i) => new Array<number>(weight[i]!).fill(i));
  return {
    of,
    n: of.length,
    x: Float64Array.from(of.flatMap((i) => [...x.subarray(i * W, i * W + W)])),
    quality: Float32Array.from(of.flatMap((i) => [...quality.subarray(i * m, i * m + m)])),
  };
}

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-8): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i++) expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThan(tolerance);
}

describe('a row of weight 2 is the row twice, of weight 0 no row', () => {
  test('in rows of models', () => {
    fc.assert(
      fc.property(weighted, (rows) => {
        const prior = { centre: new Float64Array(W), learnCentre: [0], spread: Float64Array.of(0.5, 0.5), strength: 2 };
        const one = fitRows(rows.x, W, rows.quality, rows.n, M, prior, { weight: rows.weight });
        const many = repeated(rows);
        const other = fitRows(many.x, W, many.quality, many.n, M, prior);
        expectNear(one.rows, other.rows);
        expectNear(one.covariance, other.covariance);
        expectNear(one.spread, other.spread);
      }),
      { numRuns: 50 },
    );
  });

  test('in item factors, where each copy of a prompt has factors of its own', () => {
    fc.assert(
      fc.property(weighted, fc.integer({ min: 1, max: 2 }), (rows, factors) => {
        const { quality, n, weight } = rows;
        const one = fitItemFactors(quality, n, M, { factors, seed: 1, weight });
        const many = repeated(rows);
        const other = fitItemFactors(many.quality, many.n, M, { factors, seed: 1 });
        expectNear(one.rows, other.rows, 1e-6);
        many.of.forEach((i, at) => {
          expectNear(
            one.scores.subarray(i * factors, i * factors + factors),
            other.scores.subarray(at * factors, at * factors + factors),
            1e-6,
          );
        });
      }),
      { numRuns: 30 },
    );
  });

  test('in a ridge regression, copies in one fold', () => {
    fc.assert(
      fc.property(weighted, (rows) => {
        const { n, x, weight } = rows;
        const folds = Int32Array.from({ length: n }, (_, i) => i % 3);
        const random = seededRandom(n);
        const y = Float64Array.from({ length: n }, () => normal(random));
        const one = ridgeOutOfFold(Float32Array.from(x), W, [y], folds, { weight })[0]!;
        const many = repeated(rows);
        const pick = (from: ArrayLike<number>) => many.of.map((i) => from[i]!);
        const other = ridgeOutOfFold(
          Float32Array.from(many.x),
          W,
          [Float64Array.from(pick(y))],
          Int32Array.from(pick(folds)),
        )[0]!;
        // Two strengths may do equally well to the last digit; then either may be taken.
        fc.pre(one.strength === other.strength);
        expectNear(one.weights, other.weights, 1e-6);
        expectNear([one.bias, one.r2], [other.bias, other.r2], 1e-6);
        expectNear(pick(one.outOfFold), other.outOfFold, 1e-6);
      }),
      { numRuns: 50 },
    );
  });
});

test('known cells are found by row and by column', () => {
  const _ = Number.NaN;
  const cells = knownCells(Float32Array.of(1, _, 0, _, _, _, _, 0.5, 1), 3, 3);
  expect(cells).toEqual({
    rowStart: Int32Array.of(0, 2, 2, 4),
    columns: Int32Array.of(0, 2, 1, 2),
    columnStart: Int32Array.of(0, 1, 2, 4),
    rows: Int32Array.of(0, 2, 0, 2),
  });
});

describe('heads refitted with weights', () => {
  const D = 6;
  const world = irtWorld({
    n: 300,
    d: D,
    models: { 'm/mid': { ability: 0.5, slope: 1 }, 'm/best': { ability: 1.5, slope: 1 } },
    ease: 1.2,
    seed: 31,
  });
  const base = fitHeads(world.table, world.z, 1).heads;
  const MODELS = ['m/mid', 'new/one'];
  const options = { seed: 1, likeOf: () => 'm/best' };

  /** Answers of one of two models in turn. */
  function log(n: number, quality: (i: number) => number, tokens?: (i: number) => number) {
    const random = seededRandom(5);
    const cell = (of: (i: number) => number) =>
      Array.from({ length: n * 2 }, (_, at) => (at % 2 === (at >> 1) % 2 ? of(at >> 1) : Number.NaN));
    return {
      z: Float32Array.from({ length: n * D }, () => normal(random)),
      table: tableOf(MODELS, cell(quality), tokens && { outputTokens: cell(tokens) }),
    };
  }
  const { z, table } = log(
    200,
    (i) => ((i * 7) % 3 === 0 ? 0 : 1),
    (i) => 50 + i,
  );
  const n = table.prompts.length;

  test('all 1 are the same to the last digit as none', () => {
    const one = refitHeads(base, table, z, { ...options, weights: new Float64Array(n).fill(1) });
    expect(headsToJson(one)).toBe(headsToJson(refitHeads(base, table, z, options)));
  });

  test('of 0 are the same to the last digit as rows left out, however wrong they are', () => {
    const kept = Array.from({ length: n }, (_, i) => i).filter((i) => i % 5 !== 0);
    const weights = Float64Array.from({ length: n }, (_, i) => (i % 5 === 0 ? 0 : 1));
    const some = new Float32Array(kept.flatMap((i) => [...z.subarray(i * D, i * D + D)]));
    const without = refitHeads(base, selectRows(table, kept), some, options);
    expect(headsToJson(refitHeads(base, table, z, { ...options, weights }))).toBe(headsToJson(without));
  });

  test('are the evidence of a model, and of how long its answers are', () => {
    const weights = Float64Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 0.25 : 2));
    const heads = refitHeads(base, table, z, { ...options, weights });
    // 100 answers each.
    expect(heads.modelIds).toEqual(['m/best', 'm/mid', 'new/one']);
    expect([...heads.evidence.slice(1)]).toEqual([25, 200]);
    const lengths = (rows: Float64Array | undefined) => {
      const long = log(
        200,
        () => 1,
        (i) => (i < 100 ? 3000 : 30),
      );
      const h = refitHeads(base, long.table, long.z, { ...options, weights: rows });
      return predictHeads(h, z, 1).outputTokens[2]!;
    };
    const early = Float64Array.from({ length: n }, (_, i) => (i < 100 ? 1 : 0.01));
    const late = Float64Array.from({ length: n }, (_, i) => (i < 100 ? 0.01 : 1));
    // Means of 3 000 and 30: 1 515 apiece; nearly 3 000, less 20 answers of prior; nearly 30.
    expect(lengths(undefined)).toBeGreaterThan(1000);
    expect(lengths(undefined)).toBeLessThan(1600);
    expect(lengths(early)).toBeGreaterThan(1800);
    expect(lengths(late)).toBeLessThan(300);
  });

  test('decide which of two contradicting halves is believed', () => {
    const { z, table } = log(400, (i) => (i < 200 ? 1 : 0));
    const mean = (weights: (i: number) => number) => {
      const heads = refitHeads(base, table, z, {
        ...options,
        weights: Float64Array.from({ length: 400 }, (_, i) => weights(i)),
      });
      const { quality } = predictHeads(heads, z, 400);
      let sum = 0;
      for (let i = 0; i < 400; i++) sum += quality[i * 3 + 2]! / 400;
      return sum;
    };
    expect(mean((i) => (i < 200 ? 1 : 0.05))).toBeGreaterThan(0.8);
    expect(mean((i) => (i < 200 ? 0.05 : 1))).toBeLessThan(0.3);
  });

  test.each([
    ['too few', new Float64Array(n - 1).fill(1), 'INVALID_REQUEST'],
    ['negative', new Float64Array(n).fill(-1), 'INVALID_REQUEST'],
    ['not numbers', new Float64Array(n).fill(Number.NaN), 'INVALID_REQUEST'],
    ['without end', new Float64Array(n).fill(Number.POSITIVE_INFINITY), 'INVALID_REQUEST'],
    ['all 0', new Float64Array(n), 'EMPTY_TABLE'],
  ])('that are %s are refused', async (_, weights, code) => {
    expect((await failureOf(() => refitHeads(base, table, z, { ...options, weights }))).code).toBe(code);
  });
});
