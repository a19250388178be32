/**
 * Sums of sums: of a piece from its parts, of an hour from its pieces, of a day from its hours, and by one dimension from
 * the cells. What was there is taken away in the statement that writes the new, so to do it twice changes nothing.
 */
import { type SQL, sql } from 'drizzle-orm';
import { CALL_COLUMNS, CELL_DIMENSIONS, SUM_COLUMNS } from './facts.ts';
import { binColumns } from './histogram.ts';
import type { Portion } from './portion.ts';
import { amongst, type Db, momentOf, rowsOf } from './statements.ts';

/** Divides an hour. Marks tell pieces of this length (the trigger on decisions): another length is a migration. */
export const PIECE_MINUTES = 3;
export const PIECES = 60 / PIECE_MINUTES;

const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** A part is of no certain length, and gone once its piece is the sum of its parts. */
export type Step = 'part' | 'piece' | 'hour' | 'day';
export const LENGTH_MS = { piece: PIECE_MINUTES * MINUTE_MS, hour: HOUR_MS, day: DAY_MS } as const;

/** Which teams, as a condition on a column. */
export type Whose = (column: string) => SQL;

/** @param teams null: all */
export const of =
  (teams: readonly string[] | null): Whose =>
  (column) =>
    teams === null ? sql`true` : sql`${sql.raw(column)} = ${amongst(teams)}`;

export const withinOf =
  (from: Date, to: Date): Whose =>
  (column) =>
    sql`${sql.raw(column)} >= ${momentOf(from)} and ${sql.raw(column)} < ${momentOf(to)}`;

/** A dimension of slices that no page asks for: the hour of the team is the sum of its pieces, which are kept. */
export const PIECED = 'pieced';

const BINS = new Set(binColumns('h'));
export const DIMENSIONS = CELL_DIMENSIONS.join(', ');
export const SUMS = SUM_COLUMNS.join(', ');
// Sums of bigint are numeric, which is slow; doubles hold whole numbers exactly up to 2^53.
const TOTALS = SUM_COLUMNS.map((column) =>
  BINS.has(column) ? `sum(${column})` : `sum(${column}::double precision)`,
).join(', ');
export const CALLS = CALL_COLUMNS.join(', ');
const CALL_TOTALS = CALL_COLUMNS.map((column) => `sum(${column})`).join(', ');
/** Where the judged answers of a step are summed up by their forecast; of days there are none. */
export const CALIBRATION = {
  part: 'usage_calibration_pieces',
  piece: 'usage_calibration_pieces',
  hour: 'usage_calibration',
} as const;

/** A day from its hours. @param teams null: all */
export async function sumUpDay(db: Db, portion: Portion, day: Date, teams: readonly string[] | null): Promise<void> {
  await sumUp(db, portion, 'day', 'hour', day, of(teams));
  await slice(db, portion, 'day', day, of(teams));
}

/** From the next finer step. */
export async function sumUp(
  db: Db,
  portion: Portion,
  step: 'piece' | 'hour' | 'day',
  finer: Step,
  at: Date,
  whose: Whose,
): Promise<void> {
  const within = withinOf(at, new Date(at.getTime() + LENGTH_MS[step]))('at');
  const parts = sql`step = ${finer} and ${within} and ${whose('team')}`;
  const gone = sql`step = ${step} and at = ${momentOf(at)} and ${whose('team')}`;
  const [cells] = await rowsOf(db, sql`select count(*)::int as n from usage_cells where ${parts}`);
  const shares = portion.shares(Number(cells!.n));
  for (let share = 0; share < shares; share++) {
    // By what cells are told apart by, so that all rows of a sum are in one share.
    const those =
      shares === 1
        ? sql`true`
        : sql`abs(hashtext(team || key || model || reason)::bigint) % ${shares}::int = ${share}::int`;
    await portion.run(
      db,
      sql`
      with gone as (delete from usage_cells where ${gone} and ${those})
      insert into usage_cells (step, at, team, ${sql.raw(DIMENSIONS)}, ${sql.raw(SUMS)})
      select ${step}, ${momentOf(at)}, team, ${sql.raw(DIMENSIONS)}, ${sql.raw(TOTALS)} from usage_cells
      where ${parts} and ${those} group by team, ${sql.raw(DIMENSIONS)}`,
    );
  }
  await portion.run(
    db,
    sql`
      with gone as (delete from usage_calls where ${gone})
      insert into usage_calls (step, at, team, provider, model, deployment, ${sql.raw(CALLS)})
      select ${step}, ${momentOf(at)}, team, provider, model, deployment, ${sql.raw(CALL_TOTALS)} from usage_calls
      where ${parts} group by team, provider, model, deployment`,
  );
  // Of a piece they may stay in parts: they are few.
  if (step !== 'hour') return;
  await portion.run(
    db,
    sql`
      with gone as (delete from ${sql.raw(CALIBRATION.hour)} where at = ${momentOf(at)} and ${whose('team')})
      insert into ${sql.raw(CALIBRATION.hour)} (at, team, artifact, bin, judged, predicted_sum, observed_sum)
      select ${momentOf(at)}, team, artifact, bin, sum(judged), sum(predicted_sum), sum(observed_sum)
      from ${sql.raw(CALIBRATION.piece)} where ${within} and ${whose('team')} group by team, artifact, bin`,
  );
}

/** By one dimension, from the cells. */
export async function slice(db: Db, portion: Portion, step: 'hour' | 'day', moment: Date, whose: Whose): Promise<void> {
  const those = sql`step = ${step} and at = ${momentOf(moment)} and ${whose('team')}`;
  const [cells] = await rowsOf(db, sql`select count(*)::int as n from usage_cells where ${those}`);
  // Each cell is a row of every dimension.
  const all = ['all', ...CELL_DIMENSIONS];
  const size = Math.max(1, Math.floor(all.length / portion.shares(Number(cells!.n))));
  for (let first = 0; first < all.length; first += size) {
    const dimensions = all.slice(first, first + size);
    const values = dimensions.map((name) => `('${name}', ${name === 'all' ? "''" : name})`).join(', ');
    await portion.run(
      db,
      sql`
      with gone as (
        delete from usage_slices
        where ${those} and dimension = ${amongst(first === 0 ? [PIECED, ...dimensions] : dimensions)}
      )
      insert into usage_slices (step, at, team, dimension, value, ${sql.raw(SUMS)})
      select ${step}, ${momentOf(moment)}, team, v.dimension, v.value, ${sql.raw(TOTALS)}
      from usage_cells cross join lateral (values ${sql.raw(values)}) v(dimension, value)
      where ${those}
      group by team, v.dimension, v.value`,
    );
  }
}
