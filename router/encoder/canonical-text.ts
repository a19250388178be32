/**
 * The text that features are made of: one spelling for what means the same, and no sentence that says nothing
 * of the task. So neither a greeting, capitals or another layout nor talk aimed at the router moves a decision.
 */
import { isEmptyTalk, POLITE_OPENING } from './empty-talk.ts';

/**
 * Blanks, quotes, dashes and repeated marks in one form, a final full stop left out; a text in one case
 * throughout gets the capitals of sentences; sentences at either end that are {@link isEmptyTalk} are dropped,
 * unless nothing would be left. Idempotent up to what these steps uncover, linear in the length.
 *
 * @param text any string; NFKC is up to the caller
 */
export function canonicalText(text: string): string {
  const plain = unified(text);
  return sentenceCase(withoutEmptyEnds(plain));
}

function unified(text: string): string {
  let out = text.replace(ODD_BLANKS, (blanks) => (/[\n\r\u2028\u2029]/.test(blanks) ? '\n' : ' '));
  if (NOT_ASCII.test(out)) {
    out = out.replace(SINGLE_QUOTES, "'").replace(DOUBLE_QUOTES, '"').replace(DASHES, '-');
  }
  return withoutFinalStop(out.replace(REPEATED_MARKS, '$1'));
}

/** Everything but a single blank and a single line end. */
const ODD_BLANKS = /\s{2,}|[^\S \n]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is that of ASCII
const NOT_ASCII = /[^\x00-\x7f]/;
const SINGLE_QUOTES = /[\u2018-\u201b\u2032]/g;
const DOUBLE_QUOTES = /[\u201c-\u201f\u2033\u00ab\u00bb]/g;
const DASHES = /[\u2010-\u2015\u2212]/g;
const REPEATED_MARKS = /([!?])\1+/g;

/** Walks backwards: a pattern anchored at the end would be tried at every full stop before it. */
function withoutFinalStop(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === '.' || text[end - 1] === ' ' || text[end - 1] === '\n')) end--;
  return text.slice(text[0] === ' ' || text[0] === '\n' ? 1 : 0, end);
}

/** Shouted, or typed without the shift key: the case says nothing, so lines and sentences get their capital. */
function sentenceCase(text: string): string {
  const lower = text.toLowerCase();
  if ((text === lower) === (text === text.toUpperCase())) return text;
  return lower.replace(SENTENCE_START, (start) => start.toUpperCase());
}

const SENTENCE_START = /^\W?\p{Ll}|[.!?\n] ?\p{Ll}|\bi\b/gu;

/** No empty sentence is longer: what is looked at stays bounded, whatever the text. */
const FARTHEST = 200;
/** Empty sentences dropped at either end. */
const MOST = 8;

/** The name under a letter. */
const SIGNATURE =
  /\b(?:regards|wishes|sincerely|cheers|thanks|yours),([ \n]\p{Lu}[\p{L}.]{0,20}(?: \p{Lu}[\p{L}.]{0,20}){0,2})$/u;

function withoutEmptyEnds(text: string): string {
  let from = 0;
  const signature = SIGNATURE.exec(text.slice(-FARTHEST));
  let to = text.length - (signature === null ? 0 : signature[1]!.length);
  for (let k = 0; k < MOST; k++) {
    const next = afterEmptyStart(text, from, to);
    if (next === from) break;
    from = next;
  }
  for (let k = 0; k < MOST && from < to; k++) {
    const next = beforeEmptyEnd(text, from, to);
    if (next === to) break;
    to = next;
  }
  // Nothing but empty talk: then it is the task.
  if (from >= to) return text;
  const rest = from === 0 && to === text.length ? text : withoutFinalStop(text.slice(from, to));
  if (rest === '') return text;
  const opening = POLITE_OPENING.exec(rest.slice(0, FARTHEST));
  return opening === null || opening[0].length === rest.length ? rest : rest.slice(opening[0].length);
}

/** Where the text begins once its first line, sentence or clause is dropped, the longest that is empty. */
function afterEmptyStart(text: string, from: number, to: number): number {
  const limit = Math.min(to, from + FARTHEST);
  const ends: number[] = [];
  let i = from;
  for (; i < limit && text[i] !== '\n'; i++) {
    if (SENTENCE_END.test(text[i]!) && (i + 1 === to || isBlank(text[i + 1]!))) ends.push(i + 1);
  }
  if (i < limit || i === to) ends.push(i);
  for (let k = ends.length - 1; k >= 0; k--) {
    const end = ends[k]!;
    if (isEmptyTalk(text.slice(from, end))) {
      let next = end;
      while (next < to && isBlank(text[next]!)) next++;
      return next;
    }
  }
  return from;
}

/** Where the text ends once its last line, sentence or clause is dropped, the longest that is empty. */
function beforeEmptyEnd(text: string, from: number, to: number): number {
  const limit = Math.max(from, to - FARTHEST);
  const starts: number[] = [];
  let i = to;
  for (; i > limit && text[i - 1] !== '\n'; i--) {
    const starting = i < to && isBlank(text[i - 1]!) && !isBlank(text[i]!);
    if (starting && (SENTENCE_END.test(text[i - 2] ?? '') || OPENING.test(text[i]!))) starts.push(i);
  }
  if (i > limit || i === from) starts.push(i);
  for (let k = starts.length - 1; k >= 0; k--) {
    const start = starts[k]!;
    const marked = start === i || SENTENCE_END.test(text[start - 2]!);
    if (isOption(text, i, start) || !isEmptyTalk(text.slice(start, to), marked)) continue;
    let end = start;
    while (end > from && isBlank(text[end - 1]!)) end--;
    return end;
  }
  return to;
}

const SENTENCE_END = /[.!?:,;)\]}>]/;
/** After a last option without a full stop only the capital shows that something new begins. */
const OPENING = /[\p{Lu}[({<]/u;
/** `B. hard` is an answer to choose, not a remark. */
const isOption = (text: string, line: number, start: number): boolean =>
  start - line < 6 && /^[([]?[\p{L}\p{N}]{1,2}[.):\]] /u.test(text.slice(line, line + 6));

const isBlank = (c: string): boolean => c === ' ' || c === '\n';
