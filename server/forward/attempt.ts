/** One call to one model: opened, checked to be an answer, and read to its end or to its failure. */
import { RoutingError } from '../../datasets/index.ts';
import type { Timeouts } from '../config/index.ts';
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
  let received = (): number | null => null;
  try {
    const reply = await connect(input, clock.signal);
    const firstByteMs = performance.now() - started;
    if (reply.status !== 200) {
      const body = await new ReplyText(reply.body, clock.signal).read(ERROR_BODY_BYTES, 'cut').catch((error) => {
        // The status says enough when its explanation breaks off.
        if (clock.signal.aborted) throw error;
        return '';
      });
      throw fromStatus(provider.name, reply.status, body, { keyFrom: provider.keyFrom, retryAfter: reply.retryAfter });
    }
    const text = new ReplyText(reply.body, clock.signal);
    received = () => text.answerChars;
    if (!stream) return await readAnswer(input, text, firstByteMs);
    if (/^(application\/json|text\/html)/i.test(reply.contentType)) throw await notAStream(input, reply, text);
    const chunks = new ChunkStream(provider, reply.body, clock, timeouts.idleMs, input.answerLimitBytes);
    received = () => chunks.outputChars;
    await chunks.open();
    opened = true;
    return { kind: 'stream', chunks, firstByteMs: performance.now() - started };
  } catch (error) {
    const failure = asFailure(provider.name, error, clock.signal);
    // An error told in place of an answer is not billed; an answer that breaks off is.
    if (failure.code !== 'UPSTREAM_ERROR') failure.outputChars = received();
    throw failure;
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
  reply: ReplyText,
  firstByteMs: number,
): Promise<JsonAnswer> {
  const text = await reply.read(answerLimitBytes, 'refuse').catch((error) => {
    throw brokenOff(provider, error, reply);
  });
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
async function notAStream(
  { provider, answerLimitBytes }: AttemptInput,
  { contentType }: ProviderReply,
  reply: ReplyText,
) {
  const text = await reply.read(answerLimitBytes, 'cut').catch((error) => {
    throw brokenOff(provider, error, reply);
  });
  const payload = parseObject(text);
  const usage = payload === undefined ? null : provider.usageOf(payload);
  if (payload?.error != null) return fromErrorBody(provider.name, payload, usage);
  return invalid(provider, `${contentType} where a stream was asked for`, usage);
}

const invalid = (provider: Provider, what: string, usage: Usage | null) =>
  new UpstreamFailure('UPSTREAM_INVALID', 'overload', `${provider.name} sent ${what}`, { httpStatus: 200, usage });

/** The head had come, so this is no stale connection: another model is the better try. */
function brokenOff({ name }: Provider, error: unknown, { signal }: ReplyText): unknown {
  if (error instanceof RoutingError || signal.aborted) return error;
  return new UpstreamFailure('UPSTREAM_CLOSED', 'overload', `${name} closed the connection in mid-answer`, {
    httpStatus: 200,
    cause: error,
  });
}

/** A reply's text, and how much of an answer had come when it broke off. */
class ReplyText {
  readonly signal: AbortSignal;
  readonly #body: AsyncIterable<Uint8Array>;
  readonly #pieces: Uint8Array[] = [];

  constructor(body: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#body = body;
    this.signal = signal;
  }

  async read(limitBytes: number, beyond: 'cut' | 'refuse'): Promise<string> {
    let size = 0;
    for await (const piece of this.#body) {
      if (this.signal.aborted) throw this.signal.reason;
      this.#pieces.push(piece);
      size += piece.byteLength;
      if (size <= limitBytes) continue;
      if (beyond === 'cut') break;
      throw new RoutingError('UPSTREAM_INVALID', `its answer is larger than ${limitBytes} bytes (answerLimitMb)`);
    }
    return this.#text;
  }

  /** Characters of the JSON that came; of a page or other text none, for no model wrote that. */
  get answerChars(): number {
    const text = this.#text.trim();
    return text.startsWith('{') ? text.length : 0;
  }

  get #text(): string {
    return Buffer.concat(this.#pieces).toString('utf8');
  }
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
