/**
 * The log → sums by hour and day, as they are written to it. What was touched since the last time is rolled up anew,
 * pieces of three minutes where the hour is of the last day, else whole hours of a team: so a row that comes hours late,
 * or a verdict that comes days late, is counted where it belongs, and to do it twice changes nothing.
 */
import { sql } from 'drizzle-orm';
import { asked } from '../db/connection.ts';
import type { SqlStore } from '../db/store.ts';
import { label, labelWaiting, seed, type Touched, takeMarks } from './marks.ts';
import { Portion } from './portion.ts';
import { ALL_PIECES, countHour, countPieces, dropPieces, keptTeams, piecedTeams } from './spans.ts';
import { type Db, listed, momentOf, rowsOf, setState } from './statements.ts';
import { DAY_MS, HOUR_MS, sumUpDay } from './sum-up.ts';

/** Any fixed number: who holds this advisory lock may roll up, or say what is kept. */
export const ROLL_UP_LOCK = 7_240_431;

/** Hours of one transaction, which others wait for: fewer where they take long. */
const HOURS = 6;
const LONG_MS = 5_000;
/** Hours are kept in pieces so long: what comes late comes within a day, nearly all of it. */
const PIECES_MS = DAY_MS;

/** One a process: what is too much is so for the next roll-up too. */
const OURS = new Portion();

export interface RolledUp {
  /** Hours of teams that were rolled up. */
  readonly hours: number;
  /** False where time was up before all was done. */
  readonly complete: boolean;
}

/**
 * Brings the roll-ups up to date. One process at a time does it; another one waits, and finds nothing to do.
 * @param budgetMs after so long it ends, in a state to go on from
 * @param portion how much of it a statement takes; as this process has learnt, unless a test says otherwise
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function rollUp(
  store: Pick<SqlStore, 'alone'>,
  { budgetMs = 20_000, portion = OURS }: { readonly budgetMs?: number; readonly portion?: Portion } = {},
): Promise<RolledUp> {
  const end = performance.now() + budgetMs;
  const isOver = () => performance.now() >= end;
  const began = await store.alone(ROLL_UP_LOCK, async (db) => {
    const [clock] = await rowsOf(db, sql`select clock_timestamp() as at`);
    await seed(db);
    await labelWaiting(db);
    return new Date(clock!.at as string | Date);
  });
  // Each in a transaction of its own: what is locked is locked for short.
  while ((await store.alone(ROLL_UP_LOCK, label)) && !isOver());
  await store.alone(ROLL_UP_LOCK, (db) => endDays(db, portion, began));
  // Marks and what is made of them in one: which pieces they name is written nowhere.
  let hours = await store.alone(ROLL_UP_LOCK, (db) => somePieces(db, portion, began, isOver));
  for (;;) {
    const done = await store.alone(ROLL_UP_LOCK, (db) => someHours(db, portion, began));
    hours += done;
    if (done === 0) break;
    if (isOver()) return { hours, complete: false };
  }
  if (hours > 0) await store.alone(ROLL_UP_LOCK, (db) => dropPieces(db, piecesSince(began)));
  await store.alone(ROLL_UP_LOCK, (db) => setState(db, 'rolled', momentOf(began)));
  portion.done();
  return { hours, complete: true };
}

/** Until when the roll-ups hold everything; null: nothing was rolled up yet. */
export async function rolledUpTo(db: Db): Promise<Date | null> {
  return stateOf(db, 'rolled');
}

/** Days before it are sums of their hours; of later ones there are only the hours. Null: no day is left out. */
export async function daysUpTo(db: Db): Promise<Date | null> {
  return stateOf(db, 'days');
}

async function stateOf(db: Db, name: string): Promise<Date | null> {
  const [row] = await rowsOf(db, sql`select at from usage_state where name = ${name}`);
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
        select team, ${momentOf(through)} from ${listed(teams)} as l(team)
        on conflict (team) do update set through = greatest(usage_kept.through, excluded.through)`),
    ),
  );
}

const floor = (at: number, step: number): Date => new Date(Math.floor(at / step) * step);
const piecesSince = (now: Date): Date => floor(now.getTime() - PIECES_MS, HOUR_MS);

/** The day that runs is summed up when it is over: until then it would be summed up each time, and pages read its hours. */
async function endDays(db: Db, portion: Portion, now: Date): Promise<void> {
  const today = floor(now.getTime(), DAY_MS);
  const done = await daysUpTo(db);
  // As an earlier build left them where there is none: each was summed up with its hours.
  const first = done ?? today;
  for (let day = first.getTime(); day < today.getTime(); day += DAY_MS) {
    await sumUpDay(db, portion, new Date(day), null);
    await setState(db, 'days', momentOf(new Date(day + DAY_MS)));
  }
  if (done === null) await setState(db, 'days', momentOf(today));
}

/** Takes marks, and makes anew what they touched of hours that are kept in pieces. @returns how many hours */
async function somePieces(db: Db, portion: Portion, now: Date, isOver: () => boolean): Promise<number> {
  const touched: Touched = new Map();
  while ((await takeMarks(db, touched, now)) && !isOver());
  const days = new Map<number, Set<string>>();
  let hours = 0;
  for (const [at, teams] of [...touched].sort(([a], [b]) => b - a)) {
    const hour = new Date(at);
    if (hour < piecesSince(now)) break;
    const [pieced, kept] = [await piecedTeams(db, hour), await keptTeams(db, hour)];
    const known = new Map<string, number>();
    for (const [team, pieces] of teams) {
      if (pieces !== null && pieced.has(team) && !kept.has(team)) known.set(team, pieces);
    }
    if (known.size === 0) continue;
    await countPieces(db, portion, hour, known);
    await asked(
      db.execute(sql`
        delete from usage_pending
        where at = ${momentOf(hour)} and team in (select * from ${listed([...known.keys()])})`),
    );
    touchDay(days, hour, known.keys());
    hours++;
    if (isOver()) break;
  }
  await sumUpDays(db, portion, days);
  return hours;
}

/** The newest hours of one day, whole, or so many of them as there is time for. @returns how many */
async function someHours(db: Db, portion: Portion, now: Date): Promise<number> {
  const rows = await rowsOf(
    db,
    sql`select (extract(epoch from at) * 1000)::double precision as at, json_agg(distinct team)::text as teams
        from usage_pending group by usage_pending.at order by usage_pending.at desc limit ${HOURS}`,
  );
  const day = (at: unknown) => Math.floor(Number(at) / DAY_MS);
  const days = new Map<number, Set<string>>();
  const began = performance.now();
  const done: number[] = [];
  const hours = rows
    .filter(({ at }) => day(at) === day(rows[0]!.at))
    .map(({ at, teams }) => ({ at: Number(at), teams }));
  for (const { at, teams } of hours) {
    const hour = new Date(at);
    const named = JSON.parse(teams as string) as (string | null)[];
    const kept = await keptTeams(db, hour);
    const those = (named.includes(null) ? await teamsOf(db, hour) : (named as string[])).filter(
      (team) => !kept.has(team),
    );
    if (hour >= piecesSince(now))
      await countPieces(db, portion, hour, new Map(those.map((team) => [team, ALL_PIECES])));
    else if (those.length > 0) await countHour(db, portion, hour, those);
    touchDay(days, hour, those);
    done.push(at);
    if (performance.now() - began > LONG_MS) break;
  }
  await sumUpDays(db, portion, days);
  for (const at of done) {
    await asked(db.execute(sql`delete from usage_pending where at = ${momentOf(new Date(at))}`));
  }
  return done.length;
}

/** Teams that the hour has decisions of. */
async function teamsOf(db: Db, hour: Date): Promise<string[]> {
  const rows = await rowsOf(
    db,
    sql`select distinct tenant from decisions
        where created_at >= ${momentOf(hour)} and created_at < ${momentOf(new Date(hour.getTime() + HOUR_MS))}`,
  );
  return rows.map(({ tenant }) => tenant as string);
}

function touchDay(days: Map<number, Set<string>>, hour: Date, teams: Iterable<string>): void {
  const day = floor(hour.getTime(), DAY_MS).getTime();
  days.set(day, new Set([...(days.get(day) ?? []), ...teams]));
}

/** Days that are over: their hours have changed. */
async function sumUpDays(db: Db, portion: Portion, days: ReadonlyMap<number, ReadonlySet<string>>): Promise<void> {
  if (days.size === 0) return;
  const upTo = (await daysUpTo(db))?.getTime() ?? Number.POSITIVE_INFINITY;
  for (const [day, teams] of days) {
    if (day < upTo && teams.size > 0) await sumUpDay(db, portion, new Date(day), [...teams]);
  }
}
