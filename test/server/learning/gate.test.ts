import { describe, expect, test } from 'vitest';
import { type Comparison, DEFAULT_GATE, judge, type ValueComparison } from '../../../server/learning/gate.ts';

const value: ValueComparison = {
  rows: 200,
  quality: { value: 0.02, low: -0.01, high: 0.05 },
  qualityOld: 0.7,
  qualityNew: 0.72,
  snipsOld: null,
  snipsNew: null,
  costOldUsd: 0.002,
  costNewUsd: 0.001,
  tried: 0.9,
  changed: 0.3,
  unknown: 0.05,
};
const better: Comparison = {
  rows: 200,
  groups: 100,
  logLoss: { value: -0.05, low: -0.08, high: -0.01 },
  logLossOld: 0.6,
  logLossNew: 0.55,
  brierOld: 0.2,
  brierNew: 0.19,
  observed: 0.7,
  forecastOld: 0.8,
  forecastNew: 0.71,
  value,
};
const withValue = (over: Partial<ValueComparison>): Comparison => ({ ...better, value: { ...value, ...over } });

describe('the gate', () => {
  test('opens when forecasts are better and the choices not worse', () => {
    expect(judge(50, better, DEFAULT_GATE).promote).toBe(true);
  });

  test.each<[string, number, Comparison | null, RegExp]>([
    ['one judged answer too few', 49, better, /insufficient evidence: 49/],
    ['nothing to compare', 500, null, /one session, or of models that are no candidates/],
    ['many answers of few sessions', 500, { ...better, groups: 9 }, /9 sessions, 10 are needed/],
    [
      'an interval of the log loss that touches 0',
      200,
      { ...better, logLoss: { value: -0.1, low: -0.2, high: 0 } },
      /not shown to be better/,
    ],
    [
      'a log loss that is no number',
      200,
      { ...better, logLoss: { value: Number.NaN, low: Number.NaN, high: Number.NaN } },
      /not shown/,
    ],
    [
      'quality that may fall too far',
      200,
      withValue({ quality: { value: 0.01, low: -0.0501, high: 0.1 } }),
      /quality may fall/,
    ],
    ['choices that cannot be compared', 200, { ...better, value: null }, /cannot be compared/],
    ['a move to models hardly known', 200, withValue({ unknown: 0.11 }), /11 % of the requests would move/],
    [
      'higher cost for a gain within chance',
      200,
      withValue({ costNewUsd: 0.0021, quality: { value: 0.001, low: 0, high: 0.003 } }),
      /cost more \(\+5 %\) without answers shown to be better: quality \+0.001/, // 0.0021 / 0.002
    ],
    [
      'a price for what was free, for a gain within chance',
      200,
      withValue({ costOldUsd: 0, quality: { value: 0.001, low: -0.001, high: 0.003 } }),
      /cost more \(the old one is free\)/,
    ],
  ])('stays shut on %s, and says so', (_, unseen, comparison, reason) => {
    const verdict = judge(unseen, comparison, DEFAULT_GATE);
    expect(verdict.promote).toBe(false);
    expect(verdict.reasons.join('; ')).toMatch(reason);
  });

  test('lets a dearer router through whose answers are shown to be better, naming the price', () => {
    const { promote, reasons } = judge(
      200,
      withValue({ costNewUsd: 0.007, quality: { value: 0.02, low: 0.001, high: 0.04 } }),
      DEFAULT_GATE,
    );
    expect(promote).toBe(true);
    expect(reasons.join()).toMatch(/better answers \(\+0.020, at worst \+0.001\), for which it costs more \(\+250 %\)/);
  });

  test('asks no gain of a router that costs the same', () => {
    const same = withValue({ costNewUsd: 0.002, quality: { value: 0, low: -0.01, high: 0.01 } });
    expect(judge(200, same, DEFAULT_GATE).promote).toBe(true);
  });

  test('names every reason at once', () => {
    const bad = {
      ...withValue({ unknown: 0.5, quality: { value: -0.2, low: -0.3, high: -0.1 } }),
      logLoss: { value: 0.1, low: 0, high: 0.2 },
    };
    expect(judge(200, bad, DEFAULT_GATE).reasons).toHaveLength(3);
  });
});
