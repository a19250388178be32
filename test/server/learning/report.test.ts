import { expect, test } from 'vitest';
import type { Comparison } from '../../../server/learning/gate.ts';
import { verdictText } from '../../../server/learning/report.ts';
import type { RetrainReport } from '../../../server/learning/retrain.ts';

const value: NonNullable<Comparison['value']> = {
  rows: 80,
  quality: { value: 0.001, low: -0.002, high: 0.004 },
  qualityOld: 0.999,
  qualityNew: 1.001,
  snipsOld: { value: 1, ess: 80 },
  snipsNew: { value: 1, ess: 60 },
  costOldUsd: 0.002,
  costNewUsd: 0.0021,
  tried: 0.9,
  changed: 0.3,
  unknown: 0,
};
const comparison: Comparison = {
  rows: 80,
  groups: 40,
  logLoss: { value: -0.05, low: -0.08, high: -0.01 },
  logLossOld: 0.6,
  logLossNew: 0.55,
  brierOld: 0.2,
  brierNew: 0.19,
  observed: 1,
  forecastOld: 0.8,
  forecastNew: 0.95,
  value,
};
const report: RetrainReport = {
  outcome: 'refused',
  reasons: ['because'],
  incumbent: 'a'.repeat(32),
  artifact: null,
  samples: 80,
  unseen: 80,
  sessions: 40,
  models: [
    { model: 'lab/short', samples: 50, quality: 1 },
    { model: `openrouter/lab/${'long-'.repeat(10)}name`, samples: 30, quality: 0.5 },
  ],
  leftOut: { notAnswered: 0, sandbox: 0, notRouted: 3, otherEncoder: 0 },
  limited: false,
  comparison,
  gate: { minFeedback: 50, maxQualityLoss: 0.05, maxUnknown: 0.1 },
  seed: 1,
  trainedThrough: null,
  seconds: 1,
};
const lineOf = (text: string, start: string) => text.split('\n').find((line) => line.trim().startsWith(start))!;

test('an estimate beyond what quality can be is shown at the bound, as an approximation', () => {
  const of = (over: object) =>
    lineOf(verdictText({ ...report, comparison: { ...comparison, value: { ...value, ...over } } }), 'quality, doubly');
  expect(of({})).toMatch(/ 99\.9 % +≈ 100\.0 % +\+0\.001/);
  expect(of({ qualityOld: -0.01, qualityNew: 0 })).toMatch(/ ≈ 0\.0 % +0\.0 % /);
  expect(of({ qualityOld: 1, qualityNew: 1 })).toMatch(/ 100\.0 % +100\.0 % /);
});

test('columns stay in line under the longest model id', () => {
  const text = verdictText(report);
  const ends = ['model ', 'lab/short', 'openrouter/lab'].map((start) => lineOf(text, start).length);
  expect(new Set(ends).size).toBe(1);
});

test('says what was left out and why, and nothing of reasons that did not occur', () => {
  const lines = verdictText(report).match(/.*left out.*/g);
  expect(lines).toEqual(['  3 left out: the client had named the model']);
});
