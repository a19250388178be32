/**
 * The log → sums by hour and day, as they are written to it. What was touched since the last time is rolled up anew,
 * whole hours of a team: so a row that comes hours late, or a verdict that comes days late, is counted where it belongs,
 * and to do it twice changes nothing.
 */
import { type SQL, sql } from 'drizzle-orm';
import { asked } from '../db/connection.ts';
import type { SqlStore } from '../db/store.ts';
import { labelOutcomes } from '../feedback/outcomes.ts';
import { CALL_COLUMNS, CELL_DIMENSIONS, requestFacts, SUM_COLUMNS, SUMS_OF_FACTS } from './facts.ts';
import { binColumns, binSql } from './histogram.ts';

type Db = SqlStore['db'];

/** Any fixed number: who holds this advisory lock may roll up, or say what is kept. */
export const ROLL_UP_LOCK = 7_240_431;

/** Marks taken at once, each of at most as many decisions as a batch of rows. */
const MARKS = 1000;
/** A decision that is written so long after a verdict on it is the longest outage that anybody spools through. */
const WAIT_DAYS = 30;
/** Hours of one transaction. */
const HOURS = 6;

export interface RolledUp {
  /** Hours of teams that were rolled up. */
  readonly hours: number;
  /** False where time was up before all was done. */
  readonly complete: boolean;
}

/**
 * Brings the roll-ups up to date. One process at a time does it; another one waits, and finds nothing to do.
 * @param budgetMs after so long it ends, in a state to go on from
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function rollUp(
  store: Pick<SqlStore, 'alone'>,
  { budgetMs = 20_000 }: { readonly budgetMs?: number } = {},
): Promise<RolledUp> {
  const end = performance.now() + budgetMs;
  const began = await store.alone(ROLL_UP_LOCK, async (db) => {
    const [clock] = await rowsOf(db, sql`select clock_timestamp() as at`);
    await seed(db);
    await labelWaiting(db);
    return clock!.at as string | Date;
  });
  // Each in a transaction of its own: what is locked is locked for short.
  while ((await store.alone(ROLL_UP_LOCK, label)) && performance.now() < end);
  while ((await store.alone(ROLL_UP_LOCK, takeMarks)) && performance.now() < end);
  let hours = 0;
  for (;;) {
    const done = await store.alone(ROLL_UP_LOCK, someHours);
    hours += done;
    if (done === 0) break;
    if (performance.now() >= end) return { hours, complete: false };
  }
  await store.alone(ROLL_UP_LOCK, (db) => setState(db, 'rolled', sql`${iso(began)}::timestamptz`));
  return { hours, complete: true };
}

/** Until when the roll-ups hold everything; null: nothing was rolled up yet. */
export async function rolledUpTo(db: Db): Promise<Date | null> {
  const [row] = await rowsOf(db, sql`select at from usage_state where name = 'rolled'`);
  return row === undefined ? null : new Date(row.at as string | Date);
}

/**
 * Says that decisions of a team are deleted up to a moment. Told before they are: hours of which rows are missing are
 * never rolled up anew, and keep their sums.
 */
export async function keepSums(store: Pick<SqlStore, 'alone'>, teams: readonly string[], through: Date): Promise<void> {
  if (teams.length === 0) return;
  await store.alone(ROLL_UP_LOCK, (db) =>
    asked(
      db.execute(sql`
        insert into usage_kept (team, through)
        select team, ${through.toISOString()}::timestamptz from ${listed(teams)} as l(team)
        on conflict (team) do update set through = greatest(usage_kept.through, excluded.through)`),
    ),
  );
}

const iso = (at: string | Date): string => new Date(at).toISOString();

const rowsOf = async (db: Db, query: SQL): Promise<Record<string, unknown>[]> =>
  (await asked(db.execute(query))) as unknown as Record<string, unknown>[];

const setState = (db: Db, name: string, at: SQL) =>
  asked(
    db.execute(sql`
      insert into usage_state (name, at) values (${name}, ${at})
      on conflict (name) do update set at = greatest(usage_state.at, excluded.at)`),
  );

/** Texts as a table of one column. As JSON: the two drivers do not agree on arrays. */
const listed = (texts: readonly string[]): SQL => sql`jsonb_array_elements_text(${JSON.stringify(texts)}::jsonb)`;
const amongst = (texts: readonly string[]): SQL => sql`any(array(select * from ${listed(texts)}))`;

/** Once: hours of a log that was written before there were marks. */
async function seed(db: Db): Promise<void> {
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
async function label(db: Db): Promise<boolean> {
  const marks = await saidMarks(db, sql`at is null limit ${MARKS}`);
  await labelMarked(db, marks);
  return marks.length === MARKS;
}

/** The same of verdicts that were there before their decision. */
const labelWaiting = async (db: Db): Promise<void> => labelMarked(db, await saidMarks(db, sql`at is not null`));

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

/** Marks become hours to roll up; in one statement, so that none is lost between. @returns whether there may be more */
async function takeMarks(db: Db): Promise<boolean> {
  const [row] = await rowsOf(
    db,
    sql`
      with taken as (
        delete from usage_touched
        where ctid = any(array(select ctid from usage_touched where not said limit ${MARKS}))
        returning at, team, decisions
      ),
      found as (
        select at, team from taken where at is not null
        union
        -- One that is not there yet will mark its hour itself.
        select date_trunc('hour', d.created_at, 'UTC'), d.tenant from decisions d
        where d.id = any(array(select distinct unnest(decisions) from taken))
      ),
      noted as (
        insert into usage_pending (at, team) select at, team from found f
        where not exists (select 1 from usage_pending p where p.at = f.at and (p.team = f.team or p.team is null))
      )
      select count(*)::int as n from taken`,
  );
  return row!.n === MARKS;
}

/** The newest hours of one day. @returns how many */
async function someHours(db: Db): Promise<number> {
  const rows = await rowsOf(
    db,
    sql`select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at,
          json_agg(distinct team)::text as teams from usage_pending group by usage_pending.at
        order by usage_pending.at desc limit ${HOURS}`,
  );
  const day = (rows[0]?.at as string | undefined)?.slice(0, 10);
  const hours = rows.filter(({ at }) => (at as string).startsWith(day!));
  const touched = new Set<string | null>();
  for (const { at, teams } of hours) {
    const told = JSON.parse(teams as string) as (string | null)[];
    const which = told.includes(null) ? null : (told as string[]);
    await rollHour(db, at as string, which);
    for (const team of which ?? [null]) touched.add(team);
  }
  if (day !== undefined) await rollDay(db, `${day}T00:00:00Z`, touched.has(null) ? null : ([...touched] as string[]));
  for (const { at } of hours) await asked(db.execute(sql`delete from usage_pending where at = ${at}::timestamptz`));
  return hours.length;
}

const DIMENSIONS = CELL_DIMENSIONS.join(', ');
const SUMS = SUM_COLUMNS.join(', ');
const TOTALS = SUM_COLUMNS.map((column) => `sum(${column})`).join(', ');
const CALLS = CALL_COLUMNS.join(', ');
const CALL_TOTALS = CALL_COLUMNS.map((column) => `sum(${column})`).join(', ');

/** @param teams null: all */
async function rollHour(db: Db, at: string, teams: readonly string[] | null): Promise<void> {
  const moment = sql`${at}::timestamptz`;
  const kept = (await rowsOf(db, sql`select team from usage_kept where through > ${moment}`)).map(({ team }) => team);
  const whose = (column: string): SQL => {
    const team = sql.raw(column);
    const asked = teams === null ? sql`true` : sql`${team} = ${amongst(teams)}`;
    return kept.length === 0 ? asked : sql`${asked} and not (${team} = ${amongst(kept as string[])})`;
  };
  const inHour = sql`d.created_at >= ${moment} and d.created_at < ${moment} + interval '1 hour' and ${whose('d.tenant')}`;
  // A call begins after its decision; clocks that were set meanwhile are granted a day.
  const since = sql`${moment} - interval '1 day'`;
  await asked(
    db.execute(sql`
      with gone as (delete from usage_cells where step = 'hour' and at = ${moment} and ${whose('team')})
      insert into usage_cells (step, at, team, ${sql.raw(DIMENSIONS)}, ${sql.raw(SUMS)})
      select 'hour', ${moment}, team, ${sql.raw(DIMENSIONS)}, ${sql.raw(SUMS_OF_FACTS)}
      from (${requestFacts(inHour, since)}) facts group by team, ${sql.raw(DIMENSIONS)}`),
  );
  const wholeBins = counts('h', `a.status = 'ok' and ${binSql('a.total_ms')}`);
  const firstBins = counts('f', `a.status = 'ok' and a.first_byte_ms is not null and ${binSql('a.first_byte_ms')}`);
  await asked(
    db.execute(sql`
      with gone as (delete from usage_calls where step = 'hour' and at = ${moment} and ${whose('team')})
      insert into usage_calls (step, at, team, provider, model, deployment, ${sql.raw(CALLS)})
      select 'hour', ${moment}, d.tenant, a.provider, a.model, a.deployment, count(*),
        count(*) filter (where a.status in ('error', 'partial')), count(*) filter (where a.status = 'cancelled'),
        ${sql.raw(wholeBins)}, ${sql.raw(firstBins)}
      from decisions d join attempts a on a.decision_id = d.id and a.started_at >= ${since}
      where ${inHour} group by d.tenant, a.provider, a.model, a.deployment`),
  );
  await asked(
    db.execute(sql`
      with gone as (delete from usage_calibration where at = ${moment} and ${whose('team')})
      insert into usage_calibration (at, team, artifact, bin, judged, predicted_sum, observed_sum)
      select ${moment}, team, artifact, least(9, greatest(0, floor(10 * predicted)))::int, count(*), sum(predicted),
        sum(quality)
      from (
        select d.tenant as team, d.artifact, o.quality, (
          select (r->>'quality')::double precision from jsonb_array_elements(d.ranked) r
          where r->>'model' = d.executed_model limit 1) as predicted
        from decisions d
        join outcomes o on o.decision_id = d.id and o.model_id = d.executed_model
        where ${inHour} and o.kind = 'verdict' and (o.weight > 0 or o.audit_quality is not null)
          and d.artifact is not null and jsonb_typeof(d.ranked) = 'array'
      ) judged
      where predicted is not null group by 1, 2, 3, 4`),
  );
  await asked(db.execute(slices('hour', moment, whose)));
}

const counts = (letter: 'h' | 'f', bin: string): string =>
  binColumns(letter)
    .map((_, k) => `count(*) filter (where ${bin} = ${k})`)
    .join(', ');

const slices = (step: 'hour' | 'day', moment: SQL, whose: (column: string) => SQL): SQL => sql`
  with gone as (delete from usage_slices where step = ${step} and at = ${moment} and ${whose('team')})
  insert into usage_slices (step, at, team, dimension, value, ${sql.raw(SUMS)})
  select ${step}, ${moment}, team, v.dimension, v.value, ${sql.raw(TOTALS)}
  from usage_cells cross join lateral (values ('all', ''),
    ${sql.raw(CELL_DIMENSIONS.map((name) => `('${name}', ${name})`).join(', '))}) v(dimension, value)
  where step = ${step} and at = ${moment} and ${whose('team')}
  group by team, v.dimension, v.value`;

/** A day is the sum of its hours. */
async function rollDay(db: Db, at: string, teams: readonly string[] | null): Promise<void> {
  const moment = sql`${at}::timestamptz`;
  const whose = (column: string): SQL => (teams === null ? sql`true` : sql`${sql.raw(column)} = ${amongst(teams)}`);
  const hours = sql`step = 'hour' and at >= ${moment} and at < ${moment} + interval '1 day' and ${whose('team')}`;
  const gone = sql`step = 'day' and at = ${moment} and ${whose('team')}`;
  await asked(
    db.execute(sql`
      with gone as (delete from usage_cells where ${gone})
      insert into usage_cells (step, at, team, ${sql.raw(DIMENSIONS)}, ${sql.raw(SUMS)})
      select 'day', ${moment}, team, ${sql.raw(DIMENSIONS)}, ${sql.raw(TOTALS)} from usage_cells where ${hours}
      group by team, ${sql.raw(DIMENSIONS)}`),
  );
  await asked(
    db.execute(sql`
      with gone as (delete from usage_calls where ${gone})
      insert into usage_calls (step, at, team, provider, model, deployment, ${sql.raw(CALLS)})
      select 'day', ${moment}, team, provider, model, deployment, ${sql.raw(CALL_TOTALS)} from usage_calls
      where ${hours} group by team, provider, model, deployment`),
  );
  await asked(db.execute(slices('day', moment, whose)));
}
