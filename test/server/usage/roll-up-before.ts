/**
 * The roll-up as the build of migration 0004 has it, which knows no pieces, for tests of both at once: its statements and
 * its facts (facts-before.ts) word for word. Only the steps of the histogram, which are columns, and the lock are today's.
 */
import { type SQL, sql } from 'drizzle-orm';
import { asked } from '../../../server/db/connection.ts';
import type { SqlStore } from '../../../server/db/store.ts';
import { binColumns, binSql } from '../../../server/usage/histogram.ts';
import { ROLL_UP_LOCK } from '../../../server/usage/roll-up.ts';
import { CALL_COLUMNS, CELL_DIMENSIONS, requestFacts, SUM_COLUMNS, SUMS_OF_FACTS } from './facts-before.ts';

type Db = SqlStore['db'];

const MARKS = 1000;
const HOURS = 6;

/** All but verdicts, which either build makes outcomes of in the same way. */
export async function rollUpAsBefore(store: Pick<SqlStore, 'alone'>): Promise<void> {
  while (await store.alone(ROLL_UP_LOCK, takeMarksAsBefore));
  while ((await store.alone(ROLL_UP_LOCK, someHoursAsBefore)) > 0);
}

const rowsOf = async (db: Db, query: SQL): Promise<Record<string, unknown>[]> =>
  (await asked(db.execute(query))) as unknown as Record<string, unknown>[];

const listed = (texts: readonly string[]): SQL => sql`jsonb_array_elements_text(${JSON.stringify(texts)}::jsonb)`;
const amongst = (texts: readonly string[]): SQL => sql`any(array(select * from ${listed(texts)}))`;

export async function takeMarksAsBefore(db: Db): Promise<boolean> {
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
export async function someHoursAsBefore(db: Db): Promise<number> {
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
