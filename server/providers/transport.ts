/**
 * The one place where connections to providers are made: kept alive, through the corporate proxy where there is
 * one, trusting its certificates. Redirects are not followed.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { type Dispatcher, Pool, ProxyAgent } from 'undici';
import { RoutingError } from '../../datasets/index.ts';
import type { Environment } from '../config/index.ts';
import { type CorporateProxy, proxyFor } from './proxy.ts';
import { requestOn } from './reply-reader.ts';

export interface TransportOptions {
  readonly connectMs?: number | undefined;
  /** How long a connection that nobody uses is kept. */
  readonly keepAliveMs?: number | undefined;
  /** This provider's proxy; undefined: as `env` says; false: none. */
  readonly proxy?: string | false | undefined;
  /** For HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
  readonly env?: Environment | undefined;
  /** Whom to trust, of {@link trusting}. Default: as Node does. */
  readonly secureContext?: SecureContext | undefined;
}

export interface TransportRequest {
  readonly url: URL;
  /** Default: POST. */
  readonly method?: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | Readable | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface TransportReply {
  readonly status: number;
  readonly headers: Readonly<IncomingHttpHeaders>;
  readonly contentType: string;
  /** Seconds, maybe with a fraction, or a date; as the provider sent it. */
  readonly retryAfter: string | undefined;
  /** Leaving the loop early hangs up. */
  readonly body: AsyncIterable<Uint8Array>;
}

const CONNECT_MS = 10_000;
// Shorter than the minute after which most hosts and the machines before them hang up.
const KEEP_ALIVE_MS = 30_000;

// Our own timers watch a call, by what they wait for; undici's would only fire beside them.
const NO_TIMERS = { headersTimeout: 0, bodyTimeout: 0 };

export class Transport {
  readonly #options: TransportOptions;
  readonly #dispatchers = new Map<string, Dispatcher>();
  #closed = false;

  constructor(options: TransportOptions = {}) {
    this.#options = options;
  }

  /**
   * Resolves when the reply's head is there, whatever its status.
   * @throws undici's and Node's errors when the connection fails; RoutingError `UPSTREAM_ERROR` when the proxy
   *   refuses it, `INVALID_CONFIG` when the proxy's address is none
   */
  async request({ url, method = 'POST', headers, body, signal }: TransportRequest): Promise<TransportReply> {
    const { origin, pathname, search } = url;
    const dispatcher = this.#dispatcherFor(url);
    const sent = {
      origin,
      path: `${pathname}${search}`,
      method: method as Dispatcher.HttpMethod,
      headers,
      body: body ?? null,
    };
    // The timers are told here, too: a proxy's own connections do not know the others.
    const reply = await requestOn(dispatcher, { ...sent, ...NO_TIMERS }, signal).catch((error) => {
      throw signal?.aborted ? error : this.#ofProxy(error, url);
    });
    // No provider answers so: it is the proxy that does.
    if (reply.status === 407) {
      const proxy = this.#proxyFor(url);
      if (proxy !== null) {
        await reply.body.return?.();
        throw refusedBy(proxy, url, '407');
      }
    }
    return {
      status: reply.status,
      headers: reply.headers,
      contentType: first(reply.headers['content-type']) ?? '',
      retryAfter: retryAfterOf(reply.headers),
      body: reply.body,
    };
  }

  /** Where calls to that address go through, for people; null: straight. Holds no password. */
  proxyOf(url: URL): string | null {
    return this.#proxyFor(url)?.url ?? null;
  }

  /** Hangs up on everything. */
  async close(): Promise<void> {
    this.#closed = true;
    const dispatchers = [...this.#dispatchers.values()];
    this.#dispatchers.clear();
    await Promise.all(dispatchers.map((dispatcher) => dispatcher.destroy()));
  }

  #dispatcherFor(url: URL): Dispatcher {
    if (this.#closed) throw new RoutingError('SHUTTING_DOWN', 'the gateway is shutting down');
    const known = this.#dispatchers.get(url.origin);
    if (known !== undefined) return known;
    const proxy = this.#proxyFor(url);
    const made = proxy === null ? this.#straight(url.origin) : this.#through(proxy);
    this.#dispatchers.set(url.origin, made);
    return made;
  }

  #proxyFor(url: URL): CorporateProxy | null {
    return proxyFor(url, { given: this.#options.proxy, env: this.#options.env });
  }

  get #common() {
    return { ...NO_TIMERS, keepAliveTimeout: this.#options.keepAliveMs ?? KEEP_ALIVE_MS };
  }

  get #connect() {
    const { connectMs = CONNECT_MS, secureContext } = this.#options;
    return { timeout: connectMs, ...(secureContext && { secureContext }) };
  }

  #straight(origin: string): Dispatcher {
    return new Pool(origin, { ...this.#common, connect: this.#connect });
  }

  #through({ url, authorization }: CorporateProxy): Dispatcher {
    const { timeout } = this.#connect;
    return new ProxyAgent({
      ...this.#common,
      uri: url,
      ...(authorization !== undefined && { token: authorization }),
      // Proxies often refuse tunnels to any port but 443; for http:// they want the whole address instead.
      proxyTunnel: false,
      requestTls: this.#connect,
      proxyTls: this.#connect,
      // A proxy that accepts the connection and then says nothing is one that cannot be reached.
      clientFactory: (origin, options) => new Pool(origin, { ...options, headersTimeout: timeout }),
    });
  }

  #ofProxy(error: unknown, url: URL): unknown {
    const proxy = this.#proxyFor(url);
    if (proxy === null || !(error instanceof Error)) return error;
    const status = /^Proxy response \((\d+)\)/.exec(error.message)?.[1] ?? /\((407)\)$/.exec(error.message)?.[1];
    return status === undefined ? error : refusedBy(proxy, url, status, error);
  }
}

function refusedBy(proxy: CorporateProxy, { host }: URL, status: string, cause?: unknown): RoutingError {
  const check = status === '407' ? '; check the name and password in its URL' : '';
  const message = `the proxy ${proxy.url} refused the connection to ${host} (status ${status})${check}`;
  return new RoutingError('UPSTREAM_ERROR', message, { cause });
}

/** `retry-after-ms`, which is finer, before `retry-after`. */
function retryAfterOf(headers: Readonly<IncomingHttpHeaders>): string | undefined {
  const ms = first(headers['retry-after-ms']);
  if (ms !== undefined && /^\d+(\.\d+)?$/.test(ms)) return String(Number(ms) / 1000);
  return first(headers['retry-after']);
}

const first = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header[0] : header;

/**
 * Trusts the authorities of a PEM file beside those that Node trusts anyway. Made once: reading them all for each
 * connection would cost milliseconds.
 * @throws `INVALID_CONFIG` when the file cannot be read or holds no certificate
 */
export function trusting(caFile: string, env: Environment = {}): SecureContext {
  // A list of our own replaces Node's, with what NODE_EXTRA_CA_CERTS had added to it.
  const extra = env.NODE_EXTRA_CA_CERTS ? [readPem(env.NODE_EXTRA_CA_CERTS, 'NODE_EXTRA_CA_CERTS')] : [];
  return createSecureContext({ ca: [...rootCertificates, ...extra, readPem(caFile, 'caFile')] });
}

function readPem(path: string, option: string): string {
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RoutingError('INVALID_CONFIG', `${option}: ${path} cannot be read`, { cause });
  }
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch (cause) {
    throw new RoutingError('INVALID_CONFIG', `${option}: ${path} holds a certificate that cannot be read`, { cause });
  }
  if (blocks.length === 0) {
    throw new RoutingError('INVALID_CONFIG', `${option}: ${path} holds no certificate; it must be a PEM file`);
  }
  return blocks.join('\n');
}
