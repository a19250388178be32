/** `POST /v1/chat/completions`, `/v1/responses`, `/v1/messages` and `/v1/embeddings`: one way for all of them. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { codeOf } from '../afterwards.ts';
import type { Target } from '../forward/target.ts';
import type { Gateway } from '../gateway.ts';
import { GuardrailBlocked } from '../governance/guards/blocked.ts';
import type { GuardedRequest, Passed } from '../governance/guards/guards.ts';
import { askedOutput } from '../governance/limits/forecast.ts';
import type { Account, Entrant } from '../governance/limits/limits.ts';
import { withoutTrade } from '../governance/limits/soften.ts';
import type { Auto } from '../models.ts';
import type { SurfaceName } from '../protocols/index.ts';
import type { Trace } from '../telemetry/telemetry.ts';
import { answer, answerKept } from './answer.ts';
import { readBody } from './body.ts';
import { enter } from './enter.ts';
import { FieldError } from './errors.ts';
import { blockedRecord, type Exchange, exchangeFor, type Incoming } from './exchange.ts';
import { type HeldBy, heldBy } from './held.ts';
import { readWishes } from './knobs.ts';
import { refuseTooManyParts } from './most-parts.ts';
import { expectationAt, PassingOver } from './passing-over.ts';
import { mustBeSeen } from './seen-files.ts';

const model = z.string('name a model, or "auto" to have one chosen').min(1);
const stream = z.boolean().nullish();
const messages = z.array(z.unknown(), 'must be a list of messages').min(1, 'must hold at least one message');

/** Only what the gateway itself needs; all the rest is the provider's to judge. */
export const BODIES = {
  chat: z.looseObject({
    model,
    messages,
    stream,
    n: z.number('must be a number of answers').int().positive().nullish(),
    stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  }),
  responses: z.looseObject({
    model,
    input: z.union([z.string(), z.array(z.unknown())], 'must be a text or a list of items').optional(),
    stream,
    background: z.boolean().nullish(),
  }),
  messages: z.looseObject({
    model,
    messages,
    max_tokens: z.number('must say how many tokens the answer may have').int().positive(),
    stream,
  }),
  embeddings: z.looseObject({
    model,
    input: z.union([z.string(), z.array(z.unknown())], 'must be a text, or a list of texts or tokens'),
  }),
} as const;

const PATHS: Readonly<Record<SurfaceName, string>> = {
  chat: '/v1/chat/completions',
  responses: '/v1/responses',
  messages: '/v1/messages',
  embeddings: '/v1/embeddings',
};

export function surfaceRoutes(app: FastifyInstance, gateway: Gateway): void {
  for (const [surface, path] of Object.entries(PATHS) as [SurfaceName, string][]) {
    app.post(path, { config: { surface } }, async (request, reply) => {
      await handle(gateway, surface, request, reply);
      return reply;
    });
  }
}

async function handle(
  gateway: Gateway,
  surface: SurfaceName,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const trace = gateway.governance.telemetry.begin(request, surface, reply);
  try {
    await handleTraced(gateway, surface, request, reply, trace);
  } catch (error) {
    trace.end(codeOf(error));
    throw error;
  }
}

async function handleTraced(
  gateway: Gateway,
  surface: SurfaceName,
  request: FastifyRequest,
  reply: FastifyReply,
  trace: Trace,
): Promise<void> {
  const { governance } = gateway;
  const { text, value } = readBody<z.infer<(typeof BODIES)['chat']>>(BODIES[surface] as never, request.body);
  refuseTooManyParts(value);
  const auto = gateway.setup.models.autoOf(value.model);
  if (auto !== null && surface === 'embeddings') {
    throw new FieldError('model', 'embeddings of different models do not compare: name the one that you want');
  }
  const wishes = readWishes(text, value, request.headers, auto);
  const asked = { surface, requestedModel: value.model, isAuto: auto !== null, chars: text.length };
  const { caller, tags, entrant, isSoftened, softLimit } = enter(gateway, request, reply, {
    ...asked,
    added: wishes.routing.tags,
  });
  if (surface === 'responses' && value.background === true) {
    governance.limits.mustBeMetered(entrant, 'responses in the background');
  }
  const held = await heldBy(gateway, surface, { text, json: value, caller });
  const guarded = { caller, surface, json: value, text: wishes.text, log: request.log };
  const known = { request, surface, caller, tags, trace, heldBy: held };
  const {
    json,
    text: passed,
    hits,
  } = await seenWith(gateway, guarded, held).catch(async (error) => {
    if (error instanceof GuardrailBlocked) {
      const blocked: Incoming = { ...known, wishes, json: value, hits: error.hits };
      gateway.store.record({ decision: blockedRecord(gateway, blocked) });
      await gateway.store.saved();
    }
    throw error;
  });
  const incoming: Incoming = {
    ...{ ...known, json, hits, softLimit },
    wishes: { ...wishes, text: passed, routing: isSoftened ? withoutTrade(wishes.routing) : wishes.routing },
  };
  const { kept, headers } = await governance.cache.look(incoming, auto !== null);
  if (kept !== null) {
    await answerKept(gateway, incoming, kept, reply);
    return;
  }
  reply.headers(headers);
  const { exchange, account } = await letIn(gateway, incoming, auto, entrant);
  const { feedbackWeight: weight } = incoming.caller;
  gateway.hints.see(exchange.record, { json, text: passed, headers: request.headers, weight });
  reply.headers(account.headers);
  try {
    await answer(gateway, incoming, exchange, account, reply);
  } finally {
    account.close();
  }
}

/** The request as guardrails leave it; the files that it refers to must have been seen, where a rule minds. */
async function seenWith(gateway: Gateway, guarded: GuardedRequest, held: HeldBy | undefined): Promise<Passed> {
  const ofFiles = held === undefined ? [] : await mustBeSeen(gateway, held.files, guarded.caller);
  const passed = await gateway.governance.guards.before(guarded);
  return ofFiles.length === 0 ? passed : { ...passed, hits: [...ofFiles, ...passed.hits] };
}

/**
 * Decides where it goes, and sets aside what it may cost there, by the first of the places that may be called. `auto` passes
 * over models of which too little is left.
 */
async function letIn(
  gateway: Gateway,
  incoming: Incoming,
  auto: Auto | null,
  entrant: Entrant,
): Promise<{ readonly exchange: Exchange; readonly account: Account }> {
  const { surface, json } = incoming;
  const askedOf = ({ provider, upstreamModel }: Target) => {
    // What is routed is written as its host knows it.
    const knowsNewField = auto !== null || provider.dialectOf(upstreamModel).outputLimit === 'max_completion_tokens';
    return askedOutput(surface, json, { knowsNewField });
  };
  const passing = new PassingOver(gateway, entrant, askedOf);
  for (;;) {
    const exchange = await exchangeFor(gateway, incoming, auto, passing);
    const target = exchange.targets[0]!;
    try {
      const expected = expectationAt(target, exchange.expected, askedOf);
      return { exchange, account: await gateway.governance.limits.reserve(entrant, expected) };
    } catch (error) {
      if (auto === null || !passing.learnsOf(error, target)) throw error;
    }
  }
}
