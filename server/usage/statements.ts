/** What statements of the roll-up are made of, beside its sums. */
import { type SQL, sql } from 'drizzle-orm';
import { asked } from '../db/connection.ts';
import type { SqlStore } from '../db/store.ts';

export type Db = SqlStore['db'];

export const rowsOf = async (db: Db, query: SQL): Promise<Record<string, unknown>[]> =>
  (await asked(db.execute(query))) as unknown as Record<string, unknown>[];

/** Moments of the roll-up only ever go on. */
export const setState = (db: Db, name: string, at: SQL) =>
  asked(
    db.execute(sql`
      insert into usage_state (name, at) values (${name}, ${at})
      on conflict (name) do update set at = greatest(usage_state.at, excluded.at)`),
  );

export const momentOf = (at: Date): SQL => sql`${at.toISOString()}::timestamptz`;

/** Texts as a table of one column. As JSON: the two drivers do not agree on arrays. */
export const listed = (texts: readonly string[]): SQL =>
  sql`jsonb_array_elements_text(${JSON.stringify(texts)}::jsonb)`;
export const amongst = (texts: readonly string[]): SQL => sql`any(array(select * from ${listed(texts)}))`;
