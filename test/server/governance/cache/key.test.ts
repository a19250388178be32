import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../../../server/governance/cache/canonical.ts';
import { mayBeKept, wantedBy } from '../../../../server/governance/cache/eligible.ts';
import { type KeyParts, keyOf } from '../../../../server/governance/cache/key.ts';

/** The same value as text, with its members in another order and white space where there may be some. */
function writtenOtherwise(value: unknown, space: string): string {
  if (Array.isArray(value)) return `[${value.map((item) => writtenOtherwise(item, space)).join(`${space},`)}${space}]`;
  if (typeof value !== 'object' || value === null) return `${space}${JSON.stringify(value)}${space}`;
  const members = Object.entries(value).reverse();
  const texts = members.map(([name, item]) => `${space}${escapedAll(name)}${space}:${writtenOtherwise(item, space)}`);
  return `${space}{${texts.join(',')}${space}}`;
}

/** Every letter as an escape: the same string to any reader of JSON. */
const escapedAll = (text: string): string =>
  `"${[...Array(text.length).keys()].map((i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`;

describe('a canonical text', () => {
  test('says the same as the text it was made of, and is the same for every way of writing that', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom('', ' ', '\n\t', '\r\n  '), (value, space) => {
        const text = JSON.stringify(value);
        const canonical = canonicalJson(text);
        expect(JSON.parse(canonical)).toEqual(JSON.parse(text));
        expect(canonicalJson(writtenOtherwise(JSON.parse(text), space))).toBe(canonical);
        expect(canonicalJson(canonical)).toBe(canonical);
      }),
    );
  });

  test('keeps what parsing would lose: large numbers, repeated members and their order', () => {
    const differ = [
      '{"seed":12345678901234567890}',
      '{"seed":12345678901234567891}',
      '{"seed":1,"seed":2}',
      '{"seed":2,"seed":1}',
      '{"seed":2}',
      '{"seed":2.0}',
      '{"seed":"2"}',
    ];
    expect(new Set(differ.map((text) => canonicalJson(text))).size).toBe(differ.length);
  });

  test('leaves members out at the top and nowhere else', () => {
    const text = '{"routing":{"dial":1},"messages":[{"routing":1}],"\\u0072outing":2}';
    expect(canonicalJson(text, new Set(['routing']))).toBe('{"messages":[{"routing":1}]}');
  });

  test('is made in time that grows with the text alone', () => {
    // A megabyte of short strings, and of escapes: were each string to search the rest, this would be 10¹¹ steps.
    const many = JSON.stringify(Array.from({ length: 150_000 }, () => 'ab'));
    expect(canonicalJson(many)).toBe(many);
    const escapes = JSON.stringify(Array.from({ length: 150_000 }, () => '\n'));
    expect(canonicalJson(escapes)).toBe(escapes);
  });
});

const parts = (more: Partial<KeyParts> = {}): KeyParts => ({
  tenant: 'a',
  project: null,
  surface: 'chat',
  body: '{"model":"auto"}',
  routing: {},
  models: null,
  bounds: null,
  tags: [],
  policyVersion: 1,
  rules: ['r'],
  guards: [],
  artifact: 'x',
  setup: 's',
  headers: [],
  ...more,
});

const words = fc.string({ maxLength: 6 });
const anyParts: fc.Arbitrary<KeyParts> = fc.record({
  tenant: words,
  project: fc.option(words),
  surface: fc.constantFrom('chat', 'responses', 'messages', 'embeddings'),
  body: fc.json().map((text) => canonicalJson(text)),
  routing: fc.record({ dial: fc.nat(10), minQuality: fc.double({ min: 0, max: 1 }) }, { requiredKeys: [] }),
  models: fc.option(fc.array(words, { maxLength: 3 })),
  bounds: fc.option(fc.record({ dial: fc.nat(10) })),
  tags: fc.array(words, { maxLength: 3 }),
  policyVersion: fc.option(fc.nat(5)),
  rules: fc.array(words, { maxLength: 3 }),
  guards: fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 2 }),
  artifact: fc.option(words),
  setup: words,
  headers: fc.array(fc.tuple(fc.constantFrom('openai-beta', 'anthropic-beta'), words), { maxLength: 2 }),
});

describe('a key', () => {
  test('is shared by no two requests that differ in anything that matters', () => {
    fc.assert(
      fc.property(
        anyParts,
        anyParts,
        fc.constantFrom(...(Object.keys(parts()) as (keyof KeyParts)[])),
        (one, other, part) => {
          // The same but for one part: the same key exactly where that part is the same.
          const changed = { ...one, [part]: other[part] };
          const same = JSON.stringify(one[part]) === JSON.stringify(other[part]);
          if (same) expect(keyOf(changed)).toBe(keyOf(one));
          else expect(keyOf(changed) === keyOf(one)).toBe(sortedJson(one[part]) === sortedJson(other[part]));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('is never shared by two tenants', () => {
    fc.assert(
      fc.property(anyParts, anyParts, words, words, (one, other, a, b) => {
        fc.pre(a !== b);
        expect(keyOf({ ...one, tenant: a })).not.toBe(keyOf({ ...one, tenant: b }));
        expect(keyOf({ ...one, tenant: a })).not.toBe(keyOf({ ...other, tenant: b }));
      }),
    );
  });

  test('does not mix up where one part ends and the next begins', () => {
    const keys = [
      parts({ tags: ['a', 'b'] }),
      parts({ tags: ['a,b'] }),
      parts({ tags: ['a'], rules: ['b', 'r'] }),
      parts({ models: [] }),
      parts({ models: null }),
      parts({ tenant: '' }),
      parts({ project: '' }),
      parts({ artifact: null }),
      parts({ headers: [['openai-beta', '']] }),
    ].map(keyOf);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

const sortedJson = (value: unknown): string => canonicalJson(JSON.stringify(value) ?? 'null');

describe('what is never kept', () => {
  test.each([
    ['chat', { store: true }],
    ['chat', { web_search_options: {} }],
    ['chat', { tools: [{ type: 'web_search' }] }],
    ['chat', { audio: { voice: 'x' } }],
    ['responses', {}],
    ['responses', { store: null }],
    ['responses', { store: false, previous_response_id: 'resp_1' }],
    ['responses', { store: false, conversation: 'conv_1' }],
    ['responses', { store: false, prompt: { id: 'pmpt_1' } }],
    ['responses', { store: false, background: true }],
    ['responses', { store: false, tools: [{ type: 'function' }, { type: 'mcp' }] }],
    ['messages', { container: 'c' }],
    ['messages', { mcp_servers: [] }],
    ['messages', { tools: [{ type: 'code_execution_20250825' }] }],
    ['chat', { tools: 'nonsense' }],
    ['chat', { model: 'openrouter/maker/model:online' }],
    ['messages', { model: 'openrouter/maker/model:free:online' }],
    ['chat', { models: ['maker/other', 'maker/model:online'] }],
    ['chat', { plugins: [{ id: 'web' }] }],
    ['responses', { store: false, plugins: [{ id: 'auto-router' }, { id: 'file-parser' }] }],
    ['chat', { plugins: {} }],
    ['responses', { store: false, web_search_options: {} }],
  ] as const)('%s with %j', (surface, more) => {
    expect(mayBeKept(surface, { model: 'auto', ...more })).toBe(false);
  });

  test.each([
    ['chat', {}],
    ['chat', { store: false, temperature: 1, tools: [{ type: 'function' }] }],
    ['responses', { store: false, background: false, previous_response_id: null }],
    ['messages', { tools: [{ name: 'plain' }, { type: 'custom', name: 'x' }] }],
    ['embeddings', { input: 'x' }],
    ['chat', { plugins: [{ id: 'auto-router', allowed_models: ['one/*'] }], models: ['one/a'] }],
    ['chat', { plugins: [], models: null, web_search_options: null, model: 'maker/online-shop' }],
  ] as const)('but %s with %j may be', (surface, more) => {
    expect(mayBeKept(surface, { model: 'auto', ...more })).toBe(true);
  });
});

test('a client’s cache-control is heard', () => {
  expect(wantedBy({})).toEqual({ read: true, write: true, maxAgeS: null });
  expect(wantedBy({ 'cache-control': 'No-Cache' })).toEqual({ read: false, write: true, maxAgeS: null });
  expect(wantedBy({ pragma: 'no-cache' })).toEqual({ read: false, write: true, maxAgeS: null });
  expect(wantedBy({ 'cache-control': 'no-store, max-age=5' })).toEqual({ read: false, write: false, maxAgeS: 5 });
  expect(wantedBy({ 'cache-control': 'max-age=60, max-age="30", max-age=-1, max-age=1e3' }).maxAgeS).toBe(30);
});
