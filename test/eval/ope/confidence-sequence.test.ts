import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { confidenceSequence, differenceSequence } from '../../../eval/ope/confidence-sequence.ts';

const f = (...values: number[]) => Float64Array.from(values);
const undefinedMetric = expect.objectContaining({ code: 'UNDEFINED_METRIC' });

describe('confidence sequence of a bounded mean', () => {
  test('the first bets, worked by hand', () => {
    // Grid of 4: m = 1/4, 1/2, 3/4; threshold ln(2/0.5) = ln 4 = 1.386. Values 1, 1.
    // i = 1: λ = √(2 · 1.386 / (0.25 · ln 2)) = 4.0; min(λ, 0.5/m) = 2, 1, 2/3
    //   K = 1 + 2 · 3/4 = 2.5;  1 + 1/2 = 1.5;  1 + 2/3 · 1/4 = 7/6: none at 4
    // i = 2: S = 0.25 + (1 − 0.75)² = 0.3125; λ = √(2 · 1.386 / (0.3125 · ln 3)) = 2.84; the same bets
    //   K = 6.25;  2.25;  1.36: only 1/4 is out
    const { low, high } = confidenceSequence(f(1, 1), 0, 1, { alpha: 0.5, gridPoints: 4 });
    expect([...low]).toEqual([0, 0.25]);
    expect([...high]).toEqual([1, 1]);
  });

  test('misses the truth at any time in at most 5 % of streams, with a mean of 0.2 and of 0.5', () => {
    for (const [truth, firstSeed] of [
      [0.2, 1],
      [0.5, 10_001],
    ] as const) {
      let missed = 0;
      for (let stream = 0; stream < 400; stream++) {
        const random = seededRandom(firstSeed + stream);
        const values = Float64Array.from({ length: 500 }, () => (random() < truth ? 1 : 0));
        const { low, high } = confidenceSequence(values, 0, 1, { gridPoints: 100 });
        if (low.some((l) => l > truth) || high.some((h) => h < truth)) missed++;
      }
      expect(missed).toBeLessThanOrEqual(0.05 * 400);
      expect(missed).toBeGreaterThan(0); // that it can fail at all
    }
  });

  test('a plain interval, looked at all the time, misses it far more often', () => {
    let missed = 0;
    for (let stream = 0; stream < 400; stream++) {
      const random = seededRandom(1 + stream);
      let sum = 0;
      for (let n = 1; n <= 500; n++) {
        sum += random() < 0.5 ? 1 : 0;
        const p = sum / n;
        if (n >= 30 && Math.abs(p - 0.5) > 1.96 * Math.sqrt((p * (1 - p)) / n)) {
          missed++;
          break;
        }
      }
    }
    expect(missed).toBeGreaterThan(0.15 * 400);
  });

  test('narrows down on the mean, and only ever narrows', () => {
    const random = seededRandom(4);
    const values = Float64Array.from({ length: 4000 }, () => 10 + 2 * random());
    const { low, high } = confidenceSequence(values, 10, 12);
    for (let t = 1; t < values.length; t++) {
      expect(low[t]! >= low[t - 1]! && high[t]! <= high[t - 1]!).toBe(true);
    }
    expect(low.at(-1)!).toBeGreaterThan(10.9);
    expect(high.at(-1)!).toBeLessThan(11.1);
    expect(low.at(-1)! < 11 && high.at(-1)! > 11).toBe(true);
  });

  test('refuses values outside the bounds that were named, and no value', () => {
    expect(() => confidenceSequence(f(0.5, 1.5), 0, 1)).toThrow(undefinedMetric);
    expect(() => confidenceSequence(f(Number.NaN), 0, 1)).toThrow(undefinedMetric);
    expect(() => confidenceSequence(f(), 0, 1)).toThrow(undefinedMetric);
  });
});

/** Two models, good in 0.5 and `better` of the cases; model 2 is drawn in a tenth; the new policy always takes it. */
function rollout(seed: number, n: number, better: number) {
  const random = seededRandom(seed);
  const second = Array.from({ length: n }, () => random() < 0.1);
  return {
    rewards: Float64Array.from(second, (is) => (random() < (is ? better : 0.5) ? 1 : 0)),
    propensities: Float64Array.from(second, (is) => (is ? 0.1 : 0.9)),
    fresh: Float64Array.from(second, (is) => (is ? 1 : 0)),
    old: Float64Array.from(second, (is) => (is ? 0.1 : 0.9)),
  };
}

describe('confidence sequence of a difference, off policy', () => {
  test('misses the truth at any time in at most 5 % of streams, with weights up to 10', () => {
    let missed = 0;
    for (let stream = 0; stream < 400; stream++) {
      // V(new) − V(log) = 0.7 − (0.1 · 0.7 + 0.9 · 0.5) = 0.18
      const { low, high } = differenceSequence(rollout(stream, 600, 0.7), { gridPoints: 100 });
      if (low.some((l) => l > 0.18) || high.some((h) => h < 0.18)) missed++;
    }
    expect(missed).toBeLessThanOrEqual(0.05 * 400);
  });

  test('finds a policy that is better in the end, and bounds one that is the same', () => {
    const better = differenceSequence(rollout(1, 6000, 0.9));
    expect(better.low.at(-1)!).toBeGreaterThan(0);
    const same = differenceSequence(rollout(2, 6000, 0.5));
    expect(same.low.at(-1)! <= 0 && same.high.at(-1)! >= 0).toBe(true);
    expect(same.high.at(-1)! - same.low.at(-1)!).toBeLessThan(0.5);
  });

  test('rows of one session count once', () => {
    const rows = rollout(3, 600, 0.9);
    const twice = (xs: Float64Array) => Float64Array.from({ length: 1200 }, (_, i) => xs[i >> 1]!);
    const doubled = {
      rewards: twice(rows.rewards),
      propensities: twice(rows.propensities),
      fresh: twice(rows.fresh),
      old: twice(rows.old),
      sessions: Int32Array.from({ length: 1200 }, (_, i) => i >> 1),
    };
    expect(differenceSequence(doubled)).toEqual(differenceSequence(rows));
  });

  test('refuses a propensity of 0, and no row', () => {
    const row = { rewards: f(1), propensities: f(0), fresh: f(1), old: f(0.5) };
    expect(() => differenceSequence(row)).toThrow(undefinedMetric);
    expect(() => differenceSequence({ rewards: f(), propensities: f(), fresh: f(), old: f() })).toThrow(
      undefinedMetric,
    );
  });
});
