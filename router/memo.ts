/** The last texts and what was predicted of them: an agent sends the same user turn with every step of its work. */
import { RoutingError } from '../datasets/index.ts';

/** Texts that are remembered by default: a few MB. */
export const MEMO = 512;

/**
 * @param compute text → value; a text that is asked for while it is computed is not computed twice, a failure is not kept
 * @param size    least recently used texts beyond this many are forgotten; 0: nothing is remembered
 * @returns the same, remembered. A value is handed to several callers: none may change it
 * @throws `INVALID_CONFIG` when `size` is no count
 */
export function memoised<T>(compute: (text: string) => Promise<T>, size: number): (text: string) => Promise<T> {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new RoutingError('INVALID_CONFIG', `memo: ${size} is no count of texts; 0 remembers none`);
  }
  if (size === 0) return compute;
  const values = new Map<string, Promise<T>>();
  return (text) => {
    const known = values.get(text);
    if (known !== undefined) {
      values.delete(text);
      values.set(text, known);
      return known;
    }
    // A part of a long string keeps the whole alive: this key is a string of its own.
    const key = ` ${text}`.slice(1);
    const value = compute(text);
    values.set(key, value);
    if (values.size > size) values.delete(values.keys().next().value!);
    value.catch(() => {
      if (values.get(key) === value) values.delete(key);
    });
    return value;
  };
}
