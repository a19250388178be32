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
  { kind: 'card', pattern: /(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d])/g, isOne: isCard },
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
 *          looks like one, and how many of each there were
 */
export function redact(text: string, kinds?: ReadonlySet<Kind>): { readonly text: string; readonly found: Found } {
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

/** Luhn's check digit, and a length and first digit that cards have. */
function isCard(text: string): boolean {
  const digits = text.replace(/\D/g, '');
  if (digits.length < 13 || digits.length > 19 || !/^[2-6]/.test(digits)) return false;
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
