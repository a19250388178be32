/** What is masked: the patterns of personal data and secrets, and what tells one from what only looks like it. */
import { isKey, isMask, isToken, isWrittenOut } from './secret-looks.ts';

export const KINDS = ['secret', 'email', 'card', 'iban', 'national_id', 'phone', 'ip'] as const;
export type Kind = (typeof KINDS)[number];

/** What stands in place of one. */
export const maskOf = (kind: Kind): string => `[${kind.toUpperCase()}]`;

export interface Rule {
  readonly kind: Kind;
  /** Every repetition is bounded, or of one class that nothing after it begins with: time grows with the text alone. */
  readonly pattern: RegExp;
  /** Whether what looks like one is one, at its place in the text. */
  readonly isOne?: (match: string, text: string, at: number) => boolean;
  /** Characters that a match has at most, with what it must not be followed by. */
  readonly longest: number;
}

/** Characters that patterns, and `isOne`, look back at most: 125 for a password's place in an address of a page. */
export const LOOKED_BACK = 200;

/** The longest private key that is found, with its first and last line: 57 + 20 000 + 55. */
export const LONGEST_KEY = 20_112;

/** The longest of all others, which is a token of three parts, with what it must not be followed by. */
export const LONGEST_BUT_KEYS = 7010;

/** Of what says nothing else the longest: an address of nine names, in characters of two units each. */
const LONGEST = 1300;

/** Secrets first: they may hold what looks like the others. */
const WRITTEN: readonly (Omit<Rule, 'longest'> & Partial<Rule>)[] = [
  {
    kind: 'secret',
    pattern: /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!-)){0,20000}-----END [A-Z ]{0,30}PRIVATE KEY-----/g,
    longest: LONGEST_KEY,
  },
  // Keys by their makers' prefixes. OpenAI, Anthropic, Stripe and ours: constraints and packages begin like them.
  { kind: 'secret', pattern: /(?<![A-Za-z0-9])(?:sk|pk|rk|pm)[-_][A-Za-z0-9_-]{16,200}/g, isOne: isKey },
  // AWS, GitHub, GitLab, Slack, Google, Hugging Face, npm.
  {
    kind: 'secret',
    pattern:
      /(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[opsur]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{30,255}|glpat-[A-Za-z0-9_-]{16,100}|xox[abeoprs]-[A-Za-z0-9-]{10,250}|AIza[A-Za-z0-9_-]{30,60}|ya29\.[A-Za-z0-9_-]{20,400}|hf_[A-Za-z0-9]{20,100}|npm_[A-Za-z0-9]{30,60})/g,
  },
  {
    kind: 'secret',
    pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}/g,
    longest: LONGEST_BUT_KEYS,
  },
  {
    kind: 'secret',
    pattern: /(?<=\b(?:bearer|basic)[ \t]{1,3})[A-Za-z0-9._~+/-]{16,4000}={0,2}/gi,
    isOne: isToken,
    longest: 4010,
  },
  {
    kind: 'secret',
    pattern:
      /(?<=\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token)["']?[ \t]{0,3}[:=][ \t]{0,3}["']?)[^\s"',;]{6,200}/gi,
    isOne: isWrittenOut,
  },
  {
    kind: 'secret',
    pattern: /(?<=[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@]{1,100}:)[^\s:/@]{1,200}(?=@)/gi,
    isOne: (password) => !isMask(password),
  },
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
  {
    // As cards print it, or in one piece, with groups of other lengths beside it: a day, a month and year, three digits of the
    // back. Beside more groups of four it is a column of a table.
    kind: 'card',
    pattern:
      /(?<![\d.-]|[\da-f]{7}[a-f]|\d{4} )(?:\d{4}(?:[ -]\d{4}){3}|\d{4}[ -]\d{6}[ -]\d{4,5}|\d{13,19})(?!\d|\.\d|[a-f][\da-f]{7}|[ -]\d{4}(?!\d))/g,
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
    // 123.456.789 is an amount.
    isOne: (number) => !/^[1-9]\d\d\.\d{3}\.\d{3}$/.test(number),
  },
  {
    kind: 'ip',
    pattern: /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])/g,
    isOne: isAddress,
  },
];

export const RULES: readonly Rule[] = WRITTEN.map((rule) => ({ longest: LONGEST, ...rule }));

const VERSION = /\b(?:version["']?[ \t]{0,3}[:=]?[ \t]{0,3}["']?v?|v[. ]?)$/i;

/** Not the machine itself, no network's or browser's 120.0.0.0, and no version. */
function isAddress(address: string, text: string, at: number): boolean {
  if (address.startsWith('127.') || address.endsWith('.0.0.0')) return false;
  return !VERSION.test(text.slice(Math.max(0, at - 20), at));
}

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
