/** A database in another place: moved to PostgreSQL, backed up, restored; every table, every bit. */
import { existsSync } from 'node:fs';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getTableColumns, getTableName, is, sql } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { backUp, restore } from '../../../server/db/backup.ts';
import { moveDatabase } from '../../../server/db/move.ts';
import * as schema from '../../../server/db/schema.ts';
import { openStore, type SqlStore } from '../../../server/db/store.ts';
import { aDecision, anAttempt, someFeedback } from './records.ts';
import { type Databases, tempDir, useDatabases } from './stores.ts';

const tables = Object.values(schema as Record<string, unknown>).filter((t): t is PgTable => is(t, PgTable));

/** A value of a type, in SQL; i tells rows apart. */
function sampleOf(type: string, i: number): string {
  if (type.endsWith('[]')) return `array['a''b', 'd${i}']`;
  if (type.startsWith('timestamp')) return `'2026-03-0${i} 01:02:03.${i}07+02'::timestamptz`;
  const values: Record<string, string> = {
    text: `'t${i} é \\ "quoted" ''' || chr(10)`,
    'double precision': `(0.1::float8 + ${i}) / 3`,
    boolean: i % 2 === 0 ? 'true' : 'false',
    bigint: `${i} + 9007199254740000`,
    integer: `${i}`,
    jsonb: `'{"a": [0.1, ${i}, null, "ü"], "b": 5e-324}'::jsonb`,
    bytea: `'\\x00ff0${i}'::bytea`,
  };
  return values[type]!;
}

/** Three rows in every table there is. */
async function fill({ db }: SqlStore): Promise<void> {
  for (const table of tables) {
    const columns = Object.values(getTableColumns(table));
    for (const i of [1, 2, 3]) {
      const values = columns.map((column) => sampleOf(column.getSQLType(), i));
      const names = columns.map(({ name }) => `"${name}"`).join(', ');
      await db.execute(
        sql.raw(
          `insert into "${getTableName(table)}" (${names}) overriding system value values (${values.join(', ')}) on conflict do nothing`,
        ),
      );
    }
  }
}

const contents = async ({ db }: SqlStore): Promise<Record<string, string[]>> => {
  const found: Record<string, string[]> = {};
  for (const table of tables) {
    const name = getTableName(table);
    const own = name === 'usage_state' ? `where name not like 'mov%'` : '';
    const columns = Object.values(getTableColumns(table)).map((c) => `"${c.name}"`);
    const rows = (await db.execute(
      sql.raw(
        `select row_to_json(t)::jsonb::text as row from (select ${columns.join(', ').replace(/"(at|[a-z_]*_at|rests_until|through)"/g, '"$1" at time zone \'UTC\' as "$1"')} from "${name}" ${own}) t`,
      ),
    )) as unknown as { row: string }[];
    found[name] = rows.map(({ row }) => row).sort();
  }
  return found;
};

let dataDir: string;
const open: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  dataDir = await tempDir();
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function opened(databaseUrl?: string): Promise<SqlStore> {
  const store = await openStore({ dataDir: databaseUrl ? await tempDir() : dataDir, databaseUrl, onProblem: () => {} });
  open.push(store);
  return store;
}

describe('moved to PostgreSQL', () => {
  let server: Databases;
  beforeAll(async () => {
    server = useDatabases();
  });
  afterAll(() => server.remove());

  test('every table is there, as it was, and the embedded one stays; a gateway goes on writing to it', async () => {
    const source = await opened();
    await fill(source);
    const before = await contents(source);
    expect(Object.values(before).every((rows) => rows.length > 0)).toBe(true);
    const to = await server.createDatabase();
    const { tables: moved, copied } = await moveDatabase(source, { to, dataDir });
    expect(copied).toBe(true);
    expect(Object.keys(moved).length).toBe(tables.length);
    const target = await opened(to);
    expect(await contents(target)).toEqual(before);
    expect(await contents(source)).toEqual(before);
    await expect(moveDatabase(source, { to, dataDir })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(/moved there already/),
    });
    // Identities go on after those that were copied.
    await target.db.execute(
      sql`insert into audit_log (at, actor, actor_kind, action, subject, details) values (now(), 'a', 'key', 'x', 'y', '{}')`,
    );
    const [row] = (await target.db.execute(sql`select max(ordinal)::text as n from audit_log`)) as unknown as {
      n: string;
    }[];
    expect(row!.n).toBe(String(9007199254740003n + 1n));
    target.record({ decision: aDecision({ id: 'later' }), attempt: anAttempt({ id: 'later-0', decisionId: 'later' }) });
    await target.flush();
    expect((await target.getDecision('later'))?.attempts.length).toBe(1);
  });

  test('what was interrupted goes on; what is not empty is refused', async () => {
    const source = await opened();
    for (let i = 0; i < 450; i++) {
      source.record({
        decision: aDecision({ id: `d${i}` }),
        feedback: someFeedback({ id: `f${i}`, decisionId: `d${i}` }),
      });
    }
    const to = await server.createDatabase();
    let seen = 0;
    const stopped = moveDatabase(source, {
      ...{ to, dataDir },
      onTable() {
        if (++seen === 5) throw new Error('killed');
      },
    });
    await expect(stopped).rejects.toThrow('killed');
    const { tables: moved } = await moveDatabase(source, { to, dataDir });
    expect([moved.decisions, moved.feedback]).toEqual([450, 450]);
    const other = await server.createDatabase();
    const target = await opened(other);
    target.record({ decision: aDecision() });
    await target.flush();
    await expect(moveDatabase(source, { to: other, dataDir })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(/not empty: it has rows in decisions/),
    });
    await expect(moveDatabase(target, { to, dataDir })).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });
});

describe('in a file', () => {
  test('a back-up holds everything, and comes back in place of what is there, which is kept', async () => {
    const store = await opened();
    await fill(store);
    const before = await contents(store);
    const file = join(dataDir, 'backup.tar.gz');
    await expect(backUp(dataDir, file)).rejects.toMatchObject({ code: 'DATABASE_LOCKED' });
    await store.close();
    expect(await backUp(dataDir, file)).toBeGreaterThan(100_000);
    await expect(backUp(dataDir, file)).rejects.toMatchObject({ code: 'CONFLICT' });
    const changed = await opened();
    await changed.db.execute(sql`truncate decisions, client_keys, feedback`);
    await changed.close();
    await expect(restore(dataDir, file)).rejects.toMatchObject({ code: 'CONFLICT' });
    const aside = await restore(dataDir, file, { replace: true });
    expect(existsSync(join(aside!, 'PG_VERSION'))).toBe(true);
    expect(await contents(await opened())).toEqual(before);
  }, 180_000);

  test('one that is cut short, or something else, changes nothing', async () => {
    const store = await opened();
    await store.close();
    const file = join(dataDir, 'backup.tar.gz');
    await backUp(dataDir, file);
    const whole = await readFile(file);
    await truncate(file, whole.length - 1000);
    for (const content of [null, Buffer.from('no archive'), Buffer.alloc(0)]) {
      if (content !== null) await writeFile(file, content);
      await expect(restore(dataDir, file, { replace: true })).rejects.toMatchObject({ code: 'TRUNCATED_FILE' });
    }
    await (await opened()).ready();
    expect(existsSync(join(dataDir, 'db', 'PG_VERSION'))).toBe(true);
    await expect(restore(dataDir, join(dataDir, 'nothing'))).rejects.toMatchObject({ code: 'MISSING_FILE' });
  });
});
