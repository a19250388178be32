import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deriveSeed, hash32, hashFraction, mix32, normal, seededRandom, shuffled } from '../../datasets/index.ts';

test('draws the numbers of the published mulberry32', () => {
  // First draws of the reference implementation for seeds 0 and 1.
  expect(seededRandom(0)()).toBe(0.26642920868471265);
  expect(seededRandom(1)()).toBe(0.6270739405881613);
});

test('repeats its stream for one seed, and has another for another', () => {
  const take = (seed: number) => Array.from({ length: 5 }, seededRandom(seed));
  expect(take(7)).toEqual(take(7));
  expect(take(7)).not.toEqual(take(8));
  expect(take(deriveSeed(7, 'folds'))).not.toEqual(take(deriveSeed(7, 'bootstrap')));
});

/** χ² of counts against equal ones. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b) / counts.length;
  return counts.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0);
}

test('draws evenly over [0, 1)', () => {
  const random = seededRandom(3);
  const counts = new Array<number>(64).fill(0);
  for (let i = 0; i < 64_000; i++) {
    const u = random();
    expect(u >= 0 && u < 1).toBe(true);
    counts[Math.floor(u * 64)]!++;
  }
  // 63 degrees of freedom: 103.4 is passed by chance once in 1 000.
  expect(chiSquare(counts)).toBeLessThan(103.4);
});

test('hashes similar names evenly, for splits by hash', () => {
  const counts = new Array<number>(64).fill(0);
  for (let i = 0; i < 64_000; i++) counts[Math.floor(hashFraction(`group-${i}`) * 64)]!++;
  expect(chiSquare(counts)).toBeLessThan(103.4);
});

test('hashes to the same number on every machine', () => {
  expect(hash32('')).toBe(2872998923);
  expect(hash32('a')).toBe(444641715);
  expect(hash32('prüfung')).toBe(1259768187);
  expect(mix32(1)).toBe(1364076727);
  expect(deriveSeed(1, 'x')).toBe(804166841);
});

test('mixes so that one changed input bit changes half of the output bits', () => {
  let changed = 0;
  for (let x = 1; x <= 1000; x++) {
    for (let bit = 0; bit < 32; bit++) {
      let difference = mix32(x) ^ mix32(x ^ (1 << bit));
      for (; difference !== 0; difference &= difference - 1) changed++;
    }
  }
  expect(changed / (1000 * 32 * 32)).toBeCloseTo(0.5, 2);
});

test('shuffles without losing an item or touching the input', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.integer(), (items, seed) => {
      const before = [...items];
      const out = shuffled(items, seededRandom(seed));
      expect(items).toEqual(before);
      expect([...out].sort((a, b) => a - b)).toEqual(before.sort((a, b) => a - b));
    }),
  );
  expect(shuffled([1, 2, 3, 4, 5, 6, 7, 8], seededRandom(7))).toEqual([5, 7, 2, 3, 4, 6, 8, 1]);
});

test('shuffles into every order equally often', () => {
  const random = seededRandom(11);
  const counts = new Map<string, number>();
  for (let i = 0; i < 12_000; i++) {
    const order = shuffled(['a', 'b', 'c'], random).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  // 5 degrees of freedom: 20.5 once in 1 000.
  expect(chiSquare([...counts.values()])).toBeLessThan(20.5);
});

test('draws normal numbers of mean 0 and variance 1', () => {
  const random = seededRandom(5);
  const draws = Array.from({ length: 50_000 }, () => normal(random));
  const mean = draws.reduce((a, b) => a + b) / draws.length;
  const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
  // Standard errors 0.0045 and 0.0063: four of them.
  expect(Math.abs(mean)).toBeLessThan(0.018);
  expect(Math.abs(variance - 1)).toBeLessThan(0.026);
});
