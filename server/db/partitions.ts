/** The large tables in months: made ahead of time, and dropped whole once all in them is past its age. */
import { sql } from 'drizzle-orm';
import { asked } from './connection.ts';
import type { SqlStore } from './store.ts';

type Db = SqlStore['db'];

/** What is partitioned, and by which column. */
export const PARTITIONED = { decisions: 'created_at', attempts: 'started_at', texts: 'created_at' } as const;
export type PartitionedTable = keyof typeof PARTITIONED;

export interface Partition {
  readonly name: string;
  /** Rows before it, ms since 1970; the first partition has all that is older. */
  readonly end: number;
}

/** Any fixed number: who holds this advisory lock may make and drop partitions. */
const PARTITION_LOCK = 7_240_432;

/** Months that are ready before they begin. */
const AHEAD = 2;
/** A statement that waits longer for the table lets the others pass, and is made again in an hour. */
const PATIENCE = '3s';

/** Those with an end, oldest first: all but the one for what fits nowhere. */
export async function partitionsOf(db: Db, table: PartitionedTable): Promise<Partition[]> {
  const rows = (await asked(
    db.execute(sql`
      select name, (extract(epoch from (found)[1]::timestamptz) * 1000)::double precision as "end"
      from (
        select c.relname as name, regexp_match(pg_get_expr(c.relpartbound, c.oid), ${String.raw`TO \('([^']+)'\)`}) as found
        from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = ${table}::regclass
      ) parts
      where found is not null order by 2`),
  )) as unknown as { name: string; end: number }[];
  return rows.map(({ name, end }) => ({ name, end: Number(end) }));
}

/**
 * Makes the months that are missing up to {@link AHEAD} from now. Rows that came before their month was there are moved
 * into it. Each is made whole or not at all.
 * @returns the names of what was made
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function makePartitions(store: Pick<SqlStore, 'alone'>, now = new Date()): Promise<string[]> {
  const made: string[] = [];
  for (const table of Object.keys(PARTITIONED) as PartitionedTable[]) {
    for (let ahead = 0; ahead <= AHEAD; ahead++) {
      const from = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead);
      const to = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead + 1);
      const name = `${table}_${new Date(from).toISOString().slice(0, 7).replace('-', '_')}`;
      const isNew = await store.alone(PARTITION_LOCK, async (db) => {
        const parts = await partitionsOf(db, table);
        // Months are made in order, so what ends later covers it.
        if (parts.some(({ end }) => end >= to)) return false;
        await asked(db.execute(sql.raw(making(table, name, new Date(from), new Date(to)))));
        return true;
      });
      if (isNew) made.push(name);
    }
  }
  return made;
}

/** One statement, which is a transaction also where there is no other. Names and moments are our own. */
function making(table: PartitionedTable, name: string, from: Date, to: Date): string {
  const [start, end] = [`'${from.toISOString()}'`, `'${to.toISOString()}'`];
  const rest = `${table}_rest`;
  return `do $make$
    begin
      perform set_config('lock_timeout', '${PATIENCE}', true);
      lock table ${rest} in access exclusive mode;
      create table ${name} (like ${table} including defaults including storage);
      with moved as (delete from ${rest} where ${PARTITIONED[table]} >= ${start} and ${PARTITIONED[table]} < ${end} returning *)
      insert into ${name} select * from moved;
      alter table ${table} attach partition ${name} for values from (${start}) to (${end});
    end $make$`;
}

/** Drops a month with all that is in it. @throws `DATABASE_UNAVAILABLE`, also where the table is busy for too long */
export async function dropPartition(store: Pick<SqlStore, 'alone'>, name: string): Promise<void> {
  await store.alone(PARTITION_LOCK, (db) =>
    asked(
      db.execute(
        sql.raw(`do $drop$
          begin
            perform set_config('lock_timeout', '${PATIENCE}', true);
            drop table if exists ${name};
          end $drop$`),
      ),
    ),
  );
}
