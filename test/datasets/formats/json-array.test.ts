import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonArray } from '../../../datasets/formats/json-array.ts';
import { jsonLines } from '../../../datasets/formats/json-lines.ts';
import { failureOf } from '../fixtures.ts';

/** The text in pieces of the given lengths, over and over, in one buffer that is used again each time. */
async function* pieces(text: string, lengths: readonly number[] = [1 << 16]) {
  const bytes = Buffer.from(text);
  const shared = new Uint8Array(1 << 16);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const piece = bytes.subarray(at, at + lengths[i % lengths.length]!);
    shared.set(piece);
    yield shared.subarray(0, piece.length);
    at += piece.length;
  }
}

async function all<T>(items: AsyncIterable<{ value: T; row: number }>): Promise<T[]> {
  const found: T[] = [];
  for await (const { value, row } of items) {
    expect(row).toBeGreaterThan(0);
    found.push(value);
  }
  return found;
}

const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });

test('reads what JSON.parse reads, however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue()), lengths, fc.constantFrom(undefined, 2), async (items, cut, indent) => {
      const text = JSON.stringify(items, null, indent);
      expect(await all(jsonArray('x.json', pieces(text, cut)))).toEqual(JSON.parse(text));
    }),
  );
});

test('reads the array under a key, wherever it stands and whatever stands around it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue()), fc.jsonValue(), lengths, async (rows, other, cut) => {
      const text = JSON.stringify({ before: other, note: 'rows', rows, nested: { rows: [1] }, after: other });
      expect(await all(jsonArray('x.json', pieces(text, cut), 'rows'))).toEqual(JSON.parse(text).rows);
    }),
  );
});

test('a file cut anywhere is refused, or yields all rows when only the end of a line is gone', async () => {
  const text = JSON.stringify([{ a: 'x]"' }, [1, 2], 'three', 4]);
  for (let end = 0; end < text.length; end++) {
    const failure = await failureOf(() => all(jsonArray('x.json', pieces(text.slice(0, end)))));
    expect(failure.code).toBe('TRUNCATED_FILE');
    expect(failure.message).toContain('x.json');
  }
});

test('names the row that is not JSON', async () => {
  const failure = await failureOf(() => all(jsonArray('x.json', pieces('[{"a": 1}, {"a": tru}]'))));
  expect(failure).toMatchObject({ code: 'MALFORMED_JSON' });
  expect(failure.message).toMatch(/^x\.json: row 2: /);
});

test.each(['[1,,2]', '[,1]', '[1,]'])('refuses the stray comma of %s', async (text) => {
  expect(await failureOf(() => all(jsonArray('x.json', pieces(text))))).toMatchObject({ code: 'MALFORMED_JSON' });
});

test('NaN and Infinity, which Python writes, become null; in a text they stay', async () => {
  const text = '[{"a": NaN, "b": -Infinity, "c": "NaN \\" Infinity"}]';
  expect(await all(jsonArray('x.json', pieces(text)))).toEqual([{ a: null, b: null, c: 'NaN " Infinity' }]);
});

test('another thing than an array is refused', async () => {
  expect(await failureOf(() => all(jsonArray('x', pieces('{"a": 1}'))))).toMatchObject({ code: 'WRONG_FORMAT' });
  expect(await failureOf(() => all(jsonArray('x', pieces('[1]'), 'rows')))).toMatchObject({ code: 'WRONG_FORMAT' });
  expect(await failureOf(() => all(jsonArray('x', pieces('{"a": [1]}'), 'rows')))).toMatchObject({
    code: 'WRONG_FORMAT',
  });
});

test('lines of JSON are read however the bytes are cut, blank ones skipped', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue()), lengths, async (items, cut) => {
      const text = items.map((item) => `${JSON.stringify(item)}\n\n`).join('');
      expect(await all(jsonLines('x.jsonl', pieces(text, cut)))).toEqual(JSON.parse(JSON.stringify(items)));
    }),
  );
  const failure = await failureOf(() => all(jsonLines('x.jsonl', pieces('{}\n\n{"a"'))));
  expect(failure.message).toMatch(/^x\.jsonl:3: not JSON/);
});
