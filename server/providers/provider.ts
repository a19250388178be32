/** A provider: something that answers chat requests. Knows its wire, nothing of routing. */
import type { Usage } from '../forward/usage.ts';

export interface ProviderCall {
  /** The model as the provider's API names it. */
  readonly model: string;
  /** Our id of it, `provider/model`. */
  readonly modelId: string;
  /** The client's request, JSON text, and the same parsed. */
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly stream: boolean;
  /** True when the router chose the model: the client could not know how to phrase its request for it. */
  readonly routed: boolean;
  readonly signal: AbortSignal;
}

export interface ProviderReply {
  readonly status: number;
  readonly contentType: string;
  /** Seconds or date, as the provider sent it. */
  readonly retryAfter: string | undefined;
  /** Leaving the loop early hangs up. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface Provider {
  readonly name: string;
  /** Answers are made up here and cost nothing. */
  readonly sandbox: boolean;
  /** Where it is called, for people; without a key. */
  readonly address: string;
  /** What holds its key, for people: a variable's name, never the key itself. */
  readonly keyFrom?: string | undefined;
  /** Resolves when the reply's head is there, whatever its status. Rejects when the connection fails. */
  chat(call: ProviderCall): Promise<ProviderReply>;
  /** Tokens reported in a reply or in a stream's chunk, if it reports any. */
  usageOf(payload: Readonly<Record<string, unknown>>): Usage | null;
  close(): Promise<void>;
}
