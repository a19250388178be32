/** Answers a request in its client's protocol: calls, fails over, streams, and writes down what happened. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RoutingError } from '../../datasets/index.ts';
import { codeOf } from '../afterwards.ts';
import type { GuardHit } from '../db/records.ts';
import type { AttemptRecord, DecisionRecord } from '../db/store.ts';
import { type Checked, forwardChecked } from '../escalation/index.ts';
import type { JsonAnswer } from '../forward/attempt.ts';
import type { Asked } from '../forward/exchange.ts';
import { UpstreamFailure } from '../forward/failure.ts';
import type { OpenCall } from '../forward/forward.ts';
import { relay, STREAM_HEADERS, startStream } from '../forward/relay.ts';
import { isObject } from '../forward/usage.ts';
import { GivenUp, RequestLife } from '../forward/watch.ts';
import type { Gateway } from '../gateway.ts';
import type { Keeping, Kept } from '../governance/cache/response-cache.ts';
import type { Account } from '../governance/limits/limits.ts';
import { shadow } from '../learning/rollout/shadow.ts';
import { observe } from '../observe.ts';
import type { Answer, Conversation } from '../protocols/conversation.ts';
import { PROTOCOLS, SURFACES, type Surface, type SurfaceName } from '../protocols/index.ts';
import { leaveOutOwnAnswer } from '../verify/index.ts';
import { type AnswerFollower, followerOf } from './after-answer.ts';
import { errorReply, surfaceError } from './errors.ts';
import { type Exchange, type Incoming, keptRecord } from './exchange.ts';
import { watchAnswer } from './held.ts';
import { withoutOwn } from './knobs.ts';
import { ascii, idHeaders, sumUp, type Telling, usd } from './told.ts';

/** Headers that a protocol's clients send for the provider, by protocol. */
const HANDED_ON = {
  chat: ['openai-beta'],
  responses: ['openai-beta'],
  messages: ['anthropic-beta', 'anthropic-version'],
  embeddings: [],
} as const;

interface Underway {
  readonly gateway: Gateway;
  readonly incoming: Incoming;
  readonly exchange: Exchange;
  readonly surface: Surface;
  readonly asked: Asked;
  readonly telling: Telling;
  readonly reply: FastifyReply;
  readonly life: RequestLife;
  /** Takes the record of each call. */
  readonly note: (attempt: AttemptRecord) => void;
  /** Takes the answer down, for the next request that is the same; null: nobody does. */
  readonly keeping: Keeping | null;
  /** Those who look at the answer when it is out; null: nobody. */
  readonly follower: AnswerFollower | null;
}

export async function answer(
  gateway: Gateway,
  incoming: Incoming,
  exchange: Exchange,
  account: Account,
  reply: FastifyReply,
): Promise<void> {
  const { record } = exchange;
  const surface = SURFACES[incoming.surface];
  const life = watchClient(gateway, reply);
  const note = (attempt: AttemptRecord) => {
    gateway.store.record({ attempt });
    account.note(attempt);
    incoming.trace.attempt(attempt);
  };
  const keeping = gateway.governance.cache.keeping(incoming, record);
  gateway.pending.set(record.id, record);
  try {
    const { expected, alias } = exchange;
    const asked = askedOf(gateway, incoming, exchange, surface);
    const telling = { record, expected, alias, explain: incoming.wishes.explain };
    const follower = followerOf(gateway, incoming, exchange, asked, reply);
    const underway = { gateway, incoming, exchange, surface, asked, telling, reply, life, follower, note, keeping };
    incoming.trace.end(await answerOnce(underway), record);
  } finally {
    life.end();
    gateway.lives.delete(life);
    gateway.pending.delete(record.id);
  }
}

function askedOf(
  gateway: Gateway,
  { request, json: whole, wishes, surface: name }: Incoming,
  { record }: Exchange,
  surface: Surface,
): Asked {
  const json = withoutOwn(whole, record.routed);
  let read: Conversation | undefined;
  const headers: Record<string, string> = {};
  for (const header of HANDED_ON[name]) {
    const value = request.headers[header];
    if (typeof value === 'string') headers[header] = value;
  }
  return {
    surface,
    text: wishes.text,
    json,
    stream: json.stream === true,
    routed: record.routed,
    conversation: () => {
      read ??= surface.readRequest(json);
      return read;
    },
    headers,
    head: { id: record.id, createdAt: record.createdAt, request: json },
    media: gateway.setup.media,
  };
}

/** @returns the code of the error that the client was told; null: it has its answer */
async function answerOnce(underway: Underway): Promise<string | null> {
  const { gateway, incoming, exchange, asked, life } = underway;
  const { record, targets, expected } = exchange;
  const early = asked.stream ? pingEarly(underway) : undefined;
  const { surface } = incoming;
  // Beside the call, not before it: nobody waits for what is only watched.
  const observed =
    surface === 'embeddings' ? undefined : observe(gateway, record, asked.json, surface, incoming.caller);
  const shadowed = shadow(gateway.trials, record, exchange.decideBy);
  let call: OpenCall;
  let checked: Checked | undefined;
  try {
    const note = (attempt: AttemptRecord) => {
      underway.note(attempt);
      logRefusedKey(incoming.request, attempt, targets);
    };
    const { rules } = incoming.caller;
    const request = { decisionId: record.id, asked, inputTokens: expected.inputTokens, life: life.signal, rules };
    const { escalation: wanted } = incoming.wishes.routing;
    const { log } = incoming.request;
    const held = incoming.heldBy !== undefined;
    ({ call, checked } = await forwardChecked({ gateway, record, targets, request, wanted, held, note, log }));
  } catch (error) {
    early?.stop();
    await shadowed;
    await giveUp(underway, error);
    return codeOf(error);
  }
  early?.stop();
  await observed;
  await shadowed;
  record.executedModel = call.target.id;
  leaveOutOwnAnswer(gateway, record, incoming.caller);
  if (call.answer.kind !== 'json') return sendStream(underway, call);
  return sendJson({ ...underway, telling: { ...underway.telling, checked } }, call);
}

/** Nobody answered. */
async function giveUp({ gateway, incoming, exchange, surface, reply }: Underway, error: unknown): Promise<void> {
  const { record } = exchange;
  leaveOutOwnAnswer(gateway, record, incoming.caller);
  gateway.store.record({ decision: record });
  await gateway.store.saved();
  if (!(error instanceof UpstreamFailure)) {
    if (!reply.raw.headersSent) throw error;
    incoming.request.log.error({ err: error }, 'request failed');
  } else logFailure(incoming.request, exchange, error);
  const told = errorReply(error, record.routed);
  if (reply.raw.headersSent) {
    // Pings have gone out: the status is sent, the error is not.
    if (!reply.raw.destroyed) reply.raw.end(surface.errorFrame(told.body.error, told.status, record.id));
    return;
  }
  reply
    .code(told.status)
    .headers({ ...idHeaders(record), ...told.headers })
    .send(surfaceError(surface, told, record.id));
}

async function sendJson(underway: Underway, call: OpenCall): Promise<string | null> {
  const { gateway, incoming, exchange, telling, reply, follower, note, keeping } = underway;
  const { answer } = call;
  if (answer.kind !== 'json') throw new Error('a stream where a whole answer is due');
  const { record } = exchange;
  const headers = sumUp(gateway, telling, call, answer);
  const { usage, outputChars } = answer;
  const attempt = call.finish({ status: 'ok', usage, outputChars, httpStatus: 200 });
  note(attempt);
  const { caller, surface, json: request } = incoming;
  const passed = await gateway.governance.guards
    .after({ caller, surface, request, text: answer.text, log: incoming.request.log })
    .catch((error) => error as RoutingError & { readonly hits?: readonly GuardHit[] });
  noteHits(record, passed.hits);
  gateway.store.record({ decision: record });
  if (passed instanceof Error) {
    await gateway.store.saved();
    throw passed;
  }
  const kept = watchAnswer(gateway, incoming, call.target);
  kept?.answer(answer.text);
  await kept?.noted();
  await afterAnswer(underway, call, usage?.outputTokens ?? 0, usage?.inputTokens);
  follower?.answered(call, asTold(incoming.surface, answer, passed.text), passed.text.length);
  if (telling.checked?.failed !== true) {
    keeping?.add(passed.text);
    keeping?.done(factsOf(attempt));
  }
  incoming.trace.firstByte();
  reply.headers(headers).type('application/json; charset=utf-8').send(passed.text);
  return null;
}

/** Those who look at an answer afterwards see what its client was told: what was masked is kept nowhere. */
function asTold(surface: SurfaceName, { text, whole }: JsonAnswer, told: string): Answer {
  return told === text ? whole : PROTOCOLS[surface].readAnswer(JSON.parse(told), {});
}

/** The same of a stream, whose frames are read once more. */
function followTold({ config }: Gateway, surface: SurfaceName, follower: AnswerFollower): (text: string) => void {
  const protocol = PROTOCOLS[surface];
  const framing = protocol.framing(config.answerLimitMb * 1024 * 1024);
  const reader = protocol.reader({});
  return (text) => {
    for (const frame of framing.push(Buffer.from(text))) follower.see(reader.read(frame));
  };
}

/** What a guardrail found in the answer, beside what it found in the prompt. */
function noteHits(record: DecisionRecord, hits: readonly GuardHit[] = []): void {
  if (hits.length > 0) record.guards = [...(record.guards ?? []), ...hits];
}

/** What an answer that is kept is told of. */
const factsOf = (attempt: AttemptRecord): Omit<Kept, 'body' | 'createdAt'> => ({
  model: attempt.model,
  provider: attempt.provider,
  costUsd: attempt.costUsd ?? 0,
  inputTokens: attempt.inputTokens ?? 0,
  outputTokens: attempt.outputTokens ?? 0,
});

/** The answer that an earlier request got, to the same one of the same tenant. */
export async function answerKept(gateway: Gateway, incoming: Incoming, kept: Kept, reply: FastifyReply): Promise<void> {
  const record = keptRecord(gateway, incoming, kept);
  gateway.store.record({ decision: record });
  await gateway.store.saved();
  const isStream = incoming.json.stream === true;
  incoming.trace.firstByte();
  reply
    .headers({
      ...idHeaders(record),
      'x-pointsman-model': ascii(kept.model),
      'x-pointsman-provider': ascii(kept.provider),
      'x-pointsman-reason': record.reason,
      'x-pointsman-cache': 'hit',
      'x-pointsman-cost-usd': usd(0),
      'x-pointsman-cache-saved-usd': usd(kept.costUsd),
      ...(isStream && STREAM_HEADERS),
      age: String(Math.max(0, Math.floor((Date.now() - kept.createdAt.getTime()) / 1000))),
    })
    .type(isStream ? 'text/event-stream; charset=utf-8' : 'application/json; charset=utf-8')
    .send(kept.body);
  incoming.trace.end(null, record);
}

async function sendStream(underway: Underway, call: OpenCall): Promise<string | null> {
  const { gateway, incoming, exchange, surface, asked, telling, reply, follower, note, keeping } = underway;
  const { answer } = call;
  if (answer.kind !== 'stream') throw new Error('a whole answer where a stream is due');
  const { record } = exchange;
  const headers = sumUp(gateway, telling, call, undefined);
  const { caller, json: request } = incoming;
  const { log } = incoming.request;
  const guard = gateway.governance.guards.stream({ caller, surface: incoming.surface, request, log });
  // What a guardrail finds is known at the end, and a decision is written once.
  if (guard === null) gateway.store.record({ decision: record });
  const follow = guard?.holds && follower !== null ? followTold(gateway, incoming.surface, follower) : null;
  reply.hijack();
  startStream(reply.raw, { ...governed(reply), ...headers });
  const { stream, passes } = answer;
  const kept = watchAnswer(gateway, incoming, call.target);
  let isWritten = false;
  let attempt: AttemptRecord | undefined;
  const failure = await relay(stream, reply.raw, {
    surface,
    passes,
    head: { ...asked.head, modelId: call.target.id },
    maker: call.target.provider.dialectOf(call.target.upstreamModel).maker,
    providerName: call.target.provider.name,
    wantsUsage: isObject(asked.json.stream_options) && asked.json.stream_options.include_usage === true,
    pingMs: gateway.config.pingMs,
    errorFrame: (broken, writer) => {
      const { body, status } = errorReply(broken, record.routed);
      return writer?.fail?.(body.error, status, record.id) ?? surface.errorFrame(body.error, status, record.id);
    },
    onPiece: ({ frame, events }) => {
      kept?.frame(frame);
      if (follow === null) follower?.see(events);
    },
    guard,
    onText(text) {
      follow?.(text);
      incoming.trace.firstByte();
      keeping?.add(text);
    },
    beforeEnd: async (broken) => {
      if (isWritten) return;
      isWritten = true;
      await kept?.noted();
      if (guard !== null) {
        noteHits(record, guard.hits);
        gateway.store.record({ decision: record });
      }
      const clientLeft = broken?.cause instanceof GivenUp && broken.cause.clientLeft;
      const status = broken === null ? 'ok' : clientLeft ? 'cancelled' : 'partial';
      const { usage, outputChars } = stream;
      attempt = call.finish({ status, usage, outputChars, httpStatus: 200, failure: broken });
      note(attempt);
      await afterAnswer(underway, call, usage?.outputTokens ?? 0, usage?.inputTokens);
    },
  });
  follower?.streamed(call, failure === null);
  if (failure === null && attempt !== undefined) keeping?.done(factsOf(attempt));
  if (failure !== null) logFailure(incoming.request, exchange, failure);
  return failure === null ? null : failure.code;
}

/** Headers that were set before it was known who answers: a stream's are written past the framework. */
function governed(reply: FastifyReply): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = String(value);
  }
  return headers;
}

/** What comes after an answer and before its last byte: the conversation's pin, and the record on disk. */
async function afterAnswer(
  { gateway, incoming, exchange }: Underway,
  { target }: OpenCall,
  outputTokens: number,
  inputTokens = exchange.expected.inputTokens,
): Promise<void> {
  const { conversation } = exchange;
  if (conversation !== null) {
    gateway.sessions.note(incoming.caller.tenant, conversation, {
      model: target.id,
      deployment: target.deployment,
      prefixTokens: inputTokens + outputTokens,
      updatedAt: new Date(),
    });
  }
  await gateway.store.saved();
}

/** Nothing for so long that something in between might give the connection up: the stream begins, with nothing but pings. */
function pingEarly({ gateway, exchange, surface, reply }: Underway): { stop(): void } {
  let begun = false;
  const timer = setInterval(() => {
    if (reply.raw.destroyed || reply.raw.writableEnded) return;
    if (!begun) {
      begun = true;
      reply.hijack();
      startStream(reply.raw, {
        ...governed(reply),
        ...idHeaders(exchange.record),
        'x-pointsman-routed': String(exchange.record.routed),
      });
    }
    reply.raw.write(surface.ping);
  }, gateway.config.pingMs);
  return { stop: () => clearInterval(timer) };
}

/** Gives the request up when its client hangs up, so that nobody pays for an answer nobody reads. */
export function watchClient(gateway: Gateway, reply: FastifyReply): RequestLife {
  const life = new RequestLife(gateway.config.timeouts.totalMs);
  gateway.lives.add(life);
  const left = () => {
    if (!reply.raw.writableFinished) life.giveUp(new GivenUp('UPSTREAM_CLOSED', 'the client hung up', true));
  };
  // It may have left while its request was being decided on.
  if (reply.raw.destroyed) left();
  else reply.raw.once('close', left);
  return life;
}

/** Codes and ids only: a provider's message may quote the prompt. */
function logFailure(request: FastifyRequest, { record }: Exchange, failure: UpstreamFailure): void {
  const { code, blame, httpStatus } = failure;
  request.log.warn({ model: record.executedModel ?? record.model, code, blame, httpStatus }, 'answer failed');
}

/** The other providers may answer for ever after, dearer perhaps: the operator has to hear of it. */
function logRefusedKey(request: FastifyRequest, attempt: AttemptRecord, targets: Exchange['targets']): void {
  if (attempt.httpStatus !== 401) return;
  const check = targets.find(({ deployment }) => deployment === attempt.deployment)?.credential.from;
  request.log.warn({ provider: attempt.provider, check: check && ascii(check) }, 'the provider refused its key');
}
