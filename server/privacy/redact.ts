/** Masks personal data and secrets in a text: what is kept of prompts where a team wants texts, but not these. */

/** What was masked, and how often. */
export type Found = Readonly<Partial<Record<Kind, number>>>;

export const KINDS = ['secret', 'email', 'card', 'iban', 'national_id', 'phone', 'ip'] as const;
export type Kind = (typeof KINDS)[number];

interface Rule {
  readonly kind: Kind;
  /** Every repetition is bounded, or of one class that nothing after it begins with: time grows with the text alone. */
  readonly pattern: RegExp;
  /** Whether what looks like one is one. */
  readonly isOne?: (text: string) => boolean;
}

/** Secrets first: they may hold what looks like the others. */
const RULES: readonly Rule[] = [
  {
    kind: 'secret',
    pattern: /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!-)){0,20000}-----END [A-Z ]{0,30}PRIVATE KEY-----/g,
  },
  // Keys by their makers' prefixes: OpenAI, Anthropic and ours, AWS, GitHub, GitLab, Slack, Google, Stripe, Hugging Face, npm.
  {
    kind: 'secret',
    pattern:
      /(?<![A-Za-z0-9])(?:(?:sk|pk|rk|pm)[-_][A-Za-z0-9_-]{16,200}|(?:AKIA|ASIA)[A-Z0-9]{16}|gh[opsur]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{30,255}|glpat-[A-Za-z0-9_-]{16,100}|xox[abeoprs]-[A-Za-z0-9-]{10,250}|AIza[A-Za-z0-9_-]{30,60}|ya29\.[A-Za-z0-9_-]{20,400}|hf_[A-Za-z0-9]{20,100}|npm_[A-Za-z0-9]{30,60})/g,
  },
  {
    kind: 'secret',
    pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}/g,
  },
  { kind: 'secret', pattern: /(?<=\b(?:bearer|basic)[ \t]{1,3})[A-Za-z0-9._~+/-]{16,4000}={0,2}/gi },
  {
    kind: 'secret',
    pattern:
      /(?<=\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token)["']?[ \t]{0,3}[:=][ \t]{0,3}["']?)[^\s"',;]{6,200}/gi,
  },
  { kind: 'secret', pattern: /(?<=[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@]{1,100}:)[^\s:/@]{1,200}(?=@)/gi },
  {
    kind: 'email',
    pattern: /(?<![\p{L}\p{N}._%+-])[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}\p{L}{2,24}/gu,
  },
  { kind: 'iban', pattern: /\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b/g, isOne: isIban },
  {
    kind: 'card', // Not within a digest in hex.
    pattern: /(?<![\d.-]|[\da-f]{7}[a-f])\d(?:[ -]?\d){12,18}(?!\d|\.\d|[a-f][\da-f]{7})/g,
    isOne: isCard,
  },
  // United States, United Kingdom, Spain, Italy, and the check-digit ones of Germany and Brazil.
  { kind: 'national_id', pattern: /(?<![\d-])(?!000|666|9\d\d)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}(?![\d-])/g },
  {
    kind: 'national_id',
    pattern: /\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b/g,
  },
  { kind: 'national_id', pattern: /\b(?:\d{8}|[XYZ]\d{7})-?[A-HJ-NP-TV-Z]\b/g, isOne: isSpanish },
  { kind: 'national_id', pattern: /\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b/g },
  { kind: 'national_id', pattern: /(?<![\d.])\d{3}\.?\d{3}\.?\d{3}-\d{2}(?!\d)/g, isOne: isCpf },
  { kind: 'phone', pattern: /(?<![\p{L}\p{N}+])\+\d{1,3}(?:[ ./()-]{0,2}\d){6,13}(?!\d)/gu },
  {
    kind: 'phone',
    pattern: /(?<![\d.+-])(?:\(0?\d{2,4}\) ?|0\d{2,4}[ ./-]|\d{3}[.-])\d{3,4}[ ./-]\d{3,5}(?!\d)/g,
  },
  { kind: 'ip', pattern: /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])/g },
];

/**
 * @param kinds what is looked for; default: all of it
 * @returns the text with `[EMAIL]`, `[PHONE]`, `[CARD]`, `[IBAN]`, `[NATIONAL_ID]`, `[IP]` and `[SECRET]` in place of what
 *          looks like one, however its characters are written, and how many of each there were
 */
export function redact(text: string, kinds?: ReadonlySet<Kind>): { readonly text: string; readonly found: Found } {
  const folded = foldedText(text);
  if (folded !== null) return redactFolded(text, folded, kinds);
  const found: Partial<Record<Kind, number>> = {};
  let out = text;
  for (const { kind, pattern, isOne } of RULES) {
    if (kinds !== undefined && !kinds.has(kind)) continue;
    out = out.replace(pattern, (match) => {
      if (isOne !== undefined && !isOne(match)) return match;
      found[kind] = (found[kind] ?? 0) + 1;
      return `[${kind.toUpperCase()}]`;
    });
  }
  return { text: out, found };
}

/** Of a text whose characters are written otherwise: what is found is replaced in the text as it stands. */
function redactFolded(
  text: string,
  folded: FoldedText,
  kinds: ReadonlySet<Kind> | undefined,
): ReturnType<typeof redact> {
  const found: Partial<Record<Kind, number>> = {};
  let { plain, starts, ends } = folded;
  /** Masks by where they begin in the text, and where what they stand for ends. */
  const masks = new Map<number, { end: number; mask: string }>();
  for (const { kind, pattern, isOne } of RULES) {
    if (kinds !== undefined && !kinds.has(kind)) continue;
    const matches = [...plain.matchAll(pattern)].filter(([match]) => isOne === undefined || isOne(match));
    if (matches.length === 0) continue;
    found[kind] = (found[kind] ?? 0) + matches.length;
    const mask = `[${kind.toUpperCase()}]`;
    const pieces: string[] = [];
    const nextStarts: number[] = [];
    const nextEnds: number[] = [];
    let copied = 0;
    const copyTo = (to: number) => {
      pieces.push(plain.slice(copied, to));
      for (let i = copied; i < to; i++) {
        nextStarts.push(starts[i]!);
        nextEnds.push(ends[i]!);
      }
    };
    for (const { 0: match, index } of matches) {
      const start = starts[index]!;
      const end = ends[index + match.length - 1]!;
      for (const known of masks.keys()) if (known >= start && known < end) masks.delete(known);
      masks.set(start, { end, mask });
      copyTo(index);
      pieces.push(mask);
      for (let i = 0; i < mask.length; i++) {
        nextStarts.push(start);
        nextEnds.push(end);
      }
      copied = index + match.length;
    }
    copyTo(plain.length);
    plain = pieces.join('');
    starts = nextStarts;
    ends = nextEnds;
  }
  let out = '';
  let copied = 0;
  for (const [start, { end, mask }] of [...masks].sort(([a], [b]) => a - b)) {
    out += text.slice(copied, start) + mask;
    copied = end;
  }
  return { text: out + text.slice(copied), found };
}

interface FoldedText {
  readonly plain: string;
  /** Where what each character of it is written as begins, and ends, in the text. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** What is written otherwise than in ASCII, or as an escape of the sign that makes an address. */
const OTHERWISE = /[^\0-\x7f]|%40|&(?:#0*64|#[xX]0*40|commat);/g;
const INVISIBLE = /^\p{Default_Ignorable_Code_Point}$/u;
const HYPHENS = /^[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]$/;

/**
 * The text as a reader takes it: wide, bold and other scripts' digits as digits, wide and styled letters and signs as
 * ASCII, any space as a space, what cannot be seen left out. Null where it is the same.
 */
function foldedText(text: string): FoldedText | null {
  OTHERWISE.lastIndex = 0;
  const pieces: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  let copied = 0;
  const copyTo = (to: number) => {
    pieces.push(text.slice(copied, to));
    for (let i = copied; i < to; i++) {
      starts.push(i);
      ends.push(i + 1);
    }
  };
  for (let match = OTHERWISE.exec(text); match !== null; match = OTHERWISE.exec(text)) {
    const at = match.index;
    const character = match[0].length > 1 ? match[0] : String.fromCodePoint(text.codePointAt(at)!);
    OTHERWISE.lastIndex = at + character.length;
    const plain = character[0] === '%' || character[0] === '&' ? '@' : plainOf(character);
    if (plain === character) continue;
    copyTo(at);
    pieces.push(plain);
    for (let i = 0; i < plain.length; i++) {
      starts.push(at);
      ends.push(at + character.length);
    }
    copied = at + character.length;
  }
  if (pieces.length === 0) return null;
  copyTo(text.length);
  return { plain: pieces.join(''), starts, ends };
}

/** Characters are few, and come again. */
const PLAIN = new Map<string, string>();
const MOST_PLAIN = 5000;

/** One character, as above; itself where it is none of those. */
function plainOf(character: string): string {
  let plain = PLAIN.get(character);
  if (plain === undefined) {
    plain = foldedCharacter(character);
    if (PLAIN.size >= MOST_PLAIN) PLAIN.clear();
    PLAIN.set(character, plain);
  }
  return plain;
}

function foldedCharacter(character: string): string {
  if (INVISIBLE.test(character)) return '';
  if (HYPHENS.test(character)) return '-';
  if (/^\p{Zs}$/u.test(character)) return ' ';
  if (/^\p{Nd}$/u.test(character)) return digitOf(character);
  const plain = character.normalize('NFKC');
  return /^[!-~]$/.test(plain) ? plain : character;
}

/** Digits of every script stand in tens, one after the other, from zero on. */
function digitOf(character: string): string {
  const wide = character.normalize('NFKC');
  if (/^\d$/.test(wide)) return wide;
  const code = character.codePointAt(0)!;
  let zero = code;
  while (code - zero < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero--;
  return String(code - zero);
}

/** As above, where only the words matter. */
export const foldedForPlaces = (text: string): string => foldedText(text)?.plain ?? text;

/**
 * Issuers' numbers by how they begin, and their lengths: order numbers and ids pass Luhn's check one time in ten.
 *
 * @see ISO/IEC 7812; the issuers' published ranges: Visa, Mastercard, American Express, Diners Club, Discover, JCB,
 *      UnionPay, Maestro, Mir, RuPay
 */
const ISSUERS =
  /^(?:4\d{15}(?:\d{3})?|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|(?:30[0-5]|309|36\d|3[89]\d)\d{11}|(?:6011|64[4-9]\d|65\d\d)\d{12}(?:\d{3})?|35(?:2[89]|[3-8]\d)\d{12}(?:\d{3})?|62\d{14,17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}|220[0-4]\d{12}|(?:60|8[12])\d{14}|508\d{13})$/;

/** An issuer's number, with Luhn's check digit. */
function isCard(text: string): boolean {
  const digits = text.replace(/\D/g, '');
  if (!ISSUERS.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    sum += i % 2 === 0 ? digit : digit * 2 - (digit > 4 ? 9 : 0);
  }
  return sum % 10 === 0;
}

/** ISO 13616: the first four characters moved to the end, letters as 10 to 35, remainder 1 of 97. */
function isIban(text: string): boolean {
  const plain = text.replaceAll(' ', '');
  if (plain.length < 15 || plain.length > 34) return false;
  let remainder = 0;
  for (const character of plain.slice(4) + plain.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

function isSpanish(text: string): boolean {
  const plain = text.replace('-', '');
  const number = Number(plain.slice(0, -1).replace(/^[XYZ]/, (letter) => String('XYZ'.indexOf(letter))));
  return 'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23] === plain.at(-1);
}

/** Brazil: two check digits, weights 10 … 2 and 11 … 2. */
function isCpf(text: string): boolean {
  const digits = [...text.replace(/\D/g, '')].map(Number);
  if (digits.length !== 11 || new Set(digits).size === 1) return false;
  const check = (n: number) => {
    const sum = digits.slice(0, n).reduce((total, digit, i) => total + digit * (n + 1 - i), 0);
    return ((sum * 10) % 11) % 10;
  };
  return check(9) === digits[9] && check(10) === digits[10];
}
