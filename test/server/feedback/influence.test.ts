/** Caps on the influence of teams and keys: whom they hold back, and by how much. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { influenceWeights } from '../../../server/feedback/influence.ts';

type Row = Parameters<typeof influenceWeights>[0][number];

/** `count` rows of weight 1 of one key. */
const rows = (tenant: string, key: string | null, count: number, weight = 1): Row[] =>
  Array.from({ length: count }, () => ({ tenant, key, weight }));

function shares(samples: readonly Row[], caps: Parameters<typeof influenceWeights>[1], by: (row: Row) => string) {
  const multipliers = influenceWeights(samples, caps);
  const sums = new Map<string, number>();
  let total = 0;
  samples.forEach((row, i) => {
    const w = row.weight * multipliers[i]!;
    total += w;
    sums.set(by(row), (sums.get(by(row)) ?? 0) + w);
  });
  return new Map([...sums].map(([name, w]) => [name, w / total]));
}
const byTeam = ({ tenant }: Row) => tenant;
const byKey = ({ tenant, key }: Row) => `${tenant}/${key}`;
const CAPS = { maxTeamShare: 0.5, maxKeyShare: 0.25 };

test('a team of two thirds is held to a half; rows of the others are untouched', () => {
  const samples = [...rows('a', 'x', 12), ...rows('b', 'y', 4), ...rows('c', 'z', 2)];
  const multipliers = influenceWeights(samples, { maxTeamShare: 0.5, maxKeyShare: 1 });
  // 12 → 6, as the others have 6 together.
  expect(multipliers[0]).toBeCloseTo(0.5, 12);
  expect([...multipliers.slice(12)]).toEqual(Array(6).fill(1));
});

test('of one team’s many keys one is held to its share', () => {
  const samples = [...rows('a', 'loud', 10), ...['k', 'l', 'm', 'n', 'o', 'p'].flatMap((key) => rows('a', key, 2))];
  // 10 → 4: a quarter of 16.
  expect(shares(samples, CAPS, byKey).get('a/loud')).toBeCloseTo(0.25, 12);
  expect(shares(samples, CAPS, byTeam).get('a')).toBe(1);
});

test('a team may use its share through a single key', () => {
  const samples = [...rows('a', 'only', 5), ...['k', 'l', 'm'].flatMap((key) => rows('b', key, 2))];
  // One of two teams may have a half, by however many keys: b goes from 6 to 5.
  expect(shares(samples, CAPS, byTeam).get('a')).toBeCloseTo(0.5, 9);
});

test('one team, one key and rows without weight are left alone', () => {
  expect([...influenceWeights(rows('a', null, 3), CAPS)]).toEqual([1, 1, 1]);
  expect([...influenceWeights([...rows('a', null, 2), ...rows('b', null, 1, 0)], CAPS)]).toEqual([1, 1, 1]);
  expect([...influenceWeights([], CAPS)]).toEqual([]);
});

test('a cap never makes a small team more than twice as loud', () => {
  const samples = [...rows('large', 'x', 95), ...rows('small', 'y', 5)];
  // A half each would raise 5 % to 50 %: half of the weight goes, which is 45 of the large one’s.
  const after = shares(samples, { maxTeamShare: 0.5, maxKeyShare: 1 }, byTeam);
  expect(after.get('small')).toBeCloseTo(0.1, 12);
  // 2 · 0.95 − 1
  expect(after.get('large')).toBeCloseTo(0.9, 12);
});

test('weights that are given, by age for instance, are what is capped', () => {
  const samples = [...rows('a', 'x', 2), ...rows('b', 'y', 1), ...rows('c', 'z', 1)];
  const caps = { maxTeamShare: 0.5, maxKeyShare: 1 };
  expect([...influenceWeights(samples, caps)]).toEqual([1, 1, 1, 1]);
  const given = influenceWeights(samples, caps, [2, 1, 1, 1]);
  // 3 of 5 → 2 of 4
  expect(given[0]).toBeCloseTo(2 / 3, 12);
});

test.each([0, -1, 1.5, Number.NaN])('a cap of %s is refused', (maxTeamShare) => {
  expect(() => influenceWeights([], { maxTeamShare, maxKeyShare: 0.5 })).toThrow(
    expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining('maxTeamShare') }),
  );
});

describe('whatever the log is like', () => {
  const log = fc
    .array(
      fc.record({
        tenant: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        key: fc.constantFrom('x', 'y', 'z', null),
        count: fc.integer({ min: 1, max: 30 }),
        weight: fc.double({ min: 0, max: 1, noNaN: true }).map((w) => (w < 1e-6 ? 0 : w)),
      }),
      { maxLength: 25 },
    )
    .map((parts) => parts.flatMap(({ tenant, key, count, weight }) => rows(tenant, key, count, weight)));
  const caps = fc.record({
    maxTeamShare: fc.double({ min: 0.05, max: 1, noNaN: true }),
    maxKeyShare: fc.double({ min: 0.05, max: 1, noNaN: true }),
  });
  const total = (samples: readonly Row[], m: ArrayLike<number> = Array(samples.length).fill(1)) =>
    samples.reduce((sum, { weight }, i) => sum + weight * m[i]!, 0);

  test('no weight grows or vanishes, one key’s rows are treated alike, and half of all weight stays', () => {
    fc.assert(
      fc.property(log, caps, (samples, given) => {
        const multipliers = influenceWeights(samples, given);
        const seen = new Map<string, number>();
        samples.forEach((row, i) => {
          const m = multipliers[i]!;
          if (!(m > 0 && m <= 1)) throw new Error(`multiplier ${m}`);
          if (seen.has(byKey(row)) && seen.get(byKey(row)) !== m) throw new Error('a key is torn apart');
          seen.set(byKey(row), m);
        });
        expect(total(samples, multipliers)).toBeGreaterThanOrEqual(0.5 * total(samples) * (1 - 1e-9));
      }),
    );
  });

  test('every team and key is within its cap, or half of all weight is gone', () => {
    fc.assert(
      fc.property(log, caps, (samples, given) => {
        const heard = samples.filter(({ weight }) => weight > 0);
        if (heard.length === 0) return;
        const multipliers = influenceWeights(samples, given);
        if (total(samples, multipliers) <= 0.5 * total(samples) * (1 + 1e-6)) return;
        const keysOf = new Map<string, Set<string>>();
        for (const row of heard) keysOf.set(row.tenant, (keysOf.get(row.tenant) ?? new Set()).add(byKey(row)));
        const teamCap = keysOf.size === 1 ? 1 : Math.max(given.maxTeamShare, 1 / keysOf.size);
        for (const share of shares(samples, given, byTeam).values()) expect(share).toBeLessThanOrEqual(teamCap + 1e-6);
        for (const [key, share] of shares(samples, given, byKey)) {
          const own = Math.max(given.maxKeyShare, teamCap / (keysOf.get(key.split('/')[0]!)?.size ?? 1));
          expect(share).toBeLessThanOrEqual(own + 1e-6);
        }
      }),
    );
  });

  test('what is within its caps already is not touched', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 10 }), fc.integer({ min: 1, max: 5 }), (teams, keys) => {
        const samples = Array.from({ length: teams }, (_, t) =>
          Array.from({ length: keys }, (_, k) => rows(`t${t}`, `k${k}`, 3)).flat(),
        ).flat();
        expect(influenceWeights(samples, { maxTeamShare: 1 / teams, maxKeyShare: 0.05 }).every((m) => m === 1)).toBe(
          true,
        );
      }),
    );
  });
});
