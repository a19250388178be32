/**
 * Downloads a large file over an unreliable line: what has arrived stays in `FILE.part` and the next run goes on from
 * there, as long as the server still has the same file.
 */
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type Dispatcher, EnvHttpProxyAgent, fetch, type Response } from 'undici';
import { z } from 'zod';
import { RoutingError } from '../datasets/errors.ts';
import type { Environment } from './config/index.ts';

export interface DownloadOptions {
  /** Sent to the first host only: a redirect to another one does not get them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The exact length, where it is known. */
  readonly bytes?: number | null;
  /** A file that says or turns out to be longer is refused. */
  readonly maxBytes?: number;
  /** Proxies: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`. */
  readonly env?: Environment;
  readonly signal?: AbortSignal;
  /** `total` is 0 where the server does not say. */
  readonly onProgress?: (received: number, total: number) => void;
  readonly limits?: Partial<Limits>;
}

export interface Limits {
  /** Tries in a row that bring not one byte more. */
  readonly attempts: number;
  /** Wait before the second try, doubled before each further one. */
  readonly retryDelayMs: number;
  /** A server that asks to wait longer than this is taken at its word: the download ends with what it said. */
  readonly maxRetryAfterMs: number;
  readonly connectMs: number;
  readonly answerMs: number;
  /** Longest silence while bytes should come. */
  readonly silenceMs: number;
}

const LIMITS: Limits = {
  attempts: 5,
  retryDelayMs: 1000,
  maxRetryAfterMs: 120_000,
  connectMs: 15_000,
  answerMs: 60_000,
  silenceMs: 60_000,
};
const MAX_REDIRECTS = 8;
/** No file of a dataset is longer. */
const MAX_BYTES = 64 * 2 ** 30;

export interface Downloaded {
  readonly bytes: number;
  /** `x-repo-commit` of the Hugging Face hub: the commit that the file was taken from. */
  readonly revision: string | null;
}

/** Beside `FILE.part`: which version of the file the part is of. */
const Part = z.object({ url: z.string(), validator: z.string(), revision: z.string().nullable() });
type Part = z.infer<typeof Part>;

/** A try that failed for a reason that may pass. */
class Passing extends Error {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * @param url  https, or http where the first address is http itself (a mirror on this machine, say)
 * @param file is there only when it is complete
 * @throws `MISSING_FILE` when the server has no such file, refuses, or cannot be reached; `WRONG_FORMAT` when it
 *         answers with a web page; `TRUNCATED_FILE` when the length is not what it should be; whatever `signal` was
 *         aborted with. `FILE.part` stays for the next run, except where it is of no use
 */
export async function download(url: string, file: string, options: DownloadOptions = {}): Promise<Downloaded> {
  const limits = { ...LIMITS, ...options.limits };
  mkdirSync(dirname(file), { recursive: true });
  const dispatcher = dispatcherFor(url, options.env ?? process.env, limits);
  try {
    let failures = 0;
    let most = sizeOf(`${file}.part`);
    for (;;) {
      try {
        return await attempt(url, file, options, dispatcher);
      } catch (cause) {
        options.signal?.throwIfAborted();
        if (!(cause instanceof Passing)) throw cause;
        const has = sizeOf(`${file}.part`);
        failures = has > most ? 1 : failures + 1;
        most = Math.max(most, has);
        const wait = cause.retryAfterMs ?? limits.retryDelayMs * 2 ** (failures - 1);
        if (failures >= limits.attempts || wait > limits.maxRetryAfterMs) {
          throw new RoutingError(
            'MISSING_FILE',
            `${url}: ${cause.message}${has > 0 ? `; ${has} bytes are kept` : ''}`,
            {
              cause,
            },
          );
        }
        await sleep(wait, undefined, options.signal && { signal: options.signal }).catch(() => {
          options.signal?.throwIfAborted();
        });
      }
    }
  } finally {
    await dispatcher.destroy();
  }
}

async function attempt(
  url: string,
  file: string,
  options: DownloadOptions,
  dispatcher: Dispatcher,
): Promise<Downloaded> {
  const part = `${file}.part`;
  const known = readPart(part, url);
  const start = known === null ? 0 : sizeOf(part);
  const response = await follow(url, options, dispatcher, {
    // Compressed on the way, ranges would be of something else.
    'accept-encoding': 'identity',
    ...(known !== null && start > 0 && { range: `bytes=${start}-`, 'if-range': known.validator }),
  });
  try {
    if (response.status === 416) {
      // Nothing after what is here: it is complete, or of another file.
      const total = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]);
      if (total === start && start > 0) return complete(file, start, options, known!.revision);
      forget(part);
      throw new Passing('the server has another file now');
    }
    const resumed = response.status === 206 && start > 0;
    const from = resumed ? start : 0;
    if (resumed && !(response.headers.get('content-range') ?? '').startsWith(`bytes ${start}-`)) {
      forget(part);
      throw new Passing('the server sent another part than was asked for');
    }
    if (/^(text\/html|application\/xhtml)/i.test(response.headers.get('content-type') ?? '')) {
      throw new RoutingError(
        'WRONG_FORMAT',
        `${url}: answered with a web page in place of the file; a proxy or a log-in page may stand between`,
      );
    }
    const length = response.headers.get('content-length');
    const total = length === null ? 0 : from + Number(length);
    refuseLength(url, total, options);
    const revision = /^[0-9a-f]{40}$/.exec(response.headers.get('x-repo-commit') ?? '')?.[0] ?? known?.revision ?? null;
    if (!resumed) remember(part, url, response, revision);
    const received = await append(response, part, from, total, url, options);
    if (total > 0 && received !== total) throw new Passing(`ended after ${received} of ${total} bytes`);
    return complete(file, received, options, revision);
  } finally {
    await response.body?.cancel().catch(() => {});
  }
}

/** Redirects by hand: never from https to http, and secrets never to another host. */
async function follow(
  first: string,
  { headers = {}, signal }: DownloadOptions,
  dispatcher: Dispatcher,
  more: Readonly<Record<string, string>>,
): Promise<Response> {
  let url = new URL(first);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const sameHost = url.origin === new URL(first).origin;
    const response = await fetch(url, {
      dispatcher,
      redirect: 'manual',
      headers: { 'user-agent': 'pointsman', ...more, ...(sameHost && headers) },
      ...(signal && { signal }),
    }).catch((cause: Error) => {
      signal?.throwIfAborted();
      throw new Passing(`cannot be reached (${reasonOf(cause)})`, undefined, { cause });
    });
    const { status } = response;
    if (status === 200 || status === 206 || status === 416) return response;
    await response.body?.cancel().catch(() => {});
    const location = response.headers.get('location');
    if (status >= 300 && status < 400 && location !== null) {
      const next = new URL(location, url);
      if (next.protocol !== 'https:' && (url.protocol === 'https:' || next.protocol !== 'http:')) {
        throw new RoutingError('MISSING_FILE', `${first}: is redirected to ${next.protocol}//${next.host}: refused`);
      }
      url = next;
      continue;
    }
    const said = `answered ${status}`;
    if (status === 429 || status === 408 || status >= 500) {
      throw new Passing(said + laterOf(response), retryAfterOf(response));
    }
    const hint =
      status === 401 || status === 403 ? ' (not public, or no longer; for the Hugging Face hub set HF_TOKEN)' : '';
    throw new RoutingError('MISSING_FILE', `${first}: ${said}${hint}`);
  }
  throw new RoutingError('MISSING_FILE', `${first}: is redirected more than ${MAX_REDIRECTS} times`);
}

async function append(
  response: Response,
  part: string,
  from: number,
  total: number,
  url: string,
  options: DownloadOptions,
): Promise<number> {
  const out = createWriteStream(part, { flags: from > 0 ? 'a' : 'w' });
  const failed = new Promise<never>((_, reject) => {
    out.on('error', (cause: Error) => {
      reject(new RoutingError('MISSING_FILE', `${part}: cannot be written (${cause.message})`, { cause }));
    });
  });
  failed.catch(() => {});
  let received = from;
  try {
    for await (const chunk of response.body ?? []) {
      received += (chunk as Uint8Array).length;
      if (total > 0 && received > total) throw new Passing(`sent more than the ${total} bytes it announced`);
      refuseLength(url, received, options, false);
      if (!out.write(chunk))
        await Promise.race([failed, new Promise<void>((resolve) => out.once('drain', () => resolve()))]);
      options.onProgress?.(received, total);
    }
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (cause instanceof RoutingError || cause instanceof Passing) throw cause;
    throw new Passing(`the line broke after ${received} bytes (${reasonOf(cause as Error)})`, undefined, { cause });
  } finally {
    // What has arrived is worth keeping, whatever happened.
    await Promise.race([failed, new Promise<void>((resolve) => out.end(() => resolve()))]).catch(() => {});
  }
  return received;
}

function complete(file: string, received: number, options: DownloadOptions, revision: string | null): Downloaded {
  if (options.bytes != null && received !== options.bytes) {
    forget(`${file}.part`);
    throw new RoutingError('TRUNCATED_FILE', `${file}: ${received} bytes arrived, wanted are ${options.bytes}`);
  }
  renameSync(`${file}.part`, file);
  rmSync(`${file}.part.json`, { force: true });
  return { bytes: received, revision };
}

function refuseLength(
  url: string,
  length: number,
  { bytes, maxBytes = MAX_BYTES }: DownloadOptions,
  whole = true,
): void {
  if (bytes != null && length > 0 && (length > bytes || (whole && length !== bytes))) {
    throw new RoutingError('TRUNCATED_FILE', `${url}: is ${length} bytes long, wanted are ${bytes}`);
  }
  if (length > maxBytes) {
    throw new RoutingError('TRUNCATED_FILE', `${url}: is longer than the limit of ${maxBytes} bytes`);
  }
}

/** Without a strong validator nobody can tell whether the rest belongs to what is here. */
function remember(part: string, url: string, response: Response, revision: string | null): void {
  rmSync(part, { force: true });
  const etag = response.headers.get('etag');
  const validator = etag !== null && !etag.startsWith('W/') ? etag : response.headers.get('last-modified');
  if (validator === null) rmSync(`${part}.json`, { force: true });
  else writeFileSync(`${part}.json`, JSON.stringify({ url, validator, revision } satisfies Part));
}

function readPart(part: string, url: string): Part | null {
  if (!existsSync(part) || !existsSync(`${part}.json`)) return null;
  try {
    const parsed = Part.parse(JSON.parse(readFileSync(`${part}.json`, 'utf8')));
    return parsed.url === url ? parsed : null;
  } catch {
    return null;
  }
}

function forget(part: string): void {
  rmSync(part, { force: true });
  rmSync(`${part}.json`, { force: true });
}

const sizeOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

function dispatcherFor(url: string, env: Environment, limits: Limits): Dispatcher {
  const timeouts = {
    connect: { timeout: limits.connectMs },
    headersTimeout: limits.answerMs,
    bodyTimeout: limits.silenceMs,
  };
  const proxied = (name: string) => env[name] || env[name.toLowerCase()];
  const httpsProxy = proxied('HTTPS_PROXY');
  const httpProxy = proxied('HTTP_PROXY');
  const local = /^(localhost|127\.|\[::1\])/.test(new URL(url).hostname);
  if (local || (!httpsProxy && !httpProxy)) return new Agent(timeouts);
  return new EnvHttpProxyAgent({
    ...timeouts,
    ...(httpProxy && { httpProxy }),
    ...(httpsProxy && { httpsProxy }),
    ...(proxied('NO_PROXY') && { noProxy: proxied('NO_PROXY') }),
  });
}

function retryAfterOf(response: Response): number | undefined {
  const text = response.headers.get('retry-after');
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function laterOf(response: Response): string {
  const ms = retryAfterOf(response);
  return ms === undefined ? '' : ` and asks to wait ${Math.ceil(ms / 1000)} s`;
}

function reasonOf(error: Error): string {
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? error.message;
}
