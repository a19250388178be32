/** Masks personal data and secrets in a text: what is kept of prompts where a team wants texts, but not these. */
import { type FoldedText, folding, placesIn } from './folded-text.ts';
import { hasLookAlikes, lettersAsLatin } from './look-alikes.ts';
import { type Kind, LOOKED_BACK, maskOf, RULES, type Rule } from './redact-rules.ts';

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

/** With what was found masked, and how much that was. */
export interface Redacted {
  readonly text: string;
  readonly found: Found;
}

/**
 * @param kinds what is looked for; default: all of it
 * @returns the text with `[EMAIL]`, `[PHONE]`, `[CARD]`, `[IBAN]`, `[NATIONAL_ID]`, `[IP]` and `[SECRET]` in place of what
 *          looks like one, however its characters are written, and how many of each there are
 */
export function redact(text: string, kinds?: ReadonlySet<Kind>): Redacted {
  const steps = redacting(text, kinds, Number.POSITIVE_INFINITY);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/**
 * As above, in steps, between which others may have their turn.
 *
 * @param size characters that one rule looks at in one step. Whatever it is, the same is found: see `matchesIn`
 */
export function* redacting(
  text: string,
  kinds: ReadonlySet<Kind> | undefined,
  size: number,
): Generator<undefined, Redacted> {
  const folded = yield* folding(text, size);
  const plain = folded?.plain ?? text;
  let masked: Masked = { text: plain, masks: [] };
  if (kinds === undefined || kinds.has('secret')) {
    for (const rule of SECRETS) masked = yield* maskAll(masked, rule, size);
    if (hasLookAlikes(masked.text)) masked = yield* maskDisguised(plain, masked, size);
  }
  for (const rule of OTHERS) {
    if (kinds === undefined || kinds.has(rule.kind)) masked = yield* maskAll(masked, rule, size);
  }
  const found: Partial<Record<Kind, number>> = {};
  for (const { kind } of masked.masks) found[kind] = (found[kind] ?? 0) + 1;
  return { text: folded === null ? masked.text : inPlace(text, folded, masked.masks), found };
}

/** Secrets first: they may hold what looks like the others. */
const SECRETS = RULES.filter(({ kind }) => kind === 'secret');
const OTHERS = RULES.filter(({ kind }) => kind !== 'secret');

type Steps<T> = Generator<undefined, T>;

/** Secrets, and the words that announce them, in letters that only look like theirs. Numbers of people have no such letters. */
function* maskDisguised(plain: string, before: Masked, size: number): Steps<Masked> {
  const letters: string[] = [];
  for (let at = 0; at < before.text.length; at += size) {
    letters.push(lettersAsLatin(before.text.slice(at, at + size)));
    yield;
  }
  let masked: Masked = { text: letters.join(''), masks: before.masks };
  for (const rule of SECRETS) masked = yield* maskAll(masked, rule, size);
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

interface Match {
  readonly index: number;
  readonly length: number;
}

/**
 * What a rule finds in the whole text, one part of it after the other. A part is looked at with what stands before it, as far
 * as rules look back, and after it, as far as a match that begins in it may go; the next part begins where this one's last
 * match ended. So each attempt of the pattern sees all that it would see in the whole, and begins where it would.
 */
function* matchesIn(text: string, { pattern, isOne, longest }: Rule, size: number): Steps<readonly Match[]> {
  const all: Match[] = [];
  for (let from = 0; from < text.length; ) {
    const to = Math.min(from + size, text.length);
    const start = Math.max(0, from - LOOKED_BACK);
    const part = start === 0 && to === text.length ? text : text.slice(start, to + longest);
    pattern.lastIndex = from - start;
    from = to;
    for (let match = pattern.exec(part); match !== null; match = pattern.exec(part)) {
      const index = match.index + start;
      if (index >= to) break;
      const { length } = match[0];
      from = Math.max(from, index + length);
      if (isOne === undefined || isOne(match[0], part, match.index)) all.push({ index, length });
    }
    if (from < text.length) yield;
  }
  return all;
}

/** Masks that are put in one step. */
const MOST_MASKS = 5000;

/** By one rule, in one walk over what it finds and what was found before. A mask that is part of a match goes into it. */
function* maskAll(before: Masked, rule: Rule, size: number): Steps<Masked> {
  const { text, masks } = before;
  // Most texts hold nothing of a kind, and are not worth more than a look.
  const matches = yield* matchesIn(text, rule, size);
  if (matches.length === 0) return before;
  const { kind } = rule;
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
  for (const { index, length } of matches) {
    for (; next < masks.length && endOf(masks[next]!) <= index; ) {
      const kept = pass();
      all.push({ ...kept, at: kept.at + longer });
      if (all.length % MOST_MASKS === 0) yield;
    }
    let from = Math.max(copied, index);
    let to = index + length;
    let start = from + shift;
    const first = masks[next];
    if (first !== undefined && first.at < from) ({ at: from, start } = first);
    while (next < masks.length && masks[next]!.at < to) to = Math.max(to, endOf(pass()));
    pieces.push(text.slice(copied, from), mask);
    all.push({ kind, at: from + longer, start, end: to + shift });
    longer += mask.length - (to - from);
    copied = to;
    if (all.length % MOST_MASKS === 0) yield;
  }
  for (; next < masks.length; next++) {
    all.push({ ...masks[next]!, at: masks[next]!.at + longer });
    if (all.length % MOST_MASKS === 0) yield;
  }
  pieces.push(text.slice(copied));
  return { text: pieces.join(''), masks: all };
}

const endOf = ({ kind, at }: Mask): number => at + maskOf(kind).length;

/** Of a text whose characters are written otherwise: what is found is replaced in the text as it stands. */
function inPlace(text: string, { resized }: FoldedText, masks: readonly Mask[]): string {
  const placeOf = placesIn(resized);
  const pieces: string[] = [];
  let copied = 0;
  for (const { kind, start, end } of masks) {
    pieces.push(text.slice(copied, placeOf(start).start), maskOf(kind));
    copied = placeOf(end - 1).end;
  }
  pieces.push(text.slice(copied));
  return pieces.join('');
}
