/** The text that is routed on: the last user turn, what it follows, head and tail of what is long. */
import { canonicalText } from '../encoder/canonical-text.ts';
import { isEmptyTalk } from '../encoder/empty-talk.ts';

/** Characters kept of a routed text: what stands first and what stands last tell most. */
const HEAD_CHARS = 2800;
const TAIL_CHARS = 1200;
/** Earlier user turns that are routed on, and the characters they share: what a short one leaves goes to the other. */
const EARLIER_TURNS = 2;
const EARLIER_CHARS = 2000;
/** No greeting is longer. */
const LONGEST_EMPTY = 200;

/** The text routed for a bare prompt, as in datasets: the same cut as for a request. */
export const promptText = (text: string): string => cut(text, HEAD_CHARS, TAIL_CHARS);

/**
 * A follow-up and what it follows: a short one would mean nothing by itself. Turns that are but a greeting or
 * thanks are passed over, and every turn is freed of such talk, which would stand in the middle of the text.
 * Turns are joined by a blank: the lines of a text are counted, and a turn is no line of the task.
 */
export function withContext(last: string, before: readonly string[]): string {
  const earlier: string[] = [];
  for (let k = before.length - 1; k >= 0 && earlier.length < EARLIER_TURNS; k--) {
    if (before[k]!.length > LONGEST_EMPTY || !isEmptyTalk(before[k]!)) earlier.unshift(before[k]!);
  }
  if (earlier.length === 0) return promptText(last);
  const shortest = Math.min(...earlier.map((turn) => turn.length));
  const most = earlier.length === 1 ? EARLIER_CHARS : Math.max(EARLIER_CHARS / 2, EARLIER_CHARS - shortest);
  const context = earlier.map((turn) => `${canonicalText(cut(turn, 0.7 * most, 0.3 * most))} `).join('');
  return context + canonicalText(cut(last, HEAD_CHARS - context.length, TAIL_CHARS));
}

function cut(text: string, head: number, tail: number): string {
  return text.length <= head + tail ? text : `${text.slice(0, head)}\n${text.slice(text.length - tail)}`;
}
