/** Whether an answer says what was expected, however it is spaced, capitalised and ended. */

/**
 * Equal after Unicode's NFKC, white space → one space each, small letters, without punctuation at the end.
 *
 * @returns null where the expectation holds no letter or sign that counts
 */
export function isSame(answer: string, expected: string): boolean | null {
  const wanted = normalised(expected);
  return wanted === '' ? null : normalised(answer) === wanted;
}

export function normalised(text: string): string {
  const plain = text.normalize('NFKC').toLowerCase().replace(/\s+/gu, ' ').trim();
  let end = plain.length;
  // By hand: an expression anchored at the end is tried anew at every point of a row of them.
  while (end > 0 && ENDS.has(plain[end - 1]!)) end--;
  return plain.slice(0, end);
}

const ENDS: ReadonlySet<string> = new Set(' .,;:!?…。、');
