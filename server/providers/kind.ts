/**
 * A kind of provider: how a host is addressed, authorised and spoken to. A host states only its difference; most
 * speak the OpenAI chat protocol with a bearer key. `http-provider.ts` makes a `Provider` of it and its settings.
 */
import type { Environment, ProviderConfig } from '../config/index.ts';
import type { Dialect, ProtocolName } from '../protocols/protocol.ts';
import type { Authorizer } from './auth/index.ts';

/** What the operator wrote of it in `pointsman.yaml`; nothing of it need be there. */
export type Settings = Partial<ProviderConfig>;

export interface Address {
  readonly protocol: ProtocolName;
  readonly model: string;
  readonly stream: boolean;
}

export interface ProviderKind {
  readonly name: string;
  /** Environment variables that may hold the key, first one wins. */
  readonly keys: readonly string[];
  /** Where its API starts; undefined where the settings do not say enough, and `needs` says what is missing. */
  readonly baseUrl: string | ((settings: Settings, env: Environment) => string | undefined);
  /** Corrects an address that somebody wrote down. */
  readonly address?: ((baseUrl: string) => string) | undefined;
  /** What has to be set beside a key, for people. */
  readonly needs?: string | undefined;
  /** False where `<NAME>_BASE_URL` is in use for something else. Default: true. */
  readonly movable?: boolean | undefined;
  /** A local server: on when `<NAME>_BASE_URL` is set or the configuration names it, without a key. */
  readonly local?: boolean | undefined;
  /** The provider can authorise itself without a key of ours: cloud credentials of the machine. */
  readonly keyless?: ((settings: Settings, env: Environment) => boolean) | undefined;
  /** Protocols that a model is spoken to in, the best for translation first. Default: chat only. */
  readonly protocols?: readonly ProtocolName[] | ((model: string) => readonly ProtocolName[]) | undefined;
  readonly dialect?: Dialect | ((model: string) => Dialect) | undefined;
  /** Path after the base URL, query included. Default: the protocol's own. */
  readonly path?: ((address: Address, settings: Settings) => string) | undefined;
  /** Where a model computes, as far as host, settings and the model's name tell. Default: as the settings say. */
  readonly regionOf?: ((model: string, settings: Settings, env: Environment) => string | undefined) | undefined;
  /** How a key is sent. Default: `authorization: Bearer`. */
  readonly authorize?: ((key: string | undefined, settings: Settings, env: Environment) => Authorizer) | undefined;
  /** Headers of the protocol itself. */
  readonly headers?: ((address: Address) => Readonly<Record<string, string>>) | undefined;
  /** Last changes to a body. */
  readonly body?: ((text: string, address: Address) => string) | undefined;
  /** Where `/files`, `/audio/…`, `/batches` and `/embeddings` lie, as OpenAI has them. Default: at the base URL. False: nowhere. */
  readonly raw?: boolean | undefined;
  /** Where one of those lies instead. Default: at its own path. */
  readonly rawPath?: ((path: string, settings: Settings) => string) | undefined;
}

/** Paths of the protocols, after a base URL that ends where their own documentation says. */
export const PATHS: Readonly<Record<ProtocolName, (address: Address) => string>> = {
  chat: () => '/chat/completions',
  embeddings: () => '/embeddings',
  responses: () => '/responses',
  messages: () => '/messages',
  cohere: () => '/chat',
  gemini: ({ model, stream }) => `/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
  converse: ({ model, stream }) => `/model/${encodeURIComponent(model)}/${stream ? 'converse-stream' : 'converse'}`,
};

/** Models of OpenAI's that think first: they take `developer` turns and another bound. */
export const isOpenAiReasoning = (model: string): boolean => /^(o\d|gpt-[5-9]|gpt-\d\d)/.test(model);
