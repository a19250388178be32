/** A provider that is on: something that answers requests. Knows its wire, nothing of routing. */
import type { Readable } from 'node:stream';
import type { Dialect, ProtocolName, SurfaceName } from '../protocols/protocol.ts';

/** One of the provider's keys. With several, each is a deployment of its own. */
export interface Credential {
  /** `''` where it is the only one; shown in records as `#id`. */
  readonly id: string;
  readonly weight: number;
  /** Used only for this tenant's requests; a tenant with keys of its own uses no others. */
  readonly tenant?: string | undefined;
  /** What holds it, for people: a variable's name, never the key itself. */
  readonly from?: string | undefined;
}

export interface ProviderCall {
  readonly protocol: ProtocolName;
  /** The model as the provider's API names it. */
  readonly model: string;
  /** Our id of it, `provider/model`. */
  readonly modelId: string;
  /** True when the router chose the model. */
  readonly routed: boolean;
  /** JSON text in the protocol. */
  readonly body: string;
  readonly stream: boolean;
  /** The client's headers that its protocol hands on (`anthropic-beta` …). */
  readonly headers: Readonly<Record<string, string>>;
  /** Default: the first. */
  readonly credential?: Credential | undefined;
  readonly signal: AbortSignal;
}

/** Something of the provider's API that is passed through as it is: embeddings, audio, files, batches. */
export interface RawCall {
  readonly method: string;
  /** After the base URL: `/embeddings`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | Readable | undefined;
  readonly credential?: Credential | undefined;
  readonly signal: AbortSignal;
}

export interface ProviderReply {
  readonly status: number;
  readonly contentType: string;
  /** Seconds or date, as the provider sent it; `retry-after-ms` in seconds. */
  readonly retryAfter: string | undefined;
  readonly headers?: Readonly<Record<string, string | string[] | undefined>> | undefined;
  /** Leaving the loop early hangs up. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface Provider {
  readonly name: string;
  /** Answers are made up here and cost nothing. */
  readonly sandbox: boolean;
  /** Where it is called, for people; without a key. */
  readonly address: string;
  readonly region?: string | undefined;
  /** Where a model of it computes, where that may differ from `region` or is not written down; undefined: nobody knows. */
  readonly regionOf?: ((model: string) => string | undefined) | undefined;
  /** At least one; without a key for a local server. */
  readonly credentials: readonly Credential[];
  /** How it is called for a client that speaks `surface`: in the same protocol where it speaks that. */
  protocolFor(surface: SurfaceName, model: string): ProtocolName;
  dialectOf(model: string): Dialect;
  /** Takes this provider's keys out of what it says. Undefined where it has none. */
  readonly mask?: ((text: string) => string) | undefined;
  /** Resolves when the reply's head is there, whatever its status. Rejects when the connection fails. */
  call(call: ProviderCall): Promise<ProviderReply>;
  /** Undefined where nothing of its API is passed through. */
  readonly raw?: ((call: RawCall) => Promise<ProviderReply>) | undefined;
  /** Any path of its API, whether or not that is passed through: to see if it answers. Undefined where nobody is called. */
  readonly probe?: ((call: RawCall) => Promise<ProviderReply>) | undefined;
  /** The proxy that its calls go through, without a password; null: none. @throws `INVALID_CONFIG` */
  proxy?(): string | null;
  close(): Promise<void>;
}
