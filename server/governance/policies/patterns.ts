/** Lists of names in which `*` stands for anything, made ready to be asked often. */
import { isAmong } from '../../callers.ts';

export type Matcher = (text: string) => boolean;

/** Exactly as written, but for `*`. */
export function matcherOf(patterns: readonly string[]): Matcher {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')));
  const wild = patterns.filter((pattern) => pattern.includes('*'));
  if (wild.length === 0) return (text) => exact.has(text);
  return (text) => exact.has(text) || isAmong(text, wild);
}

/** Whatever the case: hosts differ in whether they mind it, and a deny-list must not hang on that. */
export function caselessMatcherOf(patterns: readonly string[]): Matcher {
  const matches = matcherOf(patterns.map((pattern) => pattern.toLowerCase()));
  return (text) => matches(text.toLowerCase());
}

/**
 * Whether some text that begins with `prefix` matches: the words before the pattern's first `*` must go on from the
 * prefix, or the prefix from them; what comes after can always be made to fit.
 */
export function reaches(pattern: string, prefix: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern.startsWith(prefix);
  const head = pattern.slice(0, star);
  return head.startsWith(prefix) || prefix.startsWith(head);
}
