/** What people read when a value does not fit its schema: what is allowed, never zod's own words, never the value. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { PLAIN } from '../../datasets/plain-issues.ts';

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
