/**
 * `POST /v1/messages/count_tokens`: asked of the provider where the model is one of Anthropic's protocol, estimated
 * otherwise, and then said to be: what clients decide by it is when to shorten a conversation.
 */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { readRequest } from '../../router/request.ts';
import { editMembers } from '../forward/edit-json.ts';
import type { Target } from '../forward/target.ts';
import { isObject } from '../forward/usage.ts';
import { GivenUp, RequestLife } from '../forward/watch.ts';
import type { Gateway } from '../gateway.ts';
import { mustAllow, placeOf } from '../governance/policies/place.ts';
import { readBody } from './body.ts';
import { enter } from './enter.ts';
import { heldAmongTargets, heldBy, heldElsewhere } from './held.ts';
import { readWishes } from './knobs.ts';
import { refuseTooManyParts } from './most-parts.ts';
import { mustBeSeen } from './seen-files.ts';

export const CountBody = z.looseObject({
  model: z.string('name a model, or "auto"').min(1),
  messages: z.array(z.unknown(), 'must be a list of messages').min(1, 'must hold at least one message'),
});

/** A provider that is slow to count is not waited for. */
const PATIENCE_MS = 5000;

export function countTokensRoute(app: FastifyInstance, gateway: Gateway): void {
  app.post('/v1/messages/count_tokens', { config: { surface: 'messages' } }, async (request, reply) => {
    const { text, value } = readBody(CountBody, request.body);
    refuseTooManyParts(value);
    const { models } = gateway.setup;
    // A bound on the answer is not part of such a request, but of those that the router reads.
    const estimate = readRequest({ max_tokens: 1, ...value }, 'messages').facts.inputTokens;
    reply.header('x-request-id', request.id);
    const auto = models.autoOf(value.model);
    const isAuto = auto !== null;
    const wishes = readWishes(text, value, request.headers, auto);
    const asked = { surface: 'count_tokens', requestedModel: value.model, isAuto, chars: 0 };
    request.caller = enter(gateway, request, reply, { ...asked, added: wishes.routing.tags }).caller;
    const held = await heldBy(gateway, 'messages', { text, json: value, caller: request.caller });
    if (!isAuto) {
      const { targets } = models.resolve(value.model, request.caller);
      const [target] = held === undefined ? targets : heldAmongTargets(held, 'messages', targets);
      if (target === undefined) throw heldElsewhere(held!, value.model);
      mustAllow(request.caller.rules, placeOf(target));
      await mustBeSeen(gateway, held?.files ?? [], request.caller);
      const guarded = { caller: request.caller, surface: 'messages', json: value, log: request.log } as const;
      const seen = await gateway.governance.guards.before({ ...guarded, text: wishes.text });
      const counted = await countedBy(target, seen.text);
      if (counted !== null) return { input_tokens: counted };
    }
    reply.header('x-pointsman-estimated', 'true');
    return { input_tokens: estimate };
  });
}

async function countedBy({ provider, upstreamModel, credential }: Target, text: string): Promise<number | null> {
  if (provider.raw === undefined || provider.protocolFor('messages', upstreamModel) !== 'messages') return null;
  const life = new RequestLife(PATIENCE_MS);
  try {
    const reply = await provider.raw({
      method: 'POST',
      path: '/messages/count_tokens',
      headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
      body: editMembers(text, { model: JSON.stringify(upstreamModel) }),
      credential,
      signal: life.signal,
    });
    const pieces: Uint8Array[] = [];
    for await (const piece of reply.body) pieces.push(piece);
    const answer: unknown = JSON.parse(Buffer.concat(pieces).toString('utf8'));
    const count = isObject(answer) ? answer.input_tokens : undefined;
    return reply.status === 200 && typeof count === 'number' ? count : null;
  } catch {
    // An estimate serves as well as it can.
    return null;
  } finally {
    life.giveUp(new GivenUp('UPSTREAM_CLOSED', 'counted'));
    life.end();
  }
}
