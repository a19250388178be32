/**
 * The reply of a provider as it is, on its way to the client: streamed with back-pressure, ended when the client
 * leaves, and written down before its last byte.
 */
import { join } from 'node:path';
import { RoutingError } from '../../datasets/index.ts';
import { codeOf } from '../afterwards.ts';
import type { GuardHit } from '../db/records.ts';
import type { AttemptRecord, DecisionRecord } from '../db/store.ts';
import { asFailure } from '../forward/attempt.ts';
import { fromStatus, UpstreamFailure } from '../forward/failure.ts';
import { dropIfStuck } from '../forward/relay.ts';
import type { Target } from '../forward/target.ts';
import type { Usage } from '../forward/usage.ts';
import { type AttemptClock, GivenUp } from '../forward/watch.ts';
import type { Gateway } from '../gateway.ts';
import { GuardrailBlocked } from '../governance/guards/blocked.ts';
import type { DownloadLook } from '../governance/guards/guards.ts';
import { FREE_PRICE } from '../governance/limits/forecast.ts';
import { readChatError } from '../protocols/chat/errors.ts';
import { SURFACES } from '../protocols/index.ts';
import type { ProviderReply } from '../providers/provider.ts';
import { watchClient } from './answer.ts';
import { errorReply } from './errors.ts';
import { undecided } from './exchange.ts';
import { keptWhole, through } from './guarded-download.ts';
import type { Kept } from './kept-bytes.ts';
import { Calls, type Opened, objectIn, type Passage, readWhole, type Underway } from './passthrough-call.ts';
import { meterFor, usageIn } from './passthrough-meter.ts';
import { ascii, idHeaders } from './told.ts';

/** Sends the answer, or the error; throws nothing of the provider's doing. */
export async function pass(passed: Passage): Promise<void> {
  const { gateway, request, reply, surface, entrant, targets } = passed;
  const { limits, telemetry } = gateway.governance;
  const trace = telemetry.begin(request, surface, reply);
  const [{ id, provider }] = targets as [Target];
  // What it costs is known when its provider has told: nothing but its being made is set aside.
  const isPaid = passed.metered || passed.runsAnything === true;
  const price = isPaid ? null : FREE_PRICE;
  const unknown = { inputTokens: 0, outputTokens: 0, mostOutputTokens: null, answers: 1, price };
  const expected = { model: id, provider: provider.name, ...unknown };
  const account = passed.account ?? (await limits.reserve(entrant, expected));
  // What a batch takes is counted when it is made, not when its end is looked at.
  const isCounted = surface === 'batches' && passed.account === undefined;
  const note = (attempt: AttemptRecord) => {
    gateway.store.record({ attempt });
    // Of what asks for no answer a host reports nothing, and that is what it takes.
    const isUntold = entrant.takesNoTokens === true && attempt.inputTokens === null && attempt.outputTokens === null;
    account.note(isCounted || isUntold ? { ...attempt, inputTokens: 0, outputTokens: 0 } : attempt);
    trace.attempt(attempt);
  };
  try {
    await passOn({ ...passed, note });
    trace.end(null);
  } catch (error) {
    trace.end(codeOf(error));
    throw error;
  } finally {
    account.close();
  }
}

async function passOn(passage: Underway): Promise<void> {
  const { gateway, reply } = passage;
  const life = watchClient(gateway, reply);
  const record = recordOf(passage);
  gateway.pending.set(record.id, record);
  const calls = new Calls(passage, record, life);
  try {
    const opened = await calls.open();
    if (opened.reply.status >= 400) await sendRefusal(passage, record, opened);
    else if (isReadWhole(passage, opened.reply)) await sendWhole(passage, record, opened, calls);
    else if (passage.look != null) await sendLookedAt(passage, passage.look, record, opened);
    else await sendOn(passage, record, opened, opened.reply.body, lengthOf(opened.reply));
  } catch (thrown) {
    const error = passage.refusal?.() ?? thrown;
    noteDecision(passage, record);
    await gateway.store.saved();
    if (!(error instanceof UpstreamFailure) || reply.raw.headersSent) throw error;
    const { code, blame, httpStatus } = error;
    passage.request.log.warn({ surface: passage.surface, code, blame, httpStatus }, 'answer failed');
    const told = errorReply(error);
    reply
      .code(told.status)
      .headers({ ...idHeaders(record), ...told.headers })
      .send(told.body);
  } finally {
    life.end();
    gateway.lives.delete(life);
    gateway.pending.delete(record.id);
  }
}

/** The provider's own error, in its own words. */
async function sendRefusal(passage: Underway, record: DecisionRecord, opened: Opened): Promise<void> {
  const { gateway, request, reply } = passage;
  const { target, clock, errorBody } = opened;
  clock.end();
  const { status } = opened.reply;
  const text = errorBody!.toString('utf8');
  const failure = fromStatus(target.provider, status, text, { readError: readChatError });
  noteDecision(passage, record);
  passage.note(opened.finish('error', null, failure));
  await gateway.store.saved();
  if (status === 401) {
    const check = target.credential.from && ascii(target.credential.from);
    request.log.warn({ provider: target.provider.name, check }, 'the provider refused its key');
  }
  reply
    .code(status)
    .headers(headersOf(passage, record, opened))
    .send(target.provider.mask?.(text) ?? text);
}

const isReadWhole = ({ answered, said }: Passage, reply: ProviderReply): boolean =>
  said !== undefined || (answered !== undefined && isJson(reply));

/** An answer that is looked into, or changed, before it goes on. */
async function sendWhole(passage: Underway, record: DecisionRecord, opened: Opened, calls: Calls): Promise<void> {
  const { gateway, reply, metered, answered, said } = passage;
  const { target, clock } = opened;
  let text: string;
  let changed: string | null;
  let usage: Usage | null = null;
  const found = (hits: readonly GuardHit[]) => {
    if (hits.length > 0) record.guards = [...(record.guards ?? []), ...hits];
  };
  try {
    text = await readWhole(gateway, opened);
    const json = objectIn(text) ?? {};
    usage = metered ? usageIn(json) : null;
    const meter = (told: Usage | null) => {
      usage = told;
    };
    const isSeen = answered !== undefined && isJson(opened.reply);
    const again = (path: string) => calls.again(target, path);
    changed = isSeen ? await answered({ json, target, again, meter, found }) : null;
    if (said !== undefined) {
      const told = await said(changed ?? text);
      changed = told.text;
      found(told.hits);
    }
  } catch (error) {
    if (error instanceof GuardrailBlocked) {
      // It was answered, and is paid for.
      found(error.hits);
      record.executedModel = target.id;
      passage.note(opened.finish('ok', usage));
      throw error;
    }
    const failure = asFailure(target.provider.name, error, clock.signal);
    passage.note(opened.finish('error', null, failure));
    throw error instanceof UpstreamFailure || clock.signal.aborted ? failure : error;
  } finally {
    clock.end();
  }
  record.executedModel = target.id;
  noteDecision(passage, record);
  passage.note(opened.finish('ok', usage));
  await gateway.store.saved();
  reply
    .code(opened.reply.status)
    .headers(headersOf(passage, record, opened))
    .send(changed ?? text);
}

/** A file under guardrails. One that they may refuse is put by until all of it was seen. */
async function sendLookedAt(before: Underway, look: DownloadLook, record: DecisionRecord, opened: Opened) {
  // What is found is known once it has gone by.
  const passage = { ...before, hits: look.hits };
  const { gateway } = passage;
  const { reply, clock, target } = opened;
  if (!look.mayRefuse) {
    const length = look.holds ? Number.NaN : lengthOf(reply);
    await sendOn(passage, record, opened, through(received(gateway, opened), look), length);
    return;
  }
  let kept: Kept;
  try {
    clock.arm(gateway.config.timeouts.idleMs, 'byte of the answer');
    kept = await keptWhole(received(gateway, opened), look, join(gateway.config.dataDir, 'uploads'));
  } catch (error) {
    clock.end();
    record.executedModel = target.id;
    record.guards = [...look.hits];
    const isOurs = error instanceof RoutingError && !(error instanceof UpstreamFailure);
    const failure = isOurs ? null : asFailure(target.provider.name, error, clock.signal);
    passage.note(failure === null ? opened.finish('ok') : opened.finish('partial', null, failure));
    throw failure ?? error;
  }
  try {
    await sendOn(passage, record, opened, kept.pieces(), kept.bytes);
  } finally {
    await kept.close();
  }
}

/** All of it, or an error: a file that is cut short is not told from one that ends there. */
async function* received({ config }: Gateway, { reply, clock }: Opened): AsyncGenerator<Uint8Array> {
  const length = lengthOf(reply);
  let size = 0;
  for await (const piece of reply.body) {
    if (clock.signal.aborted) throw clock.signal.reason;
    size += piece.byteLength;
    yield piece;
    clock.arm(config.timeouts.idleMs, 'next byte of the answer');
  }
  if (size < length) throw new Error('the connection was closed in mid-answer');
}

const lengthOf = (reply: ProviderReply): number => Number(headerOf(reply, 'content-length') ?? Number.NaN);

/**
 * Byte by byte as it comes.
 *
 * @param length of all of it; NaN: not known
 */
async function sendOn(
  passage: Underway,
  record: DecisionRecord,
  opened: Opened,
  body: AsyncIterable<Uint8Array>,
  length: number,
): Promise<void> {
  const { gateway, reply, metered } = passage;
  const { target, clock, reply: upstream } = opened;
  const meter = meterFor(metered ? upstream.contentType : '');
  const { raw } = reply;
  let failure: UpstreamFailure | null = null;
  let sent = 0;
  let last: Uint8Array | null = null;
  record.executedModel = target.id;
  reply.hijack();
  try {
    clock.arm(gateway.config.timeouts.idleMs, 'byte of the answer');
    for await (const piece of body) {
      if (clock.signal.aborted) throw clock.signal.reason;
      meter.push(piece);
      begin(passage, record, opened, length);
      sent += piece.byteLength;
      // Where the length is known the client is done with the last byte, whatever comes after it.
      if (sent >= length) last = piece;
      else await write(passage, piece, clock);
      clock.arm(gateway.config.timeouts.idleMs, 'next byte of the answer');
    }
    if (sent < length) throw new Error('the connection was closed in mid-answer');
  } catch (error) {
    failure = asFailure(target.provider.name, error, clock.signal);
  } finally {
    clock.end();
  }
  const clientLeft = failure?.cause instanceof GivenUp && failure.cause.clientLeft;
  const status = failure === null ? 'ok' : clientLeft ? 'cancelled' : 'partial';
  noteDecision(passage, record);
  passage.note(opened.finish(status, meter.usage(), failure));
  await gateway.store.saved();
  if (failure === null) {
    begin(passage, record, opened, length);
    if (last !== null) raw.write(last);
    raw.end();
    dropIfStuck(raw);
    return;
  }
  passage.request.log.warn({ surface: passage.surface, code: failure.code }, 'answer broke off');
  if (raw.destroyed) return;
  const told = errorReply(failure);
  if (!raw.headersSent) {
    raw.writeHead(told.status, { ...idHeaders(record), ...told.headers, 'content-type': 'application/json' });
    raw.end(JSON.stringify(told.body));
  } else if (/^text\/event-stream\b/i.test(upstream.contentType)) {
    raw.end(SURFACES.chat.errorFrame(told.body.error, told.status, record.id));
  } else {
    // No end at all: its client must not take the half for the whole.
    raw.destroy();
  }
}

function begin(passage: Passage, record: DecisionRecord, opened: Opened, length: number): void {
  const { raw } = passage.reply;
  if (raw.headersSent) return;
  raw.writeHead(opened.reply.status, {
    ...headersOf(passage, record, opened),
    ...(!Number.isNaN(length) && { 'content-length': String(length) }),
    ...(/^text\/event-stream\b/i.test(opened.reply.contentType) && { 'x-accel-buffering': 'no' }),
  });
}

/** Waits for a slow client instead of keeping what it does not take. */
async function write({ reply: { raw } }: Passage, piece: Uint8Array, clock: AttemptClock): Promise<void> {
  if (raw.write(piece)) return;
  clock.pause();
  await new Promise<void>((resolve) => {
    const done = () => {
      raw.off('drain', done);
      raw.off('close', done);
      clock.signal.removeEventListener('abort', done);
      resolve();
    };
    raw.once('drain', done);
    raw.once('close', done);
    clock.signal.addEventListener('abort', done);
  });
  if (clock.signal.aborted) throw clock.signal.reason;
}

/** Of the provider's headers, those that say what the body is. */
const PASSED_BACK = ['content-type', 'content-encoding', 'content-disposition', 'retry-after'] as const;

function headersOf({ alias }: Passage, record: DecisionRecord, { target, reply }: Opened): Record<string, string> {
  const headers: Record<string, string> = {
    ...idHeaders(record),
    'x-pointsman-provider': ascii(target.provider.name),
    'x-pointsman-reason': record.reason,
  };
  if (target.upstreamModel !== '') headers['x-pointsman-model'] = ascii(target.id);
  if (alias != null) headers['x-pointsman-alias'] = ascii(alias);
  for (const name of PASSED_BACK) {
    const value = headerOf(reply, name);
    if (value !== undefined) headers[name] = target.provider.mask?.(value) ?? value;
  }
  return headers;
}

function headerOf({ headers = {}, contentType, retryAfter }: ProviderReply, name: string): string | undefined {
  const value = headers[name];
  const known = name === 'content-type' ? contentType : name === 'retry-after' ? retryAfter : undefined;
  return (Array.isArray(value) ? value[0] : value) ?? (known || undefined);
}

const isJson = ({ contentType }: ProviderReply): boolean => /^application\/json\b/i.test(contentType);

/** Looks at what is to be sent. A guardrail that refuses it is on record: nobody was called. */
export async function beforeSending<T>(passage: Omit<Passage, 'body'>, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof GuardrailBlocked) {
      noteDecision({ ...passage, hits: error.hits }, { ...recordOf(passage), reason: 'blocked' });
      await passage.gateway.store.saved();
    }
    throw error;
  }
}

/** With what was found in what was sent, which is known once it has gone by. */
function noteDecision({ gateway, hits = [] }: Omit<Passage, 'body'>, record: DecisionRecord): void {
  if (hits.length > 0) record.guards = [...hits, ...(record.guards ?? [])];
  gateway.store.record({ decision: record });
}

/** Written down like any request, with nothing to learn a choice from. */
function recordOf(passage: Omit<Passage, 'body'>): DecisionRecord {
  const { gateway, request, reply, surface, targets, requestedModel, entrant } = passage;
  const { caller, tags } = entrant;
  const model = targets[0]!.id;
  return {
    id: request.id,
    // When it arrived: an upload is received and looked into before anybody is called.
    createdAt: new Date(Date.now() - reply.elapsedTime),
    tenant: caller.tenant,
    key: caller.name,
    surface,
    tags: [...tags],
    keyId: caller.keyId,
    project: caller.project,
    policyVersion: caller.rules.version,
    session: null,
    requestedModel,
    routed: false,
    executedModel: null,
    reason: 'requested',
    facts: {},
    guards: null,
    ...undecided(gateway, model),
  };
}
