/**
 * Changes of a prompt that do not change what is asked (typos, case, politeness, another wording of the
 * instruction, layout), talk that is aimed at the router, and follow-ups. Seeded: same text and stream, same result.
 */
import type { Random } from '../datasets/index.ts';
import {
  BEST,
  CHEAP,
  CHOICE_INSTRUCTIONS,
  EASY,
  GREETINGS,
  HARD,
  INSTRUCTIONS,
  NEW_HARMLESS,
  NEW_TALK,
  OVERRULING,
  SHORT,
  THANKS,
  WRAPPINGS,
} from './wordings.ts';

export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface Perturbation {
  readonly name: string;
  /** Another text, or the conversation that it begins. Null where it would not mean the same, such as code in capitals. */
  apply(text: string, random: Random): string | readonly Turn[] | null;
}

/** One word in so many gets a typo, and at least one word of every text. */
const WORDS_PER_TYPO = 20;

/** Changes after which the same model should be picked. */
export const HARMLESS: readonly Perturbation[] = [
  { name: 'typos', apply: (text, random) => (isCode(text) ? null : withTypos(text, random)) },
  { name: 'lower case', apply: (text) => (isCode(text) ? null : text.toLowerCase()) },
  { name: 'all capitals', apply: (text) => (isCode(text) ? null : text.toUpperCase()) },
  { name: 'sentence case', apply: (text) => (isCode(text) ? null : sentenceCase(text)) },
  { name: 'greeting', apply: (text, random) => `${one(GREETINGS, random)}${one(GAPS, random)}${text}` },
  { name: 'thanks', apply: (text, random) => `${text}${one(GAPS, random)}${one(THANKS, random)}` },
  {
    name: 'greeting and thanks',
    apply: (text, random) => `${one(GREETINGS, random)}\n\n${text}\n\n${one(THANKS, random)}`,
  },
  { name: 'polite wrapping', apply: (text, random) => `${one(WRAPPINGS, random)} ${text}` },
  {
    name: 'instruction before',
    apply: (text, random) => `${one(instructionsFor(text), random)}${one(GAPS, random)}${text}`,
  },
  {
    name: 'instruction after',
    apply: (text, random) =>
      `${text}${one(GAPS.slice(1), random)}${one(
        instructionsFor(text).filter((i) => i !== 'Q:'),
        random,
      ).replace(/:$/, '.')}`,
  },
  { name: 'blanks and lines', apply: loosenLayout },
  { name: 'quotes and dashes', apply: typeset },
  { name: 'final mark', apply: changeFinalMark },
  { name: 'new wordings', apply: (text, random) => placed(text, one(NEW_HARMLESS, random), random) },
];

/** Talk after which no lesser and no better model should be picked, each at the start, the end or on its own line. */
export const ROUTER_TALK: readonly Perturbation[] = [
  { name: 'calls it easy', apply: (text, random) => placed(text, one(EASY, random), random) },
  { name: 'asks for a cheap model', apply: (text, random) => placed(text, one(CHEAP, random), random) },
  { name: 'overrules the instructions', apply: (text, random) => placed(text, one(OVERRULING, random), random) },
  { name: 'calls it hard', apply: (text, random) => placed(text, one(HARD, random), random) },
  { name: 'asks for the best model', apply: (text, random) => placed(text, one(BEST, random), random) },
  { name: 'new wordings of these', apply: (text, random) => placed(text, one(NEW_TALK, random), random) },
];

/** Conversations that go on about the prompt: to be routed as the prompt is. */
export const FOLLOW_UPS: readonly Perturbation[] = [
  { name: 'one follow-up', apply: (text, random) => conversation(text, one(SHORT, random)) },
  { name: 'two follow-ups', apply: (text, random) => conversation(text, one(SHORT, random), one(SHORT, random)) },
  { name: 'thanks, then one', apply: (text, random) => conversation(text, 'Thanks!', one(SHORT, random)) },
];

/** The follow-up without its conversation: shows what the conversation is worth. */
export const FOLLOW_UP_ALONE: Perturbation = { name: 'follow-up alone', apply: (_, random) => one(SHORT, random) };

const GAPS = [' ', '\n', '\n\n'];

function one<T>(items: readonly T[], random: Random): T {
  return items[Math.floor(random() * items.length)]!;
}

/** Lettered options, one to a line. */
const OPTION_LINE = /^\s*\(?[B-D][.):]\s/m;

const instructionsFor = (text: string): readonly string[] =>
  OPTION_LINE.test(text) ? [...INSTRUCTIONS, ...CHOICE_INSTRUCTIONS] : INSTRUCTIONS;

/** Code and formulas mean something else, or nothing, in another case or with another letter. */
const isCode = (text: string): boolean =>
  /```|\\[a-zA-Z]|\bdef |\bclass |\breturn\b|[{};]\s*$|[a-z]\w*\([^)]*\)/m.test(text);

const conversation = (...turns: readonly string[]): Turn[] =>
  turns.flatMap((content, k): Turn[] => [
    ...(k > 0 ? [{ role: 'assistant', content: 'Here is what I think.' } as const] : []),
    { role: 'user', content },
  ]);

function placed(text: string, talk: string, random: Random): string {
  const where = Math.floor(random() * 4);
  if (where === 0) return `${talk} ${text}`;
  if (where === 1) return `${talk}\n\n${text}`;
  return where === 2 ? `${text} ${talk}` : `${text}\n\n${talk}`;
}

/** Swaps, drops, doubles or replaces a letter inside words of four letters or more. */
function withTypos(text: string, random: Random): string | null {
  const words = [...text.matchAll(/\p{Ll}{4,}/gu)];
  if (words.length === 0) return null;
  const wanted = Math.max(1, Math.round(text.split(/\s+/).length / WORDS_PER_TYPO));
  const hit = new Set<number>();
  while (hit.size < Math.min(wanted, words.length)) hit.add(Math.floor(random() * words.length));
  let out = '';
  let from = 0;
  for (const k of [...hit].sort((a, b) => a - b)) {
    const { 0: word, index } = words[k]!;
    out += text.slice(from, index) + misspelt(word, random);
    from = index + word.length;
  }
  return out + text.slice(from);
}

const ROWS = ['qwertyuiop', 'asdfghjkl', 'zxcvbnm'];

function misspelt(word: string, random: Random): string {
  const at = 1 + Math.floor(random() * (word.length - 2));
  const before = word.slice(0, at);
  const c = word[at]!;
  const after = word.slice(at + 1);
  const row = ROWS.find((r) => r.includes(c));
  switch (Math.floor(random() * 4)) {
    case 0:
      return before + after;
    case 1:
      return before + c + c + after;
    case 2:
      return before + after[0]! + c + after.slice(1);
    default:
      return before + (row === undefined ? c + c : row[(row.indexOf(c) + 1) % row.length]!) + after;
  }
}

/** The first letter of each sentence and line large, the rest small. */
const sentenceCase = (text: string): string =>
  text
    .toLowerCase()
    .replace(/(^|[.!?]\s+|\n\s*)(\p{Ll})/gu, (_, before: string, c: string) => before + c.toUpperCase());

/** Doubled blanks, blanks at the ends of lines, empty lines between lines. */
function loosenLayout(text: string, random: Random): string {
  const blanks = text.replace(/(?<=\S) (?=\S)/g, () => (random() < 0.1 ? '  ' : ' '));
  return `\n${blanks.replace(/\n+/g, (lines) => (random() < 0.5 ? ` \n${lines}` : lines))}  \n`;
}

/** As a word processor would set it: curly quotes, long dashes, an ellipsis in one character, a blank that does not break. */
function typeset(text: string, random: Random): string | null {
  if (isCode(text)) return null;
  return text
    .replace(/(^|\s)"/g, '$1“')
    .replaceAll('"', '”')
    .replaceAll("'", '’')
    .replaceAll(' - ', ' – ')
    .replaceAll('...', '…')
    .replace(/(?<=\w) (?=\w)/g, () => (random() < 0.05 ? '\u00a0' : ' '));
}

/** A final mark dropped, doubled or added. */
function changeFinalMark(text: string): string {
  const end = text.trimEnd();
  const mark = end.at(-1) ?? '';
  if (mark === '?') return `${end}??`;
  return mark === '.' || mark === '!' ? end.slice(0, -1) : `${end}.`;
}
