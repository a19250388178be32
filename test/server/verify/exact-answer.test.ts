/** Answers that are what was expected, but for how they are written. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSame, normalised } from '../../../server/verify/exact-answer.ts';

test.each<[string, string, boolean | null]>([
  ['Paris', 'paris', true],
  ['  Paris. ', 'Paris', true],
  ['New\n  York', 'new york', true],
  ['ＰＡＲＩＳ', 'paris', true],
  ['Paris', 'London', false],
  ['It is Paris', 'Paris', false],
  ['U.S.', 'u.s', true],
  ['Paris', ' .. ', null],
])('%j for %j: %s', (answer, expected, same) => {
  expect(isSame(answer, expected)).toBe(same);
});

test('what is normalised stays as it is', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => normalised(normalised(text)) === normalised(text)));
});

test('spacing, case and an end mark change nothing', () => {
  const words = fc.array(fc.stringMatching(/^[a-z0-9]{1,8}$/), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(words, fc.constantFrom(' ', '\n', '  \t'), fc.constantFrom('', '.', '!', ' ?'), (all, gap, end) => {
      expect(isSame(` ${all.join(gap).toUpperCase()}${end} `, all.join(' '))).toBe(true);
    }),
  );
});
