/** How much an answer counts: each reason by itself, and all of them together. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sample } from '../../../server/learning/log.ts';
import {
  atMostOneEach,
  fitWeights,
  inverseObservation,
  lastChanges,
  sinceChange,
  timeDecay,
  type WeightOptions,
} from '../../../server/learning/weights.ts';
import { aSample } from './samples.ts';

const DAY = 86_400_000;
const NOW = 1.8e12;
/** Nothing is capped, nothing ages. */
const plain: WeightOptions = { halfLifeDays: null, maxTeamShare: 1, maxKeyShare: 1 };
const told = (id: number, more: Partial<Sample> = {}): Sample =>
  aSample({ id: `d${id}`, executed: 'a/x', embedding: new Float32Array(1), quality: 1, createdAt: NOW, ...more });

test('an answer counts half after a half-life, a quarter after two, and never more than once', () => {
  expect(timeDecay(0, 30)).toBe(1);
  expect(timeDecay(30 * DAY, 30)).toBe(0.5);
  expect(timeDecay(60 * DAY, 30)).toBe(0.25);
  expect(timeDecay(-DAY, 30)).toBe(1); // another clock was ahead
  expect(timeDecay(1e6 * DAY, null)).toBe(1);
});

test('answers from before a model changed count a tenth, those of other models and later ones in full', () => {
  const changes = lastChanges([
    { model: 'a/x', changedAt: 200 },
    { model: 'a/x', changedAt: 100 },
    { model: 'b/y', changedAt: 50 },
  ]);
  expect([...changes]).toEqual([
    ['a/x', 200],
    ['b/y', 50],
  ]);
  const at = (executed: string, createdAt: number) => sinceChange({ executed, createdAt }, changes);
  expect([at('a/x', 199), at('a/x', 200), at('b/y', 199), at('c/z', 0)]).toEqual([0.1, 1, 1, 1]);
});

describe('who is seldom heard counts for those who are not', () => {
  test('by the inverse of the probability, with mean 1', () => {
    // 1/p = 2, 4: of mean 3.
    const weights = inverseObservation([told(0), told(1)], [0.5, 0.25]);
    expect(weights[0]).toBeCloseTo(2 / 3);
    expect(weights[1]).toBeCloseTo(4 / 3);
  });

  test('up to five times what is typical, and hints, which nobody gave, as they are', () => {
    // 1/p = 1 nine times and 50: p̄ = 10/59; 9 × 0.169, clipped 5; mean (9·0.1695 + 5)/10.
    const samples = [...Array.from({ length: 10 }, (_, i) => told(i)), told(10, { kind: 'hint' })];
    const weights = inverseObservation(samples, [...new Array<number>(9).fill(1), 0.02, 0.02]);
    const mean = (9 * (10 / 59) + 5) / 10;
    expect(weights[0]).toBeCloseTo(10 / 59 / mean);
    expect(weights[9]).toBeCloseTo(5 / mean);
    expect(weights[10]).toBe(1);
  });
});

test('weights are scaled down to their number, and never up', () => {
  expect([...atMostOneEach(Float64Array.of(3, 1))]).toEqual([1.5, 0.5]);
  expect([...atMostOneEach(Float64Array.of(0.5, 0.25))]).toEqual([0.5, 0.25]);
});

test('all reasons multiply', () => {
  const samples = [
    told(0),
    told(1, { weight: 0.5, createdAt: NOW - 30 * DAY }),
    told(2, { createdAt: NOW - 60 * DAY, executed: 'b/y' }),
    told(3, { weight: 0.2, kind: 'hint' }),
  ];
  const changes = [{ model: 'b/y', changedAt: NOW - DAY }];
  const agreement = [1, 1, 1, 0.5];
  const weighed = (more: object) =>
    [...fitWeights(samples, { ...plain, halfLifeDays: 30, changes, agreement, ...more }, NOW)].map(
      (w) => +w.toFixed(6),
    );
  // 1; 0.5 × 0.5; 0.25 × 0.1; a hint says nothing unless it is asked for, and then 0.2 × 0.5
  expect(weighed({})).toEqual([1, 0.25, 0.025, 0]);
  expect(weighed({ hints: true })).toEqual([1, 0.25, 0.025, 0.1]);
});

test('a team that gives most of the feedback is held to its share', () => {
  const samples = Array.from({ length: 100 }, (_, i) => told(i, { tenant: i < 60 ? 'loud' : `quiet-${i % 2}` }));
  const weights = fitWeights(samples, { ...plain, maxTeamShare: 0.4 }, NOW);
  const loud = weights.subarray(0, 60).reduce((a, b) => a + b);
  // The other 40 count 1 each, so that 40 % of all is w of w + 40: w = 80/3.
  expect(loud).toBeCloseTo(80 / 3);
  expect(weights[99]).toBe(1);
});

test('explored answers count like others', () => {
  const weights = fitWeights([told(0, { explored: true }), told(1)], plain, NOW);
  expect([...weights]).toEqual([1, 1]);
});

test('whatever the log, weights are finite, not negative, and sum to no more than its length', () => {
  const sample = fc.record({
    weight: fc.double({ min: 0, max: 1, noNaN: true }),
    createdAt: fc.double({ min: 0, max: 2 * NOW, noNaN: true }),
    tenant: fc.constantFrom('t', 'u', 'v'),
    key: fc.constantFrom(null, 'k', 'l'),
    kind: fc.constantFrom('verdict' as const, 'hint' as const),
    executed: fc.constantFrom('a/x', 'b/y'),
    observed: fc.double({ min: 0.02, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 40 }), (rows) => {
      const samples = rows.map(({ observed: _, ...row }, i) => told(i, row));
      const options = {
        halfLifeDays: 30,
        maxTeamShare: 0.5,
        maxKeyShare: 0.25,
        changes: [{ model: 'a/x', changedAt: NOW }],
      };
      const weights = fitWeights(samples, { ...options, observed: rows.map(({ observed }) => observed) }, NOW);
      expect(weights.length).toBe(rows.length);
      expect(weights.every((w) => w >= 0 && Number.isFinite(w))).toBe(true);
      expect(weights.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(rows.length * (1 + 1e-9));
    }),
  );
});
