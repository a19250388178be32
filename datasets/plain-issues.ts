/** What zod finds wrong, in words for people: what is allowed, rather than the type that was expected. */
import type { z } from 'zod';

type Issue = z.core.$ZodRawIssue;

/**
 * Given to `safeParse` wherever somebody reads the message: a schema's own words still win.
 *
 *     schema.safeParse(value, PLAIN)
 */
export const PLAIN: z.core.ParseContext<z.core.$ZodIssue> = { error: (issue) => plainIssue(issue) };

/** More names than these in one message help nobody, and nor does more of a name. */
const MOST_NAMES = 5;
const LONGEST_NAME = 100;
const PLAIN_NAME = /^[\p{L}\p{N}_$@*][\p{L}\p{M}\p{N}_$@*.:/+ -]*$/u;
/** What keys of this and other gateways and of providers begin with: one may stand where a name is meant. */
const SECRET = /^(?:sk-.{12}|(?:sk|pk|rk|pm|gsk|xai)[-_](?=\D*\d).{16})/isu;

/**
 * A name that somebody sent, fit for a message: as it is where it is plain, else in quotes with whatever a terminal or a log
 * would act upon escaped; cut at 100 characters, and before what looks like a secret.
 */
export function plainName(name: PropertyKey): string {
  const whole = String(name);
  if (SECRET.test(whole)) return `${whole.slice(0, whole.search(/[-_]/) + 1)}…`;
  const shown = whole.length > LONGEST_NAME ? `${whole.slice(0, LONGEST_NAME)}…` : whole;
  if (whole.length <= LONGEST_NAME && PLAIN_NAME.test(shown)) return shown;
  return JSON.stringify(shown).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  );
}

/** Several of them: five, and how many more there are. */
export function plainNames(names: readonly PropertyKey[]): string {
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return `${names.slice(0, MOST_NAMES).map(plainName).join(', ')}${more}`;
}

/** Where in a value, `routing.dial`: names of records are anybody's, and each is as `plainName` has it. */
export const plainPath = (path: readonly PropertyKey[]): string => path.map(plainName).join('.');

/**
 * What is wrong first, `name: is missing; it must be a text`, and with it the fields that there are not: one of them is most
 * likely the one that is missing, misspelt.
 *
 * @param whole what the value is called where it is wrong as a whole
 */
export function firstIssue(issues: readonly z.core.$ZodIssue[], whole = 'body'): string {
  const [first] = issues;
  if (first === undefined) return `${whole}: is not valid`;
  if (first.code === 'unrecognized_keys') {
    const [name, ...others] = first.keys;
    const also = others.length === 0 ? '' : `, nor ${plainNames(others)}`;
    return `${plainPath([...first.path, name!])}: no such field${also}`;
  }
  const unknown = issues.find((issue) => issue.code === 'unrecognized_keys');
  const also = unknown === undefined ? '' : `; and no such field: ${plainNames(unknown.keys)}`;
  return `${plainPath(first.path) || whole}: ${first.message}${also}`;
}

/** A phrase to put behind the path of the value, like `must be a number, not a text`. It never holds the value itself. */
function plainIssue(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue.expected, issue.input);
    case 'invalid_value':
      return notAmong(issue.values, issue.input);
    case 'too_small':
      return outside(issue, issue.minimum, issue.inclusive === false ? 'more than' : 'at least');
    case 'too_big':
      return outside(issue, issue.maximum, issue.inclusive === false ? 'less than' : 'at most');
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return wrongFormat(issue);
    case 'unrecognized_keys':
      return `no such field: ${plainNames(issue.keys)}`;
    case 'invalid_union':
      return noForm(issue as Issue & UnionIssue);
    case 'invalid_key':
      return `has a name that is not allowed: ${issue.issues[0]?.message ?? 'see the documentation'}`;
    case 'invalid_element':
      return `holds what is not allowed: ${issue.issues[0]?.message ?? 'see the documentation'}`;
    default:
      return 'is not valid';
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object of names and values',
  record: 'an object of names and values',
  null: 'null',
  date: 'a date',
};

function wrongType(expected: string, input: unknown): string {
  if (expected === 'never') return 'is not allowed here';
  const must = `must be ${EXPECTED[expected] ?? `a ${expected}`}`;
  // What is no number was made one: of a query or a column, where all is text.
  if (Number.isNaN(input)) return must;
  if (input === undefined) return `is missing; it ${must}`;
  // A name of digits alone is a number to YAML and to JSON.
  const isUnquoted = expected === 'string' && (typeof input === 'number' || typeof input === 'boolean');
  return isUnquoted ? `${must}; put it in quotes` : `${must}, not ${kindOf(input)}`;
}

function kindOf(input: unknown): string {
  if (input === null) return 'null';
  if (Array.isArray(input)) return 'a list';
  if (input === Number.POSITIVE_INFINITY || input === Number.NEGATIVE_INFINITY) return 'an infinite one';
  if (typeof input === 'number') return Number.isInteger(input) ? 'a number' : 'a fraction';
  if (typeof input === 'boolean') return 'true or false';
  return EXPECTED[typeof input] ?? `a ${typeof input}`;
}

function notAmong(values: readonly unknown[], input: unknown): string {
  const allowed = values.map(String);
  const must = allowed.length === 1 ? `must be ${allowed[0]}` : `must be one of ${allowed.join(', ')}`;
  return input === undefined ? `is missing; it ${must}` : must;
}

interface Bound {
  readonly origin: string;
  readonly exact?: boolean | undefined;
}

function outside({ origin, exact }: Bound, bound: number | bigint, how: string): string {
  const within = exact === true ? 'exactly' : how;
  if (origin === 'string') {
    return bound === 1 && within === 'at least'
      ? 'must not be empty'
      : `must have ${within} ${counted(bound, 'character')}`;
  }
  if (origin === 'array' || origin === 'set' || origin === 'map') {
    return bound === 1 && within === 'at least'
      ? 'must not be empty'
      : `must have ${within} ${counted(bound, 'entry')}`;
  }
  return `must be ${within} ${bound}`;
}

const counted = (n: number | bigint, noun: string): string =>
  `${n} ${Number(n) === 1 ? noun : noun.replace(/y$/, 'ie').concat('s')}`;

const FORMATS: Readonly<Record<string, string>> = {
  url: 'a URL',
  email: 'an e-mail address',
  uuid: 'a UUID',
  guid: 'a UUID',
  date: 'a day like 2026-11-01',
  datetime: 'a moment like 2026-11-01T12:00:00Z',
  json_string: 'JSON',
};

interface FormatIssue {
  readonly format: string;
  readonly pattern?: string | undefined;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly includes?: string;
}

function wrongFormat(issue: FormatIssue): string {
  const { format, pattern, prefix, suffix, includes } = issue;
  if (format === 'starts_with') return `must begin with ${prefix}`;
  if (format === 'ends_with') return `must end with ${suffix}`;
  if (format === 'includes') return `must hold ${includes}`;
  if (format === 'regex') return `must have the form ${pattern}`;
  return `must be ${FORMATS[format] ?? `a valid ${format}`}`;
}

interface UnionIssue {
  readonly errors: readonly (readonly z.core.$ZodIssue[])[];
  readonly discriminator?: string | undefined;
  readonly options?: readonly unknown[] | undefined;
}

/** More than these are no help. */
const MOST_FORMS = 4;

/** What each form would have; of those that fail in the value itself only that, else the first thing in each. */
function noForm({ errors, options, discriminator, input }: UnionIssue & { input?: unknown }): string {
  if (discriminator !== undefined && options !== undefined) {
    return notAmong(options, (input as Record<string, unknown> | undefined)?.[discriminator]);
  }
  const forms = errors.flatMap(([first]) => (first === undefined ? [] : [first]));
  const inside = forms.filter(({ path }) => path.length > 0);
  const top = forms.filter(({ path }) => path.length === 0);
  // A value of the right kind is wrong within: which other kinds there are is beside the point.
  const told = inside.length > 0 && top.length > 0 ? inside : forms;
  const words = [
    ...new Set(told.map(({ path, message }) => (path.length === 0 ? message : `${plainPath(path)} ${message}`))),
  ].slice(0, MOST_FORMS);
  const kinds = words.map((word) => /^must be (.*?)(, not .*|; put .*)?$/.exec(word));
  if (words.length === 0) return 'is not valid';
  if (kinds.includes(null)) return words.join('; or ');
  return `must be ${kinds.map((kind) => kind![1]).join(' or ')}, not ${kindOf(input)}`;
}
