/** Budgets of each key are kept by where its rotation chain begins; up to November 2026 they were kept by its name: what is spent under either counts under both. */
import { sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from '../../db/connection.ts';
import { storableText } from '../../db/schema.ts';
import type { SqlStore } from '../../db/store.ts';
import { type Limit, partsOfSubject, subjectOf } from './terms.ts';

/** What limits ask of the key ring. */
export interface KeyChains {
  /** Takes up all keys that were made. @throws `DATABASE_UNAVAILABLE` */
  look(): Promise<void>;
  /** Id of the first key of a key's rotation chain. */
  firstOf(id: string): string;
  /** What the newest of the chain is called now; null: nothing is known of it. */
  nameOf(id: string): { readonly team: string; readonly name: string } | null;
  /** Of all keys. */
  readonly chains: readonly {
    readonly id: string;
    readonly team: string;
    readonly name: string;
    readonly project: string | null;
    readonly first: string;
    /** It does not work any more. */
    readonly isOver: boolean;
  }[];
  /** Teams that were made, and their projects. */
  readonly places: readonly { readonly team: string; readonly projects: readonly string[] }[];
}

/** Where there is no database there are no keys of it. */
export const NO_CHAINS: KeyChains = {
  look: async () => {},
  firstOf: (id) => id,
  nameOf: () => null,
  chains: [],
  places: [],
};

export interface CarryOver {
  readonly store: Pick<SqlStore, 'db' | 'alone'>;
  readonly limits: readonly Limit[];
  readonly keys: KeyChains;
  /** Keys of the configuration are kept by their name still. */
  readonly isConfigured: (team: string, name: string) => boolean;
  /** The days and months that are now. */
  readonly periods: readonly string[];
  /** A replica of an earlier version runs: it is told of all that was spent here, not only of what it has asked about. */
  readonly isOlderBeside: boolean;
}

interface Pair {
  readonly old: string;
  readonly new: string;
  readonly period: string;
}

/** Waited for by replicas that do the same. */
const CARRYING = 0x6c696d6b;

/**
 * Keeps the rows of a key's pot alike: the one by its first id, and those by names that its chain has had. With F and Nₖ what is
 * spent in the row by first id and by name k, iₖ and oₖ what of it came in from the other so far (F ← Nₖ and Nₖ ← F), what was
 * spent in each by itself is F − Σ iₖ and Nₖ − oₖ; of these T is the sum, and
 *
 *     iₖ' = Nₖ − oₖ,  oₖ' = T − iₖ';  F += Σ (iₖ' − iₖ),  Nₖ += oₖ' − oₖ
 *
 * makes all of them T. Done again it changes nothing. i and o are kept as rows of `limit_leases` that nobody holds, one of each
 * for every name, chain and period; they say whose a row by name is, so that a new key of that name does not get it, too.
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function carryOver(carrying: CarryOver): Promise<void> {
  const ids = new Set(carrying.limits.filter(isOfEachKey).map(({ id }) => storableText(id)));
  if (ids.size === 0) return;
  // Most often there is nothing to do, and nobody need wait for that.
  if ((await pairsIn(carrying.store.db, ids, carrying)).length === 0) return;
  await carrying.store.alone(CARRYING, async (db) => {
    const pairs = await pairsIn(db, ids, carrying);
    if (pairs.length > 0) await carry(db, pairs);
  });
}

export const isOfEachKey = ({ kind, key }: Limit): boolean => kind === 'budget' && key === '*';

/** By row and period what it was carried over to: `ROW@PERIOD` → row. @throws `DATABASE_UNAVAILABLE` */
export async function carriedIn(
  db: PgRemoteDatabase,
  periods: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = (await asked(
    db.execute(sql`
      select id, limit_id, period from limit_leases where id like '~came/%'
        and period in (select jsonb_array_elements_text(${JSON.stringify(periods)}::jsonb)) order by id`),
  )) as unknown as { id: string; limit_id: string; period: string }[];
  return new Map(
    rows.map(({ id, limit_id, period }) => {
      const old = id.slice(`~came/${period}/`.length, -`>${limit_id}`.length);
      return [`${old}@${period}`, limit_id];
    }),
  );
}

async function pairsIn(
  db: PgRemoteDatabase,
  ids: ReadonlySet<string>,
  { keys, isConfigured, periods, isOlderBeside }: CarryOver,
): Promise<Pair[]> {
  const rows = (await asked(
    db.execute(sql`
      select limit_id, period from limit_use where limit_id like '%#%/%'
        and period in (select jsonb_array_elements_text(${JSON.stringify(periods)}::jsonb))
      order by limit_id, period`),
  )) as unknown as { limit_id: string; period: string }[];
  if (rows.length === 0) return [];
  const firstOf = chainsByName(keys);
  const carried = await carriedIn(db, periods);
  const pairs = new Map<string, Pair>();
  /** A row by name goes to one chain, and stays with it whatever the key is called later. */
  const add = (old: string, chain: string, period: string) => {
    const row = `${old}@${period}`;
    const owner = carried.get(row) ?? pairs.get(row)?.new ?? chain;
    pairs.set(row, { old, new: owner, period });
  };
  for (const { limit_id: bucket, period } of rows) {
    const at = bucket.indexOf('#');
    const [id, [team, key, ...rest]] = [bucket.slice(0, at), partsOfSubject(bucket.slice(at + 1))];
    if (!ids.has(id) || team === undefined || key === undefined) continue;
    const inBucket = (name: string) => storableText(`${id}#${subjectOf([team, name, ...rest])}`);
    if (!isConfigured(team, key)) {
      const first = firstOf.get(placeOf(team, key));
      const owner = carried.get(`${bucket}@${period}`) ?? (first === undefined ? undefined : inBucket(first));
      if (owner !== undefined) add(bucket, owner, period);
    }
    const named = isOlderBeside ? keys.nameOf(key) : null;
    if (named === null || named.team !== team || isConfigured(team, named.name)) continue;
    // Two chains that have had one name: the one that has it now.
    if (firstOf.get(placeOf(team, named.name)) === key) add(inBucket(named.name), bucket, period);
  }
  return [...pairs.values()];
}

/** Of two keys that have had one name the one that works has it. */
export function chainsByName(keys: Pick<KeyChains, 'chains'>): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const isOver of [true, false]) {
    for (const chain of keys.chains) {
      if (chain.isOver === isOver) found.set(placeOf(chain.team, chain.name), chain.first);
    }
  }
  return found;
}

export const placeOf = (team: string, name: string): string => `${team}\0${name}`;

async function carry(db: PgRemoteDatabase, pairs: readonly Pair[]): Promise<void> {
  const asJson = JSON.stringify(pairs);
  const given = sql`jsonb_to_recordset(${asJson}::jsonb) as p(old text, new text, period text)`;
  await asked(
    db.execute(sql`
      insert into limit_use (limit_id, period, updated_at)
      select bucket, period, now() from (select old as bucket, period from ${given} union select new, period from ${given}) b
      order by 1, 2 on conflict do nothing`),
  );
  // Rows are locked in the order that replicas lock them in when they exchange.
  await asked(
    db.execute(sql`
      with pairs as materialized (select * from ${given}), locked as materialized (
        select u.limit_id, u.period, u.used, u.told from limit_use u
        where (u.limit_id, u.period) in (select old, period from pairs union select new, period from pairs)
        order by u.limit_id, u.period for update
      ), entries as materialized (
        select p.*, '~came/' || p.period || '/' || p.old || '>' || p.new as came_id,
          '~gone/' || p.period || '/' || p.old || '>' || p.new as gone_id from pairs p
      ), held as materialized (
        select e.*, n.told, f.used as pot, coalesce(i.used, 0) as came, coalesce(o.used, 0) as gone,
          n.used - coalesce(o.used, 0) as came_now
        from entries e
        join locked n on n.limit_id = e.old and n.period = e.period
        join locked f on f.limit_id = e.new and f.period = e.period
        left join limit_leases i on i.id = e.came_id
        left join limit_leases o on o.id = e.gone_id
      ), sums as materialized (
        select new, period, max(pot) - sum(came) + sum(came_now) as total from held group by new, period
      ), halves as materialized (
        select r.*, s.total - r.came_now as gone_now from held r join sums s on s.new = r.new and s.period = r.period
      ), changes as (
        select new as bucket, period, sum(came_now - came) as more,
          (array_agg(told order by jsonb_array_length(told) desc, old))[1] as told from halves group by new, period
        union all select old, period, gone_now - gone, '[]'::jsonb from halves
      ), counted as (
        update limit_use u set used = greatest(0, u.used + c.more), updated_at = now(),
          told = case when u.told = '[]'::jsonb then c.told else u.told end
        from changes c where u.limit_id = c.bucket and u.period = c.period and (c.more <> 0 or u.told = '[]'::jsonb)
      )
      insert into limit_leases (id, limit_id, period, replica, granted, used, expires_at)
      select came_id, new, period, '', came_now, came_now, now() + interval '40 days' from halves
      union all
      select gone_id, new, period, '', gone_now, gone_now, now() + interval '40 days' from halves
      on conflict (id) do update set granted = excluded.granted, used = excluded.used, expires_at = excluded.expires_at`),
  );
}
