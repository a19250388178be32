/** `GET /v1/usage/observe`: what `auto` would have saved on requests that named their model, for the dashboard. */
import { and, eq, lt, type SQL, sql } from 'drizzle-orm';
import { decisions } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import { SANDBOX } from '../learning/learnable.ts';
import { usagePages } from '../report/read.ts';
import type { UsageRow } from '../report/rows.ts';
import { ENOUGH, type ObservedFigures } from '../report/savings.ts';
import { summarise } from '../report/summary.ts';

export interface UsageObserve {
  readonly from: string;
  readonly to: string;
  /** Share of the requests with a concrete id that are observed now, in [0, 1]. */
  readonly share: number;
  /** Requests that can be estimated, at least, for an interval. */
  readonly enough: number;
  /** The newest were read, and the period holds more. */
  readonly limited: boolean;
  readonly observed: ObservedFigures;
}

/** Newest observed requests that are read: as many as give an answer at once. */
export const MOST_OBSERVED = 2000;
const REPLICATES = 200;
const SEED = 1;

/** @param team null: all. @throws `DATABASE_UNAVAILABLE` */
export async function usageObserve(
  store: Pick<SqlStore, 'db'>,
  asked: { from: Date; to: Date; team: string | null; share: number },
  most = MOST_OBSERVED,
): Promise<UsageObserve> {
  const { from, to, team, share } = asked;
  const only = and(
    // JSON's null is not SQL's.
    sql`jsonb_typeof(${decisions.observed}) = 'object'`,
    eq(decisions.routed, false),
    lt(decisions.createdAt, to),
    team === null ? undefined : eq(decisions.tenant, team),
  ) as SQL;
  const rows: UsageRow[] = [];
  for await (const page of usagePages(store, { since: from.toISOString() }, most, only)) rows.push(...page);
  const limited = rows.length >= most;
  const { observed } = summarise(rows, { replicates: REPLICATES, seed: SEED, limited, sandbox: SANDBOX });
  return { from: from.toISOString(), to: to.toISOString(), share, enough: ENOUGH, limited, observed };
}
