/** Limits that people made, in the database. */
import { randomUUID } from 'node:crypto';
import { and, eq, isNull, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from '../../db/connection.ts';
import { limits, limitUse } from '../../db/schema.ts';
import { type Limit, limitOfRow, scopeOf, type Whose } from './terms.ts';

/** Those in force, in the order they were made. @throws `DATABASE_UNAVAILABLE` */
export async function readLimits(db: PgRemoteDatabase): Promise<Limit[]> {
  const rows = await asked(
    db.select().from(limits).where(isNull(limits.removedAt)).orderBy(limits.createdAt, limits.id),
  );
  return rows.flatMap((row) => limitOfRow(row) ?? []);
}

/** Another one whenever any limit was made, changed or removed. @throws `DATABASE_UNAVAILABLE` */
export async function fingerprintOf(db: PgRemoteDatabase): Promise<string> {
  const [row] = (await asked(
    db.execute(sql`
      select count(*)::text || ' ' || coalesce(sum(extract(epoch from changed_at) * 1000), 0)::text
        || ' ' || count(removed_at)::text as fingerprint from limits`),
  )) as unknown as [{ fingerprint: string }];
  return row.fingerprint;
}

/** Without its id; `terms` holds all of whom it is for, too. */
export type NewLimit = Whose & { readonly kind: Limit['kind'] } & Readonly<Record<string, unknown>>;

/** @throws `DATABASE_UNAVAILABLE` @returns its id */
export async function addLimit(db: PgRemoteDatabase, { kind, ...terms }: NewLimit, createdBy: string): Promise<string> {
  const id = randomUUID();
  const { scope, subject } = scopeOf(terms);
  await asked(
    db.insert(limits).values({
      ...{ id, kind, scope, subject, terms, createdBy },
      createdAt: sql`now()`,
      changedAt: sql`clock_timestamp()`,
    }),
  );
  return id;
}

/** @throws `DATABASE_UNAVAILABLE` @returns false: it is not there any more */
export async function changeLimit(db: PgRemoteDatabase, id: string, terms: object): Promise<boolean> {
  const rows = await asked(
    db
      .update(limits)
      .set({ terms, changedAt: sql`clock_timestamp()` })
      .where(and(eq(limits.id, id), isNull(limits.removedAt)))
      .returning({ id: limits.id }),
  );
  return rows.length > 0;
}

/** @throws `DATABASE_UNAVAILABLE` @returns false: it is not there any more */
export async function removeLimit(db: PgRemoteDatabase, id: string): Promise<boolean> {
  const rows = await asked(
    db
      .update(limits)
      .set({ removedAt: sql`clock_timestamp()`, changedAt: sql`clock_timestamp()` })
      .where(and(eq(limits.id, id), isNull(limits.removedAt)))
      .returning({ id: limits.id }),
  );
  return rows.length > 0;
}

export interface UseRow {
  readonly bucket: string;
  readonly period: string;
  /** Settled. */
  readonly used: number;
  /** Handed to replicas and not settled. */
  readonly leased: number;
  /** Thresholds in percent that somebody was told of. */
  readonly notified: readonly number[];
}

/** Buckets shown at most: those of which most is used. */
const MOST = 5_000;

/** What is used of all limits in these periods. @throws `DATABASE_UNAVAILABLE` */
export async function readUse(db: PgRemoteDatabase, periods: readonly string[]): Promise<UseRow[]> {
  return asked(
    db
      .select({
        bucket: limitUse.limit,
        period: limitUse.period,
        used: limitUse.used,
        leased: limitUse.leased,
        notified: limitUse.told,
      })
      .from(limitUse)
      .where(sql`${limitUse.period} in (select jsonb_array_elements_text(${JSON.stringify(periods)}::jsonb))`)
      .orderBy(sql`${limitUse.used} desc`)
      .limit(MOST),
  );
}
