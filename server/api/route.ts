/** `POST /v1/route`: the decision for a request of any protocol, without calling a model or writing anything down. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { costUsd } from '../../datasets/catalog/price.ts';
import type { Decision } from '../../router/decision.ts';
import type { RoutableRequest } from '../../router/request.ts';
import type { Target } from '../forward/target.ts';
import type { Gateway } from '../gateway.ts';
import { askedOutput } from '../governance/limits/forecast.ts';
import { withoutTrade } from '../governance/limits/soften.ts';
import type { Auto } from '../models.ts';
import { teamOf } from '../teams.ts';
import { readBody } from './body.ts';
import { type Entered, enter } from './enter.ts';
import { FieldError } from './errors.ts';
import { refuseAuto } from './exchange.ts';
import { blameRequest, readWishes, routeOptionsOf } from './knobs.ts';
import { refuseTooManyParts } from './most-parts.ts';
import { type AskedOf, expectationAt, PassingOver } from './passing-over.ts';

export const RouteBody = z.looseObject({
  model: z.string().nullish(),
  messages: z.array(z.unknown(), 'must be a list of messages').min(1, 'must hold at least one message').optional(),
  input: z.union([z.string(), z.array(z.unknown())], 'must be a text or a list of items').optional(),
});

const PLAIN_AUTO: Auto = { kind: 'auto', dial: undefined, alias: null };

export function routeRoute(app: FastifyInstance, gateway: Gateway): void {
  app.post('/v1/route', async (request, reply) => {
    const { text, value: body } = readBody(RouteBody, request.body);
    refuseTooManyParts(body);
    if (body.messages === undefined && body.input === undefined) {
      throw new FieldError('messages', 'send what you would send to be answered: messages, or input');
    }
    const { models } = gateway.setup;
    const auto = body.model == null ? PLAIN_AUTO : models.autoOf(body.model);
    const wishes = readWishes(text, body, request.headers, auto);
    const requestedModel = body.model ?? 'auto';
    const asked = { surface: 'route', requestedModel, isAuto: auto !== null, chars: text.length };
    const entered = enter(gateway, request, reply, { ...asked, added: wishes.routing.tags });
    const { caller, isSoftened } = entered;
    request.caller = caller;
    if (auto === null) {
      const { id, alias, targets } = models.resolve(body.model!, request.caller);
      const named = { model: id, routed: false, reason: 'requested', ...(alias !== null && { alias }) };
      return { ...named, ...limitsOn(gateway, entered, body, targets[0]) };
    }
    refuseAuto(request.caller, body.model ?? 'auto');
    const routing = isSoftened ? withoutTrade(wishes.routing) : wishes.routing;
    const candidates = gateway.holder.current.candidates.map(({ id }) => id);
    const team = teamOf(gateway, request.caller.tenant);
    const passing = new PassingOver(gateway, entered.entrant, askedOfIn(entered, body));
    const { decision, routerMs, bound } = await passing.decide(request.caller, (bound) => {
      const explores = gateway.exploration.routeOptions(team, bound.rules);
      return gateway
        .decide(body as RoutableRequest, { ...routeOptionsOf(routing, bound, candidates), ...explores }, bound)
        .catch((error) => blameRequest(error, routing));
    });
    const target = gateway.targets(decision, bound)[0];
    const tokens = { inputTokens: decision.facts.inputTokens, outputTokens: decision.ranked[0]!.outputTokens };
    const told = limitsOn(gateway, entered, body, target, tokens);
    return { routed: true, ...explain(decision, gateway.baseline), routerMs, ...told };
  });
}

/** What limits would say of the request were it sent to be answered: it is not, and nothing is set aside. */
function limitsOn(
  { governance }: Gateway,
  entered: Entered,
  body: z.infer<typeof RouteBody>,
  target: Target | undefined,
  tokens = { inputTokens: 0, outputTokens: 0 },
) {
  if (target === undefined) return {};
  const { entrant, softLimit } = entered;
  const foreseen = governance.limits.foresee(entrant, expectationAt(target, tokens, askedOfIn(entered, body)));
  if (foreseen === null) return {};
  const { setAsideUsd, refusal } = foreseen;
  const refused = refusal && {
    ...{ code: refusal.code, message: refusal.message, limit: refusal.limit },
    retryAfterSeconds: Number(refusal.headers['retry-after']),
  };
  return { limits: { softLimit, setAsideUsd, refusal: refused } };
}

function askedOfIn({ entrant }: Entered, body: z.infer<typeof RouteBody>): AskedOf {
  const surface = body.messages === undefined ? 'responses' : 'chat';
  return ({ provider, upstreamModel }) => {
    const knowsNewField = entrant.isAuto || provider.dialectOf(upstreamModel).outputLimit === 'max_completion_tokens';
    return askedOutput(surface, body, { knowsNewField });
  };
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
