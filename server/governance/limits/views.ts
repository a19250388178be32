/** Limits as people see them: whom they are for, how much of them is used, and who may change them. */
import type { Caller } from '../../callers.ts';
import type { SqlStore } from '../../db/store.ts';
import { reachOf } from '../access/roles.ts';
import { carriedIn, chainsByName, placeOf } from './carry-over.ts';
import type { Limits } from './limits.ts';
import { isId } from './matching.ts';
import { missingIn } from './names.ts';
import { type Span, spanOf } from './period.ts';
import { readUse } from './rows.ts';
import {
  bucketOf,
  capOf,
  isSubjectOf,
  type Limit,
  type Measure,
  measuresOf,
  partsOfSubject,
  periodOf,
  subjectOf,
} from './terms.ts';

export interface LimitUse {
  readonly measure: Measure;
  /**
   * Whose it is, `TEAM`, `TEAM/KEY` or `TEAM/PROJECT`, where the limit counts each by itself; `/` within names is `%2F`. KEY is
   * what the key is called now.
   */
  readonly subject: string | null;
  /** `2026-11`, `2026-11-29` or `2026-11-29T19:35`. */
  readonly period: string;
  readonly cap: number;
  /** Settled. */
  readonly used: number;
  /** Set aside for requests and batches that are under way, or in the hands of replicas for the next ones. */
  readonly reserved: number;
  readonly remaining: number;
  /** When it begins anew. */
  readonly endsAt: string;
  /** Thresholds in percent that the webhook was told of. */
  readonly notified: readonly number[];
}

export type LimitView = Limit & {
  /** Whoever asks may change it. */
  readonly editable: boolean;
  readonly use: readonly LimitUse[];
  /** Whom it is for that is not there, or not any more, in words: it bounds nobody. Absent: all are. */
  readonly warnings?: readonly string[];
};

/** What the rows of a limit are kept by, and the period that it is in. */
interface Counted {
  readonly limit: Limit;
  readonly measure: Measure;
  readonly base: string;
  readonly span: Span;
}

/**
 * @param team its limits, and its part of those that count each team, key or project by itself; null: all
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function viewsOf(
  limits: Limits,
  store: SqlStore | null,
  caller: Caller,
  team: string | null,
): Promise<LimitView[]> {
  // What was spent since the last time is told, too.
  await limits.look();
  const now = limits.nowMs;
  const spans = (['minute', 'day', 'month'] as const).map((period) => spanOf(period, now).name);
  const uses = new Map<string, LimitUse[]>();
  const add = (base: string, use: LimitUse) => uses.set(base, [...(uses.get(base) ?? []), use]);
  const counted = new Map<string, Counted>();
  const seen = limits.all.filter((limit) => isSeen(limit, team));
  for (const limit of seen) {
    const span = spanOf(periodOf(limit), now);
    for (const measure of measuresOf(limit)) {
      const base = bucketOf(limit, measure, null);
      counted.set(`${base}@${span.name}`, { limit, measure, base, span });
    }
  }
  const caps = new Map(
    seen.flatMap((limit) =>
      measuresOf(limit).map((measure) => [bucketOf(limit, measure, null), capOf(limit, measure)] as const),
    ),
  );
  const taken = new Set<string>();
  const own = new Map(limits.used.map((pot) => [pot.id, pot]));
  const rows = store === null ? [] : await readUse(store.db, spans);
  // Of what counts as spent, this is set aside for batches that are not over.
  const ofBatches = (await limits.batches?.open()) ?? new Map<string, number>();
  const carried = store === null ? new Map<string, string>() : await carriedIn(store.db, spans);
  const isTwin = twinsIn(limits, carried, [...own.keys(), ...rows.map(({ bucket, period }) => `${bucket}@${period}`)]);
  const put = (bucket: string, period: string, used: number, reserved: number, notified: readonly number[]) => {
    const { base, subject } = partsOf(bucket);
    const found = counted.get(`${base}@${period}`);
    if (found === undefined || taken.has(`${bucket}@${period}`)) return;
    if (found.limit.key === '*' && isTwin(base, subject, period)) return;
    taken.add(`${bucket}@${period}`);
    const cap = caps.get(base)!;
    const open = Math.min(used, ofBatches.get(`${bucket}@${period}`) ?? 0);
    add(base, {
      ...{ measure: found.measure, subject: limits.subjectOf(found.limit, subject), period },
      ...{ cap, used: used - open, reserved: reserved + open, notified },
      remaining: Math.max(0, cap - used - reserved),
      endsAt: new Date(found.span.endMs).toISOString(),
    });
  };
  for (const row of rows) {
    const here = own.get(`${row.bucket}@${row.period}`);
    const reserved = here === undefined || here.isShared ? row.leased : here.reserved;
    put(row.bucket, row.period, row.used, reserved, row.notified);
  }
  // What is in no row: rates of a process that is alone, and what nobody has written down yet.
  for (const pot of own.values()) put(pot.bucket, pot.span.name, pot.spentByAll, pot.reserved, pot.notified);
  const missing = missingIn(limits.names);
  const warned = (limit: Limit) => {
    const warnings = missing(limit);
    return warnings.length === 0 ? {} : { warnings };
  };
  return seen.map((limit) => ({
    ...limit,
    ...warned(limit),
    editable: mayChange(caller, limit),
    use: measuresOf(limit)
      .flatMap((measure) => uses.get(bucketOf(limit, measure, null)) ?? [])
      .filter(
        ({ subject }) => team === null || limit.team === team || (subject !== null && isSubjectOf(subject, team)),
      ),
  }));
}

/** Whether the pot of a key, kept by its name by an earlier version, is kept by its id, too: it is shown once. */
function twinsIn({ keys }: Limits, carried: ReadonlyMap<string, string>, ids: readonly string[]) {
  const there = new Set(ids);
  let firstOf: ReadonlyMap<string, string> | undefined;
  return (base: string, subject: string | null, period: string): boolean => {
    const [team, key, ...rest] = partsOfSubject(subject ?? '');
    if (team === undefined || key === undefined || isId(key)) return false;
    if (carried.has(`${base}#${subject}@${period}`)) return true;
    firstOf ??= chainsByName(keys);
    const first = firstOf.get(placeOf(team, key));
    return first !== undefined && there.has(`${base}#${subjectOf([team, first, ...rest])}@${period}`);
  };
}

function partsOf(bucket: string): { base: string; subject: string | null } {
  const at = bucket.indexOf('#');
  return at < 0 ? { base: bucket, subject: null } : { base: bucket.slice(0, at), subject: bucket.slice(at + 1) };
}

/** A team sees its own limits, and those that count each team, key or project by itself. */
export function isSeen(limit: Limit, team: string | null): boolean {
  if (team === null || limit.team === team) return true;
  if (limit.team !== undefined && limit.team !== '*') return false;
  return [limit.team, limit.key, limit.project].includes('*');
}

/** Budgets of a team are an admin's, and so is whatever an admin made; a manager changes what managers of the team made. */
export function mayChange(caller: Caller, limit: Limit): boolean {
  if (limit.madeBy === 'configuration') return false;
  if (caller.scopes.has('admin')) return true;
  const reach = reachOf(caller);
  return limit.madeBy === 'manager' && caller.scopes.has('manage') && (reach === null || limit.team === reach);
}
