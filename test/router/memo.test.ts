/** What is remembered of texts, and for how long. */
import { expect, test } from 'vitest';
import { memoised } from '../../router/memo.ts';

/** The texts computed, in order. */
function counted(size: number) {
  const computed: string[] = [];
  const memo = memoised(async (text) => {
    computed.push(text);
    return text.length;
  }, size);
  return { memo, computed };
}

test('computes a text once while it is remembered, and forgets the one longest unused', async () => {
  const { memo, computed } = counted(2);
  for (const text of ['a', 'bb', 'a', 'ccc']) expect(await memo(text)).toBe(text.length);
  expect(computed).toEqual(['a', 'bb', 'ccc']);
  await memo('a'); // used after bb: still there
  await memo('bb');
  expect(computed).toEqual(['a', 'bb', 'ccc', 'bb']);
});

test('remembers nothing at size 0', async () => {
  const { memo, computed } = counted(0);
  await memo('a');
  await memo('a');
  expect(computed).toEqual(['a', 'a']);
});

test('tells texts apart that differ in a lone surrogate, an empty one too', async () => {
  const { memo, computed } = counted(10);
  for (const text of ['', '\ud800', '\ud801', '\ufffd', '']) await memo(text);
  expect(computed).toEqual(['', '\ud800', '\ud801', '\ufffd']);
});

test('does not remember a failure', async () => {
  let calls = 0;
  const memo = memoised(async (text) => {
    if (++calls === 1) throw new Error('once');
    return text;
  }, 10);
  await expect(memo('a')).rejects.toThrow('once');
  expect(await memo('a')).toBe('a');
});
