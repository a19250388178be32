import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type EncodedRow, type Row, rowFromLine, rowToJson, rowToLine } from '../../../server/db/rows.ts';
import { type Loss, Spool } from '../../../server/db/spool.ts';
import { aDecision, anAttempt, someFeedback } from './records.ts';
import { tempDir } from './stores.ts';

let dataDir: string;
let folder: string;
beforeEach(async () => {
  dataDir = await tempDir();
  folder = join(dataDir, 'spool');
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const encoded = (row: Row): EncodedRow => ({ table: row.table, json: rowToJson(row) });
const decision = (id: string) => encoded({ table: 'decisions', row: aDecision({ id }) });
const decisions = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => decision(`d${from + i}`));
const files = () => (existsSync(folder) ? readdirSync(folder) : []);

async function leftovers(spool: Spool): Promise<EncodedRow[]> {
  const all: EncodedRow[] = [];
  for (let batch = await spool.nextLeftovers(); batch !== null; batch = await spool.nextLeftovers()) all.push(...batch);
  return all;
}

/** What the next process finds. */
async function reopened(): Promise<Spool> {
  const spool = new Spool(dataDir, { exclusive: true });
  await spool.find();
  return spool;
}

test('rows are on disk when append resolves, and the file is empty once all of them are in the database', async () => {
  const spool = new Spool(dataDir);
  const first = await spool.append(decisions(0, 3));
  const second = await spool.append(decisions(3, 5));
  expect(second).toBe(first);
  expect(readFileSync(first.path, 'utf8').split('\n')).toHaveLength(6);
  spool.settle(first, 3);
  expect(spool.bytes).toBe(statSync(first.path).size);
  spool.settle(second, 2);
  await expect.poll(() => spool.bytes).toBe(0);
  expect(statSync(first.path).size).toBe(0);
  expect(spool.hasLeftovers).toBe(false);
  const third = await spool.append(decisions(5, 6));
  expect(readFileSync(third.path, 'utf8')).toBe(`${rowToLine(decision('d5'))}\n`);
  spool.settle(third, 1);
  await spool.close();
  expect(files()).toEqual([]);
});

test('only its user may read it', async () => {
  const spool = new Spool(dataDir);
  const { path } = await spool.append(decisions(0, 1));
  expect([statSync(path).mode & 0o777, statSync(folder).mode & 0o777]).toEqual([0o600, 0o700]);
  await spool.close();
});

test('rows that memory let go of are replayed, with what came after them, and then their file goes', async () => {
  const spool = new Spool(dataDir);
  const segment = await spool.append(decisions(0, 2));
  spool.release(segment, 2);
  expect(spool.hasLeftovers).toBe(true);
  expect(await spool.nextLeftovers()).toEqual(decisions(0, 2));
  const later = await spool.append(decisions(2, 3));
  expect(later).not.toBe(segment);
  expect(await spool.nextLeftovers()).toBeNull();
  expect(spool.hasLeftovers).toBe(false);
  await expect.poll(() => existsSync(segment.path)).toBe(false);
  expect(existsSync(later.path)).toBe(true);
  await spool.close();
});

test('a replay that fails half-way is done again from the start of its file', async () => {
  const spool = new Spool(dataDir);
  spool.release(await spool.append(decisions(0, 450)), 450);
  expect(await spool.nextLeftovers()).toHaveLength(200);
  expect(await spool.nextLeftovers()).toHaveLength(200);
  await spool.rewind();
  expect(spool.hasLeftovers).toBe(true);
  expect(await leftovers(spool)).toEqual(decisions(0, 450));
  expect(spool.hasLeftovers).toBe(false);
  await spool.close();
});

test('a line cut short by a killed process is kept aside, the others are replayed', async () => {
  const killed = new Spool(dataDir);
  const rows = [decision('d1'), encoded({ table: 'feedback', row: someFeedback() })];
  const { path } = await killed.append(rows);
  await killed.close();
  // Cut where the text so far ends as a whole line does.
  const torn = '{"table":"decisions","row":{"id":"d2","facts":{"a":{}}';
  await appendFile(path, torn);
  const spool = await reopened();
  expect(await leftovers(spool)).toEqual(rows);
  await expect.poll(files).toEqual(['damaged.txt']);
  expect(await readFile(join(folder, 'damaged.txt'), 'utf8')).toBe(`${torn}\n`);
  await spool.close();
});

test('a last line that only lacks its end is a row like the others', async () => {
  await mkdir(folder);
  await writeFile(join(folder, 'rows-1767225600000-1-1-ab.jsonl'), rowToLine(decision('d1')));
  const spool = await reopened();
  expect(await leftovers(spool)).toEqual([decision('d1')]);
  await spool.close();
});

test('garbage in a file harms no row around it', async () => {
  await mkdir(folder);
  const lines = [rowToLine(decision('d1')), '\0\xff', '{"table":"users","row":{}}', '', rowToLine(decision('d2')), ''];
  await writeFile(join(folder, 'rows-1767225600000-1-1-ab.jsonl'), lines.join('\n'));
  await writeFile(join(folder, 'notes.txt'), 'not ours');
  const spool = await reopened();
  expect(await leftovers(spool)).toEqual([decision('d1'), decision('d2')]);
  await expect.poll(() => files().sort()).toEqual(['damaged.txt', 'notes.txt']);
  await spool.close();
});

test('a file that cannot be read is named and left where it is; the next one is replayed', async () => {
  await mkdir(join(folder, 'rows-1767225600000-1-1-ab.jsonl'), { recursive: true });
  await writeFile(join(folder, 'rows-1767225600001-1-1-cd.jsonl'), `${rowToLine(decision('d1'))}\n`);
  const problems: string[] = [];
  const spool = new Spool(dataDir, { exclusive: true, onProblem: (message) => problems.push(message) });
  await spool.find();
  expect(await leftovers(spool)).toEqual([decision('d1')]);
  expect(problems).toEqual([expect.stringMatching(/cannot read .*-ab\.jsonl: EISDIR/)]);
  await expect.poll(files).toEqual(['rows-1767225600000-1-1-ab.jsonl']);
  await spool.close();
});

test('a full spool drops its oldest file and tells how many rows that were, and from when', async () => {
  const losses: Loss[] = [];
  const size = rowToLine(decision('d000')).length + 1;
  // A file is an eighth of the limit: four rows. Thirty-two fit.
  const spool = new Spool(dataDir, { limitBytes: 32 * size, onLoss: (loss) => losses.push(loss) });
  const before = Date.now();
  for (let i = 0; i < 40; i++) {
    const segment = await spool.append([decision(`d${String(i).padStart(3, '0')}`)]);
    spool.release(segment, 1);
    expect(spool.bytes).toBeLessThanOrEqual(32 * size);
  }
  expect(losses.map(({ rows }) => rows)).toEqual([4, 4]);
  expect(losses[0]!.from.getTime()).toBeGreaterThanOrEqual(before);
  expect(losses[0]!.to.getTime()).toBeLessThanOrEqual(losses[1]!.from.getTime());
  expect(losses[1]!.to.getTime()).toBeLessThanOrEqual(Date.now());
  expect((await leftovers(spool)).map(({ json }) => JSON.parse(json).id)).toEqual(
    Array.from({ length: 32 }, (_, i) => `d${String(i + 8).padStart(3, '0')}`),
  );
  await spool.close();
});

test('rows that memory still has are not lost with their file', async () => {
  const losses: Loss[] = [];
  const size = rowToLine(decision('d0')).length + 1;
  const spool = new Spool(dataDir, { limitBytes: 8 * size, onLoss: (loss) => losses.push(loss) });
  const first = await spool.append(decisions(0, 1));
  for (let i = 1; i < 9; i++) await spool.append(decisions(i, i + 1));
  expect(first.gone).toBe(true);
  expect(losses).toEqual([]);
  spool.settle(first, 1);
  await spool.close();
});

test('what an earlier process left counts towards the limit, and is dropped with its own time', async () => {
  await mkdir(folder);
  const lines = [...decisions(0, 3), encoded({ table: 'attempts', row: anAttempt() })].map(rowToLine);
  await writeFile(join(folder, 'rows-1767225600000-1-1-ab.jsonl'), `${lines.join('\n')}\n`);
  const losses: Loss[] = [];
  const limitBytes = lines.join('\n').length + 2;
  const spool = new Spool(dataDir, { limitBytes, exclusive: true, onLoss: (loss) => losses.push(loss) });
  await spool.find();
  await spool.append(decisions(4, 5));
  expect(losses).toEqual([{ rows: 4, from: aDecision().createdAt, to: expect.any(Date) }]);
  expect(files()).toHaveLength(1);
  await spool.close();
});

test('a store of the same process, or of another that runs, keeps its files to itself', async () => {
  const mine = new Spool(dataDir);
  await mine.append(decisions(0, 1));
  const parent = process.ppid;
  const started = existsSync('/proc/self/stat')
    ? readFileSync(`/proc/${parent}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[19]
    : '0';
  await writeFile(join(folder, `rows-1767225600000-${parent}-${started}-ab.jsonl`), `${rowToLine(decision('d1'))}\n`);
  const other = new Spool(dataDir);
  await other.find();
  expect(other.hasLeftovers).toBe(false);
  await mine.close();
  await other.find();
  expect(await leftovers(other)).toEqual([decision('d0')]);
  await other.close();
});

test.runIf(existsSync('/proc/self/stat'))(
  'the number of a dead process that a new one got holds nothing back',
  async () => {
    await mkdir(folder);
    await writeFile(join(folder, `rows-1767225600000-${process.ppid}-7-ab.jsonl`), `${rowToLine(decision('d1'))}\n`);
    const spool = new Spool(dataDir);
    await spool.find();
    expect(await leftovers(spool)).toEqual([decision('d1')]);
    await spool.close();
  },
);

test('a row comes back from its line as it went there, and from no part of it', () => {
  const rows = fc.record({
    table: fc.constantFrom('decisions' as const, 'attempts' as const, 'feedback' as const),
    json: fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }).map((row) => JSON.stringify(row)),
  });
  fc.assert(
    fc.property(rows, fc.nat(), (row, at) => {
      const line = rowToLine(row);
      expect(line).not.toContain('\n');
      expect(JSON.parse(line)).toEqual({ table: row.table, row: JSON.parse(row.json) });
      expect(rowFromLine(line)).toEqual(row);
      // A cut may end as a line does, inside nested objects; then it is no JSON, which the reader looks at.
      const cut = line.slice(0, at % line.length);
      const taken = rowFromLine(cut);
      if (taken !== null) expect(() => JSON.parse(cut)).toThrow();
    }),
  );
});
