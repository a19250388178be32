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
  // Encoders fitted before know only the first of these: new facts are appended, old ones keep their place.
  'log characters before the answer options',
  'share of characters before the answer options',
  'log words of the last sentence before the answer options',
  'spread of the lengths of the answer options',
  'asks to explain',
  'asks to calculate',
  'decimals, log',
  'words of possibility, log',
] as const;

const QUESTION = /^\W*(what|which|who|whom|whose|when|where|why|how|is|are|do|does|did|can|could|should|would)\b/i;
/** Words that tell what kind of task it is; a word may be of several kinds. */
const KINDS = {
  write: 'write implement create generate compose design build develop',
  code: 'def return function class import for while print int const let var void public null none true false self lambda',
  constraint: 'must exactly only without unless each every all minimum maximum',
  negation: 'not no never none neither nor except false incorrect',
  spelled:
    'one two three four five six seven eight nine ten half twice double third quarter dozen hundred thousand million',
  explain: 'why explain describe discuss',
  calculate: 'calculate compute determine find evaluate estimate solve',
  possibility: 'can could should would may might must likely probably',
} as const;
type Kind = keyof typeof KINDS;

const KINDS_OF = new Map<string, Kind[]>();
for (const [kind, list] of Object.entries(KINDS) as [Kind, string][]) {
  for (const word of list.split(' ')) KINDS_OF.set(word, [...(KINDS_OF.get(word) ?? []), kind]);
}

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
  let decimals = 0;
  let run = 0;
  let longest = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (isDigit(c)) {
      digits++;
      if (run === 0) {
        numbers++;
        if (i > 1 && text.charCodeAt(i - 1) === 46 && isDigit(text.charCodeAt(i - 2))) decimals++;
      }
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
  const words = text.toLowerCase().match(foreign === 0 ? ASCII_WORD : WORD) ?? [];
  const of: Record<Kind, number> = {
    write: 0,
    code: 0,
    constraint: 0,
    negation: 0,
    spelled: 0,
    explain: 0,
    calculate: 0,
    possibility: 0,
  };
  let long = 0;
  let letters = 0;
  let previous = '';
  for (const word of words) {
    letters += word.length;
    if (word.length >= 9) long++;
    const kinds = KINDS_OF.get(word);
    if (kinds !== undefined) for (const kind of kinds) of[kind]++;
    else if (previous === 'at' && (word === 'least' || word === 'most')) of.constraint++;
    previous = word;
  }
  const w = words.length || 1;
  const question = readQuestion(text);
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
    Math.log1p(codeMarks + 2 * of.code),
    Math.log1p(operators),
    Math.log1p(brackets),
    Math.min(deepest, 8),
    Math.min(question.options, 12),
    Math.log1p(questions),
    QUESTION.test(text) ? 1 : 0,
    of.write > 0 ? 1 : 0,
    Math.log1p(of.constraint),
    Math.log1p(of.negation),
    Math.log1p(of.spelled),
    long / w,
    new Set(words).size / w,
    commas / w,
    Math.log1p(quotes),
    Math.log1p(question.chars),
    question.chars / n,
    Math.log1p(question.lastWords),
    question.spread,
    of.explain > 0 ? 1 : 0,
    of.calculate > 0 ? 1 : 0,
    Math.log1p(decimals),
    Math.log1p(of.possibility),
  );
}

const WORD = /[\p{L}']+/gu;
/** The same on ASCII, three times as fast. */
const ASCII_WORD = /[a-z']+/g;
const isDigit = (c: number): boolean => c >= 48 && c <= 57;

/** The question apart from its answer options. */
interface Question {
  /** Answer options, each at the start of a line. */
  readonly options: number;
  /** Characters before the first of them; of a single one, which is no choice, all. */
  readonly chars: number;
  /** Words of the last sentence before them: it says what is wanted. */
  readonly lastWords: number;
  /** Standard deviation of the options' lengths, as a share of their mean. */
  readonly spread: number;
}

function readQuestion(text: string): Question {
  const starts = Array.from(text.matchAll(OPTION), (match) => match.index);
  const options = starts.length;
  const stem = (options > 1 ? text.slice(0, starts[0]) : text).trimEnd();
  const lastSentence = stem.slice(startOfLastSentence(stem));
  const lastWords = lastSentence.match(/\S+/g)?.length ?? 0;
  if (options < 2) return { options, chars: stem.length, lastWords, spread: 0 };
  const lengths = starts.map((start, k) => (starts[k + 1] ?? text.length) - start);
  const mean = lengths.reduce((a, b) => a + b) / options;
  const variance = lengths.reduce((sum, length) => sum + (length - mean) ** 2, 0) / options;
  return { options, chars: stem.length, lastWords, spread: Math.sqrt(variance) / mean };
}

/** Behind the last full stop, question or exclamation mark that has a blank after it. */
function startOfLastSentence(text: string): number {
  for (let i = text.length - 2; i > 0; i--) {
    const c = text.charCodeAt(i);
    if ((c === 46 || c === 63 || c === 33) && text.charCodeAt(i + 1) <= 32) return i + 1;
  }
  return 0;
}
