import { expect, test } from 'vitest';
import { mixQuality } from '../../../eval/replay/comparison.ts';
import { playCascade, playFixed, playOracle } from '../../../eval/replay/fixed-lives.ts';
import { streamOf } from '../../../eval/replay/stream.ts';
import { byHand, lengthWorld, partFrom } from './worlds.ts';

const rowsOf = (n: number) => Array.from({ length: n }, (_, i) => i);
const sum = (xs: Float64Array) => xs.reduce((a, b) => a + b, 0);
const idOf = (t: number) => `p${t}`;

test('a cascade pays for every call and every judgement, and for none after the last model', () => {
  const part = byHand([
    [
      [1, 0.001],
      [1, 0.01],
    ],
    [
      [0, 0.001],
      [1, 0.01],
    ],
    [
      [0, 0.001],
      [0, 0.01],
    ],
  ]);
  const stream = streamOf(part, rowsOf(3), [], null, 1);
  const life = playCascade(stream, { chain: [0, 1], judgeError: 0, judgeUsd: 0.0002 }, [0, 1], idOf, 1);
  // Good at once: 0.001 + 0.0002. Not good: 0.001 + 0.0002 + 0.01, whether the dear one then solves it or not.
  expect([...life.callsUsd]).toEqual([0.001, expect.closeTo(0.011), expect.closeTo(0.011)]);
  expect([...life.extraUsd]).toEqual([0.0002, 0.0002, 0.0002]);
  expect([...life.quality]).toEqual([1, 1, 0]);
  expect([life.judgements, life.escalated]).toEqual([3, 2]);
});

test('a judge who is always wrong keeps the bad answers and escalates the good ones', () => {
  const part = byHand([
    [
      [1, 0.001],
      [0, 0.01],
    ],
    [
      [0, 0.001],
      [1, 0.01],
    ],
  ]);
  const life = playCascade(
    streamOf(part, rowsOf(2), [], null, 1),
    { chain: [0, 1], judgeError: 1, judgeUsd: 0 },
    [0, 1],
    idOf,
    1,
  );
  expect([...life.quality]).toEqual([0, 0]);
  expect([...life.column]).toEqual([1, 0]);
});

test('the earlier turns are read from the cache by the model that stayed, and anew after a switch', () => {
  // Prompts of 100 tokens, answers of 50; input at 1 and 10 USD per million, cached at a quarter of that.
  const part = byHand([
    [
      [1, 0],
      [0, 0],
    ],
    [
      [1, 0],
      [0, 0],
    ],
    [
      [0, 0],
      [1, 0],
    ],
  ]);
  const sessions = { turns: 1e9, cachedShares: {}, cachedShare: 0.25 };
  const stream = streamOf(part, rowsOf(3), [], sessions, 1);
  expect([...stream.begins]).toEqual([1, 0, 0]);
  // Turn 2: 150 tokens from the cache; turn 3: 300.
  expect([...playFixed(stream, [0, 1]).callsUsd]).toEqual([
    0,
    expect.closeTo((150 * 0.25) / 1e6, 12),
    expect.closeTo((300 * 0.25) / 1e6, 12),
  ]);
  // The oracle goes to the other model at turn 3: 300 tokens at 10 USD, of which the cache would have saved 3/4.
  const oracle = playOracle(stream, 1);
  expect([...oracle.column]).toEqual([0, 0, 1]);
  expect(oracle.callsUsd[2]).toBeCloseTo((300 * 10) / 1e6, 12);
  expect(oracle.switchUsd[2]).toBeCloseTo((300 * 10 * 0.75) / 1e6, 12);
  expect(oracle.switchUsd[1]).toBe(0);
});

test('a known cached price is used in place of the assumed share', () => {
  const cells = rowsOf(2).map(
    () =>
      [
        [1, 0],
        [1, 0],
      ] as [number, number][],
  );
  const sessions = { turns: 1e9, cachedShares: { 'm/0': 0.1 }, cachedShare: 0.25 };
  const stream = streamOf(byHand(cells), rowsOf(2), [], sessions, 1);
  expect(playFixed(stream, [0]).callsUsd[1]).toBeCloseTo((150 * 0.1) / 1e6, 12);
  expect(playFixed(stream, [1]).callsUsd[1]).toBeCloseTo((150 * 10 * 0.25) / 1e6, 12);
});

test('conversations have the length asked for', () => {
  const part = partFrom(lengthWorld(4000));
  const stream = streamOf(part, rowsOf(4000), [], { turns: 5, cachedShares: {}, cachedShare: 0.25 }, 1);
  // 800 expected; binomial with sd 25.
  expect(sum(Float64Array.from(stream.begins))).toBeGreaterThan(700);
  expect(sum(Float64Array.from(stream.begins))).toBeLessThan(900);
});

test('a price holds from its decision on, an unannounced change moves the mean by its delta', () => {
  const part = partFrom(lengthWorld(2000));
  const at = 1001;
  const plain = streamOf(part, rowsOf(2000), [], null, 1);
  const changed = streamOf(
    part,
    rowsOf(2000),
    [
      { kind: 'price', model: 'b/dear', at, factor: 3 },
      { kind: 'quality', model: 'b/dear', at, delta: -0.3 },
    ],
    null,
    1,
  );
  const [before, after] = [plain, changed].map((s) => playFixed(s, [1]));
  const [early, late] = [
    [0, 1000],
    [1000, 2000],
  ] as const;
  const part1 = (xs: Float64Array, [from, to]: readonly [number, number]) => sum(xs.slice(from, to));
  expect(part1(after!.callsUsd, early)).toBe(part1(before!.callsUsd, early));
  expect(part1(after!.callsUsd, late)).toBeCloseTo(3 * part1(before!.callsUsd, late), 8);
  expect(part1(after!.quality, early)).toBe(part1(before!.quality, early));
  // 300 of 1 000 answers fewer; binomial: each good one spoilt with probability 1/3, sd 14.
  const lost = part1(before!.quality, late) - part1(after!.quality, late);
  expect(lost).toBeGreaterThan(240);
  expect(lost).toBeLessThan(360);
});

test('a model that is out is passed over in its outage and at no other time', () => {
  const part = partFrom(lengthWorld(20));
  for (const known of [true, false]) {
    const stream = streamOf(part, rowsOf(20), [{ kind: 'outage', model: 'a/cheap', from: 6, to: 9, known }], null, 1);
    const life = playFixed(stream, [0, 1]);
    expect([...life.column].map((j, t) => (j === 1 ? t + 1 : 0)).filter(Boolean)).toEqual([6, 7, 8, 9]);
    expect(life.failures.reduce((a, b) => a + b, 0)).toBe(known ? 0 : 4);
  }
});

test('where everybody is out nobody answers, and nothing is paid', () => {
  const stream = streamOf(
    byHand([
      [[1, 0.5], null],
      [
        [1, 0.5],
        [1, 1],
      ],
    ]),
    [0, 1],
    [{ kind: 'outage', model: 'm/0', from: 1, to: 1, known: true }],
    null,
    1,
  );
  const life = playOracle(stream, 1);
  expect([...life.column]).toEqual([-1, 0]);
  expect([...life.callsUsd]).toEqual([0, 0.5]);
});

test('a blind mix lies on the line between the two models that cost less and more', () => {
  const singles = [
    { costUsd: 1, quality: 0.2 },
    { costUsd: 2, quality: 0.3 },
    { costUsd: 5, quality: 1 },
  ];
  // Half the way from 1 to 5: 0.2 + 0.8 / 2. Outside: the last one.
  expect(mixQuality(singles, 3)).toBeCloseTo(0.6);
  expect(mixQuality(singles, 0.5)).toBeCloseTo(0.2);
  expect(mixQuality(singles, 9)).toBe(1);
});
