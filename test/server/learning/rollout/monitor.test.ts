import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../../datasets/index.ts';
import type { GateSays } from '../../../../server/learning/rollout/begin.ts';
import {
  nextMove,
  nextShadowMove,
  type ShadowNumbers,
  type TrialNumbers,
  TrialTally,
} from '../../../../server/learning/rollout/monitor.ts';

const LIMITS = { shadowDecisions: 200, canaryOutcomes: 200, maxQualityLoss: 0.05, maxOutcomes: 5000 };
const NO_FAILURES = { count: 0, code: '' };

const numbers = (over: Partial<TrialNumbers> & { units?: [number, number] } = {}): TrialNumbers => {
  const [candidate, incumbent] = over.units ?? [250, 2250];
  return {
    candidate: { units: candidate, quality: 0.8 },
    incumbent: { units: incumbent, quality: 0.8 },
    difference: 0,
    low: -0.2,
    high: 0.1,
    ...over,
  };
};
const canary = (of: TrialNumbers, gate: GateSays = 'insufficient', failures = NO_FAILURES) =>
  nextMove('canary', { gate, mustBeBetter: false }, of, failures, LIMITS);
const watch = (of: TrialNumbers) =>
  nextMove('watch', { gate: 'promote', mustBeBetter: false }, of, NO_FAILURES, LIMITS);

describe('a canary', () => {
  test('waits while nothing is told', () => {
    expect(canary(numbers()).kind).toBe('wait');
    expect(canary(numbers({ units: [0, 0], difference: null, low: -1, high: 1 }), 'promote').kind).toBe('wait');
  });

  test('is stopped, and turned down, as soon as all of the bounds lie below 0', () => {
    const move = canary(numbers({ units: [12, 100], difference: -0.4, low: -0.7, high: -0.01 }), 'promote');
    expect(move).toMatchObject({ kind: 'stop', turnedDown: true });
    expect(move).toMatchObject({ reason: expect.stringMatching(/−0\.400 \(−0\.700 to −0\.010/) });
    expect(canary(numbers({ high: 0 })).kind).toBe('wait');
  });

  test('is promoted when it is shown to lose no more than allowed, and enough of its answers were judged', () => {
    expect(canary(numbers({ low: -0.049 })).kind).toBe('promote');
    expect(canary(numbers({ low: -0.05 })).kind).toBe('wait');
    expect(canary(numbers({ low: -0.049, units: [199, 2000] })).kind).toBe('wait');
  });

  test('is promoted, where the gate passed it, when enough was judged and does not speak against it', () => {
    expect(canary(numbers({ difference: -0.05 }), 'promote').kind).toBe('promote');
    expect(canary(numbers({ difference: -0.051 }), 'promote').kind).toBe('wait');
    expect(canary(numbers({ difference: -0.05, units: [199, 2000] }), 'promote').kind).toBe('wait');
    expect(canary(numbers({ difference: 0.1 }), 'insufficient').kind).toBe('wait');
  });

  test('that costs more must be shown to answer better, unless the gate has seen that', () => {
    const dearer = (gate: GateSays, of: TrialNumbers) =>
      nextMove('canary', { gate, mustBeBetter: true }, of, NO_FAILURES, LIMITS);
    expect(dearer('insufficient', numbers({ low: -0.01 })).kind).toBe('wait');
    expect(dearer('insufficient', numbers({ low: 0.001 }))).toMatchObject({
      kind: 'promote',
      reason: expect.stringMatching(/^better answers, for which it may cost more/),
    });
    expect(dearer('promote', numbers({ low: -0.01 })).kind).toBe('promote');
  });

  test('that shows nothing ends without effect', () => {
    expect(canary(numbers({ units: [500, 4499] })).kind).toBe('wait');
    const move = canary(numbers({ units: [500, 4500] }));
    expect(move).toMatchObject({ kind: 'stop', turnedDown: false });
    expect(move).toMatchObject({ reason: expect.stringMatching(/insufficient evidence: after 5000 judged/) });
  });

  test('is stopped when the router on trial keeps failing; once may be chance', () => {
    expect(canary(numbers(), 'promote', { count: 2, code: 'INTERNAL' }).kind).toBe('promote');
    expect(canary(numbers(), 'promote', { count: 3, code: 'INTERNAL' })).toMatchObject({
      kind: 'stop',
      turnedDown: true,
      reason: expect.stringMatching(/could not decide 3 requests \(INTERNAL\)/),
    });
  });
});

describe('one of several teams', () => {
  const unit = (team: string, arm: 'candidate' | 'incumbent', quality: number) => ({
    arm,
    armProbability: 0.5,
    quality,
    team,
  });

  test('has no more units than the others together and twenty, once others are there', () => {
    const tally = new TrialTally();
    // Fair, and judged by both; then one that turns against the candidate, as often as it likes.
    for (let i = 0; i < 100; i++) {
      for (const team of ['a', 'b']) tally.add(unit(team, i % 2 === 0 ? 'candidate' : 'incumbent', 0.8));
    }
    for (let i = 0; i < 1000; i++) {
      tally.add(unit('b', i % 2 === 0 ? 'candidate' : 'incumbent', i % 2 === 0 ? 0 : 1));
    }
    const { candidate, incumbent } = tally.numbers;
    expect(candidate.units + incumbent.units).toBe(220);
  });

  test('that is alone has all of them', () => {
    const tally = new TrialTally();
    for (let i = 0; i < 100; i++) tally.add(unit('a', i % 2 === 0 ? 'candidate' : 'incumbent', 1));
    expect(tally.numbers.candidate.units + tally.numbers.incumbent.units).toBe(100);
  });
});

describe('the watch over a promotion', () => {
  test('takes it back as soon as all of the bounds lie below 0', () => {
    expect(watch(numbers({ difference: -0.2, low: -0.4, high: -0.001 })).kind).toBe('roll-back');
  });

  test('ends when it is shown to lose no more than allowed, or nothing at all', () => {
    expect(watch(numbers({ low: -0.01, units: [900, 100] }))).toMatchObject({ kind: 'stop', turnedDown: false });
    expect(watch(numbers({ units: [4500, 500] }))).toMatchObject({ kind: 'stop', turnedDown: false });
    expect(watch(numbers({ units: [900, 100] })).kind).toBe('wait');
  });

  test('does not hold against it what the router before cannot do', () => {
    expect(
      nextMove('watch', { gate: 'promote', mustBeBetter: false }, numbers(), { count: 9, code: 'INTERNAL' }, LIMITS)
        .kind,
    ).toBe('wait');
  });
});

describe('a shadow', () => {
  const shown = (over: Partial<ShadowNumbers> = {}): ShadowNumbers => ({
    decisions: 200,
    missing: 0,
    p99Ms: 3,
    p99InForceMs: 3,
    changed: 0.25,
    ...over,
  });
  const moveAfter = (of: ShadowNumbers, failures = NO_FAILURES) => nextShadowMove(of, failures, LIMITS);

  test('advances after enough decisions', () => {
    expect(moveAfter(shown())).toMatchObject({ kind: 'advance', reason: expect.stringMatching(/25 % choose another/) });
    expect(moveAfter(shown({ decisions: 199 })).kind).toBe('wait');
    expect(moveAfter(shown({ decisions: 0, p99Ms: null, p99InForceMs: null, changed: null })).kind).toBe('wait');
  });

  test('is turned down by one failure', () => {
    expect(moveAfter(shown({ decisions: 7 }), { count: 1, code: 'INTERNAL' })).toMatchObject({
      kind: 'stop',
      turnedDown: true,
    });
  });

  test('that is slower than 15 ms and than twice the router in force is stopped', () => {
    expect(moveAfter(shown({ p99Ms: 15 })).kind).toBe('advance');
    expect(moveAfter(shown({ p99Ms: 16 })).kind).toBe('stop');
    expect(moveAfter(shown({ p99Ms: 39, p99InForceMs: 20 })).kind).toBe('advance');
    expect(moveAfter(shown({ p99Ms: 41, p99InForceMs: 20 })).kind).toBe('stop');
    expect(moveAfter(shown({ missing: 2 })).kind).toBe('advance');
    expect(moveAfter(shown({ missing: 3 })).kind).toBe('stop');
    expect(moveAfter(shown({ missing: 200, p99Ms: null, p99InForceMs: null, changed: null })).kind).toBe('stop');
  });
});

/** Trials to their end, looked at after every conversation. */
function play(
  kind: 'canary' | 'watch',
  gate: GateSays,
  { share, candidate, incumbent, runs }: { share: number; candidate: number; incumbent: number; runs: number },
  limits = LIMITS,
) {
  const ends = { promote: 0, 'roll-back': 0, stop: 0, turnedDown: 0 };
  const lengths: number[] = [];
  for (let run = 1; run <= runs; run++) {
    const random = seededRandom(7919 * run);
    const tally = new TrialTally();
    for (let n = 1; ; n++) {
      const isCandidate = random() < share;
      tally.add({
        arm: isCandidate ? 'candidate' : 'incumbent',
        armProbability: isCandidate ? share : 1 - share,
        quality: random() < (isCandidate ? candidate : incumbent) ? 1 : 0,
      });
      const move = nextMove(kind, { gate, mustBeBetter: false }, tally.numbers, NO_FAILURES, limits);
      if (move.kind === 'wait' || move.kind === 'advance') continue;
      ends[move.kind]++;
      if (move.kind === 'stop' && move.turnedDown) ends.turnedDown++;
      lengths.push(n);
      break;
    }
  }
  lengths.sort((a, b) => a - b);
  return { ...ends, median: lengths[runs >> 1]! };
}

describe('over many trials', () => {
  const RUNS = 100;
  const limits = { ...LIMITS, canaryOutcomes: 100, maxOutcomes: 1500 };

  test('a candidate as good as the incumbent is turned down in at most 5 % of them, and none for ever', () => {
    const asGood = { share: 0.2, candidate: 0.8, incumbent: 0.8, runs: RUNS };
    const { turnedDown, promote, stop } = play('canary', 'insufficient', asGood, limits);
    expect(turnedDown).toBeLessThanOrEqual(0.05 * RUNS);
    expect(promote + stop).toBe(RUNS);
    const watched = play('watch', 'promote', { ...asGood, share: 0.8 }, limits);
    expect(watched['roll-back']).toBeLessThanOrEqual(0.05 * RUNS);
  });

  test('one that is worse by 20 points is turned down, and one that the gate passed by mistake hardly gets through', () => {
    const worse = { share: 0.2, candidate: 0.6, incumbent: 0.8, runs: RUNS };
    const unknown = play('canary', 'insufficient', worse, limits);
    expect(unknown.turnedDown).toBeGreaterThanOrEqual(0.9 * RUNS);
    expect(unknown.promote).toBeLessThanOrEqual(0.05 * RUNS);
    expect(play('canary', 'promote', worse, limits).promote).toBeLessThanOrEqual(0.05 * RUNS);
    const watched = play('watch', 'promote', { ...worse, share: 0.8 }, limits);
    expect(watched['roll-back']).toBeGreaterThanOrEqual(0.9 * RUNS);
  });

  test('one that is better by 10 points is promoted by the canary alone', () => {
    const better = { share: 0.2, candidate: 0.8, incumbent: 0.7, runs: RUNS };
    const { promote, turnedDown } = play('canary', 'insufficient', better, limits);
    expect(promote).toBeGreaterThanOrEqual(0.8 * RUNS);
    expect(turnedDown).toBe(0);
  });
});
