import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { doublyRobust, doublyRobustRows } from '../../../eval/ope/doubly-robust.ts';
import { snips } from '../../../eval/ope/snips.ts';

const f = (...values: number[]) => Float64Array.from(values);

describe('snips', () => {
  test('weighs a logged answer by how much more often the policy takes it', () => {
    // w = 1/0.5, 0.5/0.25, 0/0.25  =>  (2·1 + 2·0.5) / 4; ess = 4² / 8; mean w = 4/3
    const { value, ess, meanWeight } = snips(f(1, 0.5, 1), f(1, 0.5, 0), f(0.5, 0.25, 0.25));
    expect(value).toBeCloseTo(0.75);
    expect(ess).toBeCloseTo(2);
    expect(meanWeight).toBeCloseTo(4 / 3);
  });

  test('has no value where the policies share no action', () => {
    expect(() => snips(f(1), f(0), f(0.5))).toThrow(expect.objectContaining({ code: 'UNDEFINED_METRIC' }));
  });

  test.each([0, -0.1, 1.1, Number.NaN])('refuses the impossible propensity %s', (p) => {
    expect(() => snips(f(1), f(1), f(p))).toThrow(expect.objectContaining({ code: 'UNDEFINED_METRIC' }));
  });
});

describe('doubly robust', () => {
  test('is the forecast plus the weighted error of the forecast', () => {
    // row 1: 0.6 + 2 (1 − 0.5) = 1.6;  row 2: 0.4 + 0 (…) = 0.4;  row 3: 0.5 + 1 (0 − 0.5) = 0
    const input = {
      rewards: f(1, 1, 0),
      target: f(1, 0, 1),
      propensities: f(0.5, 0.5, 1),
      predicted: f(0.5, 0.9, 0.5),
      predictedTarget: f(0.6, 0.4, 0.5),
    };
    expect([...doublyRobustRows(input)].map((v) => Number(v.toFixed(9)))).toEqual([1.6, 0.4, 0]);
    expect(doublyRobust(input)).toBeCloseTo(2 / 3);
  });

  test('leaves rows of too great a weight to the forecast', () => {
    // w = 1 / 0.01 = 100 > 20
    const row = { rewards: f(1), target: f(1), propensities: f(0.01), predicted: f(0.2), predictedTarget: f(0.3) };
    expect(doublyRobust({ ...row, maxWeight: 20 })).toBeCloseTo(0.3);
    expect(doublyRobust(row)).toBeCloseTo(0.3 + 100 * 0.8);
  });

  test('has no value without rows, and refuses a propensity of 0', () => {
    const row = { rewards: f(1), target: f(1), propensities: f(0), predicted: f(0.2), predictedTarget: f(0.3) };
    const none = { rewards: f(), target: f(), propensities: f(), predicted: f(), predictedTarget: f() };
    expect(() => doublyRobust(row)).toThrow(expect.objectContaining({ code: 'UNDEFINED_METRIC' }));
    expect(() => doublyRobust(none)).toThrow(expect.objectContaining({ code: 'UNDEFINED_METRIC' }));
  });

  test('finds the truth on logs of another policy, with a wrong model and with a right one', () => {
    // Two actions, context u uniform: action 0 succeeds with u, action 1 with 1 − u. Logged: action 0 with 0.3.
    // The policy takes the better one: E max(u, 1 − u) = 3/4.
    const n = 40_000;
    const random = seededRandom(5);
    const rewards = new Float64Array(n);
    const target = new Float64Array(n);
    const propensities = new Float64Array(n);
    const right = new Float64Array(n);
    const rightTarget = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const u = random();
      const action = random() < 0.3 ? 0 : 1;
      const p = action === 0 ? u : 1 - u;
      rewards[i] = random() < p ? 1 : 0;
      target[i] = (action === 0) === u > 0.5 ? 1 : 0;
      propensities[i] = action === 0 ? 0.3 : 0.7;
      right[i] = p;
      rightTarget[i] = Math.max(u, 1 - u);
    }
    const wrong = Float64Array.from({ length: n }, () => 0.2 + 0.01 * normal(random));
    const log = { rewards, target, propensities };
    expect(doublyRobust({ ...log, predicted: right, predictedTarget: rightTarget })).toBeCloseTo(0.75, 1.5);
    expect(doublyRobust({ ...log, predicted: wrong, predictedTarget: wrong })).toBeCloseTo(0.75, 1.5);
    expect(snips(rewards, target, propensities).value).toBeCloseTo(0.75, 1.5);
    // The model alone is not enough: a wrong one misses by far.
    expect(Math.abs(wrong.reduce((a, b) => a + b) / n - 0.75)).toBeGreaterThan(0.4);
  });
});
