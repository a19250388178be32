/** The newest decisions, a page at a time, for people to look through. */
import { sql } from 'drizzle-orm';
import { RoutingError } from '../../datasets/index.ts';
import { asked } from '../db/connection.ts';
import type { SqlStore } from '../db/store.ts';
import type { DecisionLine, DecisionPage } from './contract.ts';
import { CALLS_OF, STATUS } from './facts.ts';
import { moment, ofTeam, type Scope } from './scope.ts';

/** Decisions looked at for one page where something but time and team is asked for: what is rare is found in several steps. */
const LOOKED_AT = 5000;

/**
 * A page may hold fewer than `limit`, or none, and yet not be the last: `next` says.
 * @param cursor what the page before gave
 * @throws `INVALID_REQUEST` for a cursor that none was given, `DATABASE_UNAVAILABLE`
 */
export async function decisionPage(
  db: SqlStore['db'],
  scope: Scope,
  { cursor, limit }: { readonly cursor?: string | undefined; readonly limit: number },
): Promise<DecisionPage> {
  const { from, to, filters } = scope;
  const before = cursor === undefined ? null : placeOf(cursor);
  const within = sql`d.created_at >= ${moment(from)} and d.created_at < ${moment(to)} and ${ofTeam(scope, 'd.tenant')}`;
  const after =
    before === null
      ? sql``
      : sql`and d.created_at <= ${moment(before.createdAt)}
          and (d.created_at < ${moment(before.createdAt)} or d.id < ${before.id})`;
  const model = filters.get('model');
  const provider = filters.get('provider');
  const conditions = [
    ...(['project', 'key', 'artifact'] as const).map((name) => {
      const value = filters.get(name);
      return value === undefined ? sql`` : sql`and ${sql.raw(`d.${name}`)} = ${value}`;
    }),
    model === undefined ? sql`` : sql`and coalesce(d.executed_model, d.model) = ${model}`,
    provider === undefined
      ? sql``
      : sql`and exists (select 1 from attempts p where p.decision_id = d.id and p.provider = ${provider})`,
  ];
  const most = filters.size === 0 ? limit : LOOKED_AT;
  const rows = (await asked(
    db.execute(sql`
      with looked_at as materialized (
        select d.* from decisions d where ${within} ${after} order by d.created_at desc, d.id desc limit ${most}
      ),
      reached as (select id, created_at, count(*) over () as seen from looked_at order by created_at, id limit 1),
      found as (
        select d.* from looked_at d where true ${sql.join(conditions, sql` `)}
        order by d.created_at desc, d.id desc limit ${limit}
      )
      select d.id, (extract(epoch from d.created_at) * 1000)::double precision as at, d.tenant, d.key, d.surface, d.requested_model,
        d.model, d.executed_model, d.reason, c.cost_usd, d.baseline_cost_usd,
        c.answer_ms + greatest(0, extract(epoch from c.answer_start - c.first_start) * 1000)::double precision as total_ms,
        ${sql.raw(STATUS)} as status, r.seen::int as seen, r.id as last_id,
        (extract(epoch from r.created_at) * 1000)::double precision as last_at
      from reached r left join found d on true
      ${CALLS_OF(sql`d.created_at - interval '1 day'`)}
      order by d.created_at desc, d.id desc`),
  )) as unknown as Record<string, unknown>[];
  const [first] = rows;
  if (first === undefined) return { decisions: [], next: null };
  const lines = rows.filter(({ id }) => id !== null).map(lineOf);
  const lastLine = lines.at(-1);
  const isFull = lines.length === limit;
  const isLast = !isFull && Number(first.seen) < most;
  const last = isFull
    ? { at: Date.parse(lastLine!.createdAt), id: lastLine!.id }
    : { at: Number(first.last_at), id: first.last_id as string };
  return { decisions: lines, next: isLast ? null : cursorOf(last.at, last.id) };
}

const numberOf = (value: unknown): number | null => (value === null ? null : Number(value));

const lineOf = (row: Record<string, unknown>): DecisionLine => ({
  id: row.id as string,
  createdAt: new Date(Number(row.at)).toISOString(),
  team: row.tenant as string,
  key: row.key as string | null,
  surface: row.surface as string,
  requestedModel: row.requested_model as string,
  model: row.model as string,
  executedModel: row.executed_model as string | null,
  reason: row.reason as string,
  costUsd: numberOf(row.cost_usd),
  baselineCostUsd: numberOf(row.baseline_cost_usd),
  totalMs: numberOf(row.total_ms),
  status: row.status as DecisionLine['status'],
});

/** The end of the year 9999: no row is later, and not every database knows what is. */
const LAST_MS = 253_402_300_799_999;

const cursorOf = (at: number, id: string): string => Buffer.from(`${at} ${id}`).toString('base64url');

function placeOf(cursor: string): { createdAt: Date; id: string } {
  const [, time, id] = /^(\d{1,15}) (.{1,200})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8')) ?? [];
  const createdAt = new Date(Number(time));
  if (id === undefined || id.includes('\0') || !(createdAt.getTime() <= LAST_MS)) {
    throw new RoutingError('INVALID_REQUEST', 'cursor: give the next of the page before, as it is');
  }
  return { createdAt, id };
}
