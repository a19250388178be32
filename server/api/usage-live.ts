/** `/v1/usage/curve`, `/observe` and `/health`: what is reckoned from the newest rows rather than read off roll-ups. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { PLAIN, plainPath } from '../../datasets/plain-issues.ts';
import { type Caller, demand } from '../callers.ts';
import type { Gateway } from '../gateway.ts';
import { teamWithin } from '../governance/access/roles.ts';
import { curveOf, newestChoices } from '../usage/curve.ts';
import { usageHealth } from '../usage/health.ts';
import { usageObserve } from '../usage/observe.ts';
import { FieldError } from './errors.ts';
import { sqlStoreOf } from './log-owner.ts';

const Team = z.string().min(1).max(100).optional();
const Moment = z.iso.datetime({ offset: true }).optional();
export const CurveQuery = z.strictObject({
  team: Team,
  sample: z.coerce.number().int().min(1).max(2000).default(1000),
});
export const ObserveQuery = z.strictObject({ team: Team, from: Moment, to: Moment });
export const HealthQuery = z.strictObject({ team: Team });

const DAY_MS = 86_400_000;
const CURVE_MS = 60_000;
const OBSERVE_MS = 5 * 60_000;
const HEALTH_MS = 3_000;

export function usageLiveRoutes(app: FastifyInstance, gateway: Gateway): void {
  const kept = new Answers();

  app.get('/v1/usage/curve', async ({ caller, query }) => {
    const { sample, ...asked } = read(CurveQuery, query);
    const team = teamSeen(caller, asked.team);
    const { current } = gateway.holder;
    const answer = await kept.get(['curve', team, sample, current.artifactHash], CURVE_MS, async () =>
      curveOf(await newestChoices(sqlStoreOf(gateway.store), team, sample), current.policy),
    );
    return answer ?? { sample: 0, current: null, points: [] };
  });

  app.get('/v1/usage/observe', async ({ caller, query }) => {
    const asked = read(ObserveQuery, query);
    const team = teamSeen(caller, asked.team);
    // By the minute: pages that ask for "until now" then share an answer.
    const now = Math.ceil(Date.now() / 60_000) * 60_000;
    const to = asked.to === undefined ? new Date(now) : new Date(asked.to);
    const from = asked.from === undefined ? new Date(to.getTime() - 30 * DAY_MS) : new Date(asked.from);
    if (from >= to) throw new FieldError('from', 'must be before to');
    const { share } = gateway.config.observe;
    return kept.get(['observe', team, from.getTime(), to.getTime(), share], OBSERVE_MS, () =>
      usageObserve(sqlStoreOf(gateway.store), { from, to, team, share }),
    );
  });

  app.get('/v1/usage/health', async ({ caller, query }) => {
    const team = teamSeen(caller, read(HealthQuery, query).team);
    // Which places there are is a matter of whose keys of providers may be used.
    return kept.get(['health', team, caller.tenant], HEALTH_MS, () => {
      const store = 'db' in gateway.store ? sqlStoreOf(gateway.store) : null;
      return usageHealth(gateway, store, caller, team);
    });
  });
}

/** Whose rows are asked about; null: everybody's. @throws `FORBIDDEN` without the scope; `NOT_FOUND` for a team beyond reach */
function teamSeen(caller: Caller, asked: string | undefined): string | null {
  demand(caller, 'usage', 'manage', 'admin');
  return teamWithin(caller, asked);
}

function read<T>(schema: z.ZodType<T>, query: unknown): T {
  const { success, data, error } = schema.safeParse(query, PLAIN);
  if (success) return data;
  const issue = error.issues[0]!;
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  throw new FieldError(
    plainPath(unknown === undefined ? issue.path : [unknown]),
    unknown === undefined ? issue.message : 'no such option',
  );
}

/** Answers that hold for a while: several people who look at one page ask the database once. */
class Answers {
  readonly #kept = new Map<string, { readonly until: number; readonly answer: Promise<unknown> }>();

  get<T>(parts: readonly unknown[], ms: number, make: () => Promise<T>): Promise<T> {
    const key = JSON.stringify(parts);
    const now = performance.now();
    for (const [old, { until }] of this.#kept) if (until <= now) this.#kept.delete(old);
    const known = this.#kept.get(key);
    if (known !== undefined) return known.answer as Promise<T>;
    const answer = make();
    // Whoever asks for many periods gets them; only the newest are kept.
    if (this.#kept.size >= MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, { until: now + ms, answer });
    answer.catch(() => this.#kept.delete(key));
    return answer;
  }
}

const MOST_KEPT = 200;
