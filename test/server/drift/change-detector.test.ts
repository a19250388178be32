/** When a change is noticed, when it is dated, and how rarely nothing is taken for something. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deriveSeed, seededRandom } from '../../../datasets/index.ts';
import { ChangeDetector } from '../../../server/drift/change-detector.ts';

/** Answers that are right with probability `truth(i)`, each forecast as `p`. @returns answers until the alarm, or null */
function alarmAfter(detector: ChangeDetector, n: number, p: number, truth: (i: number) => number, seed: number) {
  const random = seededRandom(seed);
  for (let i = 0; i < n; i++) {
    detector.add(p, random() < truth(i) ? 1 : 0, i);
    if (detector.change !== null) return i + 1;
  }
  return null;
}

test('the capital is what the bets make of it', () => {
  // Worse: 1 + λ(0.8 − 0 − 0) = 1.08, 1.16, 1.32, 1.48 after one failure; their squares after two: mean 1.6112.
  const after = (runLength: number, failures: number) => {
    const detector = new ChangeDetector({ runLength, tolerance: 0 });
    for (let i = 0; i < failures; i++) detector.add(0.8, 0, i);
    return detector.change;
  };
  const mean = (1.08 ** 2 + 1.16 ** 2 + 1.32 ** 2 + 1.48 ** 2) / 4;
  expect(after(mean - 1e-9, 2)).toMatchObject({ direction: 'worse', since: 0, answers: 2, meanResidual: -0.8 });
  expect(after(mean + 1e-9, 2)).toBeNull();
});

test('a fall of 15 points is noticed within 500 answers and dated near its day', () => {
  const delays: number[] = [];
  for (let seed = 0; seed < 50; seed++) {
    const detector = new ChangeDetector();
    const found = alarmAfter(detector, 3000, 0.8, (i) => (i < 1000 ? 0.8 : 0.65), deriveSeed(1, `fall ${seed}`));
    if (found === null || found <= 1000) continue;
    delays.push(found - 1000);
    expect(detector.change!.direction).toBe('worse');
    expect(Math.abs(detector.change!.since - 1000)).toBeLessThan(600);
    expect(detector.change!.before).toBeGreaterThan(400);
  }
  expect(delays.length).toBeGreaterThanOrEqual(48);
  delays.sort((a, b) => a - b);
  expect(delays[Math.floor(delays.length * 0.9)]).toBeLessThan(500);
});

test('a model that got better is told, too', () => {
  const detector = new ChangeDetector();
  expect(alarmAfter(detector, 2000, 0.6, () => 0.8, 3)).not.toBeNull();
  expect(detector.change).toMatchObject({ direction: 'better', before: 0 });
  expect(detector.change!.meanResidual).toBeGreaterThan(0.1);
});

test('with forecasts that hold, false alarms are further apart than promised', () => {
  // At a promise of 500 answers, 200 runs of 500 each may alarm in some half of the cases at most.
  let alarms = 0;
  for (let seed = 0; seed < 200; seed++) {
    const detector = new ChangeDetector({ runLength: 500, tolerance: 0 });
    if (alarmAfter(detector, 500, 0.7, () => 0.7, deriveSeed(2, `calm ${seed}`)) !== null) alarms++;
  }
  expect(alarms).toBeLessThan(100);
});

test('within the tolerance nothing is told, however long it lasts', () => {
  for (let seed = 0; seed < 5; seed++) {
    expect(alarmAfter(new ChangeDetector(), 20_000, 0.7, () => 0.68, seed)).toBeNull();
  }
});

test('after the alarm later answers only make the mean surer', () => {
  const detector = new ChangeDetector({ runLength: 10 });
  for (let i = 0; i < 20; i++) detector.add(0.9, 0, i);
  const { error, answers } = detector.change!;
  expect(error).toBe(0);
  detector.add(0.9, 1, 20);
  expect(detector.change).toMatchObject({ answers: answers + 1, since: 0 });
  expect(detector.change!.meanResidual).toBeCloseTo((20 * -0.9 + 0.1) / 21);
});

test('whatever is answered, what is told is finite and in range', () => {
  const unit = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(unit, unit), { maxLength: 300 }), (answers) => {
      const detector = new ChangeDetector({ runLength: 20 });
      answers.forEach(([p, y], i) => {
        detector.add(p, y, i);
      });
      const { change } = detector;
      if (change === null) return;
      expect(change.meanResidual).toBeGreaterThanOrEqual(-1);
      expect(change.meanResidual).toBeLessThanOrEqual(1);
      expect(change.error).toBeGreaterThanOrEqual(0);
      expect(change.answers + change.before).toBe(answers.length);
    }),
  );
});
