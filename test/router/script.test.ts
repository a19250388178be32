/** Which script a text is told to be in. */
import { expect, test } from 'vitest';
import { scriptOf } from '../../router/request/script.ts';
import { readRequest } from '../../router/request.ts';

test.each([
  ['What is 12 × 12?', undefined],
  ['Größe, naïve café, œuvre', undefined],
  ['12345 !? 😀', undefined],
  ['', undefined],
  ['Сколько будет дважды два?', 'cyrillic'],
  ['Translate "привет" into English, please', undefined],
  ['一加一等于几？', 'han'],
  ['東京の天気はどうですか', 'kana'],
  ['오늘 날씨 어때요', 'hangul'],
  ['كم عدد أيام السنة؟', 'arabic'],
  ['मुझे एक कविता सुनाओ', 'devanagari'],
  ['Πόσο κάνει 2 και 2;', 'greek'],
  ['ᚠᚢᚦᚨᚱᚲ', 'other'],
])('%s', (text, script) => {
  expect(scriptOf(text)).toBe(script);
});

test('a long text is looked at no further than its beginning', () => {
  expect(scriptOf(`${'a'.repeat(400)}${'я'.repeat(10_000)}`)).toBeUndefined();
});

test('it is a fact of a request, left out where most have it', () => {
  const factsOf = (content: string) => readRequest({ messages: [{ role: 'user', content }] }).facts;
  expect(factsOf('Сколько будет дважды два?').script).toBe('cyrillic');
  expect(factsOf('How much is two times two?')).not.toHaveProperty('script');
});
