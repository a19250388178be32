/** A kind of provider and its settings → a provider that can be called over HTTP. */
import type { Readable } from 'node:stream';
import type { Environment } from '../config/index.ts';
import type { Dialect, ProtocolName } from '../protocols/protocol.ts';
import type { Authorizer } from './auth/index.ts';
import { bearer } from './auth/index.ts';
import { type Address, PATHS, type ProviderKind, type Settings } from './kind.ts';
import { maskFor } from './mask.ts';
import type { Credential, Provider, ProviderReply, RawCall } from './provider.ts';
import type { Transport } from './transport.ts';

/** A key with what is known of it; `key` undefined for a local server or cloud credentials. */
export interface KeyInHand extends Credential {
  readonly key: string | undefined;
}

export interface HttpProviderOptions {
  /** The operator's name for it; default: the kind's. */
  readonly name?: string | undefined;
  readonly baseUrl: string;
  readonly keys: readonly KeyInHand[];
  readonly settings?: Settings | undefined;
  readonly env?: Environment | undefined;
  readonly transport: Transport;
}

/** Addresses that are remembered, of one provider. */
const MOST_URLS = 200;

/** Headers of ours go over those of the client, which may name a protocol's version or beta but never a key. */
export function httpProvider(kind: ProviderKind, options: HttpProviderOptions): Provider {
  const { baseUrl, keys, settings = {}, env = {}, transport } = options;
  const name = options.name ?? kind.name;
  const base = new URL(baseUrl);
  const root = `${base.origin}${base.pathname.replace(/\/+$/, '')}`;
  const authorizers = new Map<string, Authorizer>(
    keys.map(({ id, key }) => [id, kind.authorize?.(key, settings, env) ?? (key ? bearer(key) : () => ({}))]),
  );
  const standard = typeof kind.baseUrl === 'string' ? kind.baseUrl : kind.baseUrl(settings, env);
  // Moved to another address, it need not compute where the environment says.
  const placed = baseUrl === standard ? settings : { ...settings, baseUrl };
  const protocolsOf = (model: string): readonly ProtocolName[] =>
    typeof kind.protocols === 'function' ? kind.protocols(model) : (kind.protocols ?? ['chat']);

  /** Made once a path: parsing an address costs as much as writing the head of a request. */
  const urls = new Map<string, URL>();
  function urlOf(path: string): URL {
    const known = urls.get(path);
    if (known !== undefined) return known;
    const url = new URL(root + path);
    // A query in the base URL (an API version) holds for every path.
    for (const [key, value] of base.searchParams) url.searchParams.set(key, value);
    // Paths may hold ids that clients send.
    if (urls.size >= MOST_URLS) urls.clear();
    urls.set(path, url);
    return url;
  }

  async function send(
    path: string,
    request: {
      readonly method: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body?: string | Uint8Array | Readable | undefined;
      readonly credential?: Credential | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<ProviderReply> {
    const { method, body, credential, signal } = request;
    const url = urlOf(path);
    const headers: Record<string, string> = { ...request.headers, 'user-agent': 'pointsman', ...settings.headers };
    const authorize = authorizers.get((credential ?? keys[0]!).id)!;
    const signed = await authorize({ method, url, headers, body: typeof body === 'string' ? body : '' });
    return await transport.request({ url, method, headers: { ...headers, ...signed }, body, signal });
  }

  const passed = (call: RawCall): Promise<ProviderReply> =>
    send(kind.rawPath?.(call.path, settings) ?? call.path, call);

  return {
    name,
    sandbox: false,
    address: root,
    region: settings.region,
    ...(kind.regionOf !== undefined && { regionOf: (model: string) => kind.regionOf?.(model, placed, env) }),
    credentials: keys.map(({ key: _, ...known }) => known),
    protocolFor(surface, model) {
      const spoken = protocolsOf(model);
      // OpenAI's embeddings are had where its chat is; any other protocol then says that it has none.
      if (surface === 'embeddings') return kind.raw !== false && spoken.includes('chat') ? surface : spoken[0]!;
      return spoken.includes(surface) ? surface : spoken[0]!;
    },
    mask: maskFor(keys, settings, env),
    dialectOf: (model): Dialect => (typeof kind.dialect === 'function' ? kind.dialect(model) : (kind.dialect ?? {})),
    async call({ protocol, model, body, stream, headers, credential, signal }) {
      const address: Address = { protocol, model, stream };
      const path = kind.path?.(address, settings) ?? PATHS[protocol](address);
      return await send(path, {
        method: 'POST',
        headers: {
          ...kind.headers?.(address),
          ...headers,
          'content-type': 'application/json',
          accept: stream
            ? protocol === 'converse'
              ? 'application/vnd.amazon.eventstream'
              : 'text/event-stream'
            : 'application/json',
        },
        body: kind.body?.(body, address) ?? body,
        credential,
        signal,
      });
    },
    ...(kind.raw !== false && { raw: passed }),
    probe: passed,
    proxy: () => transport.proxyOf(base),
    close: () => transport.close(),
  };
}
