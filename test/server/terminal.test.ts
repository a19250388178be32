import fc from 'fast-check';
import { expect, test } from 'vitest';
import { filled, shortened } from '../../server/terminal.ts';

test('text is put in lines of the room there is, each under the first', () => {
  expect(filled('  quality  ', 'one two three four', 20)).toEqual([
    '  quality  one two',
    '           three',
    '           four',
  ]);
  expect(filled('  ', 'one two', undefined)).toEqual(['  one two']);
});

test('no line is longer than its room but for a word that is, and no word is lost', () => {
  const word = fc.stringMatching(/^[a-z,]{1,30}$/);
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 40 }), fc.integer({ min: 4, max: 100 }), (words, room) => {
      const lines = filled('  ', words.join(' '), room);
      expect(lines.flatMap((line) => line.trim().split(' '))).toEqual(words);
      for (const line of lines) if (line.length > room) expect(line.trim()).not.toContain(' ');
    }),
  );
});

test('an id that is too long keeps both ends', () => {
  expect(shortened('openai/gpt-6-luna', 17)).toBe('openai/gpt-6-luna');
  expect(shortened('fireworks/accounts/fireworks/models/deepseek-v4', 24)).toBe('firewor\u2026dels/deepseek-v4');
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 80 }), fc.integer({ min: 4, max: 60 }), (id, width) => {
      const text = shortened(id, width);
      expect(text.length).toBe(Math.min(id.length, width));
      if (id.length > width)
        expect([id.startsWith(text.split('\u2026')[0]!), id.endsWith(text.at(-1)!)]).toEqual([true, true]);
    }),
  );
});
