/** Cascades: expected cost and quality by hand and by simulation, and where a cheaper first try pays. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { cascadeStart, cascadeValue, type Step, wayUp } from '../../../router/policy/cascade.ts';

const step = (quality: number, costUsd: number): Step => ({ quality, costUsd });
const NO_CHECK = { falseAccept: 1, falseReject: 0 };
const PERFECT = { falseAccept: 0, falseReject: 0 };

describe('a cascade', () => {
  test('costs every call that is made and brings what is accepted rightly', () => {
    // ρ = 0.8 · 0.4 + 0.1 · 0.6 = 0.38; C = 1 + 0.38 · 10; Q = 0.9 · 0.6 + 0.38 · 0.9
    const { costUsd, quality, calls } = cascadeValue([step(0.6, 1), step(0.9, 10)], {
      falseAccept: 0.2,
      falseReject: 0.1,
    });
    expect(costUsd).toBeCloseTo(4.8);
    expect(quality).toBeCloseTo(0.882);
    expect(calls).toBeCloseTo(1.38);
  });

  test('is its first model alone where the check accepts everything', () => {
    expect(cascadeValue([step(0.6, 1), step(0.9, 10)], NO_CHECK)).toEqual({ costUsd: 1, quality: 0.6, calls: 1 });
  });

  test('fails only where all fail when the check never errs', () => {
    // 1 − 0.5 · 0.5 · 0.1; 1 + 0.5 · 2 + 0.25 · 4
    const value = cascadeValue([step(0.5, 1), step(0.5, 2), step(0.9, 4)], PERFECT);
    expect(value.quality).toBeCloseTo(0.975);
    expect(value.costUsd).toBeCloseTo(3);
  });

  test('agrees with what happens when it is played', () => {
    const path = [step(0.4, 1), step(0.7, 3), step(0.8, 8)];
    const errors = { falseAccept: 0.3, falseReject: 0.15 };
    const random = seededRandom(7);
    const n = 200_000;
    let cost = 0;
    let good = 0;
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < path.length; k++) {
        cost += path[k]!.costUsd;
        const isGood = random() < path[k]!.quality;
        const accepted = isGood ? random() >= errors.falseReject : random() < errors.falseAccept;
        if (!accepted && k < path.length - 1) continue;
        good += isGood ? 1 : 0;
        break;
      }
    }
    const { costUsd, quality } = cascadeValue(path, errors);
    expect(cost / n).toBeCloseTo(costUsd, 1);
    expect(good / n).toBeCloseTo(quality, 2);
  });
});

describe('the way up', () => {
  const ranked = [0.8, 0.78, 0.85, 0.83, 0.9, 0.5].map((quality) => step(quality, 1));

  test('passes over what is not predicted better than the last one called', () => {
    expect(wayUp(ranked, 0, 10)).toEqual([0, 2, 4]);
  });
  test('goes from a lesser model to the one decided for', () => {
    expect(wayUp(ranked, 5, 3)).toEqual([5, 0, 2]);
  });
  test('ends where nothing is better, and at the bound', () => {
    expect(wayUp(ranked, 4, 5)).toEqual([4]);
    expect(wayUp(ranked, 0, 1)).toEqual([0]);
  });
});

describe('who answers first', () => {
  const options = { falseAccept: 0.1, falseReject: 0.1, floor: 0.85, maxCalls: 3 };
  // Decided for: 0.9 at 10. Cheap first: ρ = 0.9 · 0.4 + 0.1 · 0.6 = 0.42; C = 1 + 4.2; Q = 0.54 + 0.378 = 0.918.
  const ranked = [step(0.9, 10), step(0.6, 1), step(0.05, 0.5)];

  test('is a cheaper model where the check is good and the floor is reached all the same', () => {
    const { start, path, costUsd, quality } = cascadeStart(ranked, options);
    expect({ start, path }).toEqual({ start: 1, path: [1, 0] });
    expect(costUsd).toBeCloseTo(5.2);
    expect(quality).toBeCloseTo(0.918);
  });

  test('is the one decided for where the check lets bad answers through', () => {
    // Q = 0.9 · 0.6 + (0.1 · 0.4 + 0.1 · 0.6) · 0.9 = 0.63 < 0.85
    expect(cascadeStart(ranked, { ...options, falseAccept: 0.9 }).start).toBe(0);
    expect(cascadeStart(ranked, { ...options, ...NO_CHECK }).start).toBe(0);
  });

  test('is the one decided for where going up is dearer than going there at once', () => {
    // C = 9 + 0.42 · 10 = 13.2 > 10
    expect(cascadeStart([step(0.9, 10), step(0.6, 9)], options).start).toBe(0);
  });

  test('reaches what the decision itself reaches where that is below the floor', () => {
    // Q of the decision alone is 0.7; 0.9 · 0.5 + (0.9 · 0.5 + 0.1 · 0.5) · 0.7 = 0.8
    expect(cascadeStart([step(0.7, 10), step(0.5, 1)], { ...options, floor: 0.99 }).start).toBe(1);
  });

  test('is the one decided for when only one call may be made', () => {
    expect(cascadeStart(ranked, { ...options, maxCalls: 1 }).start).toBe(0);
  });
});

const steps = fc.array(
  fc.record({
    quality: fc.double({ min: 0, max: 1, noNaN: true }),
    costUsd: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  { minLength: 1, maxLength: 12 },
);
const rate = fc.double({ min: 0, max: 1, noNaN: true });

test('is never dearer in expectation than the decision, nor below its quality and the floor', () => {
  fc.assert(
    fc.property(steps, rate, rate, rate, fc.integer({ min: 1, max: 5 }), (ranked, a, r, floor, maxCalls) => {
      const errors = { falseAccept: a, falseReject: r };
      const { start, path, costUsd, quality } = cascadeStart(ranked, { ...errors, floor, maxCalls });
      const plain = cascadeValue(
        wayUp(ranked, 0, maxCalls).map((j) => ranked[j]!),
        errors,
      );
      expect(costUsd).toBeLessThanOrEqual(plain.costUsd);
      expect(quality).toBeGreaterThanOrEqual(Math.min(floor, plain.quality));
      expect(path[0]).toBe(start);
      expect(path.length).toBeLessThanOrEqual(maxCalls);
      for (let k = 1; k < path.length; k++)
        expect(ranked[path[k]!]!.quality).toBeGreaterThan(ranked[path[k - 1]!]!.quality);
    }),
  );
});
