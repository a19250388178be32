/** Ways of pooling, worked by hand on three tokens of two numbers. */
import { expect, test } from 'vitest';
import { normalise, type Pooling, pool } from '../../../../router/encoder/transformer/pooling.ts';

const tokens = Float32Array.of(1, 2, 3, -4, 5, 8);

test.each<[Pooling, number[]]>([
  ['cls', [1, 2]],
  ['lasttoken', [5, 8]],
  ['max', [5, 8]],
  ['mean', [3, 2]], // 9 / 3, 6 / 3
  ['mean_sqrt_len_tokens', [9 / Math.sqrt(3), 6 / Math.sqrt(3)]],
  ['weightedmean', [22 / 6, 18 / 6]], // (1·1 + 2·3 + 3·5) / 6, (1·2 − 2·4 + 3·8) / 6
])('%s', (pooling, expected) => {
  const z = pool(tokens, 2, [pooling]);
  expect(z).toHaveLength(2);
  for (const [j, value] of expected.entries()) expect(z[j]).toBeCloseTo(value, 5);
});

test('several ways stand one after the other', () => {
  expect([...pool(tokens, 2, ['cls', 'mean'])]).toEqual([1, 2, 3, 2]);
});

test('the maximum of negative numbers is negative, and one token is its own pool', () => {
  expect([...pool(Float32Array.of(-3, -1, -2, -5), 2, ['max'])]).toEqual([-2, -1]);
  expect([...pool(Float32Array.of(7, 8), 2, ['mean', 'max', 'weightedmean'])]).toEqual([7, 8, 7, 8, 7, 8]);
});

test('pooling leaves the tokens as they were', () => {
  const before = [...tokens];
  normalise(pool(tokens, 2, ['cls']));
  pool(tokens, 2, ['max']);
  expect([...tokens]).toEqual(before);
});

test('a vector is scaled to length 1, and zeros stay zeros', () => {
  const z = normalise(Float32Array.of(3, 0, 4));
  expect(z[0]).toBeCloseTo(0.6, 6);
  expect(z[2]).toBeCloseTo(0.8, 6);
  expect([...normalise(new Float32Array(3))]).toEqual([0, 0, 0]);
});
