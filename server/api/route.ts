/** `POST /v1/route`: the decision for a chat request, without calling a model or writing anything down. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { costUsd } from '../../datasets/catalog/price.ts';
import type { Decision } from '../../router/decision.ts';
import type { RoutableRequest } from '../../router/request.ts';
import { type Gateway, isAuto } from '../gateway.ts';
import { readBody } from './body.ts';
import { blameRequest, Routing, routeOptionsOf } from './routing.ts';

const RouteBody = z.looseObject({
  model: z.string().nullish(),
  messages: z.array(z.unknown(), 'must be a list of messages').min(1, 'must hold at least one message'),
  routing: Routing.optional(),
});

export function routeRoute(app: FastifyInstance, gateway: Gateway): void {
  app.post('/v1/route', async (request) => {
    const { value: body } = readBody(RouteBody, request.body);
    if (body.model != null && !isAuto(body.model)) {
      const { id } = gateway.resolve(body.model);
      return { model: id, routed: false, reason: 'requested' };
    }
    const { decision, routerMs } = await gateway
      .decide(body as RoutableRequest, routeOptionsOf(body.routing))
      .catch((error) => blameRequest(error, body.routing));
    return { routed: true, ...explain(decision, gateway.baseline), routerMs };
  });
}

/** A decision as people read it: the embedding left out, the saving put in. */
export function explain(decision: Decision, baseline: Candidate) {
  const { embedding: _, ranked, distribution, ...rest } = decision;
  const chosen = ranked[0]!;
  const tokens = { inputTokens: decision.facts.inputTokens, outputTokens: chosen.outputTokens };
  const baselineCostUsd = costUsd(baseline, tokens);
  return {
    ...rest,
    ranked: ranked.map((candidate, i) => ({ ...candidate, probability: distribution[i] })),
    costUsd: chosen.costUsd,
    baseline: baseline.id,
    baselineCostUsd,
    estimatedSavingUsd: baselineCostUsd - chosen.costUsd,
  };
}
