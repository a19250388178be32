/** Tells keys, tokens and passwords from words, names and code that stand where those would. */

/** A mask, and the marks that end a sentence or a call after it. */
const MASK = /^\[(?:SECRET|EMAIL|CARD|IBAN|NATIONAL_ID|PHONE|IP)\][)\]}>.:!?]*$/;

/** It was masked before. */
export const isMask = (value: string): boolean => MASK.test(value);

/** Forms of their makers that need no look at what they are made of. */
const KNOWN_KEY = /^(?:sk-(?:proj|svcacct|admin|ant|or-v\d)-|[spr]k_(?:live|test)_[A-Za-z0-9]{10})/;
/** Of so many random characters one key in thirty has no digit; shorter ones without are names rather than keys. */
const SURELY_RANDOM = 20;

/** `sk-…`, `pk_…` and the like: of a known form, or random. `pk_organization_members` is none. */
export function isKey(key: string): boolean {
  if (KNOWN_KEY.test(key)) return true;
  const rest = key.slice(3);
  return !isWordy(rest) && (/\d/.test(rest) || rest.length >= SURELY_RANDOM);
}

const AUTHORIZATION = /authorization["']?[ \t]{0,3}[:=][ \t]{0,3}["']?(?:bearer|basic)[ \t]{1,3}$/i;

/** After `bearer` or `basic`: anything in a header, else what is no word. */
export const isToken = (token: string, text: string, at: number): boolean =>
  !isWordy(token) || AUTHORIZATION.test(text.slice(Math.max(0, at - 40), at));

/** Types, and what else says of a value that there is none. */
const NO_VALUE =
  /^(?:string|str|text|varchar|bytes|boolean|bool|number|integer|int|object|any|unknown|never|null|nullable|nil|none|undefined|true|false|required|optional|hidden|redacted|masked|placeholder|typeof)$/i;
/** `form.password`, `$this->key`, with what it is called or looked up by. */
const PATH = /^[A-Za-z_$][\w$]*(?:(?:\?\.|\.#?|->|::)[A-Za-z_$][\w$]*)*/;
/** `${KEY}`, `{{ key }}`, `<key>`, `%(key)s`. */
const FILLED_IN = /^(?:\$\{|\{\{|%\(|(?:\{[A-Za-z_]\w*\}|<[A-Za-z_][\w-]*>)[)\].;]{0,3}$)/;
/** A variable that holds one: `db_password`, `accessToken`, `OPENAI_API_KEY`. */
const NAMES_ONE =
  /^(?:(?:\w*_)?(?:password|passwd|pwd|secret|token|(?:api)?key)|(?:\w*_)?(?:PASSWORD|PASSWD|PWD|SECRET|TOKEN|(?:API)?KEY)|[a-z]\w*(?:Password|Passwd|Pwd|Secret|Token|Key))$/;

/** After `password=` and the like: the secret itself, not its type, nor code that fetches it, nor a mask. */
export function isWrittenOut(value: string, text: string, at: number): boolean {
  if (isMask(value) || FILLED_IN.test(value)) return false;
  const bare = value.replace(/^[=>]{1,2}/, '').replace(/[)\]}>.:!?|&]{1,9}$/, '');
  if (NO_VALUE.test(bare.replace(/[([].*$/, ''))) return false;
  const before = text[at - 1];
  if (before === '"' || before === "'") return true;
  const name = bare.replace(/^[$@:&*]/, '');
  if (NAMES_ONE.test(name)) return false;
  const path = PATH.exec(name)?.[0] ?? '';
  if (path === '') return true;
  const next = name[path.length];
  if (next === '(' || next === '[') return false;
  // In a text's own words, so that `Tr0ub4dor.three` is one.
  return next !== undefined || !/[.>:]/.test(path) || !isWordy(path.replace(/->|::|[?#]/g, '.'));
}

/** Words, joined or with a number at the end, and short numbers. */
const WORDS = /^[A-Z]*[a-z]*(?:[A-Z]{1,5}[a-z]{2,})*(?:[A-Z]{1,5}s?)?\d{0,4}$/;
const MOST_DIGITS = 8;
/** Longer ones with more digits than a word takes are random. */
const LONGEST_NUMBERED = 16;

/** Made of words and short numbers, as names are, and random characters hardly ever. */
function isWordy(text: string): boolean {
  return text.split(/[$._~+/=-]+/).every((part) => {
    if (/^\d*$/.test(part)) return part.length <= MOST_DIGITS;
    return WORDS.test(part) && (part.length < LONGEST_NUMBERED || !/\d{3}$/.test(part));
  });
}
