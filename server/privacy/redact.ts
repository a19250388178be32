/** Masks personal data and secrets in a text: what is kept of prompts where a team wants texts, but not these. */
import { type FoldedText, foldedText } from './folded-text.ts';
import { hasLookAlikes, lettersAsLatin } from './look-alikes.ts';
import { type Kind, maskOf, RULES, type Rule } from './redact-rules.ts';

/** What was masked, and how often. */
export type Found = Readonly<Partial<Record<Kind, number>>>;

interface Mask {
  readonly kind: Kind;
  /** Where it stands in the text as it is masked so far. */
  readonly at: number;
  /** What it stands for, in the text before anything was masked. */
  readonly start: number;
  readonly end: number;
}

interface Masked {
  readonly text: string;
  /** In the order of their places. */
  readonly masks: readonly Mask[];
}

/**
 * @param kinds what is looked for; default: all of it
 * @returns the text with `[EMAIL]`, `[PHONE]`, `[CARD]`, `[IBAN]`, `[NATIONAL_ID]`, `[IP]` and `[SECRET]` in place of what
 *          looks like one, however its characters are written, and how many of each there are
 */
export function redact(text: string, kinds?: ReadonlySet<Kind>): { readonly text: string; readonly found: Found } {
  const folded = foldedText(text);
  const plain = folded?.plain ?? text;
  let masked: Masked = { text: plain, masks: [] };
  if (kinds === undefined || kinds.has('secret')) {
    for (const rule of SECRETS) masked = maskAll(masked, rule);
    if (hasLookAlikes(masked.text)) masked = maskDisguised(plain, masked);
  }
  for (const rule of OTHERS) {
    if (kinds === undefined || kinds.has(rule.kind)) masked = maskAll(masked, rule);
  }
  const found: Partial<Record<Kind, number>> = {};
  for (const { kind } of masked.masks) found[kind] = (found[kind] ?? 0) + 1;
  return { text: folded === null ? masked.text : inPlace(text, folded, masked.masks), found };
}

/** Secrets first: they may hold what looks like the others. */
const SECRETS = RULES.filter(({ kind }) => kind === 'secret');
const OTHERS = RULES.filter(({ kind }) => kind !== 'secret');

/** Secrets, and the words that announce them, in letters that only look like theirs. Numbers of people have no such letters. */
function maskDisguised(plain: string, before: Masked): Masked {
  let masked: Masked = { text: lettersAsLatin(before.text), masks: before.masks };
  for (const rule of SECRETS) masked = maskAll(masked, rule);
  const { masks } = masked;
  if (masks === before.masks) return before;
  const pieces: string[] = [];
  let copied = 0;
  for (const { kind, start, end } of masks) {
    pieces.push(plain.slice(copied, start), maskOf(kind));
    copied = end;
  }
  pieces.push(plain.slice(copied));
  return { text: pieces.join(''), masks };
}

/** By one rule, in one walk over what it finds and what was found before. A mask that is part of a match goes into it. */
function maskAll(before: Masked, { kind, pattern, isOne }: Rule): Masked {
  const { text, masks } = before;
  // Most texts hold nothing of a kind, and are not worth more than a look.
  pattern.lastIndex = 0;
  let match = pattern.exec(text);
  if (match === null) return before;
  const mask = maskOf(kind);
  const pieces: string[] = [];
  const all: Mask[] = [];
  /** Up to where the text was taken over, its masks were, and how much longer it has become. */
  let copied = 0;
  let next = 0;
  let longer = 0;
  /** From a place in the text to what stands there before anything was masked. */
  let shift = 0;
  const pass = (): Mask => {
    const passed = masks[next++]!;
    shift = passed.end - endOf(passed);
    return passed;
  };
  for (; match !== null; match = pattern.exec(text)) {
    const [found] = match;
    const { index } = match;
    if (isOne !== undefined && !isOne(found, text, index)) continue;
    for (; next < masks.length && endOf(masks[next]!) <= index; ) {
      const kept = pass();
      all.push({ ...kept, at: kept.at + longer });
    }
    let from = Math.max(copied, index);
    let to = index + found.length;
    let start = from + shift;
    const first = masks[next];
    if (first !== undefined && first.at < from) ({ at: from, start } = first);
    while (next < masks.length && masks[next]!.at < to) to = Math.max(to, endOf(pass()));
    pieces.push(text.slice(copied, from), mask);
    all.push({ kind, at: from + longer, start, end: to + shift });
    longer += mask.length - (to - from);
    copied = to;
  }
  if (pieces.length === 0) return before;
  for (; next < masks.length; next++) all.push({ ...masks[next]!, at: masks[next]!.at + longer });
  pieces.push(text.slice(copied));
  return { text: pieces.join(''), masks: all };
}

const endOf = ({ kind, at }: Mask): number => at + maskOf(kind).length;

/** Of a text whose characters are written otherwise: what is found is replaced in the text as it stands. */
function inPlace(text: string, { starts, ends }: FoldedText, masks: readonly Mask[]): string {
  const pieces: string[] = [];
  let copied = 0;
  for (const { kind, start, end } of masks) {
    pieces.push(text.slice(copied, starts[start]!), maskOf(kind));
    copied = ends[end - 1]!;
  }
  pieces.push(text.slice(copied));
  return pieces.join('');
}
