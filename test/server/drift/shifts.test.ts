/** Levels and inputs that move, and those that only vary. */
import { expect, test } from 'vitest';
import { deriveSeed, seededRandom } from '../../../datasets/index.ts';
import { InputShiftDetector } from '../../../server/drift/input-shift.ts';
import { LevelShiftDetector, rankSumZ } from '../../../server/drift/level-shift.ts';

const normalOf = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

test('ranks are summed as by hand, ties sharing theirs', () => {
  // {3, 4} against {1, 2}: U = 4, mean 2, variance 2·2·5/12.
  expect(rankSumZ([3, 4], [1, 2])).toBeCloseTo(2 / Math.sqrt(20 / 12));
  // {1, 2} against {1, 2}: ranks 1.5 and 3.5, U = 2: in the middle.
  expect(rankSumZ([1, 2], [1, 2])).toBe(0);
  expect(rankSumZ([5, 5], [5, 5])).toBe(0);
});

function latencies(n: number, factorAt: (i: number) => number, seed: number): LevelShiftDetector {
  const random = seededRandom(seed);
  const detector = new LevelShiftDetector();
  for (let i = 0; i < n; i++) {
    // Log-normal with a tail of hangs.
    const hang = random() < 0.02 ? 30 : 1;
    detector.add(800 * factorAt(i) * Math.exp(0.5 * normalOf(random)) * hang, i);
  }
  return detector;
}

test('a deployment that takes twice as long is told, with the day it began', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { shift } = latencies(2000, (i) => (i < 1000 ? 1 : 2), seed);
    expect(shift).not.toBeNull();
    expect(shift!.ratio).toBeGreaterThan(1.4);
    expect(shift!.since).toBeGreaterThan(850);
    expect(shift!.since).toBeLessThan(1150);
  }
  // Faster is no alarm, but slower than that is.
  expect(latencies(2000, (i) => (i < 1000 ? 1 : 0.4), 1).shift).toBeNull();
  expect(latencies(3000, (i) => (i < 1000 || i > 2000 ? 1 : 0.4), 1).shift!.ratio).toBeGreaterThan(1.5);
});

test('a level that only varies, or moves by less than the factor, is not told', () => {
  for (let seed = 0; seed < 20; seed++) {
    expect(latencies(5000, () => 1, seed).shift).toBeNull();
    expect(latencies(5000, (i) => (i < 1000 ? 1 : 1.2), seed).shift).toBeNull();
  }
});

test('values that are none are passed over', () => {
  const detector = new LevelShiftDetector({ reference: 2, window: 2 });
  for (const value of [Number.NaN, -1, 0, Number.POSITIVE_INFINITY]) detector.add(value, 0);
  expect(detector.shift).toBeNull();
});

function inputs(n: number, offAt: (i: number) => number, seed: number, d = 60): InputShiftDetector {
  const random = seededRandom(deriveSeed(seed, 'inputs'));
  const detector = new InputShiftDetector();
  for (let i = 0; i < n; i++) {
    // Correlated coordinates, as embeddings have.
    const common = normalOf(random);
    detector.add(
      Float32Array.from({ length: d }, (_, a) => 0.5 * common + normalOf(random) + (a % 3 === 0 ? offAt(i) : 0)),
      i,
    );
  }
  return detector;
}

test('other prompts than before are told', () => {
  for (let seed = 0; seed < 10; seed++) {
    const { shift } = inputs(2000, (i) => (i < 1000 ? 0 : 1), seed);
    expect(shift).not.toBeNull();
    expect(shift!.distance).toBeGreaterThan(0.3);
    expect(shift!.since).toBeGreaterThan(700);
  }
});

test('prompts that only vary are not', () => {
  for (let seed = 0; seed < 10; seed++) expect(inputs(4000, () => 0, seed).shift).toBeNull();
});

test('embeddings of another length, or with NaN, are passed over', () => {
  const detector = new InputShiftDetector({ reference: 2, window: 2 });
  detector.add([1, 2, 3], 0);
  detector.add([1, 2], 1);
  detector.add([Number.NaN, 0, 0], 2);
  expect(detector.shift).toBeNull();
});
