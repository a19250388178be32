import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Outcome, readJsonl } from '../../datasets/index.ts';
import { failureOf, folderOf, jsonl, temporaryFolder } from './fixtures.ts';

const Row = z.object({ id: z.string(), n: z.number() });

async function rowsOf(path: string): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const row of readJsonl(path, Row)) rows.push(row);
  return rows;
}

const readText = (text: string | Uint8Array, name = 'rows.jsonl') => rowsOf(join(folderOf({ [name]: text }), name));

const two = [
  { id: 'a', n: 1 },
  { id: 'b', n: 2 },
];

test('reads plain and gzipped rows alike', async () => {
  expect(await readText(jsonl(two))).toEqual(two);
  expect(await readText(gzipSync(jsonl(two)), 'rows.jsonl.gz')).toEqual(two);
});

test('reads a gzip file of several members, as `cat a.gz b.gz` makes it', async () => {
  const both = Buffer.concat([gzipSync(jsonl([two[0]])), gzipSync(jsonl([two[1]]))]);
  expect(await readText(both, 'rows.jsonl.gz')).toEqual(two);
});

test.each([
  ['a missing newline at the end', jsonl(two).trimEnd()],
  ['Windows line ends', jsonl(two).replaceAll('\n', '\r\n')],
  ['a byte order mark', `\uFEFF${jsonl(two)}`],
  ['blank lines', `\n${jsonl(two).replace('\n', '\n\n  \n')}\n`],
])('does not mind %s', async (_, text) => {
  expect(await readText(text)).toEqual(two);
});

test('has no rows in an empty file', async () => {
  expect(await readText('')).toEqual([]);
  expect(await readText(gzipSync(''), 'rows.jsonl.gz')).toEqual([]);
});

test('keeps a line whole that holds a Unicode line separator, which JSON allows inside a string', async () => {
  const row = { id: 'one\u2028two\u2029three\u0085four', n: 3 };
  expect(await readText(`${JSON.stringify(row)}\n`)).toEqual([row]);
});

test('reads a line of ten million characters', async () => {
  const id = 'é'.repeat(10_000_000);
  expect(await readText(jsonl([{ id, n: 1 }]))).toEqual([{ id, n: 1 }]);
});

test('puts characters together again that a chunk border cut in two', async () => {
  // Four bytes each, shifted by one byte: some straddle every 64 KiB border.
  const id = `x${'🚂'.repeat(100_000)}`;
  expect(await readText(jsonl([{ id, n: 1 }]))).toEqual([{ id, n: 1 }]);
});

test('gives back any rows that were written', async () => {
  const dir = temporaryFolder();
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ id: fc.string({ unit: 'binary' }), n: fc.double({ noDefaultInfinity: true, noNaN: true }) }),
      ),
      fc.boolean(),
      async (rows, zipped) => {
        const path = join(dir, zipped ? 'rows.jsonl.gz' : 'rows.jsonl');
        // -0 is 0 in JSON.
        const text = jsonl(rows.map((row) => ({ ...row, n: row.n + 0 })));
        writeFileSync(path, zipped ? gzipSync(text) : text);
        expect(await rowsOf(path)).toEqual(JSON.parse(JSON.stringify(rows)));
      },
    ),
    { numRuns: 60, seed: 1 },
  );
});

test('refuses a gzip file cut at any byte, even where a cut row would be malformed', async () => {
  const whole = gzipSync(jsonl(Array.from({ length: 50 }, (_, n) => ({ id: `row ${n}`, n }))));
  for (let bytes = 0; bytes < whole.length; bytes += 7) {
    const error = await failureOf(() => readText(whole.subarray(0, bytes), 'rows.jsonl.gz'));
    expect(error.code, `cut after ${bytes} bytes`).toBe('TRUNCATED_FILE');
  }
});

test('refuses a damaged gzip file, and a plain one that is only called .gz', async () => {
  const damaged = gzipSync(jsonl(Array.from({ length: 500 }, (_, n) => ({ id: `row ${(n * 7919) % 503}`, n }))));
  damaged.fill(0x55, 400, 420);
  expect((await failureOf(() => readText(damaged, 'rows.jsonl.gz'))).code).toBe('TRUNCATED_FILE');
  const plain = await failureOf(() => readText(jsonl(two), 'rows.jsonl.gz'));
  expect(plain.code).toBe('TRUNCATED_FILE');
  expect(plain.message).toContain('rows.jsonl.gz:1: ');
});

test('names file and line of what is not JSON, counting blank lines', async () => {
  const error = await failureOf(() => readText(`${jsonl(two)}\n{"id": "c", "n": \n${jsonl(two)}`));
  expect(error.code).toBe('MALFORMED_JSON');
  expect(error.message).toContain('rows.jsonl:4: not JSON');
});

test('names the field that is wrong', async () => {
  const error = await failureOf(() => readText(jsonl([two[0], { id: 'b', n: '2' }])));
  expect(error.code).toBe('INVALID_ROW');
  expect(error.message).toMatch(/rows\.jsonl:2: field n: .*number/);
});

test.each(['null', '3', '"text"', '[]'])('refuses a row that is %s, not an object', async (text) => {
  const error = await failureOf(() => readText(`${text}\n`));
  expect(error.code).toBe('INVALID_ROW');
  expect(error.message).toContain('rows.jsonl:1: field (row)');
});

test('refuses text in another encoding instead of guessing', async () => {
  const latin1 = Buffer.from('{"id": "Prüfung", "n": 1}\n', 'latin1');
  const error = await failureOf(() => readText(latin1));
  expect(error.code).toBe('MALFORMED_JSON');
  expect(error.message).toContain('rows.jsonl:1: not UTF-8');
});

test('says when a file is not there, or is a folder', async () => {
  const dir = temporaryFolder();
  expect((await failureOf(() => rowsOf(join(dir, 'none.jsonl')))).code).toBe('MISSING_FILE');
  const folder = await failureOf(() => rowsOf(dir));
  expect(folder.code).toBe('MISSING_FILE');
  expect(folder.message).toContain('cannot be read');
});

test('closes the file when the reader stops early', async () => {
  const path = join(folderOf({ 'rows.jsonl': jsonl(Array.from({ length: 100_000 }, () => two[0])) }), 'rows.jsonl');
  const rows = readJsonl(path, Row);
  expect((await rows.next()).value).toEqual(two[0]);
  await rows.return(undefined);
  expect((await rows.next()).done).toBe(true);
});

test.each(['-0.001', '1.001', '1e999', '-1e999', 'null', '"0.5"', 'true'])('refuses quality %s', async (quality) => {
  const path = join(
    folderOf({ 'outcomes.jsonl': `{"promptId": "p", "modelId": "m", "quality": ${quality}}\n` }),
    'outcomes.jsonl',
  );
  const error = await failureOf(() => readJsonl(path, Outcome).next());
  expect(error.code).toBe('INVALID_ROW');
  expect(error.message).toContain('outcomes.jsonl:1: field quality');
});

test.each(['NaN', 'Infinity', '-Infinity'])(
  'refuses %s, which Python writes and JSON does not know',
  async (number) => {
    const path = join(
      folderOf({ 'outcomes.jsonl': `{"promptId": "p", "modelId": "m", "quality": ${number}}\n` }),
      'outcomes.jsonl',
    );
    expect((await failureOf(() => readJsonl(path, Outcome).next())).code).toBe('MALFORMED_JSON');
  },
);
