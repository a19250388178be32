/** One call to one model: opened, checked to be an answer, and read to its end or to its failure. */
import { RoutingError } from '../../datasets/index.ts';
import type { Timeouts } from '../config/index.ts';
import { charsOf, eventsOf } from '../protocols/collect.ts';
import type { Answer as WholeAnswer } from '../protocols/conversation.ts';
import { NotThisProtocol, PROTOCOLS, ToldError, type UpstreamProtocol } from '../protocols/index.ts';
import type { ProviderReply } from '../providers/provider.ts';
import { AnswerStream } from './answer-stream.ts';
import { type Asked, bodyFor, tellsConfidence } from './exchange.ts';
import { type Blame, fromConnection, fromStatus, fromTold, UpstreamFailure } from './failure.ts';
import { meanTokenProbability, withoutLogprobs } from './logprobs.ts';
import type { Target } from './target.ts';
import { isObject, type Usage } from './usage.ts';
import { AttemptClock, GivenUp } from './watch.ts';

export interface AttemptInput {
  readonly asked: Asked;
  readonly target: Target;
  /** The model thinks before its first word. */
  readonly reasoning: boolean;
  readonly timeouts: Timeouts;
  readonly answerLimitBytes: number;
  readonly life: AbortSignal;
}

export interface JsonAnswer {
  readonly kind: 'json';
  /** For the client, in its protocol. */
  readonly text: string;
  /** The same in no protocol's words. */
  readonly whole: WholeAnswer;
  readonly usage: Usage | null;
  /** Characters of the answer, where no usage was reported. */
  readonly outputChars: number;
  /** Mean probability of its tokens, in [0, 1]; null where the host does not tell. */
  readonly tokenProbability: number | null;
  readonly firstByteMs: number;
}

export interface StreamAnswer {
  readonly kind: 'stream';
  readonly stream: AnswerStream;
  /** The provider speaks the client's protocol: its frames pass through. */
  readonly passes: boolean;
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
  const { asked, target, timeouts } = input;
  const { provider, upstreamModel: model } = target;
  const { stream } = asked;
  const protocol = PROTOCOLS[provider.protocolFor(asked.surface.name, model)];
  // Before the clock starts: a request that cannot be said costs no time.
  const body = await bodyFor(asked, target);
  const clock = new AttemptClock(input.life);
  const started = performance.now();
  const patience = stream && !input.reasoning ? timeouts.firstByteMs : timeouts.answerMs;
  clock.arm(patience, stream ? 'first word of the stream' : 'answer');
  let opened = false;
  let received = (): number | null => null;
  try {
    const { signal } = clock;
    const { id: modelId, credential } = target;
    const { routed } = asked;
    // Headers of one protocol mean nothing in another.
    const headers = protocol.name === asked.surface.name ? asked.headers : {};
    const call = { protocol: protocol.name, model, modelId, routed, body, stream, headers, credential, signal };
    const reply = await provider.call(call);
    const firstByteMs = performance.now() - started;
    if (reply.status !== 200) throw await refusal(input, protocol, reply, signal);
    const text = new ReplyText(reply.body, signal);
    received = () => text.answerChars;
    if (!stream) return await readAnswer(input, protocol, text, firstByteMs);
    if (/^(application\/json|text\/html)/i.test(reply.contentType))
      throw await notAStream(input, protocol, reply, text);
    const answers = new AnswerStream({
      who: provider,
      body: reply.body,
      framing: protocol.framing(input.answerLimitBytes),
      reader: protocol.reader(provider.dialectOf(model)),
      clock,
      idleMs: timeouts.idleMs,
    });
    received = () => answers.outputChars;
    await answers.open();
    opened = true;
    const passes = protocol.name === asked.surface.name;
    return { kind: 'stream', stream: answers, passes, firstByteMs: performance.now() - started };
  } catch (error) {
    const failure = asFailure(provider.name, error, clock.signal);
    // An error told in place of an answer is not billed; an answer that breaks off is.
    if (failure.code !== 'UPSTREAM_ERROR') failure.outputChars = received();
    throw failure;
  } finally {
    if (!opened) clock.end();
  }
}

async function refusal(
  { target }: AttemptInput,
  { readError, retryAfter }: UpstreamProtocol,
  reply: ProviderReply,
  signal: AbortSignal,
): Promise<UpstreamFailure> {
  const body = await new ReplyText(reply.body, signal).read(ERROR_BODY_BYTES, 'cut').catch((error) => {
    // The status says enough when its explanation breaks off.
    if (signal.aborted) throw error;
    return '';
  });
  const { provider, credential } = target;
  const toldInBody = retryAfter?.(body);
  return fromStatus(provider, reply.status, body, {
    keyFrom: credential.from,
    retryAfter: reply.retryAfter ?? (toldInBody === undefined ? undefined : String(toldInBody)),
    readError,
    errorType: headerOf(reply, 'x-amzn-errortype'),
  });
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
  if (error instanceof RoutingError) return new UpstreamFailure(error.code, blameOf(error), `${who}: ${error.message}`);
  return fromConnection(who, error);
}

/** Before a call goes out: no credentials to sign it with, or a proxy, or whoever gives out tokens, that refuses. */
const blameOf = ({ code }: RoutingError): Blame =>
  code === 'PROVIDER_NOT_CONFIGURED'
    ? 'credential'
    : code === 'UPSTREAM_ERROR' || code === 'INVALID_CONFIG'
      ? 'provider'
      : 'overload';

async function readAnswer(
  { asked, target, answerLimitBytes }: AttemptInput,
  protocol: UpstreamProtocol,
  reply: ReplyText,
  firstByteMs: number,
): Promise<JsonAnswer> {
  const { provider, id: modelId } = target;
  const text = await reply.read(answerLimitBytes, 'refuse').catch((error) => {
    throw brokenOff(provider.name, error, reply);
  });
  const payload = parseObject(text);
  if (payload === undefined) throw invalid(provider.name, 'an answer that is not a JSON object', null);
  const whole = readWhole(target, protocol, payload);
  const { surface, head } = asked;
  const passes = protocol.name === surface.name;
  // Ours alone: the client did not ask for them.
  const bare = passes && tellsConfidence(asked, target) ? withoutLogprobs(text) : text;
  return {
    kind: 'json',
    text: passes
      ? surface.passAnswer(bare, modelId, provider.dialectOf(target.upstreamModel).maker)
      : JSON.stringify(surface.writeAnswer(whole, { ...head, modelId })),
    whole,
    usage: whole.usage,
    outputChars: whole.usage === null ? charsOf(eventsOf(whole)) : 0,
    tokenProbability: meanTokenProbability(payload),
    firstByteMs,
  };
}

/** @throws UpstreamFailure */
function readWhole({ provider, upstreamModel }: Target, protocol: UpstreamProtocol, payload: Payload): WholeAnswer {
  try {
    return protocol.readAnswer(payload, provider.dialectOf(upstreamModel));
  } catch (error) {
    if (error instanceof ToldError) throw fromTold(provider, error.error, error.usage);
    if (error instanceof NotThisProtocol) throw invalid(provider.name, error.message, error.usage);
    throw error;
  }
}

/** A plain answer where a stream was asked for; it may have been billed all the same. */
async function notAStream(
  { target, answerLimitBytes }: AttemptInput,
  protocol: UpstreamProtocol,
  { contentType }: ProviderReply,
  reply: ReplyText,
): Promise<UpstreamFailure> {
  const who = target.provider.name;
  const text = await reply.read(answerLimitBytes, 'cut').catch((error) => {
    throw brokenOff(who, error, reply);
  });
  const payload = parseObject(text);
  let usage: Usage | null = null;
  try {
    usage = payload === undefined ? null : readWhole(target, protocol, payload).usage;
  } catch (error) {
    if (error instanceof UpstreamFailure && error.code === 'UPSTREAM_ERROR') return error;
    if (error instanceof UpstreamFailure) usage = error.usage;
  }
  return invalid(who, `${contentType} where a stream was asked for`, usage);
}

function headerOf({ headers }: ProviderReply, name: string): string | undefined {
  const value = headers?.[name];
  return typeof value === 'string' ? value : undefined;
}

type Payload = Readonly<Record<string, unknown>>;

const invalid = (who: string, what: string, usage: Usage | null) =>
  new UpstreamFailure('UPSTREAM_INVALID', 'overload', `${who} sent ${what}`, { httpStatus: 200, usage });

/** The head had come, so this is no stale connection: another model is the better try. */
function brokenOff(name: string, error: unknown, { signal }: ReplyText): unknown {
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
