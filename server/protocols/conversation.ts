/**
 * A chat request and its answer in no protocol's own words: what each protocol is read into and written from
 * when a client and the model that answers it speak different ones. Where both speak the same, the client's
 * bytes go through and only the events below are read along.
 */
import type { Usage } from '../forward/usage.ts';

/** Whose reasoning it is: only models of that maker can read it back. */
export type Maker = 'anthropic' | 'google' | 'openai' | 'deepseek' | 'xai' | 'minimax' | 'other';

/**
 * Reasoning that only its maker can read: a thinking block's signature, a redacted block, an encrypted
 * reasoning item, a thought signature. It must go back unchanged to that maker, and to nobody else.
 */
export interface Sealed {
  readonly by: Maker;
  readonly data: string;
  /** Where a reasoning item has an id of its own (OpenAI Responses: `rs_…`). */
  readonly id?: string | undefined;
}

/** The client marked this place as the end of a prefix worth caching. */
export interface CacheMark {
  readonly ttl?: '5m' | '1h' | undefined;
}

/** Bytes in base64 with their type, or where they lie. A URL is never fetched without the egress guard's leave. */
export type Source =
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
  | { readonly kind: 'url'; readonly url: string }
  /** Held by a provider under this id; means something only there. */
  | { readonly kind: 'file'; readonly fileId: string };

interface Cacheable {
  readonly cache?: CacheMark | undefined;
}

export interface TextBlock extends Cacheable {
  readonly type: 'text';
  readonly text: string;
}

export interface ImageBlock extends Cacheable {
  readonly type: 'image';
  readonly source: Source;
  readonly detail?: 'low' | 'high' | 'auto' | undefined;
}

/** A PDF or another document. */
export interface FileBlock extends Cacheable {
  readonly type: 'file';
  readonly source: Source;
  readonly name?: string | undefined;
}

export interface AudioBlock extends Cacheable {
  readonly type: 'audio';
  readonly data: string;
  /** `wav`, `mp3` … */
  readonly format: string;
}

export interface ToolCallBlock extends Cacheable {
  readonly type: 'tool_call';
  readonly id: string;
  readonly name: string;
  /** JSON text; usually an object, but models have been seen to write other things. */
  readonly arguments: string;
  /** Gemini seals the call itself. */
  readonly sealed?: Sealed | undefined;
}

export interface ToolResultBlock extends Cacheable {
  readonly type: 'tool_result';
  readonly callId: string;
  readonly content: readonly (TextBlock | ImageBlock | FileBlock)[];
  readonly isError: boolean;
}

/** What a model thought. `text` may be empty (hidden), `sealed` may be missing (a host that does not sign). */
export interface ThinkingBlock {
  readonly type: 'thinking';
  readonly text: string;
  readonly sealed?: Sealed | undefined;
  /** The maker hid the text: Anthropic's `redacted_thinking`. */
  readonly redacted?: boolean | undefined;
}

export type Block = TextBlock | ImageBlock | FileBlock | AudioBlock | ToolCallBlock | ToolResultBlock | ThinkingBlock;

/** Tool results are in user turns, as in Anthropic's protocol; calls and thinking in assistant turns. */
export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly blocks: readonly Block[];
}

export interface Tool extends Cacheable {
  readonly name: string;
  readonly description?: string | undefined;
  /** JSON Schema of the arguments, an object. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly strict?: boolean | undefined;
}

export type ToolChoice =
  | { readonly type: 'auto' | 'none' | 'required' }
  | { readonly type: 'tool'; readonly name: string };

export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';

/** Absent: the client said nothing of reasoning. */
export interface Reasoning {
  readonly enabled?: boolean | undefined;
  readonly effort?: Effort | undefined;
  readonly budgetTokens?: number | undefined;
  /** The client wants to see the reasoning, or a summary of it. */
  readonly visible?: boolean | undefined;
}

export type ResponseFormat =
  | { readonly type: 'text' | 'json' }
  | {
      readonly type: 'json_schema';
      readonly name: string;
      readonly schema: Readonly<Record<string, unknown>>;
      readonly strict?: boolean | undefined;
    };

export interface Conversation {
  readonly system: readonly TextBlock[];
  readonly turns: readonly Turn[];
  readonly tools: readonly Tool[];
  readonly toolChoice?: ToolChoice | undefined;
  readonly parallelToolCalls?: boolean | undefined;
  readonly maxOutputTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly topK?: number | undefined;
  readonly seed?: number | undefined;
  readonly presencePenalty?: number | undefined;
  readonly frequencyPenalty?: number | undefined;
  readonly stop: readonly string[];
  readonly reasoning?: Reasoning | undefined;
  readonly responseFormat?: ResponseFormat | undefined;
  /** Opaque id of the end user, for the provider's abuse checks. */
  readonly user?: string | undefined;
  readonly stream: boolean;
  /**
   * What the client asked for that only its own protocol can say, by field name: `n`, `logprobs`, built-in tools …
   * A translation that would silently drop one of them is refused (`Untranslatable`).
   */
  readonly only: readonly string[];
}

/** Why an answer ended. `pause`: a server-side tool loop paused (Anthropic's `pause_turn`). */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'refusal' | 'stop_sequence' | 'pause';

export interface RefusalBlock {
  readonly type: 'refusal';
  readonly text: string;
}

export type AnswerBlock = TextBlock | ThinkingBlock | ToolCallBlock | RefusalBlock;

/** A whole answer. */
export interface Answer {
  /** As the provider named it. */
  readonly id: string | null;
  readonly blocks: readonly AnswerBlock[];
  readonly finish: FinishReason;
  readonly stopSequence?: string | undefined;
  readonly usage: Usage | null;
}

/**
 * An answer as it comes. Blocks are implicit: neighbouring `text` events are one block, and so are neighbouring
 * `thinking` events; a `sealed` event ends the thinking block before it or, with nothing open, stands alone
 * (redacted). Tool calls are told apart by `index`, which counts them from 0 in order of appearance; pieces of
 * several calls may interleave. `usage` may come more than once, each replacing the last; `finish` comes once.
 */
export type AnswerEvent =
  | { readonly type: 'start'; readonly id: string | null }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'thinking'; readonly text: string }
  | { readonly type: 'sealed'; readonly sealed: Sealed; readonly redacted?: boolean | undefined }
  | { readonly type: 'refusal'; readonly text: string }
  | {
      readonly type: 'tool_call';
      readonly index: number;
      readonly id: string;
      readonly name: string;
      readonly sealed?: Sealed | undefined;
    }
  | { readonly type: 'tool_arguments'; readonly index: number; readonly json: string }
  | { readonly type: 'finish'; readonly reason: FinishReason; readonly stopSequence?: string | undefined }
  | { readonly type: 'usage'; readonly usage: Usage }
  /** Part of a choice beyond the first (`n` > 1), or a kind of output that only this protocol has: counted, never translated. */
  | { readonly type: 'other'; readonly chars: number }
  /** The provider's own error frame, in OpenAI's shape. Nothing follows it. */
  | { readonly type: 'error'; readonly error: ApiError };

/** An error as OpenAI's API words it. */
export interface ApiError {
  readonly message: string;
  readonly type: string;
  readonly code: string | number | null;
  readonly param: string | null;
  /** The HTTP status that this error would have had, where its protocol says so (`overloaded_error` → 529). */
  readonly status?: number | undefined;
}
