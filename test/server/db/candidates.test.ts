/** Candidates of a decision, packed and back: every bit of every number, and no bytes that are taken for what they are not. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RankedCandidate } from '../../../router/decision.ts';
import { Roster } from '../../../server/db/candidate-lists.ts';
import {
  MOST_CANDIDATES,
  type Odds,
  packCandidates,
  unpackCandidates,
  unpackDistribution,
} from '../../../server/db/candidates.ts';

const candidate = (model: string, over: Partial<RankedCandidate> = {}): RankedCandidate => ({
  ...{ model, like: model, quality: 0.9, qualitySd: 0.5, outputTokens: 200, costUsd: 0.1 + 0.2, adequate: true },
  ...over,
});

/** Bytes of its own: those that packing gives are overwritten by the next. */
const packed = (ranked: readonly RankedCandidate[], distribution: readonly Odds[] = [], roster = new Roster()) => {
  const all = packCandidates(ranked, distribution, roster);
  return all && { ...all, bytes: Buffer.from(all.bytes) };
};

const oddsOf = (ranked: readonly RankedCandidate[], probability = (_: number) => 1 / 3): Odds[] =>
  ranked.map(({ model }, i) => ({ model, probability: probability(i) }));

test('the layout is what is written down', () => {
  const ranked = [candidate('b', { quality: 0.1 }), candidate('a', { like: 'z', quality: 0.2, adequate: false })];
  const { list, bytes, hasDistribution } = packed(ranked, oddsOf(ranked))!;
  expect(hasDistribution).toBe(true);
  // In the order of names.
  expect([list.models, list.likes]).toEqual([
    ['a', 'b'],
    ['z', 'b'],
  ]);
  const f64 = (...values: number[]) => values.flatMap((value) => [...new Uint8Array(Float64Array.of(value).buffer)]);
  const f32 = (...values: number[]) => values.flatMap((value) => [...new Uint8Array(Float32Array.of(value).buffer)]);
  expect([...bytes]).toEqual([
    ...[1, 2, 2, 0], // version, probabilities follow, n = 2
    ...[1, 0], // b is the second of the list
    0b01, // the first alone is adequate
    ...[8, ...f64(0.1, 0.2)], // two doubles: 16 bytes, a table of them 19
    ...[4, ...f32(0.5, 0.5)], // a float32 each: 8 bytes
    ...[4, ...f32(200, 200)],
    ...[1, 1, ...f64(0.1 + 0.2), 0, 0], // one double, twice: 11 bytes instead of 16
    ...[1, 1, ...f64(1 / 3), 0, 0],
  ]);
});

const aNumber = fc.oneof(
  fc.double(),
  fc.float(),
  fc.constantFrom(0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 1 / 3),
);
const aCandidate = fc.record(
  {
    model: fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.string({ maxLength: 5 })),
    like: fc.constantFrom('a', 'b', '(average)'),
    quality: aNumber,
    qualitySd: aNumber,
    outputTokens: aNumber,
    costUsd: aNumber,
    adequate: fc.boolean(),
  },
  { noNullPrototype: true },
) as fc.Arbitrary<RankedCandidate>;
const candidates = fc.array(aCandidate, { minLength: 2, maxLength: 60 });

test('any candidates come back to the last bit, whatever came before them', () => {
  const roster = new Roster();
  fc.assert(
    fc.property(candidates, fc.array(aNumber, { minLength: 60, maxLength: 60 }), (ranked, numbers) => {
      const odds = oddsOf(ranked, (i) => numbers[i]!);
      const { bytes, list } = packed(ranked, odds, roster)!;
      // toStrictEqual tells 0 from −0, and takes NaN for what it is.
      expect(unpackCandidates(bytes, list)).toStrictEqual({ ranked, distribution: odds });
      expect(unpackDistribution(bytes, list)).toStrictEqual(odds);
    }),
  );
});

test('probabilities of other models, or in another order, are left to whoever has them', () => {
  const ranked = [candidate('a'), candidate('b')];
  for (const odds of [[], oddsOf(ranked).reverse(), oddsOf([...ranked, candidate('c')])]) {
    const { bytes, list, hasDistribution } = packed(ranked, odds)!;
    expect(hasDistribution).toBe(false);
    expect(unpackCandidates(bytes, list)).toEqual({ ranked, distribution: null });
    expect(unpackDistribution(bytes, list)).toBeNull();
  }
});

test('what only JSON can hold is not packed', () => {
  const two = [candidate('a'), candidate('b')];
  expect(packed(two)).not.toBeNull();
  expect(packed([])).toBeNull();
  expect(packed(two.slice(0, 1))).toBeNull();
  for (const field of Object.keys(two[0]!)) {
    const { [field as 'model']: _, ...without } = two[1]!;
    expect(packed([two[0]!, without as RankedCandidate]), field).toBeNull();
    expect(packed([two[0]!, { ...two[1]!, [field]: null } as never]), field).toBeNull();
  }
  expect(packed([two[0]!, null as never])).toBeNull();
  // The database would keep another name.
  for (const name of ['a\0', '\ud800', 'x\udc00y']) expect(packed([two[0]!, candidate(name)])).toBeNull();
});

test('a huge list is packed up to 65 535 candidates', () => {
  const many = Array.from({ length: MOST_CANDIDATES }, (_, i) => candidate(`m${i}`, { quality: i / 7 }));
  const { bytes, list } = packed(many, oddsOf(many))!;
  // In a tenth of the time that `toEqual` takes.
  expect(isDeepStrictEqual(unpackCandidates(bytes, list), { ranked: many, distribution: oddsOf(many) })).toBe(true);
  expect(packed([...many, candidate('one more')])).toBeNull();
}, 30_000);

describe('bytes that were damaged', () => {
  const ranked = Array.from({ length: 9 }, (_, i) => candidate(`m${i}`, { quality: i / 7, like: 'm0' }));
  const { bytes, list } = packed(ranked, oddsOf(ranked))!;
  const damaged = expect.objectContaining({ name: 'RoutingError', code: 'RECORD_DAMAGED' });
  const thrownBy = (work: () => unknown): unknown => {
    try {
      work();
    } catch (error) {
      return error;
    }
    return null;
  };

  test('are told for what they are, wherever they end, and when something follows', () => {
    for (const unpack of [unpackCandidates, unpackDistribution]) {
      for (let length = 0; length < bytes.length; length++) {
        expect(
          thrownBy(() => unpack(bytes.subarray(0, length), list)),
          `${length} bytes`,
        ).toEqual(damaged);
      }
      expect(thrownBy(() => unpack(Buffer.concat([bytes, Buffer.of(0)]), list))).toEqual(damaged);
    }
  });

  test('are told where they name a place that the list has not, or a version that nobody knows', () => {
    expect(thrownBy(() => unpackCandidates(bytes, { ...list, models: list.models.slice(0, 8) }))).toEqual(damaged);
    const newer = Buffer.from(bytes);
    newer[0] = 2;
    expect(thrownBy(() => unpackCandidates(newer, list))).toMatchObject({
      code: 'RECORD_DAMAGED',
      message: expect.stringContaining('version 2'),
    });
  });

  test('are candidates or an error of this code, whatever they are', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // Nearly right.
      fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)).map(([at, byte]) => {
        const copy = Uint8Array.from(bytes);
        copy[at] = byte;
        return copy;
      }),
    );
    fc.assert(
      fc.property(any, (raw) => {
        const error = thrownBy(() => unpackCandidates(raw, list));
        if (error !== null) expect(error).toEqual(damaged);
        const other = thrownBy(() => unpackDistribution(raw, list));
        if (other !== null) expect(other).toEqual(damaged);
      }),
    );
  });
});

describe('the list', () => {
  const listOf = (roster: Roster, ...models: string[]) =>
    packed(
      models.map((model) => candidate(model)),
      [],
      roster,
    )!.list;

  test('is one for all requests among the same candidates, whichever are ruled out', () => {
    const roster = new Roster();
    const all = listOf(roster, 'c', 'a', 'b');
    expect(listOf(roster, 'b', 'a')).toBe(all);
    expect(listOf(roster, 'c', 'b', 'a')).toBe(all);
    expect(listOf(roster, 'd', 'a').models).toEqual(['a', 'b', 'c', 'd']);
  });

  test('has the same hash for the same names, in whichever order they were seen', () => {
    const [one, other] = [new Roster(), new Roster()];
    listOf(one, 'a', 'b');
    expect(listOf(one, 'c', 'd').hash).toBe(listOf(other, 'd', 'c', 'b', 'a').hash);
    expect(listOf(new Roster(), 'a', 'b').hash).not.toBe(listOf(new Roster(), 'a', 'c').hash);
  });

  test('tells a candidate from the same one once it is predicted like another', () => {
    const roster = new Roster();
    const before = [candidate('new', { like: '(average)' }), candidate('old')];
    const after = [candidate('new', { like: 'old' }), candidate('old')];
    packed(before, [], roster);
    const { bytes, list } = packed(after, [], roster)!;
    expect(unpackCandidates(bytes, list).ranked).toEqual(after);
    const again = packed(before, [], roster)!;
    expect(again.list).toBe(list);
    expect(unpackCandidates(again.bytes, list).ranked).toEqual(before);
  });

  test('begins anew where it would grow without end', () => {
    const roster = new Roster();
    for (let from = 0; from < 5000; from += 100) {
      const ranked = Array.from({ length: 100 }, (_, i) => candidate(`m${from + i}`));
      const { bytes, list } = packed(ranked, [], roster)!;
      expect(list.models.length).toBeLessThanOrEqual(4096);
      expect(unpackCandidates(bytes, list).ranked).toEqual(ranked);
    }
  });
});
