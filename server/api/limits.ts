/** `/v1/admin/limits`: budgets and rates with what is used of them; made, changed and removed by admins and managers. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { SqlStore } from '../db/store.ts';
import type { Gateway } from '../gateway.ts';
import { parse } from '../governance/access/keys.ts';
import { teamWithin } from '../governance/access/roles.ts';
import { type By, dropLimit, editLimit, makeLimit } from '../governance/limits/admin.ts';
import { type LimitView, viewsOf } from '../governance/limits/views.ts';
import { knownTo } from '../governance/policies/known.ts';
import type { JsonBody } from './body.ts';
import { sqlStoreOf } from './log-owner.ts';

export const LimitsQuery = z.strictObject({ team: z.string().min(1).max(200).optional() });

interface OfOne {
  Params: { id: string };
}

export function limitsRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { limits } = gateway.governance;
  const places = () => knownTo(gateway.config, gateway.catalog);
  const place = () => ({ limits, store: sqlStoreOf(gateway.store), places });
  const store = 'db' in gateway.store ? (gateway.store as SqlStore) : null;
  const one = async (id: string, { actor }: By): Promise<LimitView | undefined> =>
    (await viewsOf(limits, store, actor, null)).find((view) => view.id === id);

  app.get('/v1/admin/limits', async ({ caller, query }) => {
    const { team } = parse(LimitsQuery, query);
    return { limits: await viewsOf(limits, store, caller, teamWithin(caller, team)) };
  });

  app.post('/v1/admin/limits', async (request, reply) => {
    const who = by(request);
    const { id, warnings } = await makeLimit(place(), bodyOf(request), who);
    const made = await one(id, who);
    return reply
      .code(201)
      .header('location', `/v1/admin/limits/${id}`)
      .send(warnings.length === 0 ? made : { ...made, warnings: [...(made?.warnings ?? []), ...warnings] });
  });

  app.patch<OfOne>('/v1/admin/limits/:id', async (request) => {
    const who = by(request);
    await editLimit(place(), request.params.id, bodyOf(request), who);
    return one(request.params.id, who);
  });

  app.delete<OfOne>('/v1/admin/limits/:id', async (request) => {
    await dropLimit(place(), request.params.id, by(request));
    return { id: request.params.id, removed: true };
  });
}

const by = ({ caller, id }: FastifyRequest): By => ({ actor: caller, requestId: id });

const bodyOf = ({ body }: FastifyRequest): unknown => (body as JsonBody | undefined)?.json;
