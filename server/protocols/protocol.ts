/**
 * What a protocol must be able to do. On the upstream side (`UpstreamProtocol`): a request written, an answer
 * read. On the client's side (`Surface`): a request read, an answer written. Chat, Responses and Messages have
 * both sides; Gemini, Converse and Cohere only the first. All of it is pure: no network, no clock.
 */
import type { Answer, AnswerEvent, ApiError, Conversation, Maker } from './conversation.ts';

/** What clients can have answered by a model of the router's choice. */
export type ChatName = 'chat' | 'responses' | 'messages';
export type SurfaceName = ChatName | 'embeddings';
export type ProtocolName = SurfaceName | 'gemini' | 'converse' | 'cohere';

/** One frame of a stream: a server-sent event, or a message of AWS's event stream under the same two names. */
export interface Frame {
  /** `event:` field, or `:event-type` / `:exception-type`; empty where the protocol names none. */
  readonly event: string;
  readonly data: string;
}

/** Bytes → frames. */
export interface Framing {
  /** @throws `UPSTREAM_INVALID` when one frame grows past the limit or is damaged */
  push(bytes: Uint8Array): Frame[];
  /** What was left when the bytes ended, if that may be a whole frame. */
  end(): Frame | null;
  /** Something came that is no part of such a stream: whatever this is, it is no stream of frames. */
  readonly foreign: boolean;
}

/** Where a host's dialect differs from its protocol. All optional: the protocol's own way is the default. */
export interface Dialect {
  /** The maker whose sealed reasoning this model reads and writes. Default: by protocol. */
  readonly maker?: Maker | undefined;
  /** chat: the field that bounds answers. Default: `max_tokens`. */
  readonly outputLimit?: 'max_tokens' | 'max_completion_tokens' | undefined;
  /** chat: false for a host that reports a stream's usage unasked and may refuse the option. Default: true. */
  readonly asksForStreamUsage?: boolean | undefined;
  /** chat: where usage sits when not under `usage`. */
  readonly usageAt?: ((payload: Readonly<Record<string, unknown>>) => unknown) | undefined;
  /** chat: reasoning tokens are counted beside `completion_tokens` (xAI). */
  readonly reasoningOutside?: boolean | undefined;
  /** chat: what the system turn's role is called. Default: `system`. */
  readonly systemRole?: 'system' | 'developer' | undefined;
  /** chat: what this host calls the seed. Default: `seed`. */
  readonly seedField?: string | undefined;
  /** chat: earlier reasoning goes back as `reasoning_content` (DeepSeek V4, Moonshot), or is left out. Default: left out. */
  readonly returnsReasoning?: boolean | undefined;
  /** chat: `cache_control` on content parts is understood (Alibaba, OpenRouter). Default: false. */
  readonly cacheMarks?: boolean | undefined;
  /** chat: `logprobs: true` is taken. Default: false. */
  readonly logprobs?: boolean | undefined;
  /** chat: how a client's wish for reasoning is put. Default: `reasoning_effort`. */
  readonly reasoningStyle?: 'reasoning_effort' | 'thinking' | 'enable_thinking' | 'openrouter' | 'none' | undefined;
  /** chat: `reasoning_details` are understood, whoever sealed them: a host of many makers' models (OpenRouter). Default: false. */
  readonly reasoningDetails?: boolean | undefined;
  /** Tool-call ids must look like this: others are replaced, the same one always by the same. */
  readonly toolIdPattern?: 'mistral' | undefined;
}

/** What a request is written for. */
export interface WriteTarget {
  /** The model as its host names it. */
  readonly model: string;
  readonly dialect: Dialect;
  /** False: the model does not take temperature, top_p and the like; they are left out. */
  readonly sampling: boolean;
  readonly reasoning: boolean;
  /** The model's longest answer, for protocols that must be told a bound (Anthropic). */
  readonly maxOutputTokens: number | undefined;
}

/** Reads one stream; made anew for each. */
export interface StreamReader {
  /** What a frame says; no events for pings. @throws {@link NotThisProtocol} */
  read(frame: Frame): AnswerEvent[];
  /** The protocol's own end has come (`[DONE]`, `message_stop` …): nothing after it is read. */
  readonly closed: boolean;
  /** Bytes that end now have ended a whole answer, though `closed` may be false. */
  readonly complete: boolean;
}

export interface UpstreamProtocol {
  readonly name: ProtocolName;
  /** Default maker of sealed reasoning under this protocol. */
  readonly maker: Maker;
  framing(maxFrameChars: number): Framing;
  /** @throws {@link Untranslatable} naming what this protocol, or this model, cannot say */
  writeRequest(conversation: Conversation, target: WriteTarget): Record<string, unknown>;
  /** @throws {@link NotThisProtocol} @throws {@link ToldError} for an error object in place of an answer */
  readAnswer(payload: Readonly<Record<string, unknown>>, dialect: Dialect): Answer;
  reader(dialect: Dialect): StreamReader;
  /**
   * The error in the body of a reply with an error status; undefined where none can be read.
   * @param errorType of the reply's headers, where its name stands only there (AWS: `x-amzn-errortype`)
   */
  readError(body: string, errorType?: string): ApiError | undefined;
  /** Seconds that such a body asks to wait, where its protocol says so there and not in a header. */
  retryAfter?(body: string): number | undefined;
}

/** Names an answer on its way to the client. */
export interface AnswerHead {
  /** Our id of the exchange, 32 hex digits: protocols prefix it as they name answers. */
  readonly id: string;
  /** Our id of the model that answers; goes to `model`. */
  readonly modelId: string;
  readonly createdAt: Date;
  /** The client's request: some protocols repeat parts of it in the answer (Responses). */
  readonly request: Readonly<Record<string, unknown>>;
}

/** Writes one stream; made anew for each. Events in, text of whole server-sent events out. */
export interface AnswerWriter {
  write(events: readonly AnswerEvent[]): string;
  /** The stream's proper end, after `finish`. */
  end(): string;
  /** An error in mid-stream, where its frame depends on those before it. Default: the surface's `errorFrame`. */
  fail?(error: ApiError, status: number, requestId: string): string;
}

export interface PassOptions {
  readonly modelId: string;
  /** The client asked for the usage chunk itself (chat). */
  readonly wantsUsage: boolean;
  /** Whose the host's sealed reasoning is, where it is not that of the protocol's own maker. */
  readonly maker?: Maker | undefined;
}

export interface Surface {
  readonly name: SurfaceName;
  /** @throws RoutingError `INVALID_REQUEST`, its message beginning with the path of the field at fault */
  readRequest(json: Readonly<Record<string, unknown>>): Conversation;
  /**
   * The client's own text for a host that speaks this protocol: the model's name, and what the host's dialect
   * needs; every other byte is kept.
   * @param routed the router chose the model, so the client could not know how to phrase its request for it
   */
  passRequest(
    text: string,
    json: Readonly<Record<string, unknown>>,
    options: { readonly target: WriteTarget; readonly stream: boolean; readonly routed: boolean },
  ): string;
  /** A whole answer of a host that speaks this protocol; only the model's name changes, and seals that are not the protocol's own maker's are wrapped. */
  passAnswer(text: string, modelId: string, maker?: Maker): string;
  /** A frame of such a host as a whole server-sent event; null: not for the client (usage that only we asked for). */
  passFrame(frame: Frame, events: readonly AnswerEvent[], options: PassOptions): string | null;
  /** What ends a stream that was passed on and ended properly, e.g. `data: [DONE]`; empty where a frame has done so. */
  readonly passEnd: string;
  writeAnswer(answer: Answer, head: AnswerHead): Record<string, unknown>;
  writer(head: AnswerHead, options: PassOptions): AnswerWriter;
  /** An error as this protocol's clients know it. @param requestId ours, 32 hex digits */
  writeError(error: ApiError, status: number, requestId: string): Record<string, unknown>;
  /** The same as a frame in mid-stream. */
  errorFrame(error: ApiError, status: number, requestId: string): string;
  /** Keeps a silent stream alive; clients pass over it. */
  readonly ping: string;
}

/** What came is not of this protocol. The message completes "PROVIDER sent …". */
export class NotThisProtocol extends Error {
  override readonly name = 'NotThisProtocol';
  /** Reported although the answer cannot be used. */
  readonly usage: Answer['usage'];

  constructor(what: string, usage: Answer['usage'] = null) {
    super(what);
    this.usage = usage;
  }
}

/** The provider told an error where an answer was due. */
export class ToldError extends Error {
  override readonly name = 'ToldError';
  readonly error: ApiError;
  readonly usage: Answer['usage'];

  constructor(error: ApiError, usage: Answer['usage'] = null) {
    super(error.message);
    this.error = error;
    this.usage = usage;
  }
}

/** Something asked for cannot be said in the other protocol. Another model may be able to; nothing is dropped in silence. */
export class Untranslatable extends Error {
  override readonly name = 'Untranslatable';
  /** The client's field. */
  readonly field: string;

  constructor(field: string, message: string) {
    super(`${field}: ${message}`);
    this.field = field;
  }
}
