/** Of whom, and of when: what every question to the log is bound by, and the only way to ask one. */
import { type SQL, sql } from 'drizzle-orm';
import { FieldError } from '../api/errors.ts';
import { type Caller, demand } from '../callers.ts';
import { teamWithin } from '../governance/access/roles.ts';
import type { UsageQuery } from './contract.ts';

/** What a query may name beside team and time; columns of the roll-ups. */
const FILTERS = ['project', 'key', 'model', 'provider', 'artifact'] as const;

export type Filter = (typeof FILTERS)[number];

/** Made by {@link scopeOf} alone, which knows what the caller may see. */
export interface Scope {
  /** Null: all teams. */
  readonly team: string | null;
  /** Whole hours; `from` is in, `to` is not. */
  readonly from: Date;
  readonly to: Date;
  readonly filters: ReadonlyMap<Filter, string>;
}

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
const DEFAULT_MS = 30 * DAY_MS;
/** Longer than anybody keeps a log; what is rolled up is small. */
const LONGEST_MS = 1100 * DAY_MS;

/**
 * Callers see their own team; admins, and people of all teams, all of them or the one they name.
 * @throws `FORBIDDEN`; `NOT_FOUND` for another team, whether there is such a one or not; `INVALID_REQUEST`
 */
export function scopeOf(caller: Caller, query: UsageQuery, now = new Date()): Scope {
  demand(caller, 'usage', 'admin');
  const team = teamWithin(caller, query.team);
  const to = query.to === undefined ? now : new Date(query.to);
  const from = query.from === undefined ? new Date(to.getTime() - DEFAULT_MS) : new Date(query.from);
  const first = Math.floor(from.getTime() / HOUR_MS) * HOUR_MS;
  const last = Math.ceil(to.getTime() / HOUR_MS) * HOUR_MS;
  if (!(first < last)) throw new FieldError('from', 'must be before to');
  if (last - first > LONGEST_MS) throw new FieldError('from', `no more than ${LONGEST_MS / DAY_MS} days at once`);
  const filters = FILTERS.flatMap((name): [Filter, string][] => {
    const value = query[name];
    return value === undefined ? [] : [[name, value]];
  });
  return {
    team,
    from: new Date(first),
    to: new Date(last),
    filters: new Map(filters),
  };
}

export const ofTeam = ({ team }: Scope, column = 'team'): SQL =>
  team === null ? sql`true` : sql`${sql.raw(column)} = ${team}`;

export const moment = (at: Date): SQL => sql`${at.toISOString()}::timestamptz`;

/**
 * The rows of a roll-up that cover the time: days where they are whole, hours at the ends.
 * @param daysUpTo of later days there are only the hours; null: of none
 */
export function inTime({ from, to }: Scope, daysUpTo: Date | null): SQL {
  const firstDay = new Date(Math.ceil(from.getTime() / DAY_MS) * DAY_MS);
  const end = Math.min(to.getTime(), daysUpTo?.getTime() ?? Number.POSITIVE_INFINITY);
  const lastDay = new Date(Math.floor(end / DAY_MS) * DAY_MS);
  if (firstDay >= lastDay) return sql`step = 'hour' and at >= ${moment(from)} and at < ${moment(to)}`;
  return sql`(step = 'day' and at >= ${moment(firstDay)} and at < ${moment(lastDay)}
    or step = 'hour' and at >= ${moment(from)} and at < ${moment(firstDay)}
    or step = 'hour' and at >= ${moment(lastDay)} and at < ${moment(to)})`;
}
