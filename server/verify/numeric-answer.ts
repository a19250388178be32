/**
 * The last number of a text, as people and models write them: `1,234.5`, `1.234,5`, `6.02 × 10^23`, `-3/4`, `1 1/2`, `45 %`,
 * `\boxed{\frac{3}{4}}`. One pass over the text, whatever it holds.
 */

export interface Reading {
  readonly value: number;
  /** It stands before a sign for percent; `value` is then a hundredth of what is written. */
  readonly percent: boolean;
}

/**
 * Whether the last number of the answer is that of the expectation: |a − e| ≤ tolerance · |e|, or ≤ tolerance for e = 0.
 * Where only one of them is written in percent, `45 %` is both 0.45 and 45.
 *
 * @param tolerance relative, ≥ 0
 * @returns null where the expectation holds no number
 */
export function agrees(answer: string, expected: string, tolerance: number): boolean | null {
  const wanted = lastNumber(expected);
  if (wanted === null) return null;
  const found = lastNumber(answer);
  if (found === null) return false;
  const near = (a: number, e: number) => Math.abs(a - e) <= tolerance * (e === 0 ? 1 : Math.abs(e));
  if (near(found.value, wanted.value)) return true;
  return found.percent !== wanted.percent && near(asWritten(found), asWritten(wanted));
}

const asWritten = ({ value, percent }: Reading): number => (percent ? value * 100 : value);

/** What comes before is not looked at: a number that so much follows is not the answer. */
const TAIL_CHARS = 10_000;

/** Of the last `\boxed{…}` that holds one, else of the text, the last {@link TAIL_CHARS} of either; null: there is none. */
export function lastNumber(text: string): Reading | null {
  const boxed = lastBoxed(text);
  return (boxed === null ? null : scan(plain(boxed.slice(-TAIL_CHARS)))) ?? scan(plain(text.slice(-TAIL_CHARS)));
}

/** What stands in the last box of LaTeX, its braces balanced. */
function lastBoxed(text: string): string | null {
  const at = Math.max(text.lastIndexOf('\\boxed{'), text.lastIndexOf('\\fbox{'));
  if (at < 0) return null;
  const from = text.indexOf('{', at) + 1;
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return text.slice(from, i);
  }
  return null;
}

const VULGAR: Readonly<Record<string, string>> = {
  '½': '1/2',
  '⅓': '1/3',
  '⅔': '2/3',
  '¼': '1/4',
  '¾': '3/4',
  '⅕': '1/5',
  '⅖': '2/5',
  '⅗': '3/5',
  '⅘': '4/5',
  '⅙': '1/6',
  '⅚': '5/6',
  '⅛': '1/8',
  '⅜': '3/8',
  '⅝': '5/8',
  '⅞': '7/8',
};
const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** LaTeX and typography → what is typed. Each expression runs over the text once. */
function plain(text: string): string {
  return (
    text
      .replace(/[−‒–—﹣－]/g, '-')
      .replace(/[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]/g, (sign, at: number, all: string) => spaced(all, at, VULGAR[sign]!))
      .replace(
        /\\[dtc]?frac\s?\{([^{}]*)\}\s?\{([^{}]*)\}/g,
        (_, above: string, below: string, at: number, all: string) =>
          spaced(all, at, `${above.trim()}/${below.trim()}`),
      )
      .replace(/\\[dtc]?frac\s?(\d)\s?(\d)/g, (_, above: string, below: string, at: number, all: string) =>
        spaced(all, at, `${above}/${below}`),
      )
      .replace(/\\(?:times|cdot)(?![a-z])\s?/g, '×')
      .replace(/\\!|\{,\}/g, (found) => (found === '{,}' ? ',' : ''))
      // A thin space between thousands.
      .replace(/\\[,;: ]|~/g, '\u2009')
      .replace(/\\%/g, '%')
      .replace(/\^\s?\{\s?([+-]?\d+)\s?\}/g, '^$1')
      .replace(/⁻?[⁰¹²³⁴-⁹]+/g, (raised) => `^${[...raised].map(lowered).join('')}`)
  );
}

const lowered = (sign: string): string => (sign === '⁻' ? '-' : String(RAISED.indexOf(sign)));

/** `1\frac{3}{4}` is one and three quarters. */
const spaced = (all: string, at: number, fraction: string): string =>
  at > 0 && isDigit(all.charCodeAt(at - 1)) ? ` ${fraction}` : fraction;

/** Digits with what may separate them; where it ends is for {@link numberIn} to say. */
const RUN = /\d[\d.,'_\u00a0\u2009\u202f]*|\.\d+/g;
const EXPONENT = /[eE]([+-]?\d{1,4})(?!\w)/y;
const POWER = /\^([+-]?\d{1,4})/y;
const TIMES_TEN = /\s?[×x*·]\s?10\^([+-]?\d{1,4})/y;
/** No date: that has a third part. */
const OVER = /\s?[/⁄]\s?(-?\d+(?:\.\d+)?)(?!\d|[.,/⁄]\d)/y;
const PERCENT = /\s?(?:%|percent\b|per cent\b|pct\b)/y;

function scan(text: string): Reading | null {
  let last: Reading | null = null;
  /** A whole number that a fraction may follow: `1 1/2`. */
  let before: { readonly value: number; readonly end: number } | null = null;
  RUN.lastIndex = 0;
  for (let match = RUN.exec(text); match !== null; match = RUN.exec(text)) {
    const start = match.index;
    const [run] = match;
    const { text: written, length } = numberIn(run);
    let end = start + length;
    RUN.lastIndex = end;
    const previous = before;
    before = null;
    if (written === null || isAttached(text, start)) continue;
    const isWhole = /^\d+$/.test(written);
    let value = Number(written);
    const take = (pattern: RegExp): string | null => {
      pattern.lastIndex = end;
      const found = pattern.exec(text);
      if (found === null) return null;
      end = pattern.lastIndex;
      return found[1] ?? '';
    };
    // By its text: that is rounded once.
    const scaled = (power: string) => Number(`${written}e${power}`);
    const exponent = take(EXPONENT);
    const power = exponent === null ? take(POWER) : null;
    const tens = power === null ? take(TIMES_TEN) : null;
    const isPlain = exponent === null && power === null && tens === null;
    const below = isPlain && !(text[start - 1] === '/' && isDigit(text.charCodeAt(start - 2))) ? take(OVER) : null;
    if (exponent !== null) value = scaled(exponent);
    else if (power !== null) value = value ** Number(power);
    else if (tens !== null) value = scaled(tens);
    if (below !== null) value /= Number(below);
    const isMixed = below !== null && isWhole && value < 1 && previous?.end === start - 1 && text[start - 1] === ' ';
    if (isMixed) value = previous.value < 0 ? previous.value - value : previous.value + value;
    else if (isNegative(text, start)) value = -value;
    const percent = take(PERCENT) !== null;
    RUN.lastIndex = end;
    if (!Number.isFinite(value)) continue;
    if (isWhole && end === start + length) before = { value, end };
    last = { value: percent ? value / 100 : value, percent };
  }
  return last;
}

/** A minus between two things is none of the second one's: `3-5`, but `= -5` and `-$5`. */
function isNegative(text: string, start: number): boolean {
  let at = start - 1;
  while (at >= 0 && '$€£¥\\'.includes(text[at]!)) at--;
  if (text[at] !== '-') return false;
  return at === 0 || !/[\p{L}\p{N})\]}%]/u.test(text[at - 1]!);
}

/** Part of a name, or raised or lowered beside one: `H2O`, `x_1`, `cm^2`. */
function isAttached(text: string, start: number): boolean {
  const before = text[start - 1] ?? '';
  if (before === '^' || before === '_') return /[\p{L}\p{N})\]}]/u.test(text[start - 2] ?? '');
  // In other scripts no space stands between words.
  return /[A-Za-zα-ωΑ-Ω]/.test(before);
}

interface Run {
  /** As JavaScript writes it; null: digits, but no number (`1.2.3`). */
  readonly text: string | null;
  /** Characters of the run that are the number's. */
  readonly length: number;
}

/**
 * English first: `1,234` is a thousand. `1.234.567` and `1.234,5` can only be continental; so can one comma that no three
 * digits follow (`3,14`). Of a list (`1,2,3`) the last.
 */
function numberIn(run: string): Run {
  let length = run.length;
  while (length > 0 && !isDigit(run.charCodeAt(length - 1))) length--;
  return { text: read(run.slice(0, length).replace(/[\u00a0\u2009\u202f]/g, ' ')), length };
}

function read(text: string): string | null {
  const signs = text.replace(/\d+/g, '');
  if (signs === '') return text;
  const groups = text.split(/[.,'_ ]/);
  const last = signs.at(-1)!;
  const others = signs.slice(0, -1);
  if (isOneSign(signs)) {
    const isDecimal = signs === '.' || (signs === ',' && !areThousands(groups));
    if (isDecimal) return `${groups[0]}.${groups[1]}`;
    if (areThousands(groups)) return groups.join('');
  } else if ((last === '.' || last === ',') && isOneSign(others) && others[0] !== last) {
    const whole = groups.slice(0, -1);
    if (areThousands(whole)) return `${whole.join('')}.${groups.at(-1)}`;
  }
  const listed = Math.max(text.lastIndexOf(','), text.lastIndexOf(' '), text.lastIndexOf("'"), text.lastIndexOf('_'));
  const rest = text.slice(listed + 1);
  return listed >= 0 && /^\d+(?:\.\d+)?$/.test(rest) ? rest : null;
}

const isOneSign = (signs: string): boolean => [...signs].every((sign) => sign === signs[0]);

/** One to three digits, no leading zero, and three in each group after. */
const areThousands = ([first, ...rest]: readonly string[]): boolean =>
  /^[1-9]\d{0,2}$/.test(first!) && rest.length > 0 && rest.every((group) => group.length === 3);

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
