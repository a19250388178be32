/** What is kept of batches in the database, where all replicas find it: what files ask for, and what batches take of budgets. */
import { and, eq, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { z } from 'zod';
import { asked } from '../../../db/connection.ts';
import { batchFiles, batchReserves, storableText } from '../../../db/schema.ts';
import { AskedOfFile } from './asked.ts';
import { ExpectedOfModel } from './expected.ts';

/** What counts of one budget in the period in which the batch was made. */
export const Counted = z.object({
  bucket: z.string(),
  period: z.string(),
  usd: z.number().nonnegative(),
  /** Of a budget for some models alone: which of the batch's; absent: all. */
  models: z.array(z.string()).optional(),
});
export type Counted = z.infer<typeof Counted>;

/** Whose it is, and by which rules it may be looked at. */
export const Maker = z.object({
  name: z.string().nullable(),
  keyId: z.string().nullable(),
  project: z.string().nullable(),
  /** Those of the key, and with those that its client added. */
  ownTags: z.array(z.string()),
  tags: z.array(z.string()),
});
export type Maker = z.infer<typeof Maker>;

const Expected = z.object({ file: z.string(), models: z.array(ExpectedOfModel).min(1) });

export type SettledBy = 'usage' | 'forecast' | 'refused';

export interface Reserved {
  readonly id: string;
  readonly tenant: string;
  readonly provider: string;
  readonly deployment: string;
  /** The host's id; null: it has not told any. */
  readonly batch: string | null;
  readonly caller: Maker;
  readonly expected: z.infer<typeof Expected>;
  readonly holds: readonly Counted[];
  readonly createdAt: Date;
  readonly endsAt: Date;
  readonly settledBy: SettledBy | null;
}

/** Null for a row that this version cannot read: a later one wrote it. */
function reservedOf(row: typeof batchReserves.$inferSelect): Reserved | null {
  const caller = Maker.safeParse(row.caller);
  const expected = Expected.safeParse(row.expected);
  const holds = z.array(Counted).safeParse(row.holds);
  if (!caller.success || !expected.success || !holds.success) return null;
  return { ...row, caller: caller.data, expected: expected.data, holds: holds.data };
}

/** @throws `DATABASE_UNAVAILABLE` */
export async function keepFile(
  db: PgRemoteDatabase,
  { tenant, file, asked: what, createdAt }: { tenant: string; file: string; asked: AskedOfFile; createdAt: Date },
): Promise<void> {
  await asked(
    db
      .insert(batchFiles)
      .values({ tenant, file, asked: what, createdAt })
      .onConflictDoUpdate({ target: [batchFiles.tenant, batchFiles.file], set: { asked: what, createdAt } }),
  );
}

/** @throws `DATABASE_UNAVAILABLE` */
export async function findFile(db: PgRemoteDatabase, tenant: string, file: string): Promise<AskedOfFile | null> {
  const [row] = await asked(db.select().from(batchFiles).where(isFile(tenant, file)));
  return row === undefined ? null : (AskedOfFile.safeParse(row.asked).data ?? null);
}

/** @throws `DATABASE_UNAVAILABLE` */
export async function forgetFile(db: PgRemoteDatabase, tenant: string, file: string): Promise<void> {
  await asked(db.delete(batchFiles).where(isFile(tenant, file)));
}

const isFile = (tenant: string, file: string) => and(eq(batchFiles.tenant, tenant), eq(batchFiles.file, file));

/**
 * Writes a reserve down.
 * @param counts adds it to what is spent of its budgets, in the same statement: nobody else does
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function addReserve(db: PgRemoteDatabase, made: Reserved, { counts }: { counts: boolean }): Promise<void> {
  if (!counts) {
    await asked(db.insert(batchReserves).values({ ...made, lookedAt: made.createdAt }));
    return;
  }
  const changes = changesOf(made.holds.map(({ bucket, period, usd }) => ({ bucket, period, more: usd })));
  const { caller, expected, holds } = made;
  await asked(
    db.execute(sql`
      insert into limit_use (limit_id, period, updated_at)
      select distinct bucket, period, now() from ${changes} order by 1, 2 on conflict do nothing`),
  );
  await asked(
    db.execute(sql`
      with added as (
        insert into batch_reserves (id, tenant, provider, deployment, caller, expected, holds, created_at, ends_at, looked_at)
        values (${made.id}::text, ${storableText(made.tenant)}::text, ${storableText(made.provider)}::text,
          ${storableText(made.deployment)}::text, ${json(caller)}::jsonb, ${json(expected)}::jsonb, ${json(holds)}::jsonb,
          ${made.createdAt.toISOString()}::timestamptz, ${made.endsAt.toISOString()}::timestamptz,
          ${made.createdAt.toISOString()}::timestamptz)
      )
      update limit_use u set used = u.used + c.more, updated_at = now()
      from ${changes} where u.limit_id = c.bucket and u.period = c.period`),
  );
}

/** One that could not be written down for certain. @throws `DATABASE_UNAVAILABLE` */
export async function dropReserve(db: PgRemoteDatabase, id: string): Promise<void> {
  await asked(db.delete(batchReserves).where(eq(batchReserves.id, id)));
}

/** What its host calls it, and until when it may run. @throws `DATABASE_UNAVAILABLE` */
export async function nameBatch(
  db: PgRemoteDatabase,
  id: string,
  { batch, endsAt }: Pick<Reserved, 'batch' | 'endsAt'>,
): Promise<void> {
  await asked(db.update(batchReserves).set({ batch, endsAt }).where(eq(batchReserves.id, id)));
}

/**
 * Settles one: what counts of budgets changes with the row, in one statement, once whoever does it how often.
 * @returns false: somebody else has
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function settleReserve(
  db: PgRemoteDatabase,
  was: Reserved,
  by: SettledBy,
  holds: readonly Counted[],
  at: Date,
): Promise<boolean> {
  const changes = changesOf(
    holds.map(({ bucket, period, usd }, i) => ({ bucket, period, more: usd - was.holds[i]!.usd })),
  );
  const rows = await asked(
    db.execute(sql`
      with settled as (
        update batch_reserves set holds = ${json(holds)}::jsonb, settled_by = ${by}::text,
          settled_at = ${at.toISOString()}::timestamptz
        where id = ${was.id}::text and settled_by is not distinct from ${was.settledBy}::text returning id
      ), locked as materialized (
        select u.limit_id, u.period from limit_use u
        where (u.limit_id, u.period) in (select c.bucket, c.period from ${changes}) and exists (select 1 from settled)
        order by u.limit_id, u.period for update
      ), counted as (
        update limit_use u set used = greatest(0, u.used + c.more), updated_at = now()
        from locked k, ${changes}
        where u.limit_id = k.limit_id and u.period = k.period and k.limit_id = c.bucket and k.period = c.period
      )
      select id from settled`),
  );
  return (rows as unknown as unknown[]).length > 0;
}

const changesOf = (changes: readonly { bucket: string; period: string; more: number }[]) => {
  const rows = changes.map((one) => ({ ...one, bucket: storableText(one.bucket) }));
  return sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as c(bucket text, period text, more double precision)`;
};

const json = (value: unknown): string =>
  JSON.stringify(value, (_, one) => (typeof one === 'string' ? storableText(one) : one));

/** Of a batch that is not settled by what its host has counted; null: there is none. @throws `DATABASE_UNAVAILABLE` */
export async function findReserve(
  db: PgRemoteDatabase,
  { tenant, deployment, batch }: { readonly tenant: string; readonly deployment: string; readonly batch: string },
): Promise<Reserved | null> {
  const rows = await asked(
    db
      .select()
      .from(batchReserves)
      .where(
        and(eq(batchReserves.tenant, tenant), eq(batchReserves.batch, batch), eq(batchReserves.deployment, deployment)),
      )
      .limit(1),
  );
  const found = rows[0] === undefined ? null : reservedOf(rows[0]);
  return found === null || found.settledBy === 'usage' || found.settledBy === 'refused' ? null : found;
}

/** Whether a batch of this host is somebody's. @throws `DATABASE_UNAVAILABLE` */
export async function isReserved(db: PgRemoteDatabase, deployment: string, batch: string): Promise<boolean> {
  const rows = await asked(
    db
      .select({ id: batchReserves.id })
      .from(batchReserves)
      .where(and(eq(batchReserves.deployment, deployment), eq(batchReserves.batch, batch)))
      .limit(1),
  );
  return rows.length > 0;
}

/** Between two looks of the gateway's own at one batch; and once it must be over. */
const LOOK_MINUTES = 30;
/** At one of which nobody has heard whether it was made: so long after that its host's list has it for certain. */
const UNHEARD_MINUTES = 10;
const LATE_MINUTES = 5;
const MOST_AT_ONCE = 20;

/** Takes those that it is time to look at: of several replicas each gets others. @throws `DATABASE_UNAVAILABLE` */
export async function takeDue(db: PgRemoteDatabase, now: Date): Promise<Reserved[]> {
  const at = now.toISOString();
  const rows = await asked(
    db
      .update(batchReserves)
      .set({ lookedAt: now })
      .where(
        sql`${batchReserves.id} in (
          select id from batch_reserves where settled_at is null and (
            looked_at <= ${at}::timestamptz - make_interval(mins => ${LOOK_MINUTES})
            or (batch is null and looked_at <= ${at}::timestamptz - make_interval(mins => ${UNHEARD_MINUTES}))
            or (ends_at <= ${at}::timestamptz and looked_at <= ${at}::timestamptz - make_interval(mins => ${LATE_MINUTES})))
          order by looked_at limit ${MOST_AT_ONCE} for update skip locked)`,
      )
      .returning(),
  );
  return rows.flatMap((row) => reservedOf(row) ?? []);
}

/** USD set aside for batches that are not over, by `bucket@period`. @throws `DATABASE_UNAVAILABLE` */
export async function openReserves(db: PgRemoteDatabase): Promise<ReadonlyMap<string, number>> {
  const rows = (await asked(
    db.execute(sql`
      select h.bucket || '@' || h.period as pot, sum(h.usd) as usd from batch_reserves r,
        jsonb_to_recordset(r.holds) as h(bucket text, period text, usd double precision)
      where r.settled_at is null group by 1`),
  )) as unknown as { pot: string; usd: unknown }[];
  return new Map(rows.map(({ pot, usd }) => [pot, Number(usd)]));
}

/** Deletes what is of no more use: nobody asks for a batch, or makes one of a file, after so long. @throws `DATABASE_UNAVAILABLE` */
export async function tidyBatches(db: PgRemoteDatabase): Promise<void> {
  await asked(db.execute(sql`delete from batch_reserves where settled_at < now() - interval '60 days'`));
  await asked(db.execute(sql`delete from batch_files where created_at < now() - interval '60 days'`));
}
