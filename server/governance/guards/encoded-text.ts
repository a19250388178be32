/** Texts that stand in another one as base64: read once, one level deep, as whoever asks a model to decode them means them to be. */
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
 * the first four on.
 */
export function encodedTextsIn(text: string): EncodedText[] {
  const found: EncodedText[] = [];
  let left = MOST_CHARS;
  for (const { start, end } of runsIn(text)) {
    if (left <= 0) break;
    const run = text.slice(start, Math.min(end, start + left)).replace(/[\s=]+/g, '');
    left -= run.length;
    for (let skipped = 0; skipped < 4; skipped++) {
      const decoded = Buffer.from(run.slice(skipped), 'base64').toString('utf8');
      for (const [one] of decoded.matchAll(TEXT)) found.push({ start, end, text: one });
    }
  }
  return found;
}

const IN_BASE64 = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9+/_-]/.test(String.fromCharCode(code)) ? 1 : 0,
);
const isOne = (text: string, at: number): boolean => IN_BASE64[text.charCodeAt(at)] === 1;

/** Runs of its characters, over the ends of lines that it is wrapped at. Few places are looked at: a run covers one in so many. */
function* runsIn(text: string): Generator<{ readonly start: number; readonly end: number }> {
  for (let i = SHORTEST - 1; i < text.length; ) {
    if (!isOne(text, i)) {
      i += SHORTEST;
      continue;
    }
    let start = i;
    while (start > 0 && isOne(text, start - 1)) start--;
    let end = i + 1;
    for (let line = start; ; ) {
      while (end < text.length && isOne(text, end)) end++;
      const isWrapped = end - line >= SHORTEST && (end - line) % 4 === 0;
      const next = text[end] === '\n' ? end + 1 : text[end] === '\r' && text[end + 1] === '\n' ? end + 2 : -1;
      if (!isWrapped || next < 0 || !isOne(text, next)) break;
      line = next;
      end = next;
    }
    const isLong = end - start >= SHORTEST;
    for (let padding = 0; padding < 2 && text[end] === '='; padding++) end++;
    if (isLong) yield { start, end };
    i = end + SHORTEST - 1;
  }
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
  for (const { start, end, text: decoded } of encoded) {
    isFound = false;
    add(await lookEncoded!(decoded, voice));
    if (!isFound || start < copied) continue;
    out += text.slice(copied, start) + encodedMask;
    copied = end;
  }
  const seen = await look!(copied === 0 ? text : out + text.slice(copied), voice);
  add(seen.found);
  return { text: seen.text, found: sum };
}
