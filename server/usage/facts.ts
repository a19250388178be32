/** What a request adds to the sums, in SQL: one row a decision, from it, its calls and what was said of its answer. */
import { type SQL, sql } from 'drizzle-orm';
import { forecastOfAnswer } from '../db/candidate-lists.ts';
import { SANDBOX } from '../learning/learnable.ts';
import { binColumns, binSql } from './histogram.ts';

/** What cells are told apart by, beside hour and team. */
export const CELL_DIMENSIONS = ['project', 'key', 'model', 'provider', 'artifact', 'surface', 'reason'] as const;

const COUNTS = ['requests', 'routed', 'errors', 'cached', 'guarded', 'blocked'] as const;

/** Columns that are summed, in the order of the tables. */
export const SUM_COLUMNS: readonly string[] = [
  ...COUNTS,
  'input_tokens',
  'output_tokens',
  'cost_usd',
  'compared',
  'compared_cost_usd',
  'baseline_cost_usd',
  'judged',
  'quality_sum',
  'forecast',
  'predicted_sum',
  ...binColumns('h'),
];

export const CALL_COLUMNS: readonly string[] = ['calls', 'errors', 'cancelled', ...binColumns('h'), ...binColumns('f')];

/** Whether something of a decision's guard hits was blocked. Erased rows and those of old may hold no list. */
export const BLOCKED = `coalesce(d.guards @> '[{"action": "blocked"}]'::jsonb, false)`;

/**
 * How a request ended. `cancelled` where its client hung up before anybody had answered, `none` where nobody was called,
 * or the calls are not written yet.
 */
export const STATUS = `case
  when ${BLOCKED} then 'blocked'
  when d.cached then 'cached'
  when d.executed_model is not null then coalesce(c.answer_status, 'none')
  when c.last_status is null then 'none'
  when c.last_status = 'cancelled' then 'cancelled'
  else 'error' end`;

/**
 * The calls of a decision `d`, as `c`. The one that answered is the last of the model that is named for it, as reports
 * (report/summary.ts) and outcomes have it.
 * @param since no call began before
 */
export const CALLS_OF = (since: SQL): SQL => sql`
  left join lateral (
    select sum(a.cost_usd) as cost_usd, count(*) as calls, count(*) filter (where a.cost_usd is null) as unpriced,
      sum(a.input_tokens) as input_tokens, sum(a.output_tokens) as output_tokens,
      -- The first, from the end: all in one order are sorted once.
      (array_agg(a.provider order by a.ordinal desc))[count(*)] as first_provider,
      (array_agg(a.started_at order by a.ordinal desc))[count(*)] as first_start,
      (array_agg(a.status order by a.ordinal desc) filter (where a.purpose <> 'audit'))[1] as last_status,
      (array_agg(a.provider order by a.ordinal desc) filter (where ${ANSWERS}))[1] as answer_provider,
      (array_agg(a.status order by a.ordinal desc) filter (where ${ANSWERS}))[1] as answer_status,
      (array_agg(a.started_at order by a.ordinal desc) filter (where ${ANSWERS}))[1] as answer_start,
      (array_agg(a.total_ms order by a.ordinal desc) filter (where ${ANSWERS}))[1] as answer_ms
    from attempts a where a.decision_id = d.id and a.started_at >= ${since}
  ) c on true`;

const ANSWERS = sql.raw(`a.model = d.executed_model and a.status <> 'error' and a.purpose not in ('check', 'audit')`);

/** What was forecast of the model that answered, where that is asked for. */
const PREDICTED = `case when o.decision_id is not null then ${forecastOfAnswer('quality', 'd')} end`;

/**
 * Select from it as a materialized `with`: its columns are named by tens of sums, each of which would compute them again.
 * @param which condition on decisions `d`; @param since no call of theirs began before
 */
export const requestFacts = (which: SQL, since: SQL): SQL => sql`
  select f.*, ${sql.raw(binSql('ms'))} as bin,
    -- As savings are netted in reports: every call counts as paid; one that nobody answered spared nothing.
    routed and provider <> ${SANDBOX} and (not answered or (baseline is not null and calls > 0 and unpriced = 0)) as compared
  from (
    select d.created_at, d.tenant as team, coalesce(d.project, '') as project, coalesce(d.key, '') as key,
      coalesce(d.executed_model, d.model) as model, coalesce(c.answer_provider, c.first_provider, '') as provider,
      coalesce(d.artifact, '') as artifact, d.surface, d.reason, d.routed, d.cached,
      d.executed_model is not null as answered,
      coalesce(jsonb_typeof(d.guards) = 'array' and d.guards <> '[]'::jsonb, false) as guarded,
      ${sql.raw(BLOCKED)} as blocked, ${sql.raw(STATUS)} as status,
      coalesce(c.calls, 0) as calls, coalesce(c.unpriced, 0) as unpriced, coalesce(c.cost_usd, 0) as cost,
      coalesce(c.input_tokens, 0) as input_tokens, coalesce(c.output_tokens, 0) as output_tokens,
      d.baseline_cost_usd as baseline,
      c.answer_ms + greatest(0, extract(epoch from c.answer_start - c.first_start) * 1000)::double precision as ms,
      o.quality, ${sql.raw(PREDICTED)} as predicted
    from decisions d
    ${CALLS_OF(since)}
    left join outcomes o on o.decision_id = d.id and o.model_id = d.executed_model
      and o.kind = 'verdict' and (o.weight > 0 or o.audit_quality is not null)
    where ${which}
  ) f`;

/** {@link SUM_COLUMNS} of {@link requestFacts}. */
export const SUMS_OF_FACTS: string = [
  'count(*)',
  'count(*) filter (where routed)',
  `count(*) filter (where status in ('error', 'partial'))`,
  'count(*) filter (where cached)',
  'count(*) filter (where guarded)',
  'count(*) filter (where blocked)',
  'sum(input_tokens)',
  'sum(output_tokens)',
  'sum(cost)',
  'count(*) filter (where compared)',
  'coalesce(sum(cost) filter (where compared), 0)',
  'coalesce(sum(baseline) filter (where compared and answered), 0)',
  'count(quality)',
  'coalesce(sum(quality), 0)',
  'count(quality) filter (where predicted is not null)',
  'coalesce(sum(predicted) filter (where quality is not null), 0)',
  ...binColumns('h').map((_, k) => `count(*) filter (where ms is not null and bin = ${k})`),
].join(', ');
