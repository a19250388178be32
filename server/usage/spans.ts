/**
 * The sums of a stretch of time from the log itself: of pieces, and of an hour that is the sum of its pieces. What was there
 * of it is taken away in the statement that writes the new, so to do it twice changes nothing. A statement takes no more
 * than a portion: a piece with more requests is counted in parts.
 */
import { type SQL, sql } from 'drizzle-orm';
import { forecastOfAnswer } from '../db/candidate-lists.ts';
import { asked } from '../db/connection.ts';
import { requestFacts, SUMS_OF_FACTS } from './facts.ts';
import { binColumns, binSql } from './histogram.ts';
import type { Portion } from './portion.ts';
import { type Db, listed, momentOf, rowsOf } from './statements.ts';
import {
  CALIBRATION,
  CALLS,
  DAY_MS,
  DIMENSIONS,
  HOUR_MS,
  LENGTH_MS,
  of,
  PIECED,
  PIECES,
  SUMS,
  slice,
  sumUp,
  type Whose,
  withinOf,
} from './sum-up.ts';

/** Teams of which decisions of the hour were deleted for their age: it stays as it is. */
export async function keptTeams(db: Db, hour: Date): Promise<ReadonlySet<string>> {
  const rows = await rowsOf(db, sql`select team from usage_kept where through > ${momentOf(hour)}`);
  return new Set(rows.map(({ team }) => team as string));
}

/** An hour from the log, of which no pieces are kept. */
export async function countHour(db: Db, portion: Portion, hour: Date, teams: readonly string[]): Promise<void> {
  const end = new Date(hour.getTime() + HOUR_MS);
  if (await portion.holds(db, requestsOf(hour, end, of(teams)))) {
    await count(db, portion, 'hour', hour, end, of(teams));
  } else {
    await countRun(db, portion, { hour, first: 0, end: PIECES, teams });
    await sumUp(db, portion, 'hour', 'piece', hour, of(teams));
    await dropPiecesOf(db, sql`${withinOf(hour, end)('at')} and ${of(teams)('team')}`);
  }
  await slice(db, portion, 'hour', hour, of(teams));
}

/**
 * An hour as the sum of its pieces, some of which are counted anew.
 * @param touched by team which, as bits; those of a team that are not named are there already
 */
export async function countPieces(
  db: Db,
  portion: Portion,
  hour: Date,
  touched: ReadonlyMap<string, number>,
): Promise<void> {
  if (touched.size === 0) return;
  const teamsOf = (piece: number) => [...touched].flatMap(([team, bits]) => ((bits >> piece) & 1 ? [team] : []));
  for (let first = 0; first < PIECES; ) {
    const teams = teamsOf(first);
    let end = first + 1;
    while (end < PIECES && isSame(teams, teamsOf(end))) end++;
    if (teams.length > 0) await countRun(db, portion, { hour, first, end, teams });
    first = end;
  }
  const teams = [...touched.keys()];
  await sumUp(db, portion, 'hour', 'piece', hour, of(teams));
  await slice(db, portion, 'hour', hour, of(teams));
  // A build that knows no pieces takes all slices of an hour away where it makes one, and this one with them.
  await asked(
    db.execute(sql`
      insert into usage_slices (step, at, team, dimension, value)
      select 'hour', ${momentOf(hour)}, team, ${PIECED}, '' from ${listed(teams)} as l(team)`),
  );
}

/** Pieces beside each other, of the same teams. */
interface Run {
  readonly hour: Date;
  readonly first: number;
  /** The first that is not one of them. */
  readonly end: number;
  readonly teams: readonly string[];
}

/** In one statement if it takes no more than a portion, else in halves; one piece in parts. */
async function countRun(db: Db, portion: Portion, run: Run): Promise<void> {
  const { hour, first, end, teams } = run;
  const [from, to] = [first, end].map((piece) => new Date(hour.getTime() + piece * LENGTH_MS.piece)) as [Date, Date];
  if (await portion.holds(db, requestsOf(from, to, of(teams)))) {
    await count(db, portion, 'piece', from, to, of(teams));
  } else if (end - first > 1) {
    const middle = Math.ceil((first + end) / 2);
    await countRun(db, portion, { ...run, end: middle });
    await countRun(db, portion, { ...run, first: middle });
  } else {
    const moments = [from, ...(await cuts(db, portion, from, to, of(teams))), to];
    for (let i = 1; i < moments.length; i++) {
      await count(db, portion, 'part', moments[i - 1]!, moments[i]!, of(teams));
    }
    await sumUp(db, portion, 'piece', 'part', from, of(teams));
    for (const table of ['usage_cells', 'usage_calls']) {
      await asked(
        db.execute(sql`
          delete from ${sql.raw(table)} where step = 'part' and ${withinOf(from, to)('at')} and ${of(teams)('team')}`),
      );
    }
  }
}

/** Where a piece is cut for each part to be a portion; at whole seconds, so that one with more requests is taken in one. */
async function cuts(db: Db, portion: Portion, from: Date, to: Date, whose: Whose): Promise<Date[]> {
  const seconds = await rowsOf(
    db,
    sql`select floor(extract(epoch from d.created_at))::double precision as at, count(*)::int as n
        from (${requestsOf(from, to, whose)}) d group by 1 order by 1`,
  );
  const found: Date[] = [];
  let rows = 0;
  for (const { at, n } of seconds) {
    if (rows > 0 && rows + Number(n) > portion.rows) {
      found.push(new Date(1000 * Number(at)));
      rows = 0;
    }
    rows += Number(n);
  }
  return found;
}

const requestsOf = (from: Date, to: Date, whose: Whose): SQL =>
  sql`select created_at from decisions where ${withinOf(from, to)('created_at')} and ${whose('tenant')}`;

export const ALL_PIECES = 2 ** PIECES - 1;

/** Teams whose hour is the sum of its pieces: to count those anew that were touched is enough. */
export async function piecedTeams(db: Db, hour: Date): Promise<ReadonlySet<string>> {
  const rows = await rowsOf(
    db,
    sql`select team from usage_slices where dimension = ${PIECED} and step = 'hour' and at = ${momentOf(hour)}`,
  );
  return new Set(rows.map(({ team }) => team as string));
}

/** Takes pieces of hours before a moment away. Their hours are whole from then on. */
export async function dropPieces(db: Db, before: Date): Promise<void> {
  const old = sql`at < ${momentOf(before)}`;
  // First: without it nobody takes them for complete.
  await asked(db.execute(sql`delete from usage_slices where dimension = ${PIECED} and step = 'hour' and ${old}`));
  await dropPiecesOf(db, old);
}

async function dropPiecesOf(db: Db, which: SQL): Promise<void> {
  for (const table of ['usage_cells', 'usage_calls']) {
    // Parts are left over only where somebody ended in the middle.
    await asked(db.execute(sql`delete from ${sql.raw(table)} where step in ('piece', 'part') and ${which}`));
  }
  await asked(db.execute(sql`delete from ${sql.raw(CALIBRATION.piece)} where ${which}`));
}

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((team, i) => team === b[i]);

/** From decisions and their calls: every step between two moments. */
async function count(
  db: Db,
  portion: Portion,
  step: 'part' | 'piece' | 'hour',
  from: Date,
  to: Date,
  whose: Whose,
): Promise<void> {
  const within = withinOf(from, to);
  const decided = sql`${within('d.created_at')} and ${whose('d.tenant')}`;
  const stepOf = (column: string) =>
    step === 'part'
      ? momentOf(from)
      : sql`date_bin('${sql.raw(String(LENGTH_MS[step]))} milliseconds', ${sql.raw(column)}, ${momentOf(from)})`;
  const gone = sql`step = ${step} and ${within('at')} and ${whose('team')}`;
  // A call begins after its decision; clocks that were set meanwhile are granted a day.
  const since = momentOf(new Date(from.getTime() - DAY_MS));
  await portion.run(
    db,
    sql`
      with gone as (delete from usage_cells where ${gone}),
      facts as materialized (${requestFacts(decided, since)})
      insert into usage_cells (step, at, team, ${sql.raw(DIMENSIONS)}, ${sql.raw(SUMS)})
      select ${step}, ${stepOf('created_at')}, team, ${sql.raw(DIMENSIONS)}, ${sql.raw(SUMS_OF_FACTS)}
      from facts group by 2, team, ${sql.raw(DIMENSIONS)}`,
  );
  await portion.run(
    db,
    sql`
      with gone as (delete from usage_calls where ${gone}),
      calls as materialized (
        select d.created_at, d.tenant, a.provider, a.model, a.deployment, a.status,
          case when a.status = 'ok' then ${sql.raw(binSql('a.total_ms'))} end as whole,
          case when a.status = 'ok' and a.first_byte_ms is not null then ${sql.raw(binSql('a.first_byte_ms'))} end as first
        from decisions d
        -- By the index, decision by decision, however many calls there are.
        join lateral (select * from attempts a where a.decision_id = d.id and a.started_at >= ${since} offset 0) a on true
        where ${decided}
      )
      insert into usage_calls (step, at, team, provider, model, deployment, ${sql.raw(CALLS)})
      select ${step}, ${stepOf('created_at')}, tenant, provider, model, deployment, count(*),
        count(*) filter (where status in ('error', 'partial')), count(*) filter (where status = 'cancelled'),
        ${sql.raw(counts('h', 'whole'))}, ${sql.raw(counts('f', 'first'))}
      from calls group by 2, tenant, provider, model, deployment`,
  );
  const into = sql.raw(CALIBRATION[step]);
  await portion.run(
    db,
    sql`
      with gone as (delete from ${into} where ${within('at')} and ${whose('team')})
      insert into ${into} (at, team, artifact, bin, judged, predicted_sum, observed_sum)
      select at, team, artifact, least(9, greatest(0, floor(10 * predicted)))::int, count(*), sum(predicted), sum(quality)
      from (
        select ${stepOf('d.created_at')} as at, d.tenant as team, d.artifact, o.quality,
          ${sql.raw(forecastOfAnswer('quality', 'd'))} as predicted
        from decisions d
        join outcomes o on o.decision_id = d.id and o.model_id = d.executed_model
        where ${decided} and o.kind = 'verdict' and (o.weight > 0 or o.audit_quality is not null)
          and d.artifact is not null
      ) judged
      where predicted is not null group by 1, 2, 3, 4`,
  );
}

const counts = (letter: 'h' | 'f', bin: string): string =>
  binColumns(letter)
    .map((_, k) => `count(*) filter (where ${bin} = ${k})`)
    .join(', ');
