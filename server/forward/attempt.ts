/** One call to one model: opened, checked to be an answer, and read to its end or to its failure. */
import { RoutingError } from '../../datasets/index.ts';
import type { Timeouts } from '../config.ts';
import type { Provider, ProviderReply } from '../providers/provider.ts';
import { ChunkStream } from './chunk-stream.ts';
import { fromConnection, fromErrorBody, fromStatus, UpstreamFailure } from './failure.ts';
import { isObject, type Usage } from './usage.ts';
import { AttemptClock, GivenUp } from './watch.ts';

export interface AttemptInput {
  readonly provider: Provider;
  /** The model as its API names it, and our id of it. */
  readonly model: string;
  readonly modelId: string;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly stream: boolean;
  readonly routed: boolean;
  /** The model thinks before its first word. */
  readonly reasoning: boolean;
  readonly timeouts: Timeouts;
  readonly answerLimitBytes: number;
  readonly life: AbortSignal;
}

export interface JsonAnswer {
  readonly kind: 'json';
  /** The provider's text, unchanged. */
  readonly text: string;
  readonly usage: Usage | null;
  /** Characters of the answer, where no usage was reported. */
  readonly outputChars: number;
  readonly firstByteMs: number;
}

export interface StreamAnswer {
  readonly kind: 'stream';
  readonly chunks: ChunkStream;
  readonly firstByteMs: number;
}

export type Answer = JsonAnswer | StreamAnswer;

/** Bytes read of an error body: enough for its message. */
const ERROR_BODY_BYTES = 64 * 1024;

/**
 * Resolves once the answer is certain to be one: whole for JSON, from its first word on for a stream.
 * @throws UpstreamFailure
 */
export async function attempt(input: AttemptInput): Promise<Answer> {
  const { provider, stream, timeouts } = input;
  const clock = new AttemptClock(input.life);
  const started = performance.now();
  const patience = stream && !input.reasoning ? timeouts.firstByteMs : timeouts.answerMs;
  clock.arm(patience, stream ? 'first word of the stream' : 'answer');
  let opened = false;
  try {
    const reply = await connect(input, clock.signal);
    const firstByteMs = performance.now() - started;
    if (reply.status !== 200) {
      const body = await readText(reply.body, ERROR_BODY_BYTES, clock.signal, 'cut');
      throw fromStatus(provider.name, reply.status, body, reply.retryAfter);
    }
    if (!stream) return await readAnswer(input, reply, clock, firstByteMs);
    if (/^(application\/json|text\/html)/i.test(reply.contentType)) throw await notAStream(input, reply, clock);
    const chunks = new ChunkStream(provider, reply.body, clock, timeouts.idleMs, input.answerLimitBytes);
    await chunks.open();
    opened = true;
    return { kind: 'stream', chunks, firstByteMs: performance.now() - started };
  } catch (error) {
    throw asFailure(provider.name, error, clock.signal);
  } finally {
    if (!opened) clock.end();
  }
}

/** Whatever broke a call, as a failure that says what to try next. */
export function asFailure(who: string, error: unknown, signal: AbortSignal): UpstreamFailure {
  if (signal.aborted) {
    const reason: unknown = signal.reason;
    if (reason instanceof GivenUp)
      return new UpstreamFailure(reason.code, 'cancelled', reason.message, { cause: reason });
    if (reason instanceof RoutingError)
      return new UpstreamFailure(reason.code, 'overload', `${who}: ${reason.message}`);
  }
  if (error instanceof UpstreamFailure) return error;
  if (error instanceof RoutingError) return new UpstreamFailure(error.code, 'overload', `${who}: ${error.message}`);
  return fromConnection(who, error);
}

async function connect(input: AttemptInput, signal: AbortSignal): Promise<ProviderReply> {
  const { provider, model, modelId, text, json, stream, routed } = input;
  return await provider.chat({ model, modelId, text, json, stream, routed, signal });
}

async function readAnswer(
  { provider, answerLimitBytes }: AttemptInput,
  reply: ProviderReply,
  clock: AttemptClock,
  firstByteMs: number,
): Promise<JsonAnswer> {
  let text: string;
  try {
    text = await readText(reply.body, answerLimitBytes, clock.signal, 'refuse');
  } catch (error) {
    if (error instanceof RoutingError || clock.signal.aborted) throw error;
    // The head had come, so this is no stale connection: another model is the better try.
    throw new UpstreamFailure('UPSTREAM_CLOSED', 'overload', `${provider.name} closed the connection in mid-answer`, {
      httpStatus: reply.status,
      cause: error,
    });
  }
  const payload = parseObject(text);
  if (payload === undefined) throw invalid(provider, 'an answer that is not a JSON object', null);
  const usage = provider.usageOf(payload);
  if (payload.error != null) throw fromErrorBody(provider.name, payload, usage);
  const { choices } = payload;
  if (!Array.isArray(choices) || choices.length === 0 || !choices.every((c) => isObject(c) && isObject(c.message))) {
    throw invalid(provider, 'JSON that is no chat completion: it holds no choices', usage);
  }
  return { kind: 'json', text, usage, outputChars: usage === null ? charsOf(choices) : 0, firstByteMs };
}

/** A plain answer where a stream was asked for; it may have been billed all the same. */
async function notAStream({ provider, answerLimitBytes }: AttemptInput, reply: ProviderReply, clock: AttemptClock) {
  const text = await readText(reply.body, answerLimitBytes, clock.signal, 'cut');
  const payload = parseObject(text);
  const usage = payload === undefined ? null : provider.usageOf(payload);
  if (payload?.error != null) return fromErrorBody(provider.name, payload, usage);
  return invalid(provider, `${reply.contentType} where a stream was asked for`, usage);
}

const invalid = (provider: Provider, what: string, usage: Usage | null) =>
  new UpstreamFailure('UPSTREAM_INVALID', 'overload', `${provider.name} sent ${what}`, { httpStatus: 200, usage });

async function readText(
  body: AsyncIterable<Uint8Array>,
  limitBytes: number,
  signal: AbortSignal,
  beyond: 'cut' | 'refuse',
): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    if (signal.aborted) throw signal.reason;
    pieces.push(piece);
    size += piece.byteLength;
    if (size <= limitBytes) continue;
    if (beyond === 'cut') break;
    throw new RoutingError('UPSTREAM_INVALID', `its answer is larger than ${limitBytes} bytes (answerLimitMb)`);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const charsOf = (choices: readonly unknown[]): number =>
  choices.reduce<number>((sum, choice) => sum + JSON.stringify(isObject(choice) ? choice.message : '').length, 0);
