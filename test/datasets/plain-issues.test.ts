/** What people read when a value does not fit its schema: what is allowed, never zod's own words, never the value. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { firstIssue, PLAIN, plainName, plainNames, plainPath } from '../../datasets/plain-issues.ts';

const said = (schema: z.ZodType, value: unknown): string[] =>
  (schema.safeParse(value, PLAIN).error?.issues ?? []).map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );

const Shape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('one') }),
  z.object({ kind: z.literal('two'), size: z.number() }),
]);

describe('a value that does not fit', () => {
  test.each<[string, z.ZodType, unknown, string]>([
    ['a missing field', z.object({ name: z.string() }), {}, 'name: is missing; it must be a text'],
    ['a text as a number', z.number(), 'many', 'must be a number, not a text'],
    ['a number as a text', z.string(), 5, 'must be a text; put it in quotes'],
    ['a fraction', z.int(), 1.5, 'must be a whole number, not a fraction'],
    ['a list', z.record(z.string(), z.number()), [], 'must be an object of names and values, not a list'],
    ['null', z.array(z.string()), null, 'must be a list, not null'],
    ['what was made no number', z.coerce.number(), 'x', 'must be a number'],
    ['more than allowed', z.number().max(10), 11, 'must be at most 10'],
    ['less than allowed', z.number().positive(), 0, 'must be more than 0'],
    ['an empty text', z.string().min(1), '', 'must not be empty'],
    ['a short text', z.string().min(16), 'x', 'must have at least 16 characters'],
    ['a long list', z.array(z.number()).max(1), [1, 2], 'must have at most 1 entry'],
    ['a longer list', z.array(z.number()).length(2), [1], 'must have exactly 2 entries'],
    ['another word', z.enum(['day', 'month']), 'year', 'must be one of day, month'],
    ['no word', z.enum(['day', 'month']), undefined, 'is missing; it must be one of day, month'],
    ['another kind', Shape, { kind: 'three' }, 'kind: must be one of one, two'],
    ['no kind', Shape, {}, 'kind: is missing; it must be one of one, two'],
    ['an unknown field', z.strictObject({ a: z.string().optional() }), { b: 1, c: 2 }, 'no such field: b, c'],
    ['neither form', z.union([z.string(), z.number()]), [], 'must be a text or a number, not a list'],
    ['a form with a mistake', z.union([z.string(), z.object({ a: z.number() })]), { a: 'x' }, 'a must be a number'],
    ['a URL', z.url(), 'here', 'must be a URL'],
    ['a pattern', z.string().regex(/^a+$/), 'b', 'must have the form /^a+$/'],
    ['a day', z.iso.date(), 'soon', 'must be a day like 2026-11-01'],
    ['what may not be', z.never(), 1, 'is not allowed here'],
  ])('is told what is allowed: %s', (_, schema, value, expected) => {
    expect(said(schema, value)).toEqual([expect.stringContaining(expected)]);
  });

  test('is told in a schema’s own words where it has some', () => {
    expect(said(z.string('must be a name'), 5)).toEqual(['must be a name']);
    expect(
      said(
        z.number().refine((n) => n % 2 === 0, 'must be even'),
        3,
      ),
    ).toEqual(['must be even']);
  });

  test('is never told in zod’s words, nor told back, whatever it is', () => {
    const schemas = [
      z.string().regex(/^never$/),
      z.number().min(1e300),
      z.array(z.enum(['a-b-c'])),
      z.strictObject({ secret: z.strictObject({ deep: z.boolean() }) }),
      z.union([z.literal('a-b-c'), z.object({ x: z.tuple([z.null()]) })]),
      z.record(z.string().regex(/^never$/), z.never()),
    ];
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...schemas), (value, schema) => {
        for (const text of said(schema, value)) {
          expect(text).not.toMatch(/Invalid|expected|received|Unrecognized|Too (big|small)/);
        }
      }),
    );
    const key = 'sk-do-not-tell-me';
    for (const schema of schemas) expect(said(schema, key).join()).not.toContain(key);
  });
});

describe('names that somebody sent', () => {
  test.each<[string, string, string]>([
    ['a plain one as it is', 'max_tokens', 'max_tokens'],
    ['one with marks between', 'openai/gpt-6:free', 'openai/gpt-6:free'],
    ['one in another script', 'größe', 'größe'],
    ['an empty one', '', '""'],
    ['what a terminal acts upon', 'a\u001b[2J', '"a\\u001b[2J"'],
    ['the same in one character', 'a\u009b2J', '"a\\u009b2J"'],
    ['what turns the line around', 'a\u202eb', '"a\\u202eb"'],
    ['a line of its own', 'a\nerror: b', '"a\\nerror: b"'],
    ['a key of a provider', 'sk-proj-0123456789abcdef', 'sk-…'],
    ['a name that only begins so', 'pk_column_of_the_table', 'pk_column_of_the_table'],
    ['a key of ours', 'pm_0123456789abcdefghij', 'pm_…'],
  ])('come back fit to be read: %s', (_, name, expected) => expect(plainName(name)).toBe(expected));

  test('are cut at 100 characters, and after five of them', () => {
    expect(plainName('a'.repeat(1_000_000))).toBe(`"${'a'.repeat(100)}…"`);
    expect(plainNames(['a', 'b', 'c', 'd', 'e', 'f', 'g'])).toBe('a, b, c, d, e and 2 more');
    const body = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}${'x'.repeat(1000)}`, 1]));
    expect(said(z.strictObject({}), body)[0]!.length).toBeLessThan(600);
  });

  test('hold nothing that acts upon a terminal, whatever they are, wherever they stand', () => {
    const schema = z.strictObject({ tags: z.record(z.string(), z.number()).optional() });
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => {
        for (const value of [{ [name]: 1 }, { tags: { [name]: 'x' } }]) {
          const { error } = schema.safeParse(value, PLAIN);
          if (error === undefined) continue;
          const text = firstIssue(error.issues);
          expect(text).not.toMatch(/[\p{Cc}\u202a-\u202e\u2028\u2029]/u);
          expect(text.length).toBeLessThan(1000);
        }
      }),
    );
    expect(plainPath(['tags', 0, 'a\u001b'])).toBe('tags.0."a\\u001b"');
  });

  test('of a field that is misspelt are told with the one that is missing', () => {
    const schema = z.strictObject({ name: z.string() });
    const first = (value: unknown) => firstIssue(schema.safeParse(value, PLAIN).error!.issues);
    expect(first({ nam: 'x' })).toBe('name: is missing; it must be a text; and no such field: nam');
    expect(first({ name: 'x', nam: 'x', mane: 'x' })).toBe('nam: no such field, nor mane');
    expect(first([])).toBe('body: must be an object of names and values, not a list');
  });
});
