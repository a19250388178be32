/** Sums, points and groups of what was used, from the roll-ups. */
import { type SQL, sql } from 'drizzle-orm';
import { asked } from '../db/connection.ts';
import type { SqlStore } from '../db/store.ts';
import type { Dimension, Usage, UsageBreakdown, UsageCalibration, UsageLatency, UsageSeries } from './contract.ts';
import { CALL_COLUMNS, SUM_COLUMNS } from './facts.ts';
import { binColumns, quantile } from './histogram.ts';
import { sumInterval } from './interval.ts';
import { daysUpTo } from './roll-up.ts';
import { inTime, moment, ofTeam, type Scope } from './scope.ts';

type Db = SqlStore['db'];
type Row = Record<string, unknown>;

/** @throws `DATABASE_UNAVAILABLE` */
export async function totalUsage(db: Db, scope: Scope): Promise<Usage> {
  const rows = await rowsOf(db, grouped(scope, null, 1, await daysUpTo(db)));
  return usageOf(rows[0] ?? {});
}

/** The dearest groups, and the others as one. */
export async function usageBy(db: Db, scope: Scope, by: Dimension, limit: number): Promise<UsageBreakdown> {
  const rows = await rowsOf(db, grouped(scope, by, limit, await daysUpTo(db)));
  return { by, rows: rows.map((row) => ({ group: row.grp as string | null, ...usageOf(row) })) };
}

export async function usageSeries(
  db: Db,
  scope: Scope,
  step: 'hour' | 'day',
  by: Dimension | null,
  limit: number,
): Promise<UsageSeries> {
  const rows = await rowsOf(
    db,
    sql`with ${cells(scope, by, step, step === 'hour' ? NO_DAYS : await daysUpTo(db))}, ${folded(limit)}
      select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as moment, grp, ${sql.raw(SUMS)}
      from folded order by folded.at, grp nulls last`,
  );
  return {
    step,
    points: rows.map((row) => ({ at: row.moment as string, group: row.grp as string | null, ...usageOf(row) })),
  };
}

export async function callLatency(db: Db, scope: Scope, limit: number): Promise<UsageLatency> {
  const provider = scope.filters.get('provider');
  const model = scope.filters.get('model');
  const rows = await rowsOf(
    db,
    sql`
      select provider, model, ${sql.raw(totals(CALL_COLUMNS))} from usage_calls
      where ${inTime(scope, await daysUpTo(db))} and ${ofTeam(scope)}
        and ${provider === undefined ? sql`true` : sql`provider = ${provider}`}
        and ${model === undefined ? sql`true` : sql`model = ${model}`}
      group by provider, model order by sum(calls) desc, provider, model limit ${limit}`,
  );
  return {
    rows: rows.map((row) => {
      const [whole, first] = [binsOf(row, 'h'), binsOf(row, 'f')];
      const [calls, errors] = [Number(row.calls), Number(row.errors)];
      return {
        provider: row.provider as string,
        model: row.model as string,
        calls,
        errors,
        cancelled: Number(row.cancelled),
        errorRate: errors / calls,
        p50Ms: quantile(whole, 0.5),
        p95Ms: quantile(whole, 0.95),
        p99Ms: quantile(whole, 0.99),
        firstByteP50Ms: quantile(first, 0.5),
        firstByteP95Ms: quantile(first, 0.95),
      };
    }),
  };
}

export async function calibration(db: Db, scope: Scope): Promise<UsageCalibration> {
  const artifact = scope.filters.get('artifact');
  const rows = await rowsOf(
    db,
    sql`
      select artifact, bin, sum(judged)::double precision as judged, sum(predicted_sum) as predicted,
        sum(observed_sum) as observed, max(max(at)) over (partition by artifact) as newest
      from usage_calibration
      where at >= ${moment(scope.from)} and at < ${moment(scope.to)} and ${ofTeam(scope)}
        and ${artifact === undefined ? sql`true` : sql`artifact = ${artifact}`}
      group by artifact, bin order by newest desc, artifact, bin`,
  );
  const versions = new Map<string, { predicted: number; observed: number; count: number }[]>();
  for (const row of rows) {
    const count = Number(row.judged);
    const bin = { predicted: Number(row.predicted) / count, observed: Number(row.observed) / count, count };
    const bins = versions.get(row.artifact as string);
    if (bins === undefined) versions.set(row.artifact as string, [bin]);
    else bins.push(bin);
  }
  return {
    versions: [...versions].map(([artifact, bins]) => {
      const judged = bins.reduce((n, { count }) => n + count, 0);
      const off = bins.reduce((sum, bin) => sum + bin.count * Math.abs(bin.predicted - bin.observed), 0);
      return { artifact, judged, ece: off / judged, bins };
    }),
  };
}

const rowsOf = async (db: Db, query: SQL): Promise<Row[]> => (await asked(db.execute(query))) as unknown as Row[];

/** Bins are integers, whose sums are quick. */
const IS_BIN = /^[hf]\d+$/;
/** Sums as they are answered: the bins of a row as one text, since to read thirty columns of it takes longer than to sum them up. */
const SUMS = `${SUM_COLUMNS.filter((column) => !IS_BIN.test(column)).join(', ')}, concat_ws(' ', ${binColumns('h').join(', ')}) as bins`;
// As doubles, which hold whole numbers exactly up to 2^53: sums of bigint are numeric, which is slow, and come as texts.
const totals = (columns: readonly string[]): string =>
  columns
    .map((column) => (IS_BIN.test(column) ? `sum(${column})::double precision` : `sum(${column}::double precision)`))
    .map((sum, i) => `${sum} as ${columns[i]}`)
    .join(', ');

/** Before all days: hours alone. */
const NO_DAYS = new Date(0);

/** Sums by moment and group, as `cells`. @param upTo see {@link inTime} */
function cells(scope: Scope, by: Dimension | null, step: 'hour' | 'day', upTo: Date | null): SQL {
  const { filters } = scope;
  const named = new Set<string>(filters.keys());
  if (by !== null && by !== 'team') named.add(by);
  // Of one dimension there are sums made ready, a hundredth of the rows.
  const ready = named.size <= 1;
  const [dimension = 'all'] = named;
  const column = (name: string) => sql.raw(name === 'team' ? 'team' : ready ? 'value' : name);
  const group = by === null ? sql`null::text` : column(by);
  const conditions = [...filters].map(([name, value]) => sql`and ${column(name)} = ${value}`);
  return sql`cells as (
    select date_bin(${step === 'day' ? '1 day' : '1 hour'}::interval, at, '1970-01-01T00:00:00Z') as at, ${group} as grp, ${sql.raw(totals(SUM_COLUMNS))}
    from ${sql.raw(ready ? 'usage_slices' : 'usage_cells')}
    where ${inTime(scope, upTo)} and ${ofTeam(scope)}
      ${ready ? sql`and dimension = ${dimension}` : sql``} ${sql.join(conditions, sql` `)}
    group by 1, 2)`;
}

/** `cells` with all but the dearest groups as one, named null. */
const folded = (limit: number): SQL => sql`
  top as (select grp from cells group by grp order by sum(cost_usd) desc, sum(requests) desc, grp limit ${limit}),
  folded as (
    select c.at, case when t.grp is not null then c.grp end as grp, ${sql.raw(totals(SUM_COLUMNS))}
    from cells c left join top t on t.grp = c.grp group by 1, 2)`;

const grouped = (scope: Scope, by: Dimension | null, limit: number, upTo: Date | null): SQL => sql`
  with ${cells(scope, by, 'day', upTo)}, ${folded(limit)},
  summed as (
    select grp, ${sql.raw(totals(SUM_COLUMNS))},
      count(*) filter (where compared > 0)::int as days,
      var_samp(baseline_cost_usd - compared_cost_usd) filter (where compared > 0) as variance
    from folded group by grp)
  select grp, ${sql.raw(SUMS)}, days, variance from summed order by grp is null, cost_usd desc, requests desc, grp`;

const binsOf = (row: Row, letter: 'h' | 'f'): number[] => binColumns(letter).map((name) => Number(row[name] ?? 0));

/** @param row sums by the names of their columns; what is missing is 0 */
function usageOf(row: Row): Usage {
  const sum = (name: string) => Number(row[name] ?? 0);
  const savingUsd = sum('baseline_cost_usd') - sum('compared_cost_usd');
  const variance = row.variance === undefined || row.variance === null ? null : Number(row.variance);
  const { low, high } = sumInterval(savingUsd, sum('days'), variance);
  const [judged, forecast] = [sum('judged'), sum('forecast')];
  const bins = ((row.bins as string | undefined) ?? '').split(' ').map(Number);
  return {
    requests: sum('requests'),
    routed: sum('routed'),
    errors: sum('errors'),
    cached: sum('cached'),
    // Of each of these, and of no other, the time is known.
    answered: bins.reduce((a, b) => a + b, 0),
    guarded: sum('guarded'),
    blocked: sum('blocked'),
    inputTokens: sum('input_tokens'),
    outputTokens: sum('output_tokens'),
    costUsd: sum('cost_usd'),
    comparedRequests: sum('compared'),
    comparedCostUsd: sum('compared_cost_usd'),
    baselineCostUsd: sum('baseline_cost_usd'),
    savingUsd,
    savingLowUsd: low,
    savingHighUsd: high,
    quality: judged === 0 ? null : sum('quality_sum') / judged,
    judged,
    predictedQuality: forecast === 0 ? null : sum('predicted_sum') / forecast,
    p50Ms: quantile(bins, 0.5),
    p95Ms: quantile(bins, 0.95),
    p99Ms: quantile(bins, 0.99),
  };
}
