/** Dense facts of a text: what transfers to benchmarks and languages whose words were never seen. */

/** Names of the dense facts, in order; the encoder's `dense` input has this length. */
export const DENSE_FACTS = [
  'log characters',
  'log characters, squared',
  'log words',
  'log lines',
  'characters per word',
  'share of digits',
  'log count of numbers',
  'digits of the longest number',
  'log sum of the digits of all numbers',
  'share of capitals',
  'share of signs',
  'share of non-ASCII',
  'LaTeX marks, log',
  'code marks, log',
  'operators, log',
  'brackets, log',
  'deepest bracket',
  'answer options',
  'question marks, log',
  'starts with a question word',
  'asks to write or implement',
  'constraint words, log',
  'negations, log',
  'numbers spelled out, log',
  'share of words of 9 letters or more',
  'share of distinct words',
  'commas per word',
  'quotes, log',
] as const;

const QUESTION = /^\W*(what|which|who|whom|whose|when|where|why|how|is|are|do|does|did|can|could|should|would)\b/i;
const WRITE = /\b(write|implement|create|generate|compose|design|build|develop)\b/i;
const CODE =
  /\b(def|return|function|class|import|for|while|print|int|const|let|var|void|public|null|none|true|false|self|lambda)\b/gi;
const CONSTRAINT =
  /\b(must|at least|at most|exactly|only|no more than|no less than|without|unless|each|every|all|minimum|maximum)\b/gi;
const NEGATION = /\b(not|no|never|none|neither|nor|except|false|incorrect|n't)\b/gi;
const SPELLED =
  /\b(one|two|three|four|five|six|seven|eight|nine|ten|half|twice|double|third|quarter|dozen|hundred|thousand|million)\b/gi;
// Blanks of one line only: across lines, thousands of empty ones would take a time that grows with their square.
const OPTION = /^[^\S\n\r\u2028\u2029]*\(?[A-J][.):]\s/gm;

/**
 * @param text  the text that is encoded, in its own case
 * @param chars its length before it was cut
 * @returns length {@link DENSE_FACTS}, each finite
 */
export function denseFacts(text: string, chars: number): Float32Array {
  const n = text.length || 1;
  let digits = 0;
  let capitals = 0;
  let signs = 0;
  let foreign = 0;
  let operators = 0;
  let brackets = 0;
  let depth = 0;
  let deepest = 0;
  let latex = 0;
  let codeMarks = 0;
  let questions = 0;
  let commas = 0;
  let quotes = 0;
  let lines = 1;
  let numbers = 0;
  let run = 0;
  let longest = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    const digit = c >= 48 && c <= 57;
    if (digit) {
      digits++;
      if (run === 0) numbers++;
      run++;
      if (run > longest) longest = run;
      continue;
    }
    run = 0;
    if (c >= 97 && c <= 122) continue;
    if (c >= 65 && c <= 90) capitals++;
    else if (c > 127) foreign++;
    else if (c === 10) lines++;
    else if (c > 32) {
      signs++;
      if (c === 43 || c === 45 || c === 42 || c === 47 || c === 61 || c === 60 || c === 62 || c === 94 || c === 37)
        operators++;
      if (c === 40 || c === 91 || c === 123) {
        brackets++;
        depth++;
        if (depth > deepest) deepest = depth;
      } else if (c === 41 || c === 93 || c === 125) depth = Math.max(0, depth - 1);
      if (c === 92 || c === 36) latex++;
      if (c === 59 || c === 123 || c === 95 || c === 61) codeMarks++;
      if (c === 63) questions++;
      else if (c === 44) commas++;
      else if (c === 34 || c === 39) quotes++;
    }
  }
  const words = text.match(/[\p{L}']+/gu) ?? [];
  const distinct = new Set(words.map((w) => w.toLowerCase())).size;
  let long = 0;
  let letters = 0;
  for (const w of words) {
    letters += w.length;
    if (w.length >= 9) long++;
  }
  const w = words.length || 1;
  const count = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
  const logChars = Math.log1p(chars);
  return Float32Array.of(
    logChars,
    (logChars - 6) ** 2,
    Math.log1p(words.length),
    Math.log(lines),
    letters / w,
    digits / n,
    Math.log1p(numbers),
    Math.min(longest, 20),
    Math.log1p(digits),
    capitals / n,
    signs / n,
    foreign / n,
    Math.log1p(latex),
    Math.log1p(codeMarks + 2 * count(CODE)),
    Math.log1p(operators),
    Math.log1p(brackets),
    Math.min(deepest, 8),
    Math.min(count(OPTION), 12),
    Math.log1p(questions),
    QUESTION.test(text) ? 1 : 0,
    WRITE.test(text) ? 1 : 0,
    Math.log1p(count(CONSTRAINT)),
    Math.log1p(count(NEGATION)),
    Math.log1p(count(SPELLED)),
    long / w,
    distinct / w,
    commas / w,
    Math.log1p(quotes),
  );
}
