/**
 * Many rows in one statement with one parameter: a JSON array that PostgreSQL spreads over
 * the columns. Drizzle's own insert makes a parameter of every value, which took 40–130 ms
 * for 200 decisions, on the thread that answers requests.
 */
import { getTableColumns, getTableName, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import type { Row } from './rows.ts';
import { attempts, decisions, feedback, storable, vectorBytes } from './schema.ts';

const TABLES = { decisions, attempts, feedback } as const;

/** One statement a table; ids that are there already are skipped. Feedback without its decision is welcome. */
export async function insertRows(db: PgRemoteDatabase, rows: readonly Row[]): Promise<void> {
  for (const [name, table] of Object.entries(TABLES)) {
    const own = rows.filter((row) => row.table === name).map(({ row }) => row as unknown as Record<string, unknown>);
    if (own.length > 0) await insertInto(db, table, own);
  }
}

async function insertInto(db: PgRemoteDatabase, table: PgTable, rows: readonly Record<string, unknown>[]) {
  const columns = Object.entries(getTableColumns(table));
  const plain = rows.map((row) =>
    Object.fromEntries(columns.map(([key, column]) => [column.name, jsonValue(row[key], column.getSQLType())])),
  );
  const json = JSON.stringify(plain);
  // jsonb refuses NUL and lone surrogates, which JSON itself can escape.
  const storableJson = /\\u(0000|d[89a-f])/i.test(json) ? JSON.stringify(storable(JSON.parse(json))) : json;
  const names = sql.raw(columns.map(([, { name }]) => `"${name}"`).join(', '));
  const type = sql.raw(`"${getTableName(table)}"`);
  await db.execute(sql`
    insert into ${type} (${names})
    select ${names} from jsonb_populate_recordset(null::${type}, ${storableJson}::jsonb)
    on conflict do nothing`);
}

function jsonValue(value: unknown, type: string): unknown {
  if (value === undefined || value === null) return null;
  if (value instanceof Float32Array) return `\\x${Buffer.from(vectorBytes(value)).toString('hex')}`;
  // Some providers report fractions of tokens.
  if (type === 'bigint' && typeof value === 'number') return Math.round(value);
  return value;
}
