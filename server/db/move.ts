/**
 * An embedded database → PostgreSQL: every table, in batches, counted and checked by sums of hashes. The source stays as
 * it is. A move that was interrupted is made again from where it was; a target that holds anything else is refused.
 */
import { createHash } from 'node:crypto';
import { realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getTableColumns, getTableName, is, sql } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { RoutingError } from '../../datasets/errors.ts';
import { asked, databaseError } from './connection.ts';
import { movedFile } from './moved.ts';
import { openPostgres, whereIs } from './postgres.ts';
import * as schema from './schema.ts';
import type { SqlStore } from './store.ts';

export interface Moved {
  /** Rows by table. */
  readonly tables: Readonly<Record<string, number>>;
  /** False where an earlier run had finished it, and it was only checked again. */
  readonly copied: boolean;
}

export interface MoveOptions {
  /** `postgres://…`, an empty database; it is brought to this build's schema first. */
  readonly to: string;
  readonly dataDir: string;
  /** Told as tables are done. */
  readonly onTable?: (table: string, rows: number) => void;
}

/** Rows of one statement; of large things one at a time. */
const BATCH = 200;
const LARGE: ReadonlySet<string> = new Set(['artifact_blobs']);
/** Marks of the roll-up are written by triggers as rows arrive: the source's own take their place at the end. */
const LAST = /^usage_/;
/** How long the spool may take to come into the database. */
const DRAIN_MS = 600_000;

/**
 * @param store the embedded database, open, and in use by nobody else
 * @throws `CONFLICT` for a target that is not empty, `DATABASE_UNAVAILABLE`, `INTERNAL` where the copy is not the same
 */
export async function moveDatabase(store: SqlStore, { to, dataDir, onTable }: MoveOptions): Promise<Moved> {
  if (store.kind !== 'embedded') {
    throw new RoutingError('INVALID_CONFIG', 'this is PostgreSQL already; what is moved is an embedded database');
  }
  await drained(store);
  // Connects, says what is wrong with the address, and migrates.
  await (await openPostgres(to)).close();
  const target = new pg.Client({ connectionString: to, application_name: 'pointsman db move' });
  target.on('error', () => {});
  const ask = async (text: string, values: unknown[] = []): Promise<Row[]> => {
    try {
      return (await target.query(text, values)).rows;
    } catch (error) {
      throw databaseError(error);
    }
  };
  try {
    await target.connect();
    // Moments are compared as texts.
    await ask(`set timezone to 'UTC'`);
    await asked(store.db.execute(sql`set timezone to 'UTC'`));
    const mark = markOf(dataDir);
    // Two at once would check before either has begun.
    const [lock] = await ask('select pg_try_advisory_lock($1) as mine', [MOVE_LOCK]);
    if (lock!.mine !== true) throw new RoutingError('CONFLICT', 'another move into this database is under way');
    await begin(ask, mark);
    const tables = tablesInOrder();
    const copied: Record<string, number> = {};
    let hasCopied = false;
    for (const table of tables) {
      const mine = await sumOf((text) => rowsFrom(store, text), table);
      if (!same(mine, await sumOf(ask, table, mark))) {
        await copyTable(store, ask, table, mark);
        hasCopied = true;
        const theirs = await sumOf(ask, table, mark);
        if (!same(mine, theirs)) {
          throw new RoutingError(
            'INTERNAL',
            `${table.name}: ${theirs.count} rows came of ${mine.count}, or not as they were; nothing was changed here: empty the target and try again`,
          );
        }
      }
      copied[table.name] = mine.count;
      onTable?.(table.name, mine.count);
    }
    await setSequences(ask);
    await ask('update usage_state set name = $1 where name = $2', [`moved:${mark}`, `moving:${mark}`]);
    writeFileSync(movedFile(dataDir), `to ${whereIs(to)}, ${new Date().toISOString()}\n`);
    return { tables: copied, copied: hasCopied };
  } finally {
    await target.end().catch(() => {});
  }
}

type Row = Record<string, unknown>;
type Ask = (text: string, values?: unknown[]) => Promise<Row[]>;

const MOVE_LOCK = 7_240_433;

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly hasKey: boolean;
}

function tablesInOrder(): Table[] {
  const tables = Object.values(schema as Record<string, unknown>)
    .filter((value): value is PgTable => is(value, PgTable))
    .map((table): Table => {
      const name = getTableName(table);
      return {
        name,
        columns: Object.values(getTableColumns(table)).map((column) => column.name),
        hasKey: !/^usage_(cells|slices|calls|calibration|calibration_pieces|touched|pending)$/.test(name),
      };
    });
  return [...tables.filter(({ name }) => !LAST.test(name)), ...tables.filter(({ name }) => LAST.test(name))];
}

async function drained(store: SqlStore): Promise<void> {
  const end = Date.now() + DRAIN_MS;
  for (;;) {
    await store.flush();
    if (!store.writer.spooled && store.writer.queued === 0) return;
    if (Date.now() > end) {
      throw new RoutingError(
        'DATABASE_UNAVAILABLE',
        'rows are still on disk alone (spool/); start the gateway once, then try again',
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Which database is moved: by where it lies, and since when. */
function markOf(dataDir: string): string {
  const path = realpathSync(join(dataDir, 'db'));
  return createHash('sha256')
    .update(`${path}\n${statSync(path).birthtimeMs}`)
    .digest('hex')
    .slice(0, 16);
}

/** @throws `CONFLICT` */
async function begin(ask: Ask, mark: string): Promise<void> {
  const marks = await ask(`select name from usage_state where name like 'moving:%' or name like 'moved:%'`);
  if (marks.some(({ name }) => name === `moving:${mark}`)) return;
  if (marks.some(({ name }) => name === `moved:${mark}`)) {
    throw new RoutingError('CONFLICT', 'this database was moved there already; nothing is left to do');
  }
  for (const { name } of tablesInOrder()) {
    const [row] = await ask(`select 1 from "${name}" limit 1`);
    if (row !== undefined) {
      throw new RoutingError('CONFLICT', `the target is not empty: it has rows in ${name}; give an empty database`);
    }
  }
  await ask('insert into usage_state (name, at) values ($1, now())', [`moving:${mark}`]);
}

const rowsFrom = async ({ db }: SqlStore, text: string): Promise<Row[]> =>
  (await asked(db.execute(sql.raw(text)))) as unknown as Row[];

interface Sum {
  readonly count: number;
  readonly hash: string;
}

/** Of all columns of all rows, whatever their order. The target's own mark is no row of the table. */
async function sumOf(ask: Ask, { name, columns }: Table, mark?: string): Promise<Sum> {
  const row = columns.map((column) => `t."${column}"`).join(', ');
  const others = name === 'usage_state' && mark !== undefined ? `where name not like 'mov%:${mark}'` : '';
  const [sum] = await ask(
    `select count(*)::text as count,
       coalesce(sum(hashtextextended(to_jsonb(array[${columns.map((c) => `to_jsonb(t."${c}")`).join(', ')}])::text, 0)::numeric), 0)::text as hash
     from (select ${row} from "${name}" t ${others}) t`,
  );
  return { count: Number(sum!.count), hash: sum!.hash as string };
}

const same = (a: Sum, b: Sum): boolean => a.count === b.count && a.hash === b.hash;

/** Where its rows lie: partitions, or the table itself. */
async function leavesOf(store: SqlStore, table: string): Promise<string[]> {
  const rows = await rowsFrom(
    store,
    `select relid::regclass::text as name from pg_partition_tree('"${table}"'::regclass) where isleaf order by 1`,
  );
  return rows.length === 0 ? [table] : rows.map(({ name }) => name as string);
}

async function copyTable(store: SqlStore, ask: Ask, table: Table, mark: string): Promise<void> {
  const { name, columns, hasKey } = table;
  // What has no key cannot tell what is there already.
  if (!hasKey) await ask(`delete from "${name}"`);
  if (name === 'usage_state') await ask(`delete from usage_state where name not like 'mov%:${mark}'`);
  const names = columns.map((column) => `"${column}"`).join(', ');
  const size = LARGE.has(name) ? 1 : BATCH;
  for (const leaf of await leavesOf(store, name)) {
    // Nobody writes meanwhile, so places stay.
    let place = '(0,0)';
    for (;;) {
      if (LARGE.has(name)) {
        const rows = await rowsFrom(
          store,
          `select ctid::text as place, ${names} from ${leaf} where ctid > '${place}'::tid order by ctid limit ${size}`,
        );
        if (rows.length === 0) break;
        for (const row of rows) {
          const values = columns.map((column) => bytesAsBuffer(row[column]));
          const slots = columns.map((_, i) => `$${i + 1}`).join(', ');
          await ask(`insert into "${name}" (${names}) values (${slots}) on conflict do nothing`, values);
        }
        place = rows.at(-1)!.place as string;
      } else {
        const [page] = await rowsFrom(
          store,
          `select json_agg(to_jsonb(r) - 'place')::text as rows, max(place)::text as place from (
             select ctid as place, ${names} from ${leaf} where ctid > '${place}'::tid order by ctid limit ${size}) r`,
        );
        if (page === undefined || page.rows === null) break;
        await ask(
          `insert into "${name}" (${names}) overriding system value
           select ${names} from jsonb_populate_recordset(null::"${name}", $1::jsonb) on conflict do nothing`,
          [page.rows],
        );
        place = page.place as string;
      }
    }
  }
}

const bytesAsBuffer = (value: unknown): unknown =>
  value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;

/** New rows go on where the copied ones end. */
async function setSequences(ask: Ask): Promise<void> {
  const columns = await ask(
    `select table_name, column_name from information_schema.columns
     where table_schema = current_schema() and is_identity = 'YES'`,
  );
  for (const { table_name: table, column_name: column } of columns) {
    await ask(
      `select setval(pg_get_serial_sequence('"${table}"', '${column}'), greatest(coalesce(max("${column}"), 1), 1),
         max("${column}") is not null) from "${table}"`,
    );
  }
}
