/** Texts that stand in another one as base64: read once, one level deep, as whoever asks a model to decode them means them to be. */
import { Breath } from './breath.ts';
import type { Guard, Seen } from './plug-in.ts';

export interface EncodedText {
  /** Of the base64, within the text around it. */
  readonly start: number;
  readonly end: number;
  /** What it says. */
  readonly text: string;
}

/** Characters of base64 from which on it is read; fewer say little. */
export const SHORTEST = 24;
/** Characters of what is decoded from which on it is a text: of random bytes so many look like one in one of two million. */
const SHORTEST_TEXT = 16;
/** Characters of base64 that are read of one text; what follows is not. */
const MOST_CHARS = 256 * 1024;

/** What a text is made of, and bytes by chance hardly ever are. */
const TEXT = new RegExp(`(?:[^\\p{Cc}\\ufffd]|[\\t\\n\\r]){${SHORTEST_TEXT},}`, 'gu');

/**
 * Where it begins within a run of its characters is not known: a word may stand right before it. So it is read from each of
 * the first four on, over all lines of it; and each line by itself, since it may be a text of its own.
 */
export function encodedTextsIn(text: string): EncodedText[] {
  const found: EncodedText[] = [];
  let left = MOST_CHARS;
  for (const { start, end, lines } of runsIn(text)) {
    if (left <= 0) break;
    const run = lines.join('').slice(0, left);
    left -= run.length;
    const read = (base64: string) => {
      const decoded = Buffer.from(base64, 'base64').toString('utf8');
      for (const [one] of decoded.matchAll(TEXT)) found.push({ start, end, text: one });
    };
    for (let skipped = 0; skipped < 4; skipped++) read(run.slice(skipped));
    if (lines.length === 1) continue;
    let chars = 0;
    for (const line of lines) {
      chars += line.length;
      if (chars > run.length) break;
      if (line.length >= SHORTEST) read(line);
    }
  }
  return found;
}

const IN_BASE64 = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9+/_-]/.test(String.fromCharCode(code)) ? 1 : 0,
);
const isOne = (text: string, at: number): boolean => IN_BASE64[text.charCodeAt(at)] === 1;

interface Run {
  readonly start: number;
  readonly end: number;
  /** What of it are its characters, without what stands between. */
  readonly lines: readonly string[];
}

/**
 * What stands between two lines of it: ends of lines, also where they are spelled out, spaces, what cannot be seen, and what
 * quotes a line or sets it in.
 */
const BETWEEN_LINES = /(?:\\r|\\n|[\s\p{Default_Ignorable_Code_Point}>|#*"'`,;]){1,80}/uy;
/** After a line that is so short it is the last one, or a word of those that stand beside it. */
const WORD_FOLLOWS = /[ \t]+[\p{L}\p{N}]/uy;

/**
 * Runs of its characters, over the lines that it is wrapped at. Few places are looked at: a run covers one in so many. It goes
 * on after a line of 24 characters and more, so the last line alone may be shorter.
 */
function* runsIn(text: string): Generator<Run> {
  for (let i = SHORTEST - 1; i < text.length; ) {
    if (!isOne(text, i)) {
      i += SHORTEST;
      continue;
    }
    let start = i;
    while (start > 0 && isOne(text, start - 1)) start--;
    let end = endOfLine(text, start);
    const lines = [text.slice(start, end)];
    for (let last = end - start; last >= SHORTEST; ) {
      BETWEEN_LINES.lastIndex = end;
      if (!BETWEEN_LINES.test(text)) break;
      const line = BETWEEN_LINES.lastIndex;
      const lineEnd = endOfLine(text, line);
      last = lineEnd - line;
      WORD_FOLLOWS.lastIndex = lineEnd;
      if (last === 0 || (last < SHORTEST && WORD_FOLLOWS.test(text))) break;
      lines.push(text.slice(line, lineEnd));
      end = lineEnd;
    }
    const isLong = end - start >= SHORTEST;
    for (let padding = 0; padding < 2 && text[end] === '='; padding++) end++;
    if (isLong) yield { start, end, lines };
    i = end + SHORTEST - 1;
  }
}

function endOfLine(text: string, from: number): number {
  let end = from;
  while (end < text.length && isOne(text, end)) end++;
  return end;
}

/** The guardrail, where it also looks into base64. */
export function readingEncoded(guard: Guard): Guard {
  const { look, lookEncoded } = guard;
  if (look === undefined || lookEncoded === undefined) return guard;
  return {
    ...guard,
    look(text, voice) {
      const encoded = encodedTextsIn(text);
      return encoded.length === 0 ? look(text, voice) : lookAtBoth(guard, encoded, text, voice);
    },
  };
}

async function lookAtBoth(
  { look, lookEncoded, encodedMask = '' }: Guard,
  encoded: readonly EncodedText[],
  text: string,
  voice: Parameters<NonNullable<Guard['look']>>[1],
): Promise<Seen> {
  const sum: Record<string, number> = {};
  let isFound = false;
  const add = (found: Seen['found']) => {
    for (const [what, count = 0] of Object.entries(found)) {
      if (count === 0) continue;
      isFound = true;
      sum[what] = (sum[what] ?? 0) + count;
    }
  };
  let out = '';
  let copied = 0;
  const breath = new Breath();
  for (const { start, end, text: decoded } of encoded) {
    // All of it is masked already.
    if (start < copied) continue;
    if (breath.isDue) await breath.take();
    isFound = false;
    add(await lookEncoded!(decoded, voice));
    if (!isFound) continue;
    out += text.slice(copied, start) + encodedMask;
    copied = end;
  }
  const seen = await look!(copied === 0 ? text : out + text.slice(copied), voice);
  add(seen.found);
  return { text: seen.text, found: sum };
}
