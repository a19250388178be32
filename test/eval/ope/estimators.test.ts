/** The estimators one by one: hand-worked numbers, and what must hold whatever the log. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { crossFit } from '../../../eval/ope/cross-fit.ts';
import { diagnose, flagsOf } from '../../../eval/ope/diagnostics.ts';
import { difference, differenceRows } from '../../../eval/ope/difference.ts';
import { directMethod, directMethodRows } from '../../../eval/ope/direct-method.ts';
import { doublyRobust, doublyRobustRows, selfNormalisedDoublyRobust } from '../../../eval/ope/doubly-robust.ts';
import { importanceWeights, ips, ipsRows } from '../../../eval/ope/ips.ts';
import type { LoggedRow } from '../../../eval/ope/logged-row.ts';
import { ratioEstimates, unitsOf } from '../../../eval/ope/ratio-interval.ts';
import { correctedForecast, meanPerModel, ridgeOverEmbeddings } from '../../../eval/ope/reward-models.ts';
import { snips } from '../../../eval/ope/snips.ts';

const f = (...values: number[]) => Float64Array.from(values);
const undefinedMetric = expect.objectContaining({ code: 'UNDEFINED_METRIC' });

describe('direct method', () => {
  test('is the forecast of what the policy does', () => {
    // 0.5·0.2 + 0.5·0.6 = 0.4;  1·0.9 = 0.9
    const target = [[0.5, 0.5], [1]];
    const predicted = [[0.2, 0.6], [0.9]];
    expect([...directMethodRows(target, predicted)]).toEqual([0.4, 0.9]);
    expect(directMethod(target, predicted)).toBeCloseTo(0.65);
  });

  test('has no value without rows', () => {
    expect(() => directMethodRows([], [])).toThrow(undefinedMetric);
  });
});

describe('ips', () => {
  test('is the mean of weighted rewards', () => {
    // w = 2, 2, 0  =>  (2·1 + 2·0.5 + 0) / 3
    const args = [f(1, 0.5, 1), f(1, 0.5, 0), f(0.5, 0.25, 0.25)] as const;
    expect([...ipsRows(...args)]).toEqual([2, 1, 0]);
    expect(ips(...args)).toBeCloseTo(1);
  });

  test.each([0, -0.1, 1.1, Number.NaN])('refuses the impossible propensity %s', (p) => {
    expect(() => importanceWeights(f(1), f(p))).toThrow(undefinedMetric);
    expect(() => importanceWeights(f(), f())).toThrow(undefinedMetric);
  });
});

describe('self-normalised doubly robust', () => {
  const input = {
    rewards: f(1, 1, 0),
    target: f(1, 0, 1),
    propensities: f(0.5, 0.5, 1),
    predicted: f(0.5, 0.9, 0.5),
    predictedTarget: f(0.6, 0.4, 0.5),
  };

  test('divides the correction by the weights instead of the rows', () => {
    // mean forecast 0.5; w = 2, 0, 1: (2·0.5 + 0 + 1·(−0.5)) / 3 = 1/6
    expect(selfNormalisedDoublyRobust(input)).toBeCloseTo(0.5 + 1 / 6);
    // with τ = 1 only the last row corrects: 0.5 − 0.5
    expect(selfNormalisedDoublyRobust({ ...input, maxWeight: 1 })).toBeCloseTo(0);
  });

  test('has no value where the policies share no action', () => {
    expect(() => selfNormalisedDoublyRobust({ ...input, target: f(0, 0, 0) })).toThrow(undefinedMetric);
    const none = { rewards: f(), target: f(), propensities: f(), predicted: f(), predictedTarget: f() };
    expect(() => selfNormalisedDoublyRobust(none)).toThrow(undefinedMetric);
  });
});

describe('paired difference', () => {
  const shared = { rewards: f(1, 0), propensities: f(0.5, 0.25), predicted: f(0.6, 0.4) };

  test('weighs the error of the forecast by the difference of the weights', () => {
    // row 1: (1 − 0)/0.5 · 0.4 + 0.7 − 0.5 = 1;  row 2: (0 − 0.5)/0.25 · (−0.4) + 0.3 − 0.4 = 0.7
    const input = {
      ...shared,
      fresh: { target: f(1, 0), predictedTarget: f(0.7, 0.3) },
      old: { target: f(0, 0.5), predictedTarget: f(0.5, 0.4) },
    };
    const rows = differenceRows(input);
    expect(rows[0]).toBeCloseTo(1);
    expect(rows[1]).toBeCloseTo(0.7);
    expect(difference(input)).toBeCloseTo(0.85);
  });

  test('is exactly 0 where both policies do the same', () => {
    const same = { target: f(1, 0.5), predictedTarget: f(0.7, 0.3) };
    expect([...differenceRows({ ...shared, fresh: same, old: same })]).toEqual([0, 0]);
  });

  test('has no value without rows', () => {
    const none = { target: f(), predictedTarget: f() };
    const empty = { rewards: f(), propensities: f(), predicted: f(), fresh: none, old: none };
    expect(() => differenceRows(empty)).toThrow(undefinedMetric);
  });
});

/** A log of rows over three models: propensities in [0.05, 1), rewards, forecasts, and a policy of any kind. */
const anyRow = fc
  .record({
    odds: fc.array(fc.double({ min: 0.1, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }),
    want: fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }),
    forecast: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }),
    drawn: fc.integer({ min: 0, max: 2 }),
    reward: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ odds, want, ...row }) => ({ ...row, logging: shares(odds), target: shares(want) }));
const anyLog = fc.array(anyRow, { minLength: 1, maxLength: 30 }).map((rows) => {
  const column = (of: (row: (typeof rows)[number]) => number) => Float64Array.from(rows, of);
  const inner = (a: number[], b: number[]) => a.reduce((sum, x, j) => sum + x * b[j]!, 0);
  return {
    rewards: column((r) => r.reward),
    propensities: column((r) => r.logging[r.drawn]!),
    target: column((r) => r.target[r.drawn]!),
    predicted: column((r) => r.forecast[r.drawn]!),
    predictedTarget: column((r) => inner(r.target, r.forecast)),
    predictedLogging: column((r) => inner(r.logging, r.forecast)),
  };
});
type AnyLog = typeof anyLog extends fc.Arbitrary<infer T> ? T : never;

function shares(odds: number[]): number[] {
  const sum = odds.reduce((a, b) => a + b);
  return odds.map((o) => o / sum);
}

const mean = (xs: Float64Array) => xs.reduce((a, b) => a + b, 0) / xs.length;

describe('whatever the log', () => {
  const holds = (check: (log: AnyLog) => void) => fc.assert(fc.property(anyLog, check), { numRuns: 200, seed: 7 });

  test('the policy that logged is worth the mean of its answers', () => {
    holds(({ rewards, propensities, predicted }) => {
      expect(ips(rewards, propensities, propensities)).toBeCloseTo(mean(rewards), 9);
      expect(snips(rewards, propensities, propensities).value).toBeCloseTo(mean(rewards), 9);
      // DR with the forecast for the drawn action in place of its expectation: the forecast cancels.
      const log = { rewards, target: propensities, propensities, predicted, predictedTarget: predicted };
      expect(doublyRobust(log)).toBeCloseTo(mean(rewards), 9);
    });
  });

  test('snips moves with the rewards, stays in their range and minds no scale of the weights', () => {
    holds(({ rewards, target, propensities }) => {
      const { value } = snips(rewards, target, propensities);
      expect(value).toBeGreaterThanOrEqual(Math.min(...rewards) - 1e-9);
      expect(value).toBeLessThanOrEqual(Math.max(...rewards) + 1e-9);
      const shifted = rewards.map((r) => 0.5 + r / 2);
      expect(snips(shifted, target, propensities).value).toBeCloseTo(0.5 + value / 2, 9);
      const half = target.map((p) => p / 2);
      expect(snips(rewards, half, propensities).value).toBeCloseTo(value, 9);
    });
  });

  test('doubly robust with perfect forecasts is the forecast, with none it is ips', () => {
    holds((log) => {
      const perfect = { ...log, predicted: log.rewards };
      expect(doublyRobust(perfect)).toBeCloseTo(mean(log.predictedTarget), 9);
      expect(selfNormalisedDoublyRobust(perfect)).toBeCloseTo(mean(log.predictedTarget), 9);
      const zero = new Float64Array(log.rewards.length);
      const blind = { ...log, predicted: zero, predictedTarget: zero };
      expect(doublyRobust(blind)).toBeCloseTo(ips(log.rewards, log.target, log.propensities), 9);
      expect(selfNormalisedDoublyRobust(blind)).toBeCloseTo(snips(log.rewards, log.target, log.propensities).value, 9);
    });
  });

  test('Switch-DR is DR above the greatest weight, and the direct method below the least', () => {
    holds((log) => {
      const weights = importanceWeights(log.target, log.propensities);
      expect(doublyRobust({ ...log, maxWeight: Math.max(...weights) })).toBeCloseTo(doublyRobust(log), 9);
      expect(doublyRobust({ ...log, maxWeight: 0 })).toBeCloseTo(mean(log.predictedTarget), 9);
    });
  });

  test('the paired difference is the difference of the doubly robust values', () => {
    holds((log) => {
      const old = { target: log.propensities, predictedTarget: log.predictedLogging };
      const fresh = { target: log.target, predictedTarget: log.predictedTarget };
      expect(difference({ ...log, fresh, old })).toBeCloseTo(doublyRobust(log) - doublyRobust({ ...log, ...old }), 9);
      expect(difference({ ...log, fresh: old, old: fresh })).toBeCloseTo(-difference({ ...log, fresh, old }), 9);
    });
  });
});

const row = (id: string, sampled: string, quality: number, more: Partial<LoggedRow> = {}): LoggedRow => ({
  id,
  sampled,
  quality,
  propensity: 0.5,
  distribution: { a: 0.5, b: 0.5 },
  ...more,
});

describe('reward models', () => {
  test("a model's mean is pulled to the overall one, and an unknown model has that", () => {
    // overall (1 + 1 + 0) / 3 = 2/3; a: (2 + 2 · 2/3) / (2 + 2) = 5/6; b: (0 + 2 · 2/3) / (1 + 2) = 4/9
    const rows = [row('1', 'a', 1), row('2', 'a', 1), row('3', 'b', 0)];
    const predict = meanPerModel(2).fit(rows, f(1, 1, 0));
    expect(predict(rows[0]!, 'a')).toBeCloseTo(5 / 6);
    expect(predict(rows[0]!, 'b')).toBeCloseTo(4 / 9);
    expect(predict(rows[0]!, 'c')).toBeCloseTo(2 / 3);
  });

  test('logged forecasts are kept, but for the mean error of each model', () => {
    // Within a the forecasts rise by 0.2 and the rewards too: β = 1.
    // errors: a 0.9 − 0.6 and 0.7 − 0.4 = 0.3 each, b 0.1 − 0.4 = −0.3; overall 0.1
    // a: (0.6 + 1 · 0.1) / 3 = 0.2333;  b: (−0.3 + 0.1) / 2 = −0.1
    const rows = [
      row('1', 'a', 0.9, { predictions: { a: 0.6, b: 0.2 } }),
      row('2', 'a', 0.7, { predictions: { a: 0.4, b: 0.3 } }),
      row('3', 'b', 0.1, { predictions: { a: 0.5, b: 0.4 } }),
    ];
    const predict = correctedForecast(({ predictions }, model) => predictions?.[model], 1).fit(rows, f(0.9, 0.7, 0.1));
    expect(predict(rows[0]!, 'a')).toBeCloseTo(0.6 + 0.7 / 3);
    expect(predict(rows[1]!, 'b')).toBeCloseTo(0.3 - 0.1);
    // Without a forecast, the mean: a (1.6 + 1 · 1.7/3) / 3
    expect(predict(row('4', 'a', 0), 'a')).toBeCloseTo((1.6 + 1.7 / 3) / 3);
  });

  test('logged forecasts count for as much as they prove right', () => {
    // a: forecasts 0.2, 0.6, rewards 0.4, 0.5: β = (−0.2 · −0.05 + 0.2 · 0.05) / (2 · 0.04) = 0.25
    // errors 0.4 − 0.05 and 0.5 − 0.15 = 0.35 each
    const rows = [
      row('1', 'a', 0.4, { predictions: { a: 0.2, b: 0.8 } }),
      row('2', 'a', 0.5, { predictions: { a: 0.6, b: 0.8 } }),
    ];
    const model = correctedForecast(({ predictions }, name) => predictions?.[name], 1);
    const predict = model.fit(rows, f(0.4, 0.5));
    expect(predict(rows[0]!, 'a')).toBeCloseTo(0.25 * 0.2 + 0.35);
    expect(predict(rows[0]!, 'b')).toBeCloseTo(0.25 * 0.8 + 0.35);
    // Forecasts that fall where rewards rise say nothing: the mean.
    expect(model.fit(rows, f(0.5, 0.4))(rows[0]!, 'a')).toBeCloseTo(0.45);
  });

  test('a ridge over embeddings finds what makes prompts easy, and no more', () => {
    const random = seededRandom(3);
    const rows = Array.from({ length: 400 }, (_, i) => {
      const embedding = [normal(random), normal(random), normal(random)];
      return row(String(i), i % 2 === 0 ? 'a' : 'b', 0, { embedding });
    });
    // truth: 0.6 or 0.4 by model, + 0.1 z₁
    const rewards = Float64Array.from(
      rows,
      ({ sampled, embedding }) => (sampled === 'a' ? 0.6 : 0.4) + 0.1 * embedding![0]!,
    );
    const predict = ridgeOverEmbeddings(1e-4).fit(rows, rewards);
    const at = (z: number[]) => predict(row('x', 'a', 0, { embedding: z }), 'a');
    expect(at([1, 0, 0]) - at([0, 0, 0])).toBeCloseTo(0.1, 2);
    expect(at([0, 1, 0]) - at([0, 0, 0])).toBeCloseTo(0, 2);
    const plain = meanPerModel().fit(rows, rewards);
    expect(predict(row('x', 'a', 0), 'b')).toBeCloseTo(plain(rows[0]!, 'b'), 9);
    // No embedding at all, or the same one everywhere: the mean.
    const alike = rows.map((r) => ({ ...r, embedding: [1, 1] }));
    expect(ridgeOverEmbeddings().fit(alike, rewards)(alike[0]!, 'a')).toBeCloseTo(plain(rows[0]!, 'a'), 9);
  });
});

describe('cross-fitting', () => {
  test('no row is forecast by a model that saw its group', () => {
    const rows = Array.from({ length: 40 }, (_, i) => row(String(i), 'a', 0));
    const groups = rows.map((_, i) => `g${Math.floor(i / 2)}`);
    const groupOf = new Map(rows.map((r, i) => [r.id, groups[i]!]));
    const seen: Set<string>[] = [];
    const spy = {
      name: 'spy',
      fit: (some: readonly LoggedRow[]) => {
        const known = new Set(some.map(({ id }) => groupOf.get(id)!));
        seen.push(known);
        return (r: LoggedRow) => (known.has(groupOf.get(r.id)!) ? 1 : 0);
      },
    };
    const predictor = crossFit(rows, new Float64Array(40), groups, { model: spy, folds: 4, seed: 2 });
    expect(seen.map(({ size }) => size)).toEqual([15, 15, 15, 15]);
    expect(rows.map((r, i) => predictor(i)(r, 'a'))).toEqual(rows.map(() => 0));
  });

  test('takes two groups at least', () => {
    const rows = [row('1', 'a', 1), row('2', 'a', 0)];
    expect(() => crossFit(rows, f(1, 0), ['g', 'g'])).toThrow(undefinedMetric);
    // Each of two is forecast by the other: (0 + 10 · 0) / 11 and (1 + 10 · 1) / 11
    const predictor = crossFit(rows, f(1, 0), ['g', 'h']);
    expect([predictor(0)(rows[0]!, 'a'), predictor(1)(rows[1]!, 'a')]).toEqual([0, 1]);
  });
});

describe('diagnostics', () => {
  const models = [
    ['a', 'b'],
    ['a', 'b'],
    ['a', 'b'],
    ['a', 'b', 'c'],
  ];
  const logging = [
    [0.5, 0.5],
    [0.5, 0.5],
    [0.995, 0.005],
    [0.5, 0.5, 0],
  ];
  const target = [
    [1, 0],
    [0, 1],
    [0, 1],
    [0.5, 0, 0.5],
  ];
  const drawn = new Set(['a', 'b']);

  test('effective rows, weights and overlap, worked by hand', () => {
    // w = 2, 0, 0, 1 (drawn: a, a, a, a); Σw = 3, Σw² = 5
    const d = diagnose({ weights: f(2, 0, 0, 1), sessions: [0, 0, 1, 2], models, target, logging, drawn });
    expect(d.effectiveRows).toBeCloseTo(9 / 5);
    expect(d.maxWeight).toBe(2);
    expect(d.meanWeight).toBeCloseTo(0.75);
    // As logged, Σ π²/π_b − (Σ π)²: 2 − 1, 2 − 1, 1/0.005 − 1 = 199, 0.5 − 0.25 (c cannot be drawn): 201.25; root / 4
    expect(d.meanWeightSe).toBeCloseTo(Math.sqrt(201.25) / 4);
    // 1/8 of the mass cannot be drawn
    expect(d.meanWeightZ).toBeCloseTo((0.75 - 0.875) / d.meanWeightSe);
    // As observed, where that is more (rows 1 and 3 alike, nothing left to chance elsewhere):
    // sessions: 2 − 1.5 = 0.5, 0 − 0.75, 1 − 0.75: squares 0.25 + 0.5625 + 0.0625 = 0.875; · 3/2; root / 4
    const even = logging.map((p) => p.map((_, a) => (a < 2 ? 0.5 : 0)));
    const same = { sessions: [0, 0, 1, 2], models, target: even, logging: even, drawn };
    expect(diagnose({ ...same, weights: f(2, 0, 0, 1) }).meanWeightSe).toBeCloseTo(Math.sqrt(0.875 * 1.5) / 4);
    // propensity < 0.01: row 3 wholly, row 4 by half; of it c could not be drawn, nor ever was
    expect(d.thin).toBeCloseTo(1.5 / 4);
    expect(d.impossible).toBeCloseTo(0.5 / 4);
    expect(d.neverLogged).toBeCloseTo(0.5 / 4);
    // max(0, π − π_b): 0.5, 0.5, 0.995, 0.5
    expect(d.differs).toBeCloseTo(2.495 / 4);
    expect(flagsOf(d, 0).map(({ code }) => code)).toEqual(['no-overlap', 'few-effective-rows', 'few-sessions']);
  });

  test('nothing speaks against the policy that logged, if there are sessions enough', () => {
    const n = 40;
    const even = Array.from({ length: n }, () => [0.5, 0.5]);
    const all = Array.from({ length: n }, () => ['a', 'b']);
    const weights = new Float64Array(n).fill(1);
    const sessions = Array.from({ length: n }, (_, i) => i);
    const d = diagnose({ weights, sessions, models: all, target: even, logging: even, drawn });
    expect(d).toMatchObject({ effectiveRows: n, meanWeight: 1, meanWeightSe: 0, meanWeightZ: null, differs: 0 });
    expect(flagsOf(d, 1)).toEqual([]);
  });

  test('a policy that takes no logged action has none', () => {
    const args = { weights: f(0, 0, 0, 0), sessions: [0, 1, 2, 3], models, target, logging, drawn };
    expect(() => diagnose(args)).toThrow(undefinedMetric);
  });
});

describe('interval of ratios', () => {
  const options = { replicates: 500, seed: 1 };

  test('is centred on the value, and as wide as the spread of the units says', () => {
    const random = seededRandom(8);
    const values = Float64Array.from({ length: 400 }, () => normal(random));
    const units = unitsOf(Array.from(values, (_, i) => String(i)));
    const [e] = ratioEstimates([{ ratios: [{ numerator: values, denominator: null }] }], units, options);
    expect(e!.value).toBeCloseTo(mean(values), 12);
    // 2 · 1.96 · 1/√400 = 0.196, up to the noise of spread and of resampling
    expect(e!.high! - e!.low!).toBeGreaterThan(0.17);
    expect(e!.high! - e!.low!).toBeLessThan(0.23);
  });

  test('rows of one session that say the same are one observation', () => {
    const random = seededRandom(9);
    const of = Array.from({ length: 100 }, () => normal(random));
    const values = Float64Array.from({ length: 400 }, (_, i) => of[Math.floor(i / 4)]!);
    const rows = unitsOf(Array.from(values, (_, i) => String(i)));
    const sessions = unitsOf(Array.from(values, (_, i) => String(Math.floor(i / 4))));
    const width = (units: typeof rows) => {
      const [e] = ratioEstimates([{ ratios: [{ numerator: values, denominator: null }] }], units, options);
      return e!.high! - e!.low!;
    };
    // √4 times as wide
    expect(width(sessions) / width(rows)).toBeGreaterThan(1.6);
    expect(width(sessions) / width(rows)).toBeLessThan(2.5);
  });

  test('without spread there is none: that nothing varied says nothing of what might', () => {
    const names = Array.from({ length: 250 }, (_, i) => `s${i >> 1}`);
    const ones = new Float64Array(250).fill(1);
    const open = [{ value: 1, low: null, high: null }];
    expect(ratioEstimates([{ ratios: [{ numerator: ones, denominator: null }] }], unitsOf(names), options)).toEqual(
      open,
    );
    // Nor where weights vary and rewards do not: Σwr / Σw is 1 on every resample.
    const w = ones.map((_, i) => 1 + (i % 3));
    expect(ratioEstimates([{ ratios: [{ numerator: w, denominator: w }] }], unitsOf(names), options)).toEqual(open);
  });

  test('with fewer than five units there is none', () => {
    const of = (names: string[]) => {
      const numerator = Float64Array.from(names, (_, i) => i);
      return ratioEstimates([{ ratios: [{ numerator, denominator: null }] }], unitsOf(names), options)[0]!;
    };
    for (const names of ['a', 'aaaaaa', 'aabbcc', 'abcdabcd']) {
      expect(of([...names])).toEqual({ value: (names.length - 1) / 2, low: null, high: null });
    }
    const { low, high } = of([...'abcdeabcde']);
    expect(low! < 4.5 && 4.5 < high!).toBe(true);
  });

  test('weights on one row of six leave the ends open: many resamples have no value or no spread', () => {
    const ratios = [{ numerator: f(1, 0, 0, 0, 0, 0), denominator: f(1, 0, 0, 0, 0, 0) }];
    const [e] = ratioEstimates(
      [{ ratios: [...ratios, { numerator: f(1, 2, 3, 4, 5, 6), denominator: null }] }],
      unitsOf([...'abcdef']),
      options,
    );
    expect(e).toMatchObject({ value: 4.5, low: null, high: null });
  });

  test('is cut where no true value can be', () => {
    const cutAt = (values: Float64Array) => {
      const units = unitsOf([...values].map((_, i) => String(i)));
      return ratioEstimates(
        [{ ratios: [{ numerator: values, denominator: null }], range: [0, 1] }],
        units,
        options,
      )[0]!;
    };
    const { low, high } = cutAt(Float64Array.from({ length: 60 }, (_, i) => (i % 15 === 0 ? 0 : 1)));
    expect(low! > 0.8 && low! < 14 / 15).toBe(true);
    expect(high).toBe(1);
    // Weighted rewards about 2: all of the interval is outside, and its end at 1 would be no interval.
    const far = cutAt(Float64Array.from({ length: 60 }, (_, i) => 2 + 0.1 * (i % 3)));
    expect(far).toEqual({ value: expect.closeTo(2.1), low: null, high: null });
  });
});

test('rows keep their order and number in every estimator', () => {
  const log = {
    rewards: f(1, 0),
    target: f(1, 1),
    propensities: f(0.5, 1),
    predicted: f(0, 0),
    predictedTarget: f(0, 0),
  };
  expect([...doublyRobustRows(log)]).toEqual([2, 0]);
});
