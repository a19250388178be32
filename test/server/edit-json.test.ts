import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editItems, editMembers, memberText, withoutMember } from '../../server/forward/edit-json.ts';

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

describe('withoutMember', () => {
  test.each([
    ['{"a":1,"b":{"a":2}}', '{"b":{"a":2}}'],
    ['{ "b" : 1.0 , "a":[1,{"x":"}"}] }', '{"b" : 1.0}'],
    ['{"a":1,"a":2}', '{}'],
    ['{"\\u0061":1,"c":12345678901234567890}', '{"c":12345678901234567890}'],
    ['{}', '{}'],
    ['{"b":"a"}', '{"b":"a"}'],
  ])('takes the member a out of %s', (text, expected) => {
    expect(withoutMember(text, 'a')).toBe(expected);
  });

  test('agrees with parsing and deleting, on any object', () => {
    const value = fc.dictionary(fc.oneof(fc.constantFrom('a', 'b'), fc.string()), fc.jsonValue());
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        const text = JSON.stringify(object, null, indent);
        const { a: _, ...rest } = JSON.parse(text);
        expect(JSON.parse(withoutMember(text, 'a'))).toEqual(rest);
      }),
      { numRuns: 500, seed: 12 },
    );
  });
});

describe('memberText', () => {
  test.each([
    ['{"a":1,"b": {"a" : 2.0} }', 'b', '{"a" : 2.0}'],
    ['{"a":1,"a":2}', 'a', '2'],
    ['{"\\u0061": "x,}" }', 'a', '"x,}"'],
    ['{}', 'a', undefined],
  ])('takes out of %s the text of %s', (text, name, expected) => {
    expect(memberText(text, name)).toBe(expected);
  });

  test('agrees with parsing, on any object', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        const text = JSON.stringify(object, null, indent);
        for (const [name, value] of Object.entries(JSON.parse(text))) {
          expect(JSON.parse(memberText(text, name)!)).toEqual(value);
        }
      }),
    );
  });
});

describe('editItems', () => {
  test.each([
    ['[1, 2 ,3]', '[1 ,3]'],
    ['[2, 1.0]', '[1.0]'],
    ['[ 2 ]', '[  ]'],
    ['[]', '[]'],
    ['[ {"a":2} , [2] ]', '[ {"a":2} , [2] ]'],
    ['[2,2,1,2]', '[1]'],
  ])('takes the item 2 out of %s', (text, expected) => {
    expect(editItems(text, (item) => (item === '2' ? null : item))).toBe(expected);
  });

  test('replaces one item and keeps the bytes around it', () => {
    expect(editItems('[ 1.0,\n {"x": "]"}, 3 ]', (item, i) => (i === 1 ? '"new"' : item))).toBe('[ 1.0,\n "new", 3 ]');
  });

  test('agrees with parsing and filtering, on any array', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'), fc.nat(3), (array, indent, drop) => {
        const text = JSON.stringify(array, null, indent);
        const kept = (JSON.parse(text) as unknown[]).filter((_, i) => i % 4 !== drop);
        expect(JSON.parse(editItems(text, (item, i) => (i % 4 === drop ? null : item)))).toEqual(kept);
      }),
      { numRuns: 300 },
    );
  });
});
