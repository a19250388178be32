/** `GET /v1/usage/health`: the places where models can be had, how they did of late, which are left alone for a while, and who was refused. */
import { sql } from 'drizzle-orm';
import type { Caller } from '../callers.ts';
import { asked } from '../db/connection.ts';
import { attempts, decisions } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import type { Place } from '../forward/breaker.ts';
import type { Gateway } from '../gateway.ts';
import type { RefusalCount } from '../telemetry/refusals.ts';
import type { UsageHealth } from './contract.ts';

/** Newest requests whose calls are counted, and from how long ago on. */
const MOST_REQUESTS = 5000;
const LOOK_BACK_MS = 60 * 60 * 1000;
/** Places that are listed. */
const MOST_PLACES = 1000;

interface Seen extends Record<string, unknown> {
  deployment: string;
  model: string;
  provider: string;
  requests: number;
  errors: number;
  p95: number | null;
}

export interface Health extends UsageHealth {
  /** What this process has refused since it began: of other replicas it knows nothing. */
  readonly refusals: {
    readonly since: string;
    /** Of all that are counted, also those that are not listed. */
    readonly requests: number;
    /** Most first. */
    readonly counts: readonly RefusalCount[];
  };
}

/** Refusals that are listed. */
const MOST_REFUSALS = 200;

/**
 * @param store null: there is no database, so nothing is known of how they did
 * @param team  whose calls are counted; null: everybody's
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function usageHealth(
  gateway: Gateway,
  store: Pick<SqlStore, 'db'> | null,
  caller: Caller,
  team: string | null,
): Promise<Health> {
  const seen = new Map(store === null ? [] : (await callsOfLate(store, team)).map((row) => [row.deployment, row]));
  const { models } = gateway.setup;
  // A key of its own narrows what it may call, not what there is to see.
  const viewer = { ...caller, models: undefined };
  const rows = new Map<string, UsageHealth['deployments'][number]>();
  const add = (place: Place, model: string) => {
    if (rows.has(place.deployment) || rows.size >= MOST_PLACES) return;
    const { requests = 0, errors = 0, p95 = null } = seen.get(place.deployment) ?? {};
    const restsForMs = gateway.breaker.restMs(place);
    rows.set(place.deployment, {
      deployment: place.deployment,
      model,
      provider: place.provider.name,
      rests: restsForMs > 0,
      restsForMs: restsForMs > 0 ? Math.ceil(restsForMs) : null,
      requests: Number(requests),
      errors: Number(errors),
      p95Ms: p95,
    });
  };
  for (const { deployment, model, provider } of seen.values()) add(placeOf(deployment, provider), model);
  for (const { id } of models.usable) {
    if (models.isOutOfReach(id, viewer)) continue;
    for (const target of models.resolve(id, viewer).targets) add(target, target.id);
  }
  return { deployments: [...rows.values()].sort(byConcern), refusals: refusalsOf(gateway, team) };
}

function refusalsOf({ governance: { telemetry } }: Gateway, team: string | null): Health['refusals'] {
  const counts = telemetry.refusals.of(team);
  return {
    since: telemetry.refusals.since.toISOString(),
    requests: counts.reduce((sum, { requests }) => sum + requests, 0),
    counts: counts.slice(0, MOST_REFUSALS),
  };
}

/** What rests, then what fails, then what is used most. */
const byConcern = (a: UsageHealth['deployments'][number], b: UsageHealth['deployments'][number]): number =>
  Number(b.rests) - Number(a.rests) ||
  b.errors - a.errors ||
  b.requests - a.requests ||
  (a.deployment < b.deployment ? -1 : 1);

/** As it was recorded: `provider/model#key`. */
function placeOf(deployment: string, provider: string): Place {
  const at = deployment.lastIndexOf('#');
  return { deployment, provider: { name: provider }, credential: { id: at < 0 ? '' : deployment.slice(at + 1) } };
}

/** By way of the newest decisions: their calls are found by an index, however long the log is. */
async function callsOfLate({ db }: Pick<SqlStore, 'db'>, team: string | null): Promise<Seen[]> {
  const since = new Date(Date.now() - LOOK_BACK_MS).toISOString();
  const ofTeam = team === null ? sql`true` : sql`${decisions.tenant} = ${team}`;
  return asked(
    db.execute<Seen>(sql`
      select a.deployment, max(a.model) as model, max(a.provider) as provider, count(*)::int as requests,
        count(*) filter (where a.status in ('error', 'partial'))::int as errors,
        percentile_cont(0.95) within group (order by a.total_ms)
          filter (where a.status = 'ok')::double precision as p95
      from ${attempts} a
      where a.deployment <> '' and a.decision_id in (
        select ${decisions.id} from ${decisions}
        where ${decisions.createdAt} >= ${since}::timestamptz and ${ofTeam}
        order by ${decisions.createdAt} desc limit ${MOST_REQUESTS})
      group by a.deployment
      limit ${MOST_PLACES}`),
  );
}
