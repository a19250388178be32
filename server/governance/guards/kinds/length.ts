/** Bounds on how much is asked or answered: cheap, and what stops a pasted log or an answer without end. */
import { type Guard, NOTHING } from '../plug-in.ts';
import type { LengthRule } from './rules.ts';

export function length({ minChars = 0, maxChars = Number.POSITIVE_INFINITY }: LengthRule): Guard {
  return {
    judge: ({ chars }) => (chars > maxChars ? { too_long: 1 } : chars < minChars ? { too_short: 1 } : NOTHING),
    mostChars: maxChars,
  };
}
