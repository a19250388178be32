import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  arenaCheapness,
  arenaInputs,
  arenaLatencyScore,
  arenaOptimality,
  arenaRobustness,
  arenaScore,
} from '../../../eval/metrics/router-arena.ts';

const f = (...xs: number[]) => Float64Array.from(xs);

/** The leader board of 2026-07-14: router, arena score × 100, accuracy in percent, USD per 1 000 queries. */
const BOARD: readonly (readonly [string, number, number, number])[] = [
  ['vLLM-SR', 75.3, 77.18, 0.3],
  ['Sqwish', 75.27, 76.4, 0.18],
  ['AgentForge', 74.13, 74.72, 0.13],
  ['Cross-Router', 73.71, 75.13, 0.26],
  ['Weave', 72.82, 76.32, 0.94],
  ['Nadir', 72.29, 75.01, 0.68],
  ['OrcaRouter-Adaptive', 72.08, 75.54, 1],
  ['Hybrid Router', 72.08, 71.38, 0.04],
  ['R2-Router', 71.6, 71.23, 0.06],
  ['LLM Router (ypollak2)', 71.26, 72.05, 0.2],
  ['Azure Model Router', 70.42, 72.94, 0.73],
  ['Auto Router', 70.05, 70.17, 0.12],
  ['MIRT-BERT', 66.89, 66.88, 0.15],
  ['NIRT-BERT', 66.12, 66.34, 0.21],
  ['GPT-5 (its own router)', 64.32, 73.96, 10.02],
  ['CARROT', 63.87, 67.21, 2.06],
  ['Chayan', 63.83, 64.89, 0.56],
  ['RouterBench-MLP', 57.56, 61.62, 4.83],
  ['NotDiamond', 57.29, 60.83, 4.1],
  ['GraphRouter', 57.22, 57, 0.34],
  ['RouterBench-KNN', 55.48, 58.69, 4.27],
  ['RouteLLM', 48.07, 47.04, 0.27],
  ['RouterDC', 33.75, 32.01, 0.07],
];

describe('RouterArena’s score', () => {
  test('hand-worked: half way along the logarithm of cost', () => {
    // cost √(200 · .0044): C = ½. A = .8: 1.1 · .8 · .5 / (.08 + .5)
    const middle = Math.sqrt(200 * 0.0044);
    expect(arenaCheapness(middle)).toBeCloseTo(0.5, 12);
    expect(arenaScore(0.8, middle)).toBeCloseTo(0.44 / 0.58, 12);
  });

  test.each(BOARD)('%s: the published %f follows from %f %% and $%f per 1 000', (_, score, accuracy, usd) => {
    expect(Math.abs(100 * arenaScore(accuracy / 100, usd)! - score)).toBeLessThan(0.05);
    // and within what the rounding of accuracy, cost and score allows
    const low = 100 * arenaScore((accuracy - 0.005) / 100, usd + 0.005)!;
    const high = 100 * arenaScore((accuracy + 0.005) / 100, usd - 0.005)!;
    expect(score).toBeGreaterThanOrEqual(low - 0.005);
    expect(score).toBeLessThanOrEqual(high + 0.005);
  });

  test('all 23 published rows are within 0.05', () => {
    const near = BOARD.filter(([, score, a, usd]) => Math.abs(100 * arenaScore(a / 100, usd)! - score) <= 0.05);
    expect(near).toHaveLength(23);
  });

  test('the ends of the cost axis: accuracy 1 scores 1 at c_min, everything 0 at c_max', () => {
    expect(arenaCheapness(0.0044)).toBeCloseTo(1, 12);
    expect(arenaScore(1, 0.0044)).toBeCloseTo(1, 12);
    expect(arenaScore(0.9, 200)).toBe(0);
  });

  test('is undefined off their scale', () => {
    for (const usd of [0, -1, 200.1, Number.NaN, Number.POSITIVE_INFINITY]) expect(arenaScore(0.5, usd)).toBeNull();
    expect(arenaScore(1.1, 1)).toBeNull();
    expect(arenaScore(0, 200)).toBeNull();
  });

  test('rises with accuracy and falls with cost', () => {
    const accuracy = fc.double({ min: 0.01, max: 0.99, noNaN: true });
    const usd = fc.double({ min: 0.0044, max: 150, noNaN: true });
    fc.assert(
      fc.property(accuracy, usd, (a, c) => {
        const score = arenaScore(a, c)!;
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1 + 1e-9);
        expect(arenaScore(a + 0.01, c)!).toBeGreaterThan(score);
        expect(arenaScore(a, c * 1.1)!).toBeLessThan(score);
      }),
    );
  });

  test('near 75 % accuracy, halving the cost is worth less than a point', () => {
    const gain = arenaScore(0.75, 0.2)! - arenaScore(0.75, 0.4)!;
    expect(gain).toBeGreaterThan(0);
    expect(gain).toBeLessThan(0.01);
  });

  test('its inputs are the mean quality and the cost of a thousand queries', () => {
    expect(arenaInputs(f(1, 0, 1, 0), f(0.001, 0.001, 0.003, 0.003))).toEqual({ accuracy: 0.5, usdPer1000: 2 });
    expect(arenaInputs(f(), f())).toBeNull();
    expect(() => arenaInputs(f(1), f(-1))).toThrow(/costUsd\[0\] is -1/);
  });
});

describe('RouterArena’s optimality', () => {
  // three models at 1, 2 and 8; four queries
  const pool = {
    quality: f(
      ...[1, 1, 1], // all right
      ...[0, 1, 1], // the cheapest is wrong
      ...[0, 0, 1], // only the dearest is right
      ...[0, 0, 0.5], // nobody is
    ),
    costUsd: f(1, 2, 8, 1, 2, 8, 1, 2, 8, 1, 2, 8),
    modelCount: 3,
  };

  test('hand-worked: the second model for everything', () => {
    // Solvable: three. Right on two; optimal on one of them (the second query).
    // Cost over the right ones: (1 + 2) / (2 + 2); ratios (½ + 1) / 2. Accuracy 2/3.
    expect(arenaOptimality(pool, Int32Array.of(1, 1, 1, 1))).toEqual({
      optSel: 1 / 3,
      optCost: 0.75,
      optCostMeanOfRatios: 0.75,
      optAcc: 2 / 3,
      solvable: 3,
    });
    // The dearest: right on three, optimal on one; (1 + 2 + 8) / 24; (⅛ + ¼ + 1) / 3
    const dear = arenaOptimality(pool, Int32Array.of(2, 2, 2, 2));
    expect(dear.optCost).toBeCloseTo(11 / 24, 12);
    expect(dear.optCostMeanOfRatios).toBeCloseTo(1.375 / 3, 12);
    expect(dear.optAcc).toBe(1);
  });

  test('picks that are cheap and wrong do not count as thrift', () => {
    const { optCost, optAcc } = arenaOptimality(pool, Int32Array.of(0, 0, 0, 0));
    expect(optCost).toBe(1);
    expect(optAcc).toBeCloseTo(1 / 3, 12);
  });

  test('of two equally cheap right models either is optimal', () => {
    const tie = { quality: f(1, 1), costUsd: f(2, 2), modelCount: 2 };
    expect(arenaOptimality(tie, Int32Array.of(1)).optSel).toBe(1);
  });

  test('a query whose pick has no outcome is left out, and without any nothing is defined', () => {
    const holes = { quality: f(Number.NaN, 1, 1, 0), costUsd: f(Number.NaN, 2, 1, 2), modelCount: 2 };
    expect(arenaOptimality(holes, Int32Array.of(0, 0)).solvable).toBe(1);
    expect(arenaOptimality({ quality: f(0, 0), costUsd: f(1, 1), modelCount: 2 }, Int32Array.of(0))).toEqual({
      optSel: null,
      optCost: null,
      optCostMeanOfRatios: null,
      optAcc: null,
      solvable: 0,
    });
  });

  test('shapes that do not fit are refused', () => {
    expect(() => arenaOptimality(pool, Int32Array.of(0))).toThrow(/1 picks × 3 models/);
    expect(() => arenaOptimality(pool, Int32Array.of(0, 0, 0, 3))).toThrow(/chosen\[3\] is 3/);
  });

  test('with right-or-wrong outcomes selection never exceeds accuracy, and all lie in [0, 1]', () => {
    const row = fc.array(fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 1, max: 9 })), {
      minLength: 3,
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(row, fc.integer({ min: 0, max: 2 })), { minLength: 1, maxLength: 12 }), (rows) => {
        const result = arenaOptimality(
          {
            quality: Float64Array.from(rows.flatMap(([cells]) => cells.map(([q]) => q))),
            costUsd: Float64Array.from(rows.flatMap(([cells]) => cells.map(([, c]) => c))),
            modelCount: 3,
          },
          Int32Array.from(rows, ([, pick]) => pick),
        );
        const { optSel, optCost, optCostMeanOfRatios, optAcc } = result;
        for (const value of [optSel, optCost, optCostMeanOfRatios, optAcc]) {
          if (value === null) continue;
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1);
        }
        if (optSel !== null) expect(optSel).toBeLessThanOrEqual(optAcc!);
      }),
    );
  });
});

describe('RouterArena’s robustness and latency', () => {
  test('robustness is the share of unchanged picks', () => {
    expect(arenaRobustness([1, 1, 2, 0], [1, 2, 2, 0])).toBe(0.75);
    expect(arenaRobustness([], [])).toBeNull();
    expect(() => arenaRobustness([1], [1, 2])).toThrow(/original 1, perturbed 2/);
  });

  test('the latency score gives 10 ms for free', () => {
    expect(arenaLatencyScore(11)).toBe(1);
    expect(arenaLatencyScore(13.7)).toBeCloseTo(0.27, 3); // the board of 2025-11 prints .2703 for MIRT-BERT
    expect(arenaLatencyScore(10)).toBeNull();
    expect(arenaLatencyScore(Number.NaN)).toBeNull();
  });
});
