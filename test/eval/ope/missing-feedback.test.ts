/** Quality where the unhappy complain more often than the happy praise. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { type FeedbackRow, LEAST_AUDITS, missingFeedback } from '../../../eval/ope/missing-feedback.ts';

const row = (over: Partial<FeedbackRow> = {}): FeedbackRow => ({
  group: 'g',
  model: 'a',
  feedback: null,
  auditProbability: 1,
  audit: null,
  ...over,
});

/** Two models, good 8 and 5 times in 10; a bad answer is told of in 30 %, a good one in 10 %. Audits of 5 %. */
function complaints(seed: number, answers: number, auditShare = 0.05): { rows: FeedbackRow[]; truth: number } {
  const random = seededRandom(seed);
  const rows = Array.from({ length: answers }, (_, i): FeedbackRow => {
    const model = i % 2 === 0 ? 'a' : 'b';
    const quality = random() < (model === 'a' ? 0.8 : 0.5) ? 1 : 0;
    const feedback = random() < (quality === 0 ? 0.3 : 0.1) ? quality : null;
    const audit = random() < auditShare ? quality : null;
    return { group: `s${i >> 1}`, model, feedback, auditProbability: auditShare, audit };
  });
  return { rows, truth: 0.65 };
}

test('with audits of 5 % the mean bias over 200 logs is below one point, where the mean of what was said is 20 off', () => {
  let bias = 0;
  let naive = 0;
  let held = 0;
  for (let run = 1; run <= 200; run++) {
    const { rows, truth } = complaints(7919 * run, 4000);
    const found = missingFeedback(rows, { replicates: 100, seed: run });
    if (found.kind !== 'audited') throw new Error(found.why);
    const said = rows.flatMap(({ feedback }) => (feedback === null ? [] : [feedback]));
    bias += (found.quality.value! - truth) / 200;
    naive += (said.reduce((a, b) => a + b) / said.length - truth) / 200;
    if (found.quality.low! <= truth && truth <= found.quality.high!) held++;
    expect(found.bounds.low).toBeLessThan(truth);
    expect(found.bounds.high).toBeGreaterThan(truth);
  }
  // 0.65 · 0.1 / (0.65 · 0.1 + 0.35 · 0.3) = 0.382
  expect(naive).toBeCloseTo(0.382 - 0.65, 1);
  expect(Math.abs(bias)).toBeLessThan(0.01);
  // ±2 standard errors of 95 % in 200 runs, and a point for bootstrapping with few resamples.
  expect(held / 200).toBeGreaterThan(0.91);
}, 120_000);

test('without audits there are bounds and no point', () => {
  const rows = complaints(3, 1000).rows.map((r) => ({ ...r, audit: null }));
  const found = missingFeedback(rows);
  expect(found.kind).toBe('bounds');
  expect(found).not.toHaveProperty('quality');
  // One 1, one 0.5, two silent: [1.5 / 4, 1.5 / 4 + 2 / 4]
  const { bounds, observed } = missingFeedback([row({ feedback: 1 }), row({ feedback: 0.5 }), row(), row()]);
  expect(bounds).toEqual({ low: 0.375, high: 0.875 });
  expect(observed).toBe(0.5);
});

test('too few audits, or answers that no audit could reach, make no point either', () => {
  const audited = Array.from({ length: LEAST_AUDITS }, (_, i) => row({ group: `g${i}`, audit: i % 2 }));
  expect(missingFeedback(audited.slice(1))).toMatchObject({ kind: 'bounds', why: '29 audits, 30 are needed' });
  expect(missingFeedback(audited)).toMatchObject({ kind: 'audited' });
  expect(missingFeedback([...audited, row({ auditProbability: 0 })])).toMatchObject({
    kind: 'bounds',
    why: 'row 30 could not have been drawn for an audit',
  });
});

test('where everything is audited the point is the audits’ mean, whatever was said', () => {
  // p = 1: m + (q − m) = q
  const rows = Array.from({ length: 40 }, (_, i) => row({ group: `g${i}`, feedback: 0, audit: i < 30 ? 1 : 0 }));
  const found = missingFeedback(rows);
  expect(found.kind === 'audited' && found.quality.value).toBeCloseTo(0.75);
});

test('a weight counts a row as often as another policy would have answered so', () => {
  const rows = Array.from({ length: 40 }, (_, i) => row({ group: `g${i}`, audit: i < 20 ? 1 : 0 }));
  const weights = Float64Array.from(rows, (_, i) => (i < 20 ? 3 : 1));
  // (20 · 3 · 1 + 20 · 1 · 0) / 80
  const found = missingFeedback(rows, { weights });
  expect(found.kind === 'audited' && found.quality.value).toBeCloseTo(0.75);
});

test('the bounds hold what the answers are worth, whatever the unjudged ones turn out to be', () => {
  const answer = fc.record({ quality: fc.double({ min: 0, max: 1, noNaN: true }), told: fc.boolean() });
  fc.assert(
    fc.property(fc.array(answer, { minLength: 1, maxLength: 30 }), (answers) => {
      const truth = answers.reduce((sum, { quality }) => sum + quality, 0) / answers.length;
      const { bounds } = missingFeedback(answers.map(({ quality, told }) => row({ feedback: told ? quality : null })));
      expect(bounds.low).toBeLessThanOrEqual(truth + 1e-12);
      expect(bounds.high).toBeGreaterThanOrEqual(truth - 1e-12);
    }),
  );
});

test.each([
  ['no row', [], undefined, /there is no row/],
  ['feedback out of range', [row({ feedback: 2 })], undefined, /row 0: feedback 2/],
  ['an audit that is no number', [row({ audit: Number.NaN })], undefined, /row 0: audit NaN/],
  ['a probability above 1', [row({ auditProbability: 1.5 })], undefined, /row 0: auditProbability 1.5/],
  ['an audit that could not have been', [row({ audit: 1, auditProbability: 0 })], undefined, /row 0 was audited/],
  ['weights of another length', [row()], Float64Array.of(1, 1), /2 weights for 1 rows/],
  ['a weight below 0', [row()], Float64Array.of(-1), /row 0: weight -1/],
  ['no weight at all', [row()], Float64Array.of(0), /no row has a weight/],
])('%s is refused by name', (_, rows, weights, message) => {
  expect(() => missingFeedback(rows as FeedbackRow[], weights && { weights })).toThrow(message);
});
