/**
 * Many rows in one statement with one parameter: a JSON array that PostgreSQL spreads over
 * the columns. Drizzle's own insert makes a parameter of every value, which took 40–130 ms
 * for 200 decisions, on the thread that answers requests.
 */
import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { putLists, TOUCH_MS } from './candidate-lists.ts';
import { type EncodedRow, LISTS, listRows, RECORD_TABLES, type RecordTable } from './rows.ts';

const TABLES = Object.keys(RECORD_TABLES) as RecordTable[];

/**
 * One statement a table; ids that are there already are skipped. Feedback without its decision is welcome.
 * @param listed when each list of candidates was last written, ms since 1970; remembered between calls, it is written once an hour
 */
export async function insertRows(
  db: PgRemoteDatabase,
  rows: readonly EncodedRow[],
  listed: Map<string, number> = new Map(),
): Promise<void> {
  const now = Date.now();
  const lists = listRows(rows, (hash) => now - (listed.get(hash) ?? 0) < TOUCH_MS);
  const spooled = rows.filter(({ table }) => table === LISTS);
  // First: a decision without its list cannot be read.
  await putLists(
    db,
    [...lists.values(), ...spooled].map(({ json }) => json),
  );
  for (const hash of lists.keys()) listed.set(hash, now);
  for (const table of TABLES) {
    const own = rows.filter((row) => row.table === table).map(({ json }) => json);
    if (own.length > 0) await db.execute(insertInto(table, `[${own.join(',')}]`));
  }
}

function insertInto(table: RecordTable, json: string): SQL {
  const columns = Object.values(getTableColumns(RECORD_TABLES[table]));
  const names = sql.raw(columns.map(({ name }) => `"${name}"`).join(', '));
  const type = sql.raw(`"${table}"`);
  // A line that an earlier build left in the spool lacks newer columns: they get their defaults, not null.
  const defaults = Object.fromEntries(columns.filter((c) => c.default !== undefined).map((c) => [c.name, c.default]));
  return sql`
    insert into ${type} (${names})
    select ${names} from jsonb_populate_recordset(
      jsonb_populate_record(null::${type}, ${JSON.stringify(defaults)}::jsonb), ${json}::jsonb)
    on conflict do nothing`;
}
