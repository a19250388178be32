import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editMembers } from '../../server/forward/edit-json.ts';

describe('editMembers', () => {
  test('changes the member and no other byte', () => {
    const text = '{ "seed": 12345678901234567890,\n "t": 1.0, "model" : "auto", "x": {"model": "inner"} }';
    expect(editMembers(text, { model: '"gpt"' })).toBe(
      '{ "seed": 12345678901234567890,\n "t": 1.0, "model" : "gpt", "x": {"model": "inner"} }',
    );
  });

  test('adds a member that is not there', () => {
    expect(editMembers('{}', { model: '"a"' })).toBe('{"model":"a"}');
    expect(editMembers('{"a":[1,{"b":"}"}]}', { model: '"a"' })).toBe('{"a":[1,{"b":"}"}],"model":"a"}');
  });

  test('changes every one of repeated members', () => {
    expect(editMembers('{"model":"a","model":"b"}', { model: '"c"' })).toBe('{"model":"c","model":"c"}');
  });

  test('finds a member whose name is escaped', () => {
    expect(editMembers('{"\\u006dodel":"a"}', { model: '"c"' })).toBe('{"\\u006dodel":"c"}');
  });

  test('renames a member', () => {
    expect(editMembers('{"max_tokens": 5, "b": 1}', { b: '2' }, { max_tokens: 'limit' })).toBe('{"limit": 5, "b": 2}');
  });

  test('agrees with parsing, changing and printing, on any object', () => {
    const object = fc.dictionary(fc.oneof(fc.constant('model'), fc.string({ unit: 'binary' })), fc.jsonValue());
    fc.assert(
      fc.property(object, fc.jsonValue(), fc.constantFrom(undefined, 2, '\t'), (value, model, space) => {
        const text = JSON.stringify(value, null, space);
        const edited = JSON.parse(editMembers(text, { model: JSON.stringify(model) }));
        expect(edited).toEqual(JSON.parse(JSON.stringify({ ...value, model })));
      }),
      { numRuns: 500 },
    );
  });
});
