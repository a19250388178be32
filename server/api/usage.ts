/** `GET /v1/usage/…`: what was used, what it cost and saved, and how good it was, for dashboards (usage/contract.ts). */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { PLAIN, plainPath } from '../../datasets/plain-issues.ts';
import type { Gateway } from '../gateway.ts';
import { DIMENSIONS, UsageQuery, type UsageSummary } from '../usage/contract.ts';
import { decisionPage } from '../usage/decision-page.ts';
import { calibration, callLatency, totalUsage, usageBy, usageSeries } from '../usage/questions.ts';
import { rolledUpTo } from '../usage/roll-up.ts';
import { DAY_MS, scopeOf } from '../usage/scope.ts';
import { FieldError } from './errors.ts';
import { sqlStoreOf } from './log-owner.ts';

const limitOf = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual);

export const SeriesQuery = UsageQuery.extend({
  step: z.enum(['hour', 'day']).default('day'),
  by: z.enum(DIMENSIONS).optional(),
  limit: limitOf(100, 10),
});
export const BreakdownQuery = UsageQuery.extend({ by: z.enum(DIMENSIONS), limit: limitOf(1000, 20) });
export const DecisionsQuery = UsageQuery.extend({
  cursor: z.string().min(1).max(500).optional(),
  limit: limitOf(200, 50),
});
// By what the roll-ups of calls and of verdicts know.
export const LatencyQuery = UsageQuery.omit({ project: true, key: true, artifact: true }).extend({
  limit: limitOf(1000, 100),
});
export const CalibrationQuery = UsageQuery.omit({ project: true, key: true, model: true, provider: true });

/** More points than that are no picture any more. */
const MOST_HOURS_MS = 31 * DAY_MS;

export function usageRoutes(app: FastifyInstance, gateway: Gateway): void {
  const db = () => sqlStoreOf(gateway.store).db;

  app.get('/v1/usage/summary', async ({ caller, query }): Promise<UsageSummary> => {
    const scope = scopeOf(caller, read(UsageQuery, query));
    const [usage, rolled] = await Promise.all([totalUsage(db(), scope), rolledUpTo(db())]);
    return {
      ...usage,
      from: scope.from.toISOString(),
      to: scope.to.toISOString(),
      baseline: gateway.baseline.id,
      rolledUpTo: rolled?.toISOString() ?? null,
    };
  });

  app.get('/v1/usage/series', async ({ caller, query }) => {
    const { step, by, limit, ...rest } = read(SeriesQuery, query);
    const scope = scopeOf(caller, rest);
    if (step === 'hour' && scope.to.getTime() - scope.from.getTime() > MOST_HOURS_MS) {
      throw new FieldError('step', `hours of at most ${MOST_HOURS_MS / DAY_MS} days; take step=day`);
    }
    return usageSeries(db(), scope, step, by ?? null, limit);
  });

  app.get('/v1/usage/breakdown', async ({ caller, query }) => {
    const { by, limit, ...rest } = read(BreakdownQuery, query);
    return usageBy(db(), scopeOf(caller, rest), by, limit);
  });

  app.get('/v1/usage/decisions', async ({ caller, query }) => {
    const { cursor, limit, ...rest } = read(DecisionsQuery, query);
    return decisionPage(db(), scopeOf(caller, rest), { cursor, limit });
  });

  app.get('/v1/usage/calibration', async ({ caller, query }) =>
    calibration(db(), scopeOf(caller, read(CalibrationQuery, query))),
  );

  app.get('/v1/usage/latency', async ({ caller, query }) => {
    const { limit, ...rest } = read(LatencyQuery, query);
    return callLatency(db(), scopeOf(caller, rest), limit);
  });
}

/** @throws `INVALID_REQUEST` naming the parameter */
function read<T>(schema: z.ZodType<T> & { readonly shape: object }, query: unknown): T {
  const { success, data, error } = schema.safeParse(query, PLAIN);
  if (success) return data;
  const issue = error.issues[0]!;
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  throw new FieldError(
    plainPath(unknown === undefined ? issue.path : [unknown]),
    unknown === undefined ? issue.message : `no such parameter; known: ${Object.keys(schema.shape).join(', ')}`,
  );
}
