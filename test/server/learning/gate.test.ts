import { describe, expect, test } from 'vitest';
import type { Comparison, ValueComparison } from '../../../server/learning/comparison.ts';
import { DEFAULT_GATE, judge } from '../../../server/learning/gate.ts';
import { aComparison, aDiagnosis, aValue } from './comparisons.ts';

const withValue = (over: Partial<ValueComparison>): Comparison => aComparison({ value: aValue(over) });
const overlap = aValue().overlap;
const few = { overlap: { ...overlap, isFew: true, fresh: aDiagnosis({ effectiveRows: 42 }) } };
const slice = (name: string, low: number, high: number, over: object = {}): Partial<Comparison> => ({
  slices: [{ name, isProtected: false, units: 80, quality: { value: (low + high) / 2, low, high }, ...over }],
});

describe('the gate', () => {
  test('opens when forecasts are better and the choices not worse, and keeps all it asked', () => {
    const verdict = judge(50, aComparison(), DEFAULT_GATE);
    expect(verdict).toMatchObject({ promote: true, kind: 'promote' });
    expect(verdict.reasons[1]).toMatch(/quality not worse: quality \+0.020 \(95 % interval −0.001 to \+0.041\)/);
    expect(verdict.checks.map(({ name, result }) => [name, result])).toEqual([
      ['forecasts', 'passed'],
      ['choices', 'passed'],
      ['known models', 'passed'],
      ['calibration', 'passed'],
    ]);
    expect(verdict.limits.effect).toBe(0.01);
  });

  test.each<[string, number, Comparison | null, RegExp]>([
    ['one judged answer too few', 49, aComparison(), /insufficient evidence: 49/],
    ['nothing to compare', 500, null, /one session, or of models that are no candidates/],
    ['many answers of few sessions', 500, aComparison({ groups: 9 }), /9 sessions, 10 are needed/],
    [
      'an interval of the log loss that touches 0',
      200,
      aComparison({ logLoss: { value: -0.1, low: -0.2, high: 0 } }),
      /not shown to be better/,
    ],
    [
      'a log loss that is no number',
      200,
      aComparison({ logLoss: { value: Number.NaN, low: Number.NaN, high: Number.NaN } }),
      /not shown/,
    ],
    ['a loss that is shown', 200, withValue({ quality: { value: -0.1, low: -0.2, high: -0.006 } }), /quality may fall/],
    [
      'a loss left open by a log that could have told', // (0.01 + 0.005) / 0.005 − 1.96 = 1.04: Φ = 0.85
      200,
      withValue({ designError: 0.005, quality: { value: 0.001, low: -0.0051, high: 0.0071 } }),
      /quality may fall: .* at worst −0.005 is allowed/,
    ],
    [
      'higher cost for a loss that is shown',
      200,
      withValue({ costNewUsd: 0.0021, quality: { value: -0.003, low: -0.004, high: -0.001 } }),
      /cost more \(\+5 %\) without answers shown to be better: quality −0.003/, // 0.0021 / 0.002
    ],
    [
      'forecasts shown to be off',
      200,
      aComparison({
        calibration: {
          old: { value: 0.06, low: 0.05, high: 0.07 },
          fresh: { value: 0.08, low: 0.06, high: 0.1 },
          difference: { value: 0.02, low: -0.01, high: 0.05 },
        },
      }),
      /forecasts are off: calibration error 0.080 \(0.060 to 0.100\), .*; 0.05 is allowed/,
    ],
    [
      'forecasts shown to be further off than before',
      200,
      aComparison({
        calibration: {
          old: { value: 0.01, low: 0, high: 0.02 },
          fresh: { value: 0.04, low: 0.03, high: 0.05 },
          difference: { value: 0.03, low: 0.011, high: 0.05 },
        },
      }),
      /forecasts are off: .*; \+0.01 is allowed/,
    ],
    ['a slice shown to lose', 200, aComparison(slice('tag code', -0.2, -0.021)), /worse for tag code \(80 sessions\)/],
    [
      'slower answers',
      200,
      withValue({ latency: { oldMs: 1000, newMs: 1201 } }),
      /slower answers: an answer is expected after 1201 ms, before 1000; 1.2 times/,
    ],
    [
      'costs forecast wildly wrong',
      200,
      aComparison({ costForecast: { calls: 90, realisedUsd: 1, forecastOldUsd: 0.9, forecastNewUsd: 2.1 } }),
      /cost of 90 calls was forecast 2.1 times as high as it was, before 0.9 times; a factor of 2/,
    ],
  ])('stays shut on %s, and says so', (_, unseen, comparison, reason) => {
    const verdict = judge(unseen, comparison, DEFAULT_GATE);
    expect(verdict).toMatchObject({ promote: false, kind: 'refuse' });
    expect(verdict.reasons.join('; ')).toMatch(reason);
  });

  test.each<[string, Comparison, RegExp]>([
    ['choices that cannot be compared', aComparison({ value: null }), /no judged answer carries the probability/],
    ['a move to models hardly known', withValue({ unknown: 0.11 }), /11 % of the requests would move/],
    [
      'an interval left open by a log of little power', // (0.01 + 0.005) / 0.01 − 1.96 = −0.46: Φ = 0.32
      withValue({ quality: { value: 0.01, low: -0.0051, high: 0.03 } }),
      /insufficient evidence: power 32 % to find a gain of 0.01 in 1000 sessions; 3489 would be needed/, // 1000 (0.01 · 2.8016 / 0.015)²
    ],
    [
      'higher cost for a gain within chance',
      withValue({ costNewUsd: 0.0021, quality: { value: 0.001, low: 0, high: 0.003 } }),
      /power .*it would cost more \(\+5 %\) without answers shown to be better/,
    ],
    [
      'a price for what was free, for a gain within chance',
      withValue({ costOldUsd: 0, quality: { value: 0.001, low: -0.001, high: 0.003 } }),
      /cost more \(the old one is free\)/,
    ],
    [
      'choices that the log hardly made',
      withValue({ overlap: { ...overlap, change: { ...overlap.change, thin: 0.021 } } }),
      /no overlap: 2.1 % of the choices change/,
    ],
    [
      'choices that the log never made',
      withValue({ overlap: { ...overlap, fresh: null } }),
      /never did what the new router would do/,
    ],
    [
      'weights whose mean is not 1',
      withValue({
        overlap: { ...overlap, old: aDiagnosis({ meanWeight: 1.1, meanWeightSe: 0.03, meanWeightZ: 3.3 }) },
      }),
      /mean weight 1.100 ± 0.090 is not 1: propensities are wrong/,
    ],
    [
      'few effective sessions, and bounds that leave it open',
      withValue({ ...few, exact: { low: -0.1, high: 0.2 } }),
      /only 42 effective sessions of 1000, 200 are needed/,
    ],
    ['few effective sessions, and no bounds', withValue(few), /only 42 effective sessions/],
    [
      'self-normalised weights that say the opposite',
      withValue({ snips: { value: -0.02, low: -0.03, high: -0.01 } }),
      /self-normalised weights say otherwise: −0.020/,
    ],
    [
      'what moves to the unseen, at its worst too much',
      withValue({ overlap: { ...overlap, change: { ...overlap.change, unseen: 0.0041 } } }), // −0.001 − 0.0041
      /quality may fall/,
    ],
    [
      'a protected team that might lose',
      aComparison(slice('team search', -0.03, 0.05, { isProtected: true })),
      /protected team search \(80 sessions\): .*; a loss beyond −0.02 must be ruled out/,
    ],
    [
      'a protected team of which there is nothing',
      aComparison(
        slice('team search', 0, 0, { isProtected: true, units: 0, quality: { value: null, low: null, high: null } }),
      ),
      /protected team search \(0 sessions\): quality unknown, of which the log has too few/,
    ],
  ])('cannot tell of %s, and says what is missing', (_, comparison, reason) => {
    const verdict = judge(200, comparison, DEFAULT_GATE);
    expect(verdict).toMatchObject({ promote: false, kind: 'insufficient' });
    expect(verdict.reasons.join('; ')).toMatch(reason);
    expect(verdict.reasons.every((text) => text.startsWith('insufficient evidence: '))).toBe(true);
  });

  test('lets a dearer router through whose answers are shown to be better, naming the price', () => {
    const { promote, reasons } = judge(
      200,
      withValue({ costNewUsd: 0.007, quality: { value: 0.02, low: 0.001, high: 0.04 } }),
      DEFAULT_GATE,
    );
    expect(promote).toBe(true);
    expect(reasons.join()).toMatch(/better answers: quality \+0.020 .*, for which it costs more \(\+250 %\)/);
  });

  test('where money is counted, a dearer router needs no more than its utility', () => {
    const dearer = { costNewUsd: 0.007, quality: { value: 0.01, low: -0.02, high: 0.04 } };
    const verdict = judge(
      200,
      withValue({ ...dearer, utility: { value: 0.01, low: -0.005, high: 0.03 } }),
      DEFAULT_GATE,
    );
    expect(verdict.kind).toBe('promote');
    expect(verdict.reasons.join()).toMatch(/utility not worse: utility \+0.010/);
  });

  test('asks no gain of a router that costs the same, and nothing of one that chooses the same', () => {
    const same = withValue({ costNewUsd: 0.002, quality: { value: 0, low: -0.005, high: 0.01 } });
    expect(judge(200, same, DEFAULT_GATE).promote).toBe(true);
    const still = { ...overlap, isFew: true, fresh: null, change: { share: 0, thin: 0, unseen: 0, effective: 0 } };
    const unchanged = withValue({ overlap: still, quality: { value: 0, low: 0, high: 0 }, designError: 0 });
    expect(judge(200, unchanged, DEFAULT_GATE).promote).toBe(true);
  });

  test('believes bounds that hold for few sessions, where they are clear', () => {
    const wide = { ...few, quality: { value: 0.3, low: 0.2, high: 0.4 } };
    const verdict = judge(200, withValue({ ...wide, exact: { low: 0.05, high: 0.6 } }), DEFAULT_GATE);
    expect(verdict.kind).toBe('promote');
    expect(verdict.reasons.join()).toMatch(/at any time within \+0.050 to \+0.600/);
    const worse = judge(200, withValue({ ...wide, exact: { low: -0.6, high: -0.05 } }), DEFAULT_GATE);
    expect(worse.kind).toBe('refuse');
  });

  test('a decision may take three times as long, or a millisecond', () => {
    const times = { oldP50: 1, oldP99: 2, newP50: 3, newP99: 6 };
    const kindFor = (over: object) => judge(200, aComparison(), DEFAULT_GATE, { ...times, ...over }).kind;
    expect(kindFor({})).toBe('promote');
    expect(kindFor({ newP50: 3.1 })).toBe('refuse');
    expect(kindFor({ oldP50: 0.1, newP50: 0.9 })).toBe('promote');
    expect(kindFor({ newP99: 6.1 })).toBe('refuse');
  });

  test('a forecast of cost that is far off, but nearer than before, is no reason to keep the old one', () => {
    const costForecast = { calls: 90, realisedUsd: 1, forecastOldUsd: 0.2, forecastNewUsd: 2.1 };
    expect(judge(200, aComparison({ costForecast }), DEFAULT_GATE).kind).toBe('promote');
  });

  test('other limits may be set, and stand in the verdict', () => {
    const verdict = judge(200, aComparison(slice('tag code', -0.2, -0.021)), {
      ...DEFAULT_GATE,
      limits: { maxSliceLoss: 0.3 },
    });
    expect(verdict.kind).toBe('promote');
    expect(verdict.limits).toMatchObject({ maxSliceLoss: 0.3, effect: 0.01 });
  });

  test('names every reason at once, and a failure beats what cannot be told', () => {
    const bad = {
      ...withValue({ unknown: 0.5, quality: { value: -0.2, low: -0.3, high: -0.1 } }),
      logLoss: { value: 0.1, low: 0, high: 0.2 },
    };
    const { kind, reasons } = judge(200, bad, DEFAULT_GATE);
    expect(kind).toBe('refuse');
    expect(reasons).toHaveLength(3);
  });
});
