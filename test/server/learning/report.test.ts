import { expect, test } from 'vitest';
import { LIMITS } from '../../../server/learning/gate.ts';
import { verdictText } from '../../../server/learning/report.ts';
import type { RetrainReport } from '../../../server/learning/retrain.ts';
import { aComparison, aValue } from './comparisons.ts';

const value = aValue({
  rows: 80,
  quality: { value: 0.001, low: -0.002, high: 0.004 },
  qualityOld: 0.999,
  qualityNew: 1.001,
  snipsOld: { value: 1, ess: 80 },
  snipsNew: { value: 1, ess: 60 },
  snips: { value: 0, low: -0.01, high: 0.01 },
});
const comparison = aComparison({ rows: 80, groups: 40, value });
const report: RetrainReport = {
  outcome: 'refused',
  reasons: ['because'],
  incumbent: 'a'.repeat(32),
  artifact: null,
  samples: 80,
  unseen: 80,
  contradicting: [],
  sessions: 40,
  models: [
    { model: 'lab/short', samples: 50, quality: 1 },
    { model: `openrouter/lab/${'long-'.repeat(10)}name`, samples: 30, quality: 0.5 },
  ],
  leftOut: { notAnswered: 0, sandbox: 0, notRouted: 3, otherEncoder: 0 } as RetrainReport['leftOut'],
  limited: false,
  comparison,
  checks: [
    { name: 'forecasts', result: 'passed', detail: 'better' },
    { name: 'choices', result: 'unknown', detail: 'who knows' },
    { name: 'slices', result: 'failed', detail: 'worse for team search' },
  ],
  power: { power: 0.314, standardError: 0.01, units: 80, unitsNeeded: 412 },
  decisionTimes: null,
  limits: LIMITS,
  gate: { minFeedback: 50, maxQualityLoss: 0.005, maxUnknown: 0.1 },
  seed: 1,
  trainedThrough: null,
  seconds: 1,
} as RetrainReport;
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
  expect(lines).toEqual(['  3 left out: the client had named the model, or no embedding of the prompt is kept']);
});

test('counts judged answers, and hints beside them where they were learned from', () => {
  const first = (over: Partial<RetrainReport>) => lineOf(verdictText({ ...report, ...over }), 'Learned from').trim();
  const told = 'in 40 sessions (80 new to the router in force)';
  expect(first({ hints: 0 })).toBe(`Learned from 80 judged answers ${told}`);
  // Verdicts of earlier versions say nothing of hints.
  expect(first({})).toBe(`Learned from 80 judged answers ${told}`);
  expect(first({ hints: 3 })).toBe(`Learned from 80 judged answers and 3 hints ${told}`);
  expect(first({ samples: 1, unseen: 1, sessions: 1, hints: 1 })).toBe(
    'Learned from 1 judged answer and 1 hint in 1 session (1 new to the router in force)',
  );
  expect(verdictText({ ...report, comparison: { ...comparison, rows: 1, groups: 1 } })).toMatch(
    /On 1 judged answer \(1 session\), each/,
  );
});

test('shows every question of the gate with what came of it, and the power', () => {
  const text = verdictText(report);
  expect(lineOf(text, 'forecasts ')).toMatch(/passed +better/);
  expect(lineOf(text, 'choices ')).toMatch(/cannot tell +who knows/);
  expect(lineOf(text, 'slices ')).toMatch(/FAILED +worse for team search/);
  expect(lineOf(text, 'power ')).toMatch(/31 % +in 80 sessions; 412 would give 80 %/);
});

test('lists kinds of traffic from the greatest loss on, protected ones marked', () => {
  const slice = (name: string, loss: number, isProtected = false) => ({
    name,
    isProtected,
    units: 60,
    quality: { value: -loss, low: -loss - 0.1, high: null as number | null },
  });
  const slices = [slice('team a', 0), slice('tag x', 0.2), slice('team b', 0.1, true)];
  const text = verdictText({ ...report, comparison: { ...comparison, slices } });
  const at = ['tag x', 'team b (protected)', 'team a'].map((name) => text.indexOf(name));
  expect(at).toEqual([...at].sort((a, b) => a - b));
  expect(lineOf(text, 'tag x')).toMatch(/60 +−0\.200 \(no interval\)/);
});

test('a router on trial is told with how to end it', () => {
  const text = verdictText({ ...report, outcome: 'on-trial', artifact: 'c'.repeat(32) });
  expect(text).toMatch(/ON TRIAL/);
  expect(text).toMatch(/cccccccccccc .*To end it: pointsman retrain/);
});
