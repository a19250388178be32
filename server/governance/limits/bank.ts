/** What all replicas share of limits, in PostgreSQL: parts of it are leased, and what was spent of them is told. */
import { sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from '../../db/connection.ts';
import { storableText } from '../../db/schema.ts';

/** What a replica tells of one limit in one period, and asks for. Amounts are sums since it began to lease. */
export interface Ask {
  readonly bucket: string;
  readonly period: string;
  /** The whole limit. */
  readonly cap: number;
  /** Spent by this replica, all told: telling it twice counts it once. */
  readonly spent: number;
  /** Leased and not spent that it keeps in any case. */
  readonly floor: number;
  /** Of which it has a use: reserved, and asked for by requests that wait; at least `floor`. */
  readonly need: number;
  /** As much more as it would like, so that the next requests need not ask. */
  readonly buffer: number;
}

export interface Grant {
  /** Spent by all. */
  readonly spent: number;
  /** Leased by the others and not settled. */
  readonly others: number;
  /** Leased by this replica and not spent, from now on. */
  readonly held: number;
  readonly notified: readonly number[];
}

export interface Granted {
  /** In the order of the asks. */
  readonly grants: readonly Grant[];
  /** The database's clock, Unix time in ms. */
  readonly nowMs: number;
}

export interface Alive {
  /** This one among them. */
  readonly replicas: number;
  /** Of an earlier version, that keeps the pots of keys by name. */
  readonly older: number;
  /** The database's clock, Unix time in ms. */
  readonly nowMs: number;
}

export interface Bank {
  /** @throws `DATABASE_UNAVAILABLE` */
  exchange(asks: readonly Ask[]): Promise<Granted>;
}

/** A replica that told nothing for so long is taken for dead. */
const LEASE_SECONDS = 30;
/** Names the row by which a replica shows that it lives. */
const ALIVE = '~alive';
/** In that row in place of a period: this replica keeps the pots of keys by id. Those of earlier versions say nothing. */
const BY_ID = 'by-id';

export class PostgresBank implements Bank {
  readonly #db: PgRemoteDatabase;
  readonly #replica: string;
  readonly #leaseSeconds: number;
  /** Rows that are there. */
  readonly #known = new Set<string>();

  constructor(db: PgRemoteDatabase, replica: string, leaseSeconds = LEASE_SECONDS) {
    this.#db = db;
    this.#replica = replica;
    this.#leaseSeconds = leaseSeconds;
  }

  /**
   * One statement for all of them. With `free = cap − spent − others` a replica holds from now on
   *
   *     max(floor, need + min(buffer, (free − need) / 4))   where free ≥ need
   *     max(floor, free)                                    where it is not
   *
   * so that the last of a limit goes to those who need it now.
   */
  async exchange(asks: readonly Ask[]): Promise<Granted> {
    await this.#makeRows(asks);
    const rows = asks.map((ask, at) => ({ at, ...ask, bucket: storableText(ask.bucket), id: this.#idOf(ask) }));
    // Rows are locked in one order by all replicas: two that ask for the same ones do not wait for each other for ever.
    const answer = await this.#twice(sql`
      with asks as materialized (
        select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as a(
          at integer, id text, bucket text, period text, cap double precision, spent double precision,
          floor double precision, need double precision, buffer double precision)
      ), mine as materialized (
        select l.id, l.used, greatest(0, l.granted - l.used) as held from limit_leases l
        where l.id in (select id from asks) order by l.id for update
      ), locked as materialized (
        select u.limit_id, u.period, u.used, u.leased, u.told from limit_use u
        where (u.limit_id, u.period) in (select bucket, period from asks) order by u.limit_id, u.period for update
      ), sums as (
        select a.*, u.told, u.used + a.spent - coalesce(m.used, 0) as total,
          greatest(0, u.leased - coalesce(m.held, 0)) as others
        from asks a join locked u on u.limit_id = a.bucket and u.period = a.period left join mine m on m.id = a.id
      ), grants as materialized (
        select s.*, greatest(s.floor, case
          when s.cap - s.total - s.others >= s.need
          then s.need + least(s.buffer, (s.cap - s.total - s.others - s.need) / 4)
          else s.cap - s.total - s.others end) as held
        from sums s
      ), told as (
        update limit_use u set used = greatest(0, g.total), leased = g.others + g.held, updated_at = now()
        from grants g where u.limit_id = g.bucket and u.period = g.period
      ), leases as (
        insert into limit_leases (id, limit_id, period, replica, granted, used, expires_at)
        select g.id, g.bucket, g.period, ${this.#replica}::text, g.spent + g.held, g.spent,
          now() + make_interval(secs => ${this.#leaseSeconds}::double precision)
        from grants g
        on conflict (id) do update set granted = excluded.granted, used = excluded.used, expires_at = excluded.expires_at
      )
      select at, total, others, held, told, extract(epoch from clock_timestamp()) * 1000 as now from grants order by at`);
    const grants = (answer as unknown as Record<string, unknown>[]).map(({ total, others, held, told }) => ({
      spent: Number(total),
      others: Number(others),
      held: Number(held),
      notified: told as number[],
    }));
    if (grants.length !== asks.length) {
      // Somebody tidied up; the next time they are made again.
      for (const ask of asks) this.#known.delete(rowOf(ask));
      throw new Error('rows of limits are gone');
    }
    const nowMs = answer.length === 0 ? Date.now() : Number((answer[0] as { now: unknown }).now);
    return { grants, nowMs };
  }

  /**
   * Leases of replicas that are dead count as spent to the last cent: who can tell what was bought with them? One that
   * was only asleep tells when it wakes, and gets back what it has not spent.
   */
  async settleExpired(): Promise<void> {
    await this.#twice(sql`
      with dead as materialized (
        select l.id, l.limit_id, l.period, l.granted - l.used as rest from limit_leases l
        where l.expires_at < now() and l.granted > l.used order by l.id for update skip locked
      ), sums as materialized (
        select limit_id, period, sum(rest) as rest from dead group by limit_id, period
      ), locked as materialized (
        select u.limit_id, u.period, u.used, u.leased from limit_use u
        where (u.limit_id, u.period) in (select limit_id, period from sums) order by u.limit_id, u.period for update
      ), counted as (
        update limit_use u set used = k.used + s.rest, leased = greatest(0, k.leased - s.rest), updated_at = now()
        from locked k join sums s on s.limit_id = k.limit_id and s.period = k.period
        where u.limit_id = k.limit_id and u.period = k.period
      )
      update limit_leases l set used = l.granted from dead d where l.id = d.id`);
  }

  /** Shows that this replica lives. */
  async alive(): Promise<Alive> {
    const rows = await asked(
      this.#db.execute(sql`
        with mine as (
          insert into limit_leases (id, limit_id, period, replica, granted, used, expires_at)
          values (${`${this.#replica}/${ALIVE}`}::text, ${ALIVE}::text, ${BY_ID}::text, ${this.#replica}::text, 0, 0,
            now() + make_interval(secs => ${this.#leaseSeconds}::double precision))
          on conflict (id) do update set expires_at = excluded.expires_at
        )
        select count(*) as others, count(*) filter (where period <> ${BY_ID}::text) as older,
          extract(epoch from clock_timestamp()) * 1000 as now from limit_leases
        where limit_id = ${ALIVE}::text and replica <> ${this.#replica}::text and expires_at > now()`),
    );
    const [{ others, older, now }] = rows as unknown as [{ others: unknown; older: unknown; now: unknown }];
    return { replicas: 1 + Number(others), older: Number(older), nowMs: Number(now) };
  }

  /** @returns true for the one replica that is to tell of this threshold */
  async claim(bucket: string, period: string, percent: number): Promise<boolean> {
    return claimThreshold(this.#db, bucket, period, percent);
  }

  /** Deletes what is of no more use: minutes after an hour, leases of other periods after a week. */
  async tidy(): Promise<void> {
    await asked(
      this.#db.execute(sql`
        delete from limit_leases where (length(period) = 16 and expires_at < now() - interval '1 hour')
          or expires_at < now() - interval '40 days' or (limit_id = ${ALIVE}::text and expires_at < now())`),
    );
    await tidyMinutes(this.#db);
    this.#known.clear();
  }

  /** This replica is no longer there. */
  async leave(): Promise<void> {
    await asked(this.#db.execute(sql`delete from limit_leases where id = ${`${this.#replica}/${ALIVE}`}::text`));
  }

  #idOf({ bucket, period }: Pick<Ask, 'bucket' | 'period'>): string {
    return `${this.#replica}/${storableText(bucket)}@${period}`;
  }

  async #makeRows(asks: readonly Ask[]): Promise<void> {
    const missing = asks.filter((ask) => !this.#known.has(rowOf(ask)));
    if (missing.length === 0) return;
    const rows = missing.map(({ bucket, period }) => ({ bucket: storableText(bucket), period }));
    await asked(
      this.#db.execute(sql`
        insert into limit_use (limit_id, period, updated_at)
        select distinct bucket, period, now() from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as a(bucket text, period text)
        order by 1, 2 on conflict do nothing`),
    );
    for (const ask of missing) this.#known.add(rowOf(ask));
  }

  /** One of two that wait for each other is sent away by the database, and may come again. */
  async #twice(statement: ReturnType<typeof sql>): Promise<unknown[]> {
    const run = async () => (await asked(this.#db.execute(statement))) as unknown as unknown[];
    try {
      return await run();
    } catch (error) {
      if ((error as { sqlState?: string }).sqlState !== DEADLOCK) throw error;
      return run();
    }
  }
}

const DEADLOCK = '40P01';

const rowOf = ({ bucket, period }: Pick<Ask, 'bucket' | 'period'>): string => `${bucket}@${period}`;

/** Minutes are nobody's business an hour later. */
export async function tidyMinutes(db: PgRemoteDatabase): Promise<void> {
  await asked(
    db.execute(sql`delete from limit_use where length(period) = 16 and updated_at < now() - interval '1 hour'`),
  );
}

/** @returns true for the one that asked first */
export async function claimThreshold(
  db: PgRemoteDatabase,
  bucket: string,
  period: string,
  percent: number,
): Promise<boolean> {
  const one = JSON.stringify([percent]);
  const rows = await asked(
    db.execute(sql`
      insert into limit_use (limit_id, period, told, updated_at)
      values (${storableText(bucket)}::text, ${period}::text, ${one}::jsonb, now())
      on conflict (limit_id, period) do update set told = limit_use.told || excluded.told
      where not limit_use.told @> excluded.told
      returning 1 as claimed`),
  );
  return (rows as unknown as unknown[]).length > 0;
}
