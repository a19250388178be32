/** The mean of the weights tells wrong propensities from right ones: seldom a false alarm, and no miss that matters. */
import { describe, expect, test } from 'vitest';
import { deriveSeed, seededRandom } from '../../../datasets/index.ts';
import { type Diagnostics, diagnose, flagsOf } from '../../../eval/ope/diagnostics.ts';

type Odds = readonly number[];

/** Draws by `odds`, writes down `logged`, and judges `policy`; two rows a session. Null where it takes no logged action. */
function judged(n: number, odds: Odds, logged: Odds, policy: Odds, seed: number): Diagnostics | null {
  const random = seededRandom(deriveSeed(seed, 'mean-weight'));
  const names = odds.map((_, a) => `m${a}`);
  const drawn = Array.from({ length: n }, () => {
    let a = 0;
    for (let u = random() - odds[0]!; u >= 0 && a < odds.length - 1; u -= odds[a]!) a++;
    return a;
  });
  const weights = Float64Array.from(drawn, (a) => policy[a]! / logged[a]!);
  if (!weights.some((w) => w > 0)) return null;
  return diagnose({
    weights,
    sessions: drawn.map((_, i) => i >> 1),
    models: drawn.map(() => names),
    target: drawn.map(() => policy),
    logging: drawn.map(() => logged),
    drawn: new Set(drawn.map((a) => names[a]!)),
  });
}

const alarmed = (d: Diagnostics | null) => d !== null && flagsOf(d, 0).some(({ code }) => code === 'mean-weight');

/** Share of logs that are flagged. */
function alarms(logs: number, n: number, odds: Odds, logged: Odds, policy: Odds): number {
  let count = 0;
  for (let seed = 1; seed <= logs; seed++) count += alarmed(judged(n, odds, logged, policy, seed)) ? 1 : 0;
  return count / logs;
}

describe('right propensities', () => {
  const policies: [string, Odds][] = [
    ['always the usual model', [1, 0]],
    ['always the rare model', [0, 1]],
    ['both alike', [0.5, 0.5]],
  ];
  const cases = [0.001, 0.003, 0.01, 0.05, 0.2, 0.5].flatMap((rate) =>
    policies.map(([name, policy]) => [name, rate, policy] as const),
  );

  // At a true rate of 5 %, 300 logs of one case give more than 8 % one time in 100; with seeds that are fixed, never.
  const found: number[] = [];
  test.each(cases)('%s is hardly ever flagged where the other model is drawn at a rate of %s', (_, rate, policy) => {
    const odds = [1 - rate, rate];
    const share = alarms(300, 800, odds, odds, policy);
    found.push(share);
    expect(share).toBeLessThanOrEqual(0.08);
  });

  test('over all these logs, one in twenty at most is flagged', () => {
    expect(found).toHaveLength(cases.length);
    expect(found.reduce((a, b) => a + b) / found.length).toBeLessThanOrEqual(0.05);
  });

  test('a log that never drew the rare model says so in its standard error', () => {
    // π = always usual: Var(w | x) = 1/0.999 − 1, n = 800 rows
    const odds = [0.999, 0.001];
    const lucky = Array.from({ length: 60 }, (_, seed) => judged(800, odds, odds, [1, 0], seed)!).filter(
      ({ meanWeight }) => meanWeight > 1,
    );
    const unseen = lucky.find(({ meanWeight }) => Math.abs(meanWeight - 1 / 0.999) < 1e-9)!;
    expect(unseen.meanWeightSe).toBeCloseTo(Math.sqrt((1 / 0.999 - 1) / 800), 12);
    // (1/0.999 − 1) / √((1/0.999 − 1) / 800) = √(800 · 0.001001)
    expect(unseen.meanWeightZ).toBeCloseTo(Math.sqrt(800 * (1 / 0.999 - 1)), 6);
    expect(alarmed(unseen)).toBe(false);
  });

  test('what could not be drawn is missing from the mean, and no fault of the propensities', () => {
    // A third of the policy’s mass is on a model of propensity 0: the mean weight is 2/3, Var(w | x) = 4/9 · (1/2 + 1/2) − 4/9.
    const d = judged(900, [0.5, 0.5, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], 1)!;
    expect(d.meanWeight).toBeCloseTo(2 / 3, 9);
    expect(flagsOf(d, 0).map(({ code }) => code)).toEqual(['no-overlap']);
  });

  test('propensities in single precision are no wrong ones', () => {
    const logged = [Math.fround(0.3), Math.fround(0.7)];
    expect(alarmed(judged(800, [0.3, 0.7], logged, [0.3, 0.7], 1))).toBe(false);
  });
});

describe('wrong propensities', () => {
  test.each([
    ['always the usual model', [1, 0]],
    ['always the rare model', [0, 1]],
  ] as [string, Odds][])('swapped ones are flagged always, as far as the policy can be judged: %s', (_, policy) => {
    for (let seed = 1; seed <= 100; seed++) {
      const d = judged(800, [0.999, 0.001], [0.001, 0.999], policy, seed);
      expect(d === null || alarmed(d)).toBe(true);
    }
  });

  test('rounded to 0.01 they are flagged where there are rows enough to see it', () => {
    // w = 1/0.02 with chance 0.015: mean 0.75; SE √(49 / 20 000) = 0.05, five of them away
    expect(alarms(50, 20_000, [0.985, 0.015], [0.98, 0.02], [0, 1])).toBeGreaterThan(0.95);
    // Always the usual one: 0.985/0.98 = 1.0051; SE √((1/0.98 − 1) / 20 000) = 0.0010
    expect(alarms(50, 20_000, [0.985, 0.015], [0.98, 0.02], [1, 0])).toBeGreaterThan(0.95);
  });

  test('wrong by a factor of two', () => {
    // Drawn in 10 %, logged 20 %: mean 0.5; SE of the log √(4 / 800) = 0.07
    expect(alarms(100, 800, [0.9, 0.1], [0.8, 0.2], [0, 1])).toBe(1);
    // Logged 5 %: mean 2; SE as observed √(20² · 0.09 / 800) = 0.21
    expect(alarms(100, 800, [0.9, 0.1], [0.95, 0.05], [0, 1])).toBeGreaterThan(0.95);
  });

  test('rows that were dropped because of what was drawn', () => {
    // Half of the rare draws are lost: 0.1 · ½ / 0.95 = 0.0526 of what is left instead of 0.1
    expect(alarms(100, 800, [0.9474, 0.0526], [0.9, 0.1], [0, 1])).toBeGreaterThan(0.9);
  });
});
