import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { auc, aucFrom, aucOrder, withinBenchmarkAuc } from '../../../eval/metrics/auc.ts';
import { brierDecomposition, brierScore } from '../../../eval/metrics/brier.ts';
import { equalMassBins } from '../../../eval/metrics/calibration-error.ts';
import { decisionCalibration, priceTiers } from '../../../eval/metrics/decision-calibration.ts';
import { baseRateEntropy, binaryEntropy, logLoss, outcomeEntropy } from '../../../eval/metrics/log-loss.ts';
import { reliabilityCurve, wilsonInterval } from '../../../eval/metrics/reliability.ts';

const f = (...xs: number[]) => Float64Array.from(xs);
const column = <T>(rows: readonly T[], of: (row: T) => number) => Float64Array.from(rows, of);
const unit = fc.integer({ min: 0, max: 10 }).map((k) => k / 10);
const bit = fc.integer({ min: 0, max: 1 });
/** Prediction, outcome (graded), how often the row counts. */
const graded = fc.array(fc.tuple(unit, unit, fc.integer({ min: 0, max: 3 })), { minLength: 1, maxLength: 30 });
/** The row as often as it counts. */
const repeated = (rows: readonly (readonly [number, number, number])[]) =>
  rows.flatMap((row) => Array.from({ length: row[2] }, () => row));

describe('Brier score', () => {
  test('is the mean squared difference', () => {
    expect(brierScore(f(0.8, 0.3), f(1, 0))).toBeCloseTo(0.065, 12); // (.04 + .09) / 2
    expect(brierScore(f(0.8, 0.3), f(1, 0), [3, 1])).toBeCloseTo(0.0525, 12); // (.12 + .09) / 4
    expect(brierScore(f(0.5), f(0.5))).toBe(0);
  });

  test('decomposes by hand: two statements, one of them honest', () => {
    // .2 said four times, 1 right: ȳ = .25. .8 said four times, 2 right: ȳ = .5. Over all 3/8.
    // reliability ½ (.05² + .3²) = .04625; resolution ½ (.125² + .125²) = .015625; uncertainty 15/64
    const predicted = f(0.2, 0.2, 0.2, 0.2, 0.8, 0.8, 0.8, 0.8);
    const parts = brierDecomposition(predicted, f(1, 0, 0, 0, 1, 1, 0, 0))!;
    expect(parts.reliability).toBeCloseTo(0.04625, 12);
    expect(parts.resolution).toBeCloseTo(0.015625, 12);
    expect(parts.uncertainty).toBeCloseTo(15 / 64, 12);
    expect(parts.withinBins).toBeCloseTo(0, 12);
    // (.64 + 3 · .04 + 2 · .04 + 2 · .64) / 8
    expect(parts.brier).toBeCloseTo(0.265, 12);
    expect(parts.reliability - parts.resolution + parts.uncertainty).toBeCloseTo(parts.brier, 12);
  });

  test('the parts add up exactly for graded outcomes, weights and bins of unequal predictions', () => {
    fc.assert(
      fc.property(graded, fc.integer({ min: 1, max: 6 }), (rows, bins) => {
        const p = column(rows, (r) => r[0]);
        const y = column(rows, (r) => r[1]);
        const w = column(rows, (r) => r[2]);
        const parts = brierDecomposition(p, y, equalMassBins(p, bins), w);
        if (parts === null) {
          expect(w.every((x) => x === 0)).toBe(true);
          return;
        }
        expect(parts.reliability - parts.resolution + parts.uncertainty + parts.withinBins).toBeCloseTo(parts.brier, 9);
        expect(parts.brier).toBeCloseTo(brierScore(p, y, w)!, 9);
        for (const part of [parts.reliability, parts.resolution, parts.uncertainty]) {
          expect(part).toBeGreaterThanOrEqual(0);
          expect(part).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('a weight counts a row that often', () => {
    fc.assert(
      fc.property(graded, (rows) => {
        const often = repeated(rows);
        const weighted = brierScore(
          column(rows, (r) => r[0]),
          column(rows, (r) => r[1]),
          column(rows, (r) => r[2]),
        );
        const plain = brierScore(
          column(often, (r) => r[0]),
          column(often, (r) => r[1]),
        );
        if (plain === null) expect(weighted).toBeNull();
        else expect(weighted).toBeCloseTo(plain, 9);
      }),
    );
  });

  test('has no value without rows, and refuses what is no probability', () => {
    expect(brierScore(f(), f())).toBeNull();
    expect(brierDecomposition(f(), f())).toBeNull();
    expect(() => brierScore(f(0.5, 1.2), f(1, 0))).toThrow(/predicted\[1\] is 1.2, not a number in \[0, 1\]/);
    expect(() => brierScore(f(0.5), f(Number.NaN))).toThrow(/observed\[0\] is NaN/);
  });
});

describe('log loss', () => {
  test('is the mean of −ln of what was said of what happened', () => {
    expect(logLoss(f(0.8, 0.3), f(1, 0))).toBeCloseTo(-(Math.log(0.8) + Math.log(0.7)) / 2, 12);
    expect(logLoss(f(0.5, 0.5), f(1, 0))).toBeCloseTo(Math.LN2, 12);
  });

  test('one certain and wrong answer costs 13.8 nats, not infinity', () => {
    expect(logLoss(f(0), f(1))).toBeCloseTo(-Math.log(1e-6), 9);
    expect(logLoss(f(1), f(0), undefined, 0.01)).toBeCloseTo(-Math.log(0.01), 9);
  });

  test('what a graded outcome leaves is its own entropy', () => {
    expect(binaryEntropy(0.5)).toBeCloseTo(Math.LN2, 12);
    expect(outcomeEntropy(f(0, 1))).toBe(0);
    expect(outcomeEntropy(f(0.5, 1))).toBeCloseTo(Math.LN2 / 2, 12);
    expect(logLoss(f(0.3), f(0.3))).toBeCloseTo(outcomeEntropy(f(0.3))!, 12);
    expect(outcomeEntropy(f())).toBeNull();
  });

  test('is never below the outcomes’ entropy; saying the mean gives that of the mean', () => {
    fc.assert(
      fc.property(graded, (rows) => {
        const y = column(rows, (r) => r[1]);
        expect(
          logLoss(
            column(rows, (r) => r[0]),
            y,
          )!,
        ).toBeGreaterThanOrEqual(outcomeEntropy(y)! - 1e-5); // clipping can gain a millionth
        const mean = y.reduce((a, b) => a + b) / y.length;
        if (mean > 0.01 && mean < 0.99)
          expect(
            logLoss(
              y.map(() => mean),
              y,
            ),
          ).toBeCloseTo(baseRateEntropy(y)!, 9);
      }),
    );
  });

  test('has no value without rows or weight', () => {
    expect(logLoss(f(), f())).toBeNull();
    expect(logLoss(f(0.5), f(1), [0])).toBeNull();
    expect(baseRateEntropy(f())).toBeNull();
  });
});

describe('reliability curve', () => {
  test('each bin says how many, what was predicted and what happened', () => {
    const curve = reliabilityCurve(f(0.7, 0.2, 0.9, 0.2), f(1, 0, 0.5, 1), 2);
    expect(curve.map((b) => [b.n, b.predicted, b.observed])).toEqual([
      [2, 0.2, 0.5],
      [2, 0.8, 0.75],
    ]);
    // graded: .75 ± 1.96 · √(.125 / 2), cut at 1; s² = 2 · .25² = .125
    expect(curve[1]!.low).toBeCloseTo(0.75 - 1.959964 * Math.sqrt(0.125 / 2), 6);
    expect(curve[1]!.high).toBe(1);
  });

  test('Wilson’s interval: 8 of 10, and none of 10', () => {
    // z² = 3.8415: (.8 + .19207 ± 1.95996 √(.016 + .0096037)) / 1.38415
    expect(wilsonInterval(0.8, 10).low).toBeCloseTo(0.4902, 4);
    expect(wilsonInterval(0.8, 10).high).toBeCloseTo(0.9433, 4);
    expect(wilsonInterval(0, 10).low).toBe(0);
    expect(wilsonInterval(0, 10).high).toBeCloseTo(3.841459 / 13.841459, 5); // z² / (n + z²)
  });

  test('Wilson’s interval covers a share about as often as it says', () => {
    const random = seededRandom(3);
    let covered = 0;
    for (let run = 0; run < 2000; run++) {
      let right = 0;
      for (let i = 0; i < 40; i++) if (random() < 0.3) right++;
      const { low, high } = wilsonInterval(right / 40, 40);
      if (low <= 0.3 && 0.3 <= high) covered++;
    }
    expect(covered / 2000).toBeGreaterThan(0.93);
    expect(covered / 2000).toBeLessThan(0.97);
  });

  test('bins hold every row once, means lie in their intervals, predictions rise', () => {
    fc.assert(
      fc.property(graded, fc.boolean(), (rows, round) => {
        const y = column(rows, (r) => (round ? Math.round(r[1]) : r[1]));
        const curve = reliabilityCurve(
          column(rows, (r) => r[0]),
          y,
          5,
        );
        expect(curve.reduce((n, b) => n + b.n, 0)).toBe(rows.length);
        expect(curve.reduce((s, b) => s + b.n * b.observed, 0)).toBeCloseTo(
          y.reduce((a, b) => a + b, 0),
          9,
        );
        for (const [k, b] of curve.entries()) {
          if (k > 0) expect(b.predicted).toBeGreaterThan(curve[k - 1]!.predicted);
          if (b.low === null) expect(b.n).toBe(1);
          else {
            expect(b.low).toBeLessThanOrEqual(b.observed + 1e-12);
            expect(b.high!).toBeGreaterThanOrEqual(b.observed - 1e-12);
          }
        }
      }),
    );
    expect(reliabilityCurve(f(), f())).toEqual([]);
  });
});

describe('decision calibration', () => {
  test('compares promise and outcome of what was chosen, over all and per price tier', () => {
    const { pooled, byTier } = decisionCalibration(f(0.9, 0.7, 0.8, 0.6), f(1, 0, 1, 1), Int32Array.of(2, 0, 2, 0));
    expect(pooled!.n).toBe(4);
    expect(pooled!.predicted).toBeCloseTo(0.75, 12);
    expect(pooled!.observed).toBeCloseTo(0.75, 12);
    expect(pooled!.optimism).toBeCloseTo(0, 12);
    // each tier is off, in opposite directions: .65 − .5 and .85 − 1
    expect(byTier.map((t) => [t.tier, t.n])).toEqual([
      [0, 2],
      [2, 2],
    ]);
    expect(byTier[0]!.optimism).toBeCloseTo(0.15, 12);
    expect(byTier[1]!.optimism).toBeCloseTo(-0.15, 12);
  });

  test('shows the winner’s curse: unbiased forecasts of equal models are optimistic about what they choose', () => {
    // The greater of two normal errors of deviation .1 has mean .1 / √π = .0564.
    const random = seededRandom(9);
    const best = Float64Array.from({ length: 4000 }, () => 0.5 + 0.1 * Math.max(normal(random), normal(random)));
    const { pooled } = decisionCalibration(
      best.map((p) => Math.min(1, Math.max(0, p))),
      best.map(() => 0.5),
    );
    expect(pooled!.optimism).toBeCloseTo(0.1 / Math.sqrt(Math.PI), 2);
  });

  test('weights count decisions, and tiers without weight are left out', () => {
    const { pooled, byTier } = decisionCalibration(f(0.5, 1), f(0, 1), Int32Array.of(0, 1), f(3, 0));
    expect(pooled).toEqual({ n: 3, predicted: 0.5, observed: 0, optimism: 0.5 });
    expect(byTier).toHaveLength(1);
    expect(decisionCalibration(f(), f())).toEqual({ pooled: null, byTier: [] });
  });

  test('price tiers split models by price and never split equal prices', () => {
    expect([...priceTiers([10, 1, 5, 2, 7, 3])]).toEqual([2, 0, 1, 0, 2, 1]);
    expect([...priceTiers([1, 1, 1])]).toEqual([0, 0, 0]);
    expect(() => priceTiers([1, Number.NaN])).toThrow(/costUsd\[1\] is NaN/);
    expect(() => priceTiers([1], 0)).toThrow(/tiers is 0/);
  });
});

describe('AUC', () => {
  /** By its definition, every ordered pair of different rows. */
  function brute(rows: readonly (readonly [number, number, number])[], benchmark?: readonly number[]) {
    const sums = new Map<number, { won: number; pairs: number; rows: number }>();
    rows.forEach(([p, y, w], i) => {
      const key = benchmark?.[i] ?? 0;
      const s = sums.get(key) ?? { won: 0, pairs: 0, rows: 0 };
      sums.set(key, s);
      s.rows += w;
      rows.forEach(([q, z, v], j) => {
        if (i === j || (benchmark && benchmark[j] !== key)) return;
        const pair = w * y * v * (1 - z);
        s.pairs += pair;
        s.won += pair * (p > q ? 1 : p === q ? 0.5 : 0);
      });
    });
    return [...sums.values()];
  }
  const pooled = (parts: ReturnType<typeof brute>) => {
    const pairs = parts.reduce((s, x) => s + x.pairs, 0);
    return pairs > 1e-9 ? parts.reduce((s, x) => s + x.won, 0) / pairs : null;
  };

  test('hand-worked, with a tie', () => {
    // right .9 .5, wrong .5 .1: pairs 1, 1, ½, 1 of 4
    expect(auc(f(0.9, 0.5, 0.5, 0.1), f(1, 1, 0, 0))).toBeCloseTo(3.5 / 4, 12);
    expect(auc(f(1, 2, 3), f(0, 1, 1))).toBe(1);
    expect(auc(f(3, 2, 1), f(0, 1, 1))).toBe(0);
    expect(auc(f(1, 1, 1), f(0, 1, 1))).toBe(0.5);
  });

  test('a graded outcome is a success and a failure in parts, never compared with itself', () => {
    // y = 1, ½ ranked rightly: pairs a·b: (1, ½) → ½ won; (½, 0) → 0. All pairs ½: AUC 1
    expect(auc(f(0.9, 0.1), f(1, 0.5))).toBe(1);
    // .8 over .4: won .8 · .6 = .48, lost .4 · .2 = .08
    expect(auc(f(0.9, 0.1), f(0.8, 0.4))).toBeCloseTo(0.48 / 0.56, 12);
    expect(auc(f(0.9), f(0.5))).toBeNull();
  });

  test('all right or all wrong leaves nothing to compare', () => {
    expect(auc(f(0.1, 0.2), f(1, 1))).toBeNull();
    expect(auc(f(0.1, 0.2), f(0, 0))).toBeNull();
    expect(auc(f(), f())).toBeNull();
  });

  test('equals the count over all pairs, with weights and graded outcomes', () => {
    fc.assert(
      fc.property(graded, (rows) => {
        const value = auc(
          column(rows, (r) => r[0]),
          column(rows, (r) => r[1]),
          column(rows, (r) => r[2]),
        );
        const expected = pooled(brute(rows));
        if (expected === null) expect(value).toBeNull();
        else expect(value).toBeCloseTo(expected, 9);
      }),
    );
  });

  test('within benchmarks it equals the count over pairs of one benchmark, averaged by pairs or by rows', () => {
    fc.assert(
      fc.property(graded, fc.infiniteStream(fc.integer({ min: 0, max: 2 })), (rows, stream) => {
        const benchmark = rows.map(() => stream.next().value as number);
        const parts = brute(rows, benchmark);
        const p = column(rows, (r) => r[0]);
        const y = column(rows, (r) => r[1]);
        const w = column(rows, (r) => r[2]);
        const of = Int32Array.from(benchmark);
        const byPairs = withinBenchmarkAuc(p, y, of, 'pairs', w);
        if (pooled(parts) === null) expect(byPairs).toBeNull();
        else expect(byPairs).toBeCloseTo(pooled(parts)!, 9);
        const defined = parts.filter((x) => x.pairs > 1e-9);
        const byRows = withinBenchmarkAuc(p, y, of, 'rows', w);
        if (defined.length === 0) expect(byRows).toBeNull();
        else
          expect(byRows).toBeCloseTo(
            defined.reduce((s, x) => s + (x.rows * x.won) / x.pairs, 0) / defined.reduce((s, x) => s + x.rows, 0),
            9,
          );
      }),
    );
  });

  test('telling benchmarks apart is worth everything over all rows and nothing within them', () => {
    // benchmark 0 easy, 1 hard; the score only knows which one it is
    const score = f(1, 1, 1, 1, 0, 0, 0, 0);
    const right = f(1, 1, 1, 0, 1, 0, 0, 0);
    const of = Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1);
    expect(auc(score, right)).toBeCloseTo(0.75, 12); // 9 won, 3 + 3 tied of 16
    expect(withinBenchmarkAuc(score, right, of)).toBe(0.5);
  });

  test('only the order of the scores counts, and reversing it mirrors the value', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(unit, bit), { minLength: 2, maxLength: 20 }), (rows) => {
        const p = column(rows, (r) => r[0]);
        const y = column(rows, (r) => r[1]);
        const value = auc(p, y);
        if (value === null) return;
        expect(
          auc(
            p.map((x) => Math.exp(5 * x) - 3),
            y,
          ),
        ).toBe(value);
        expect(
          auc(
            p.map((x) => -x),
            y,
          ),
        ).toBeCloseTo(1 - value, 12);
      }),
    );
  });

  test('one order serves every resample', () => {
    const order = aucOrder(f(0.9, 0.5, 0.5, 0.1));
    const right = f(1, 1, 0, 0);
    expect(aucFrom(order, right, Uint16Array.of(1, 1, 1, 1))).toBeCloseTo(3.5 / 4, 12);
    expect(aucFrom(order, right, Uint16Array.of(0, 2, 1, 0))).toBe(0.5);
    expect(aucFrom(order, right, Uint16Array.of(2, 2, 0, 0))).toBeNull();
  });

  test('what is no outcome or no number is refused', () => {
    expect(() => auc(f(Number.NaN, 1), f(0, 1))).toThrow(/predicted\[0\] is NaN/);
    expect(() => auc(f(0, 1), f(0, 2))).toThrow(/observed\[1\] is 2/);
    expect(() => withinBenchmarkAuc(f(0, 1), f(0, 1), Int32Array.of(1))).toThrow(/benchmark 1/);
  });
});
