/** What was taken is not taken again, and what is remembered of it stays small whoever sends how much. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TakenOnce } from '../../../../server/governance/access/taken-once.ts';

test('one is taken once while it holds', () => {
  const taken = new TakenOnce(10);
  expect(taken.take('a', 600, 0)).toBe(true);
  expect(taken.take('a', 600, 599)).toBe(false);
  expect(taken.take('b', 700, 599)).toBe(true);
  expect(taken.take('b', 700, 600)).toBe(false);
});

test('beyond the bound the one that was taken first is forgotten, also where all still hold', () => {
  const taken = new TakenOnce(3);
  for (const one of ['a', 'b', 'c', 'd']) expect(taken.take(one, 600, 0)).toBe(true);
  expect(taken.size).toBe(3);
  expect(['d', 'c', 'b'].map((one) => taken.take(one, 600, 0))).toEqual([false, false, false]);
  expect(taken.take('a', 600, 0)).toBe(true);
});

test('never are more remembered than the bound, in whatever order they end', () => {
  const one = fc.record({ state: fc.string({ maxLength: 2 }), until: fc.nat(50), now: fc.nat(50) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(one, { maxLength: 50 }), (most, all) => {
      const taken = new TakenOnce(most);
      for (const { state, until, now } of all) {
        taken.take(state, until, now);
        expect(taken.size).toBeLessThanOrEqual(most);
        expect(taken.take(state, until, now)).toBe(false);
      }
    }),
  );
});
