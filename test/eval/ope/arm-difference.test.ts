import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { ArmDifference } from '../../../eval/ope/arm-difference.ts';

/** Units of two arms with these qualities. @returns where the bounds first say that one is worse, and whether they ever missed */
function stream(seed: number, share: number, candidate: number, incumbent: number, units: number, gridPoints = 100) {
  const random = seededRandom(seed);
  const bounds = new ArmDifference({ gridPoints });
  const truth = candidate - incumbent;
  let missed = false;
  for (let i = 0; i < units; i++) {
    const isCandidate = random() < share;
    const reward = random() < (isCandidate ? candidate : incumbent) ? 1 : 0;
    bounds.add(reward, isCandidate, isCandidate ? share : 1 - share);
    if (bounds.low > truth || bounds.high < truth) missed = true;
  }
  return { low: bounds.low, high: bounds.high, missed };
}

describe('difference of two arms', () => {
  test('the first bets, worked by hand', () => {
    // Grid of 4: m = −1/2, 0, 1/2; α = 1/2, threshold ln 4 = 1.386. p = 1/2, reward 1 of the candidate, twice.
    // i = 1: b = 1/2; Δ = 2 · 1/2 = 1; B = max(1, 1) = 1; S = (2 + 2)/4 = 1; λ = √(2 · 1.386 / (1 · ln 2)) = 2.0
    //   λ(m) = min(2, 0.5/(m + 1)) = 1, 1/2, 1/3;   K = 1 + 1 · 3/2 = 2.5;  1 + 1/2 = 1.5;  1 + 1/3 · 1/2 = 7/6: none at 4
    // i = 2: b = (1/2 + 1)/2 = 3/4; Δ = 2 · 1/4 = 1/2; B = max(3/2, 1/2) = 3/2; S = 1 + (1 − 1/2)² = 1.25
    //   λ = √(2 · 1.386 / (1.25 · ln 3)) = 1.42;   λ(m) = 0.5/(m + 1.5) = 1/2, 1/3, 1/4
    //   K = 2.5 · (1 + 1/2 · 1) = 3.75;  1.5 · (1 + 1/3 · 1/2) = 1.75;  7/6 · 1: none
    // i = 3: the same again: b = (1/2 + 2)/3 = 5/6; Δ = 1/3; B = 5/3; λ(−1/2) = 0.5/(7/6) = 3/7 (below λ)
    //   K = 3.75 · (1 + 3/7 · 5/6) = 5.09: −1/2 is out
    const bounds = new ArmDifference({ alpha: 0.5, gridPoints: 4 });
    const lows = [1, 2, 3].map(() => {
      bounds.add(1, true, 0.5);
      return bounds.low;
    });
    expect(lows).toEqual([-1, -1, -0.5]);
    expect(bounds.high).toBe(1);
  });

  test.each([
    [0.1, 0.8, 0.8],
    [0.5, 0.5, 0.5],
    [0.95, 0.7, 0.6],
  ])('at a share of %s misses the truth at any time in at most 5 %% of streams', (share, candidate, incumbent) => {
    let missed = 0;
    for (let seed = 1; seed <= 300; seed++) {
      if (stream(seed, share, candidate, incumbent, 600).missed) missed++;
    }
    expect(missed).toBeLessThanOrEqual(0.05 * 300);
    expect(missed).toBeGreaterThan(0); // that it can fail at all
  });

  test('tells a worse arm from a better one, either way', () => {
    expect(stream(5, 0.5, 0.5, 0.8, 1500).high).toBeLessThan(0);
    expect(stream(5, 0.5, 0.8, 0.5, 1500).low).toBeGreaterThan(0);
  });

  test('the other way round it is its own mirror', () => {
    const random = seededRandom(3);
    const [one, other] = [new ArmDifference(), new ArmDifference()];
    for (let i = 0; i < 400; i++) {
      const [isCandidate, reward] = [random() < 0.3, random()];
      one.add(reward, isCandidate, isCandidate ? 0.3 : 0.7);
      other.add(reward, !isCandidate, isCandidate ? 0.3 : 0.7);
    }
    expect(other.low).toBeCloseTo(-one.high, 10);
    expect(other.high).toBeCloseTo(-one.low, 10);
  });

  test('only ever narrows, and a share that changes meanwhile is fine', () => {
    const random = seededRandom(9);
    const bounds = new ArmDifference();
    let [low, high] = [-1, 1];
    for (let i = 0; i < 2000; i++) {
      const share = i < 1000 ? 0.1 : 0.5;
      const isCandidate = random() < share;
      bounds.add(random(), isCandidate, isCandidate ? share : 1 - share);
      expect(bounds.low >= low && bounds.high <= high).toBe(true);
      [low, high] = [bounds.low, bounds.high];
    }
    expect(low).toBeGreaterThan(-0.3);
    expect(high).toBeLessThan(0.3);
  });

  test('what could only have been one arm says nothing', () => {
    const bounds = new ArmDifference();
    for (let i = 0; i < 100; i++) bounds.add(1, true, 1);
    expect([bounds.low, bounds.high]).toEqual([-1, 1]);
  });

  test.each([
    [Number.NaN, 0.5],
    [1.1, 0.5],
    [0.5, 0],
    [0.5, 1.5],
    [0.5, Number.NaN],
  ])('a reward of %s with a probability of %s is refused', (reward, probability) => {
    expect(() => new ArmDifference().add(reward, true, probability)).toThrow(
      expect.objectContaining({ code: 'UNDEFINED_METRIC' }),
    );
  });
});
