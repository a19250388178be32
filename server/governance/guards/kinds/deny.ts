/** Words and patterns that must not pass; masked as `[REMOVED]`. */
import { nextTurn } from '../breath.ts';
import { endOfPiece, isInOneGo } from '../folded-pieces.ts';
import { type Found, type Guard, NOTHING, type Piece, type Seen } from '../plug-in.ts';
import { type PatternThread, rangesOf } from './deny-patterns.ts';
import { type Range, Words } from './deny-words.ts';
import type { DenyRule } from './rules.ts';

const MASK = '[REMOVED]';

/** What holds at a text's beginning and end, and not at a line's. */
const OF_WHOLES = /[\^$]|\\[AzZ]/;

/** Characters times patterns that are matched at once: some 20 ms. */
const MOST_AT_ONCE = 60_000;

export function deny({ words, patterns, windowChars }: DenyRule, thread: PatternThread): Guard {
  const list = words.length === 0 ? null : new Words(words);
  const find = patterns.length === 0 ? null : rangesOf(patterns);
  const wordsIn = (text: string, from: number) => list?.find(text, from) ?? { ranges: [], open: text.length };

  /** Both in pieces, or in another thread. */
  const lookAtLong = async (text: string): Promise<Seen> => {
    const ranges = list === null ? [] : await wordsInPieces(list, text);
    const isShort = text.length * patterns.length <= MOST_AT_ONCE;
    const matches = find === null ? [] : isShort ? find(text, 0) : await thread.find(patterns, text);
    return masked(text, 0, text.length, ranges, matches);
  };
  const look = (text: string): Seen | Promise<Seen> => {
    if (!isInOneGo(text)) return lookAtLong(text);
    const { ranges } = wordsIn(text, 0);
    if (find === null) return masked(text, 0, text.length, ranges, []);
    if (text.length * patterns.length <= MOST_AT_ONCE) return masked(text, 0, text.length, ranges, find(text, 0));
    return thread.find(patterns, text).then((matches) => masked(text, 0, text.length, ranges, matches));
  };

  return {
    look,
    lookEncoded: async (text) => (await look(text)).found,
    encodedMask: MASK,
    isSeparable: !patterns.some((pattern) => OF_WHOLES.test(pattern.replaceAll('[^', '['))),
    lookAt: ({ text, from, to }: Piece) => masked(text, from, to, wordsIn(text, from).ranges, find?.(text, from) ?? []),
    settled(text, from) {
      const { ranges, open } = wordsIn(text, from);
      const limit = Math.min(open, find === null ? text.length : text.length - windowChars);
      if (limit <= from) return from;
      // A place within something found belongs to it.
      const within = merged([...ranges, ...(find?.(text, from) ?? [])]).find(
        ({ start, end }) => start < limit && limit < end,
      );
      return Math.max(within?.start ?? limit, from);
    },
  };
}

/** The part from `from` to `to`, with what begins there replaced; what overlaps is replaced as one. */
function masked(text: string, from: number, to: number, words: readonly Range[], matches: readonly Range[]): Seen {
  const begins = ({ start }: Range) => start < to;
  const all = merged([...words, ...matches].filter(begins));
  if (all.length === 0) return { text: text.slice(from, to), found: NOTHING };
  let out = '';
  let copied = from;
  for (const { start, end } of all) {
    out += text.slice(copied, start) + MASK;
    copied = end;
  }
  const count = (ranges: readonly Range[]) => merged(ranges.filter(begins)).length;
  const found: Record<string, number> = {};
  if (count(words) > 0) found.word = count(words);
  if (count(matches) > 0) found.pattern = count(matches);
  return { text: out + text.slice(copied, Math.max(copied, to)), found: found satisfies Found };
}

/** Letters of a word, and what is not seen of it, that are still found across the end of a piece. */
const LONGEST_WORD = 10_000;
/** What stands before a word tells whether it is whole. */
const BEFORE = 64;

async function wordsInPieces(list: Words, text: string): Promise<Range[]> {
  const all: Range[] = [];
  for (let at = 0; at < text.length; ) {
    const start = Math.max(0, at - BEFORE);
    const end = endOfPiece(text, at);
    const { ranges } = list.find(text.slice(start, endOfPiece(text, end, LONGEST_WORD)), at - start);
    for (const range of ranges) {
      const one = { start: range.start + start, end: range.end + start };
      if (one.start < end) all.push(one);
    }
    at = end;
    await nextTurn();
  }
  return all;
}

/** In order, those that overlap made one. */
function merged(ranges: readonly Range[]): Range[] {
  const out: Range[] = [];
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last === undefined || range.start >= last.end) out.push(range);
    else if (range.end > last.end) out[out.length - 1] = { start: last.start, end: range.end };
  }
  return out;
}
