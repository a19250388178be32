/**
 * The one way out for whatever a request makes the gateway fetch: images for a protocol that wants their bytes,
 * a user's verifier. Off until hosts are listed. The name is resolved once, every address of it is judged, and
 * the connection goes to the one that was: a second answer of the name's owner changes nothing. Redirects are not
 * followed, proxies are not used (they would resolve the name themselves), bytes and time are bounded.
 */
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import type { SecureContext } from 'node:tls';
import { Client, type Dispatcher } from 'undici';
import { RoutingError } from '../../datasets/index.ts';
import type { GatewayConfig } from '../config/index.ts';
import { reachOf } from './addresses.ts';
import { AllowList } from './allow-list.ts';

export type EgressSettings = GatewayConfig['egress'];

export interface Address {
  readonly address: string;
  readonly family: number;
}

export interface EgressOptions {
  /** All addresses of a name. Default: the system's resolver. */
  readonly resolve?: ((host: string) => Promise<readonly Address[]>) | undefined;
  readonly secureContext?: SecureContext | undefined;
}

export interface FetchOptions {
  /** Media types that are wanted, `image/` standing for all that begin so. Default: any. */
  readonly accept?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Fetched {
  readonly bytes: Uint8Array;
  /** In small letters, without parameters; empty where the host named none. */
  readonly mediaType: string;
}

export class Egress {
  readonly #config: EgressSettings;
  readonly #allow: AllowList;
  readonly #resolve: (host: string) => Promise<readonly Address[]>;
  readonly #secureContext: SecureContext | undefined;

  /** @throws `INVALID_CONFIG` when an entry of the list is none */
  constructor(config: EgressSettings, { resolve, secureContext }: EgressOptions = {}) {
    this.#config = config;
    this.#allow = new AllowList(config.allow);
    this.#resolve = resolve ?? ((host) => lookup(host, { all: true }));
    this.#secureContext = secureContext;
  }

  /**
   * @throws `EGRESS_REFUSED` where the address may not be fetched from; `EGRESS_FAILED` where it gave no such thing
   *   within bounds; the signal's reason when that came first
   */
  async fetchBytes(url: string, { accept, signal }: FetchOptions = {}): Promise<Fetched> {
    const headers = { accept: accept?.map((type) => (type.endsWith('/') ? `${type}*` : type)).join(', ') ?? '*/*' };
    return await this.#exchange(url, { method: 'GET', headers, body: null }, { accept, signal });
  }

  /** Posts JSON to somebody who is only told; what it answers is not looked at. @throws as {@link fetchBytes} */
  async tell(
    url: string,
    body: unknown,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const headers = { 'content-type': 'application/json', accept: '*/*' };
    await this.#exchange(url, { method: 'POST', headers, body: JSON.stringify(body) }, { signal });
  }

  /** Posts JSON, gives back the answer's. @throws as {@link fetchBytes} */
  async postJson(
    url: string,
    body: unknown,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<unknown> {
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    const { bytes } = await this.#exchange(url, { method: 'POST', headers, body: JSON.stringify(body) }, { signal });
    try {
      return JSON.parse(Buffer.from(bytes).toString('utf8'));
    } catch (cause) {
      throw failed(new URL(url), 'answered something that is not JSON', cause);
    }
  }

  async #exchange(
    text: string,
    { method, headers, body }: { method: Dispatcher.HttpMethod; headers: Record<string, string>; body: string | null },
    { accept, signal }: FetchOptions,
  ): Promise<Fetched> {
    const url = this.#permitted(text);
    const timeout = AbortSignal.timeout(this.#config.timeoutMs);
    const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    let client: Client | undefined;
    try {
      const address = await until(both, this.#addressOf(url));
      client = this.#clientFor(url, address);
      const reply = await client.request({
        path: `${url.pathname}${url.search}`,
        method,
        // Compressed, a small body could become any size.
        headers: { 'user-agent': 'pointsman', 'accept-encoding': 'identity', ...headers },
        body,
        signal: both,
      });
      reply.body.on('error', () => {});
      const mediaType = checkHead(url, reply, accept);
      return { bytes: await this.#read(url, reply), mediaType };
    } catch (error) {
      if (error instanceof RoutingError) throw error;
      if (signal?.aborted) throw signal.reason;
      if (timeout.aborted)
        throw failed(url, `did not answer within ${this.#config.timeoutMs} ms (egress.timeoutMs)`, error);
      throw failed(url, `cannot be fetched from (${reasonOf(error)})`, error);
    } finally {
      // One connection for each exchange: a kept one would be to an address judged earlier.
      await client?.destroy().catch(() => {});
    }
  }

  /** What can be said without the network. */
  #permitted(text: string): URL {
    if (!URL.canParse(text)) throw refused('the URL is none');
    const url = new URL(text);
    const { protocol, username, password, host } = url;
    if (protocol !== 'https:' && protocol !== 'http:') throw refused(`${protocol} is not fetched, only https:`);
    if (username !== '' || password !== '') throw refused(`a URL with a name or password in it is not fetched`);
    if (this.#allow.isEmpty) {
      throw refused(`nothing is fetched for requests; the operator can allow ${host} by egress.allow`);
    }
    if (this.#allow.match(url) === null) throw refused(`${host} is not in egress.allow`);
    if (protocol === 'http:' && !this.#config.allowPrivate) throw refused(`${host}: only https is fetched`);
    return url;
  }

  async #addressOf(url: URL): Promise<Address> {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const family = isIP(host);
    const found = family !== 0 ? [{ address: host, family }] : await this.#resolve(host.replace(/\.$/, ''));
    const [first] = found;
    if (first === undefined) throw failed(url, 'has no address');
    const mayBePrivate = this.#config.allowPrivate && this.#allow.match(url) === 'named';
    let allPrivate = true;
    // Every one of them: an owner who mixes them is after the wrong one.
    for (const { address } of found) {
      const reach = reachOf(address);
      if (reach === 'never') throw refused(`${url.host} is at an address that is never fetched from`);
      if (reach === 'private' && !mayBePrivate) {
        throw refused(
          `${url.host} is on a private network; egress.allowPrivate permits hosts that egress.allow names there`,
        );
      }
      allPrivate &&= reach === 'private';
    }
    if (url.protocol === 'http:' && !allPrivate)
      throw refused(`${url.host} is public: only https is fetched from there`);
    return first;
  }

  #clientFor(url: URL, { address, family }: Address): Client {
    const pinned: LookupFunction = (_, options, callback) => {
      if (options.all) callback(null, [{ address, family }]);
      else callback(null, address, family);
    };
    return new Client(url.origin, {
      connect: {
        lookup: pinned,
        timeout: this.#config.timeoutMs,
        ...(this.#secureContext && { secureContext: this.#secureContext }),
      },
      // The signal bounds it all.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  async #read(url: URL, { headers, body }: Dispatcher.ResponseData): Promise<Uint8Array> {
    const limit = this.#config.maxBytesMb * 1024 * 1024;
    const tooLarge = () => failed(url, `answered more than ${this.#config.maxBytesMb} MB (egress.maxBytesMb)`);
    if (Number(headers['content-length']) > limit) throw tooLarge();
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of body as AsyncIterable<Uint8Array>) {
      size += piece.byteLength;
      if (size > limit) throw tooLarge();
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }
}

/** @returns the media type */
function checkHead(
  url: URL,
  { statusCode, headers }: Dispatcher.ResponseData,
  accept: readonly string[] | undefined,
): string {
  if (statusCode >= 300 && statusCode < 400) throw refused(`${url.host} redirects, which is not followed`);
  if (statusCode !== 200) throw failed(url, `answered ${statusCode}`);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw failed(url, 'answered compressed, which was not asked for');
  const type = headers['content-type'];
  const mediaType = ((Array.isArray(type) ? type[0] : type) ?? '').split(';')[0]!.trim().toLowerCase();
  if (
    accept !== undefined &&
    !accept.some((wanted) => (wanted.endsWith('/') ? mediaType.startsWith(wanted) : mediaType === wanted))
  ) {
    throw failed(url, `answered ${mediaType === '' ? 'something of no type' : mediaType}, not ${accept.join(' or ')}`);
  }
  return mediaType;
}

/** Settles with the promise, or rejects with the signal; a name's owner can be slow to answer. */
async function until<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    // Nobody waits for the slower one.
    promise.catch(() => {});
  }
}

const reasonOf = (error: unknown): string => {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return String(code ?? message ?? 'connection lost');
};

const refused = (why: string) => new RoutingError('EGRESS_REFUSED', why);

/** Names the host only: the rest of a URL may be a secret of the client's. */
const failed = ({ host }: URL, what: string, cause?: unknown) =>
  new RoutingError('EGRESS_FAILED', `${host} ${what}`, { cause });
