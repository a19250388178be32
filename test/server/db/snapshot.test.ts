import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate, migrationList } from '../../../server/db/migrate.ts';
import { restoreSnapshot, SNAPSHOT_FILE } from '../../../server/db/snapshot.ts';
import { openStore } from '../../../server/db/store.ts';
import { tempDir } from './stores.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await tempDir();
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const SCHEMA = `select table_name, column_name, data_type, is_nullable from information_schema.columns
  where table_schema in ('public', 'drizzle') order by 1, 2`;

test('the shipped snapshot is what this build’s migrations make of an empty database', async () => {
  expect(restoreSnapshot(join(dataDir, 'db'))).toBe(true);
  const shipped = await PGlite.create({ dataDir: join(dataDir, 'db') });
  const fresh = await PGlite.create();
  const sessionOf = (db: PGlite) => ({
    query: async (text: string, params?: readonly unknown[]) =>
      (await db.query(text, params as unknown[])).rows as never,
  });
  try {
    const { rows } = await shipped.query<{ hash: string }>('select hash from drizzle.__drizzle_migrations order by id');
    const known = migrationList().map(({ hash }) => hash);
    // Older ones may be missing from the list only if somebody rewrote history.
    expect(known.slice(0, rows.length)).toEqual(rows.map(({ hash }) => hash));
    expect(await migrate(sessionOf(shipped))).toBe(known.length - rows.length);
    expect(await migrate(sessionOf(fresh))).toBe(known.length);
    expect((await shipped.query(SCHEMA)).rows).toEqual((await fresh.query(SCHEMA)).rows);
    expect(await migrate(sessionOf(fresh))).toBe(0);
  } finally {
    await shipped.close();
    await fresh.close();
  }
});

test('the snapshot stays small enough to ship', async () => {
  expect((await readFile(SNAPSHOT_FILE)).length).toBeLessThan(5e6);
});

test('files that are no database are not touched', async () => {
  await mkdir(join(dataDir, 'db'));
  await writeFile(join(dataDir, 'db', 'thesis.txt'), 'ten years of work');
  await expect(openStore({ dataDir })).rejects.toMatchObject({
    code: 'DATABASE_UNAVAILABLE',
    message: expect.stringMatching(/holds files but no database/),
  });
  expect(await readFile(join(dataDir, 'db', 'thesis.txt'), 'utf8')).toBe('ten years of work');
});
