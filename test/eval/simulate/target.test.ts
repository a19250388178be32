import { expect, test } from 'vitest';
import { meanOver, ratioOver, shareOver, type TargetResult, targetResult } from '../../../eval/simulate/target.ts';
import { simulationText } from '../../../eval/simulate/text.ts';

const result = (found: TargetResult['found'], wanted: TargetResult['wanted']) =>
  targetResult({ simulation: 's', source: 'd', name: 'n', unit: 'share', found, wanted, runs: 5, note: '' });

test('the mean over runs has the interval of Student', () => {
  // sd of 1, 2, 3, 4, 5 is √2.5; t with 4 degrees of freedom is 2.776: 3 ± 2.776 √(2.5 / 5) = 3 ± 1.963
  const { value, low, high } = meanOver([1, 2, 3, 4, 5]);
  expect(value).toBe(3);
  expect(low).toBeCloseTo(3 - 1.963, 2);
  expect(high).toBeCloseTo(3 + 1.963, 2);
});

test('two runs have a mean and no interval', () => {
  expect(meanOver([1, 2])).toEqual({ value: 1.5, low: null, high: null });
  expect(meanOver([])).toEqual({ value: null, low: null, high: null });
});

test('a ratio over runs is that of the means, not the mean of the ratios', () => {
  // 1/2 and 1/1 and 4/4: (1 + 1 + 4) / (2 + 1 + 4) = 6/7
  expect(ratioOver([1, 1, 4], [2, 1, 4]).value).toBeCloseTo(6 / 7);
  const exact = ratioOver([1, 2, 3], [2, 4, 6]);
  expect(exact.low).toBeCloseTo(0.5);
  expect(exact.high).toBeCloseTo(0.5);
  expect(ratioOver([1, 2, 3], [0, 0, 0]).value).toBeNull();
});

test('a share has the interval of Wilson, which stays inside 0 and 1', () => {
  // Wilson for 10 of 10: lower end 10 / (10 + 1.96²) = 0.7225
  const { low, high } = shareOver(10, 10);
  expect(low).toBeCloseTo(0.7225, 3);
  expect(high).toBe(1);
  expect(shareOver(0, 0).value).toBeNull();
});

test('a target is met by its value, and surely so by its interval', () => {
  expect(result({ value: 0.9, low: 0.7, high: 1 }, { atLeast: 0.8 })).toMatchObject({ isMet: true, isSure: false });
  expect(result({ value: 0.9, low: 0.85, high: 1 }, { atLeast: 0.8 })).toMatchObject({ isMet: true, isSure: true });
  expect(result({ value: 0.1, low: 0, high: 0.2 }, { atLeast: 0.8 })).toMatchObject({ isMet: false, isSure: true });
  expect(result({ value: 0.98, low: 0.96, high: 0.99 }, { atLeast: 0.93, atMost: 0.97 })).toMatchObject({
    isMet: false,
    isSure: false,
  });
  expect(result({ value: null, low: null, high: null }, { atLeast: 0.8 })).toMatchObject({ isMet: null });
  expect(result({ value: 0.5, low: 0, high: 1 }, null)).toMatchObject({ isMet: null });
});

test('the text says found, wanted and verdict, and counts the targets that are met', () => {
  const text = simulationText([
    result({ value: 0.9, low: 0.85, high: 1 }, { atLeast: 0.8 }),
    result({ value: 0.1, low: null, high: null }, { atLeast: 0.8 }),
    result({ value: 0.5, low: 0, high: 1 }, null),
  ]);
  expect(text).toContain('90.0 % (85.0 % to 100.0 %; 5 runs), wanted ≥ 80.0 %: met (sure)');
  expect(text).toContain('10.0 % (no interval; 5 runs), wanted ≥ 80.0 %: MISSED');
  expect(text).toContain('1 of 2 targets met');
});
