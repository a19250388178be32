/** `POST /v1/chat/completions`: routed for `auto`, passed through for a model the client names. */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { costUsd } from '../../datasets/catalog/price.ts';
import type { Decision } from '../../router/decision.ts';
import { type RoutableRequest, readRequest } from '../../router/request.ts';
import type { AttemptRecord, DecisionRecord } from '../db/store.ts';
import type { JsonAnswer } from '../forward/attempt.ts';
import { editMembers, withoutMember } from '../forward/edit-json.ts';
import { UpstreamFailure } from '../forward/failure.ts';
import { forward, type OpenCall, type Target } from '../forward/forward.ts';
import { relay } from '../forward/relay.ts';
import { tokensOfChars } from '../forward/usage.ts';
import { GivenUp, RequestLife } from '../forward/watch.ts';
import { type Gateway, isAuto } from '../gateway.ts';
import { readBody } from './body.ts';
import { errorReply } from './errors.ts';
import { blameRequest, Routing, routeOptionsOf } from './routing.ts';

/** Only what the gateway itself needs; all the rest is the provider's to judge. */
const ChatBody = z.looseObject({
  model: z.string('name a model, or "auto" to have one chosen').min(1),
  messages: z.array(z.unknown(), 'must be a list of messages').min(1, 'must hold at least one message'),
  stream: z.boolean().nullish(),
  routing: Routing.optional(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
});
type ChatBody = z.infer<typeof ChatBody>;

/** A request under way: who was chosen, and what is told and written about it. */
interface Exchange {
  readonly record: DecisionRecord;
  readonly targets: readonly Target[];
  readonly inputTokens: number;
  /** Expected tokens of the answer, for the estimate of a stream's saving. */
  readonly outputTokens: number;
}

export function chatRoute(app: FastifyInstance, gateway: Gateway): void {
  app.post('/v1/chat/completions', async (request, reply) => {
    const { text: sent, value: body } = readBody(ChatBody, request.body);
    const text = body.routing === undefined ? sent : withoutMember(sent, 'routing');
    const exchange = isAuto(body.model) ? await routed(gateway, request, body) : named(gateway, request, body);
    const life = watchClient(gateway, reply);
    gateway.pending.set(exchange.record.id, exchange.record);
    try {
      await answer(gateway, request, reply, body, text, exchange, life);
    } finally {
      life.end();
      gateway.lives.delete(life);
      gateway.pending.delete(exchange.record.id);
    }
    return reply;
  });
}

async function answer(
  gateway: Gateway,
  request: FastifyRequest,
  reply: FastifyReply,
  body: ChatBody,
  text: string,
  exchange: Exchange,
  life: RequestLife,
): Promise<void> {
  const { record, targets, inputTokens } = exchange;
  const { store, config } = gateway;
  const stream = body.stream === true;
  const asked = { decisionId: record.id, text, json: body, stream, routed: record.routed, inputTokens };
  let call: OpenCall;
  try {
    const note = (attempt: AttemptRecord) => {
      store.record({ attempt });
      logRefusedKey(request, attempt, targets);
    };
    call = await forward(targets, { ...asked, life: life.signal }, config, note, gateway.breaker);
  } catch (error) {
    store.record({ decision: record });
    if (!(error instanceof UpstreamFailure)) throw error;
    logFailure(request, record, error);
    const { status, headers, body: errorBody } = errorReply(error, record.routed);
    reply
      .code(status)
      .headers({ ...idHeaders(record), ...headers })
      .send(errorBody);
    return;
  }
  record.executedModel = call.target.id;
  if (call.answer.kind === 'json') {
    const headers = sumUp(gateway, exchange, call, call.answer);
    store.record({ decision: record });
    const { usage, outputChars } = call.answer;
    store.record({ attempt: call.finish({ status: 'ok', usage, outputChars, httpStatus: 200 }) });
    reply
      .headers(headers)
      .type('application/json; charset=utf-8')
      .send(editMembers(call.answer.text, { model: JSON.stringify(call.target.id) }));
    return;
  }
  const headers = sumUp(gateway, exchange, call, undefined);
  store.record({ decision: record });
  reply.hijack();
  const { chunks } = call.answer;
  const failure = await relay(chunks, reply.raw, {
    modelId: call.target.id,
    providerName: call.target.provider.name,
    wantsUsage: body.stream_options?.include_usage === true,
    headers,
    errorFrame: (broken) => JSON.stringify(errorReply(broken, record.routed).body),
  });
  if (failure !== null) logFailure(request, record, failure);
  const clientLeft = failure?.cause instanceof GivenUp && failure.cause.clientLeft;
  store.record({
    attempt: call.finish({
      status: failure === null ? 'ok' : clientLeft ? 'cancelled' : 'partial',
      usage: chunks.usage,
      outputChars: chunks.outputChars,
      httpStatus: 200,
      failure,
    }),
  });
}

async function routed(gateway: Gateway, request: FastifyRequest, body: ChatBody): Promise<Exchange> {
  const { decision, routerMs } = await gateway
    .decide(body as RoutableRequest, routeOptionsOf(body.routing))
    .catch((error) => blameRequest(error, body.routing));
  const chosen = decision.ranked[0]!;
  return {
    record: {
      ...common(request, body),
      routed: true,
      model: decision.model,
      reason: decision.reason,
      propensity: decision.propensity,
      explored: decision.explored,
      floor: decision.floor,
      distribution: decision.ranked.map(({ model }, i) => ({ model, probability: decision.distribution[i]! })),
      ranked: [...decision.ranked],
      filtered: [...decision.filtered],
      facts: decision.facts,
      difficulty: decision.difficulty,
      outOfDomain: decision.outOfDomain,
      artifact: decision.artifact,
      encoderId: decision.encoderId,
      embedding: decision.embedding,
      priceDate: priceDateOf(gateway, decision),
      baselineModel: gateway.baseline.id,
      baselineCostUsd: null,
      routerMs,
      observed: null,
    },
    targets: gateway.targets(decision),
    inputTokens: decision.facts.inputTokens,
    outputTokens: chosen.outputTokens,
  };
}

/** The client's own choice: written down, but nothing to learn a choice from. */
function named(gateway: Gateway, request: FastifyRequest, body: ChatBody): Exchange {
  const target = gateway.resolve(body.model);
  const facts = factsOf(body);
  return {
    record: {
      ...common(request, body),
      routed: false,
      model: target.id,
      reason: 'requested',
      propensity: 1,
      explored: false,
      floor: 0,
      distribution: [{ model: target.id, probability: 1 }],
      ranked: [],
      filtered: [],
      facts: facts ?? {},
      difficulty: null,
      outOfDomain: null,
      artifact: null,
      encoderId: null,
      embedding: null,
      priceDate: target.candidate?.priceDate ?? gateway.catalog.priceDate,
      baselineModel: null,
      baselineCostUsd: null,
      routerMs: null,
      observed: null,
    },
    targets: [target],
    inputTokens: facts?.inputTokens ?? 0,
    outputTokens: 0,
  };
}

const common = (request: FastifyRequest, body: ChatBody) => ({
  id: request.id,
  createdAt: new Date(),
  tenant: 'default',
  key: null,
  surface: 'chat',
  tags: [],
  session: sessionOf(request, body),
  requestedModel: body.model,
  executedModel: null,
});

/** Facts for the log; a request in a form that only its provider knows has none. */
function factsOf(body: ChatBody) {
  try {
    return readRequest(body).facts;
  } catch {
    return null;
  }
}

const priceDateOf = (gateway: Gateway, { model }: Decision): string =>
  gateway.holder.current.candidates.find(({ id }) => id === model)?.priceDate ?? gateway.catalog.priceDate;

/** Longest session id kept as it is; a longer one is replaced by its hash. */
const SESSION_CHARS = 200;

/** The conversation or user a request belongs to, as far as the client says. */
function sessionOf(request: FastifyRequest, body: ChatBody): string | null {
  const metadata = body.metadata as Record<string, unknown> | null | undefined;
  const said = [request.headers['x-session-id'], metadata?.session_id, metadata?.sessionId, body.user];
  const session = said.find((value) => typeof value === 'string' && value !== '') as string | undefined;
  if (session === undefined) return null;
  return session.length <= SESSION_CHARS ? session : createHash('sha256').update(session).digest('hex');
}

/** Gives the request up when its client hangs up, so that nobody pays for an answer nobody reads. */
function watchClient(gateway: Gateway, reply: FastifyReply): RequestLife {
  const life = new RequestLife(gateway.config.timeouts.totalMs);
  gateway.lives.add(life);
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) life.giveUp(new GivenUp('UPSTREAM_CLOSED', 'the client hung up', true));
  });
  return life;
}

const idHeaders = (record: DecisionRecord): Record<string, string> => ({
  'x-request-id': record.id,
  'x-pointsman-decision-id': record.id,
});

/**
 * The headers that tell what was done, and the baseline's cost on the record. The saving counts the
 * tokens reported for a plain answer, the expected ones for a stream, and nets failed attempts.
 */
function sumUp(
  gateway: Gateway,
  { record, inputTokens, outputTokens }: Exchange,
  { target, attempts, spentUsd }: OpenCall,
  answered: JsonAnswer | undefined,
): Record<string, string> {
  const tokens =
    answered === undefined
      ? { inputTokens, outputTokens }
      : (answered.usage ?? { inputTokens, outputTokens: tokensOfChars(answered.outputChars) });
  const headers: Record<string, string> = {
    ...idHeaders(record),
    'x-pointsman-model': ascii(target.id),
    'x-pointsman-reason': record.executedModel === record.model ? record.reason : 'fallback',
  };
  if (attempts > 1) headers['x-pointsman-attempts'] = String(attempts);
  if (record.routed) headers['x-pointsman-artifact'] = record.artifact ?? '';
  if (target.provider.sandbox) {
    // Nothing was bought, so nothing was saved: neither is claimed, here or on record.
    headers['x-pointsman-sandbox'] = 'true';
    return headers;
  }
  const price = target.candidate;
  if (price === undefined) return headers;
  const cost = costUsd(price, tokens) + spentUsd;
  if (answered !== undefined) headers['x-pointsman-cost-usd'] = usd(cost);
  if (!record.routed) return headers;
  record.baselineCostUsd = gateway.baselineCostUsd(tokens);
  headers['x-pointsman-baseline'] = ascii(gateway.baseline.id);
  headers['x-pointsman-estimated-saving-usd'] = usd(record.baselineCostUsd - cost);
  return headers;
}

/** USD in plain decimals, to a thousandth of a cent of a cent. */
const usd = (amount: number): string => amount.toFixed(8);

/** Header values carry no other characters. */
const ascii = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?');

/** Codes and ids only: a provider's message may quote the prompt. */
function logFailure(request: FastifyRequest, record: DecisionRecord, failure: UpstreamFailure): void {
  const { code, blame, httpStatus } = failure;
  request.log.warn({ model: record.executedModel ?? record.model, code, blame, httpStatus }, 'answer failed');
}

/** The other providers may answer for ever after, dearer perhaps: the operator has to hear of it. */
function logRefusedKey(request: FastifyRequest, attempt: AttemptRecord, targets: readonly Target[]): void {
  if (attempt.httpStatus !== 401) return;
  const check = targets.find(({ id }) => id === attempt.model)?.provider.keyFrom;
  request.log.warn({ provider: attempt.provider, check }, 'the provider refused its key');
}
