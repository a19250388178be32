import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fileBytes } from '../../../datasets/formats/bytes.ts';
import { csvRows } from '../../../datasets/formats/csv.ts';
import { parquetRows } from '../../../datasets/formats/parquet.ts';
import { formatOf, isPickle, refuseWrongFormat } from '../../../datasets/formats/sniff.ts';
import { tarMembers } from '../../../datasets/formats/tar.ts';
import { zipMembers } from '../../../datasets/formats/zip.ts';
import { failureOf, folderOf } from '../fixtures.ts';
import { csv, tarGz, zip } from './archives.ts';
import { writeParquet } from './write-parquet.ts';

const fileOf = (name: string, content: string | Uint8Array) => join(folderOf({ [name]: content }), name);

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function textOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await all(bytes)).toString('utf8');
}

test('CSV fields with quotes, commas and line breaks come out as they went in', async () => {
  const field = fc
    .string({ unit: 'grapheme' })
    .filter((text) => !text.includes('\r') && text.trim() === text && text !== '');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(field, field), { minLength: 1 }), async (rows) => {
      const path = fileOf('x.csv', csv([['one', 'two'], ...rows.map(([a, b]) => [`${a}"`, `,${b}\n`])]));
      const read = await all(csvRows(path, fileBytes(path), ['one', 'two']));
      expect(read.map(({ value }) => [value.one, value.two])).toEqual(rows.map(([a, b]) => [`${a}"`, `,${b}\n`]));
      expect(read.map(({ row }) => row)).toEqual(rows.map((_, i) => i + 1));
    }),
    { numRuns: 30 },
  );
});

test('a CSV without a wanted column is refused with the columns it has, rows or none', async () => {
  for (const text of ['prompt,label\na,1\n', 'prompt,label\n']) {
    const path = fileOf('x.csv', text);
    const failure = await failureOf(() => all(csvRows(path, fileBytes(path), ['prompt', 'model_name'])));
    expect(failure.code).toBe('INVALID_ROW');
    expect(failure.message).toContain('has no column model_name; its columns are prompt, label');
  }
});

test('a CSV that ends inside quotes is cut short, and one with a field too few is no row', async () => {
  const cut = fileOf('x.csv', 'a,b\n1,2\n3,"fou');
  expect(await failureOf(() => all(csvRows(cut, fileBytes(cut), ['a'])))).toMatchObject({ code: 'TRUNCATED_FILE' });
  const short = fileOf('x.csv', 'a,b\n1,2\n3\n');
  const failure = await failureOf(() => all(csvRows(short, fileBytes(short), ['a'])));
  expect(failure.code).toBe('INVALID_ROW');
  expect(failure.message).toContain('x.csv: row 2: ');
});

const SCHEMA = { key: 'int', prompt: 'text', model: { score: 'real', tokens: 'int' } } as const;
const ROWS = [
  { key: 1, prompt: 'Grüße', model: { score: 0.25, tokens: 12 } },
  { key: 2, prompt: null, model: null },
  { key: 3, prompt: 'c', model: { score: null, tokens: 7 } },
];

test.each([{ gzip: false }, { gzip: true }, { rowsPerGroup: 2 }])(
  'Parquet rows come out as they went in, structs and missing values too (%o)',
  async (options) => {
    const path = fileOf('x.parquet', writeParquet(SCHEMA, ROWS, options));
    const read = await all(parquetRows(path, ['key', 'model']));
    expect(read.map(({ row }) => row)).toEqual([1, 2, 3]);
    expect(read.map(({ value }) => value.key)).toEqual([1, 2, 3]);
    expect(read[0]!.value).toEqual(ROWS[0]);
    expect(read[1]!.value.prompt ?? null).toBeNull();
    expect((read[2]!.value.model as { score: unknown }).score ?? null).toBeNull();
  },
);

test('a Parquet file that is cut or damaged is refused, and so is one without a wanted column', async () => {
  const whole = writeParquet(SCHEMA, ROWS);
  for (const end of [6, 40, whole.length - 1]) {
    const path = fileOf('x.parquet', whole.subarray(0, end));
    expect(await failureOf(() => all(parquetRows(path, ['key'])))).toMatchObject({ code: 'TRUNCATED_FILE' });
  }
  const gzipped = writeParquet(SCHEMA, ROWS, { gzip: true });
  gzipped.fill(0xff, 30, 60);
  const damaged = fileOf('x.parquet', gzipped);
  expect(await failureOf(() => all(parquetRows(damaged, ['key'])))).toMatchObject({ code: 'TRUNCATED_FILE' });
  const failure = await failureOf(() => all(parquetRows(fileOf('x.parquet', whole), ['key', 'answer'])));
  expect(failure.code).toBe('INVALID_ROW');
  expect(failure.message).toContain('has no column answer; its columns are key, prompt, model');
});

test('members of a zip are read in order, and a cut archive is refused', async () => {
  const bytes = zip({ 'folder/a.json': '[1]', 'b.json': 'x'.repeat(100_000) });
  const read: [string, string][] = [];
  for await (const member of zipMembers(fileOf('x.zip', bytes))) read.push([member.name, await textOf(member.bytes)]);
  expect(read).toEqual([
    ['folder/a.json', '[1]'],
    ['b.json', 'x'.repeat(100_000)],
  ]);
  const cut = fileOf('x.zip', bytes.subarray(0, bytes.length - 40));
  expect(await failureOf(() => all(zipMembers(cut)))).toMatchObject({ code: 'TRUNCATED_FILE' });
});

test('members of a tar archive are read in order; what is not read is skipped, folders too', async () => {
  const long = `${'folder/'.repeat(20)}long.json`;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ maxLength: 2000 }), { maxLength: 5 }), fc.boolean(), async (texts, reads) => {
      const members = Object.fromEntries(texts.map((text, i) => [`root/${i}.json`, text]));
      const path = fileOf('x.tar.gz', tarGz({ 'root/': null, ...members, [long]: 'end' }, { comment: 'c0ffee' }));
      const comments: string[] = [];
      const read: Record<string, string> = {};
      for await (const { name, bytes } of tarMembers(path, (text) => comments.push(text))) {
        read[name] = reads || name === long ? await textOf(bytes) : '';
      }
      expect(read).toEqual({
        ...(reads ? members : Object.fromEntries(Object.keys(members).map((k) => [k, '']))),
        [long]: 'end',
      });
      expect(comments).toEqual(['c0ffee']);
    }),
    { numRuns: 30 },
  );
});

test('a tar archive is refused when its gzip is cut, when it ends inside a member, or when it is none', async () => {
  const whole = tarGz({ 'a.json': 'x'.repeat(5000) });
  const read = (bytes: Uint8Array) =>
    failureOf(async () => {
      for await (const member of tarMembers(fileOf('x.tar.gz', bytes))) await textOf(member.bytes);
    });
  expect(await read(whole.subarray(0, whole.length - 20))).toMatchObject({ code: 'TRUNCATED_FILE' });
  expect(await read(gzipSync(gunzipSync(whole).subarray(0, 2048)))).toMatchObject({ code: 'TRUNCATED_FILE' });
  expect(await read(gzipSync(Buffer.from('no archive'.repeat(100))))).toMatchObject({ code: 'TRUNCATED_FILE' });
});

test('web pages, pickles, pointers and other formats are refused by their first bytes', async () => {
  const refusal = async (name: string, content: string | Uint8Array) =>
    failureOf(async () => refuseWrongFormat(fileOf(name, content), formatOf(name) ?? 'csv'));
  expect((await refusal('x.csv', '<!DOCTYPE html><html>')).message).toContain('web page');
  expect((await refusal('x.json', '\n <html lang="en">')).code).toBe('WRONG_FORMAT');
  expect((await refusal('x.zip', 'version https://git-lfs.github.com/spec/v1\n')).message).toContain('Git LFS');
  expect((await refusal('x.parquet', 'PK\x03\x04')).message).toContain('is not parquet');
  expect((await refusal('x.csv', '')).code).toBe('TRUNCATED_FILE');
  // Protocol 4, as pandas writes it, under a name that hides it.
  expect((await refusal('x.csv', Uint8Array.of(0x80, 4, 0x95))).message).toContain('pickle');
  expect((await refusal('x.pkl', 'anything')).message).toContain('pickle');
  expect(() => refuseWrongFormat(fileOf('x.csv', 'a,b\n'), 'csv')).not.toThrow();
});

test('knows formats and pickles by name', () => {
  expect(['a.CSV', 'b.tar.gz', 'c.tgz', 'd.parquet', 'e.txt'].map(formatOf)).toEqual([
    'csv',
    'tar.gz',
    'tar.gz',
    'parquet',
    undefined,
  ]);
  expect(['a.pkl', 'b.pickle.gz', 'c.pth', 'd.csv', 'pkl.json'].map(isPickle)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});
