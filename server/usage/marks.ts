/** Marks of what was written → the pieces and hours that are to be made anew; and verdicts → outcomes, which marks them. */
import { type SQL, sql } from 'drizzle-orm';
import { asked } from '../db/connection.ts';
import { labelOutcomes } from '../feedback/outcomes.ts';
import { amongst, type Db, listed, momentOf, rowsOf, setState } from './statements.ts';
import { PIECE_MINUTES } from './sum-up.ts';

/** Marks taken at once, each of at most as many decisions as a batch of rows (100): a second's work, more or less. */
const MARKS = 250;
/** A decision that is written so long after a verdict on it is the longest outage that anybody spools through. */
const WAIT_DAYS = 30;
/** Nearly all that is written concerns decisions so young; older ones are looked for in all months. */
const YOUNG_DAYS = 2;
const DAY_MS = 86_400_000;

/** Once: hours of a log that was written before there were marks. */
export async function seed(db: Db): Promise<void> {
  const [done] = await rowsOf(db, sql`select 1 from usage_state where name = 'seeded'`);
  if (done !== undefined) return;
  // From hour to hour by the index: the rows themselves are many.
  await asked(
    db.execute(sql`
      with recursive hours(at) as (
        (select date_trunc('hour', created_at, 'UTC') from decisions order by created_at limit 1)
        union all
        select (select date_trunc('hour', d.created_at, 'UTC') from decisions d
                where d.created_at >= hours.at + interval '1 hour' order by d.created_at limit 1)
        from hours where hours.at is not null
      )
      insert into usage_pending (at, team) select at, null from hours where at is not null`),
  );
  await setState(db, 'seeded', sql`clock_timestamp()`);
}

/** Verdicts become outcomes, which marks their decisions. @returns whether there may be more */
export async function label(db: Db): Promise<boolean> {
  const marks = await saidMarks(db, sql`at is null limit ${MARKS}`);
  await labelMarked(db, marks);
  return marks.length === MARKS;
}

/** The same of verdicts that were there before their decision. */
export const labelWaiting = async (db: Db): Promise<void> => labelMarked(db, await saidMarks(db, sql`at is not null`));

interface SaidMark {
  readonly place: string;
  readonly ids: readonly string[];
  /** Since when its decisions have been waited for; null: they were not looked for yet. */
  readonly since: string | null;
}

const saidMarks = async (db: Db, which: SQL): Promise<SaidMark[]> => {
  const rows = await rowsOf(
    db,
    sql`select ctid::text as place, to_json(decisions)::text as ids, at::text as since
        from usage_touched where said and ${which}`,
  );
  return rows.map(({ place, ids, since }) => ({
    ...{ place: place as string, since: since as string | null },
    ids: JSON.parse(ids as string) as string[],
  }));
};

async function labelMarked(db: Db, marks: readonly SaidMark[]): Promise<void> {
  if (marks.length === 0) return;
  const ids = [...new Set(marks.flatMap(({ ids }) => ids))];
  const known = await rowsOf(db, sql`select id from decisions where id = ${amongst(ids)}`);
  const there = new Set(known.map(({ id }) => id as string));
  const found = ids.filter((id) => there.has(id));
  if (found.length > 0) await labelOutcomes({ db }, { decisions: found });
  // One row a day of those that are waited for: verdicts on what never comes are forgotten in the end.
  const waiting = marks.flatMap(({ ids, since }) => ids.filter((id) => !there.has(id)).map((id) => ({ id, since })));
  if (waiting.length > 0) {
    await asked(
      db.execute(sql`
        insert into usage_touched (at, decisions, said)
        select day, array_agg(distinct id), true
        from (
          select w.id, date_trunc('day', coalesce(w.since::timestamptz, clock_timestamp()), 'UTC') as day
          from jsonb_to_recordset(${JSON.stringify(waiting)}::jsonb) as w(id text, since text)
        ) named
        where day > clock_timestamp() - interval '${sql.raw(String(WAIT_DAYS))} days' group by day`),
    );
  }
  // Those that were seen, and no others. They never move: rows are only added.
  const places = marks.map(({ place }) => place);
  await asked(
    db.execute(sql`delete from usage_touched where ctid = any(array(select p::tid from ${listed(places)} as l(p)))`),
  );
}

/** Pieces of an hour as bits, the lowest the first; null: all of it, since which ones is not known. */
export type Pieces = number | null;

/** What is to be made anew, by hour (ms since 1970) and team. */
export type Touched = Map<number, Map<string, Pieces>>;

/**
 * Marks become hours to roll up, and pieces of them; in one statement, so that none is lost between. That an hour is to
 * be made is written down; which pieces of it are all that changed is known to the caller alone, and only while nobody
 * else has taken marks: what is left over is made whole.
 * @param touched what was taken in the same transaction; more is added
 * @returns whether there may be more
 */
export async function takeMarks(db: Db, touched: Touched, now: Date): Promise<boolean> {
  const young = momentOf(new Date(now.getTime() - YOUNG_DAYS * DAY_MS));
  const rows = await rowsOf(
    db,
    sql`
      with taken as (
        delete from usage_touched
        where ctid = any(array(select ctid from usage_touched where not said limit ${MARKS}))
        returning at, team, pieces, decisions
      ),
      named as materialized (select distinct unnest(decisions) as id from taken),
      recent as materialized (
        select d.id, d.created_at, d.tenant from decisions d
        where d.id = any(array(select id from named)) and d.created_at >= ${young}
      ),
      -- One that is not there yet will mark its hour itself.
      called as (
        select created_at, tenant from recent
        union all
        select d.created_at, d.tenant from decisions d
        where d.id = any(array(select id from named except select id from recent)) and d.created_at < ${young}
      ),
      found as (
        select at, team, bit_or(pieces) as pieces, bool_or(pieces is null) as whole
        from (
          select at, team, pieces from taken where at is not null
          union all
          select date_trunc('hour', created_at, 'UTC'), tenant, ${sql.raw(PIECE_BIT)} from called
        ) marked group by at, team
      ),
      known as (
        select f.*, exists (
          select 1 from usage_pending p where p.at = f.at and (p.team = f.team or p.team is null)) as pending
        from found f
      ),
      noted as (insert into usage_pending (at, team) select at, team from known where not pending)
      select t.n, (extract(epoch from k.at) * 1000)::double precision as at, k.team, k.pieces, k.whole, k.pending
      from (select count(*)::int as n from taken) t left join known k on true`,
  );
  for (const { at, team, pieces, whole, pending } of rows) {
    if (at === null) continue;
    const hour = Number(at);
    const teams = touched.get(hour) ?? new Map<string, Pieces>();
    touched.set(hour, teams);
    const before = teams.get(team as string);
    // Pending from an earlier time, or from another build: more may have changed than these marks say.
    const isKnown = whole === false && (pending === false || typeof before === 'number');
    teams.set(team as string, isKnown ? (before ?? 0) | Number(pieces) : null);
  }
  return rows[0]!.n === MARKS;
}

/** The bit of the piece that `created_at` falls into, as the trigger on decisions has it. */
const PIECE_BIT = `1 << (extract(minute from created_at at time zone 'UTC')::int / ${PIECE_MINUTES})`;
