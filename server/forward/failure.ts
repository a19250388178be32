/** A call upstream that failed: whose fault it was, what to try next, what to tell the client. */
import { type ErrorCode, RoutingError } from '../../datasets/index.ts';
import { isObject, type Usage } from './usage.ts';

/** An error as OpenAI's API words it. */
export interface ApiError {
  readonly message: string;
  readonly type: string;
  readonly code: string | number | null;
  readonly param: string | null;
}

/**
 * Decides what is tried next:
 * - `request`    the client's own fault: no other model would take it
 * - `model`      this model cannot or may not: another may
 * - `overload`   busy, broken or slow for now: another may; the same, a little later
 * - `connection` the line broke before any byte of a reply: the same again, once (a kept-alive
 *                connection that the host had closed looks just like that)
 * - `provider`   no model of this provider can be had: refused key, no credit, unreachable
 * - `cancelled`  we hung up: the client left, time is up, or the gateway stops
 */
export type Blame = 'request' | 'model' | 'overload' | 'connection' | 'provider' | 'cancelled';

export interface FailureDetails {
  readonly httpStatus?: number | undefined;
  readonly error?: ApiError | undefined;
  readonly retryAfter?: string | undefined;
  /** Reported although the answer failed: it is billed. */
  readonly usage?: Usage | null | undefined;
  readonly cause?: unknown;
}

export class UpstreamFailure extends RoutingError {
  readonly blame: Blame;
  readonly httpStatus: number | undefined;
  /** What the provider said, in OpenAI's shape. */
  readonly error: ApiError | undefined;
  readonly retryAfter: string | undefined;
  readonly usage: Usage | null;
  /** Characters of an answer that had come; null where no answer had begun, so that nothing is billed. */
  outputChars: number | null = null;

  constructor(code: ErrorCode, blame: Blame, message: string, details: FailureDetails = {}) {
    super(code, message, { cause: details.cause });
    this.blame = blame;
    this.httpStatus = details.httpStatus;
    this.error = details.error;
    this.retryAfter = details.retryAfter;
    this.usage = details.usage ?? null;
  }
}

/** A reply with an error status. */
export function fromStatus(
  who: string,
  status: number,
  body: string,
  { retryAfter, keyFrom }: { readonly retryAfter?: string | undefined; readonly keyFrom?: string | undefined } = {},
): UpstreamFailure {
  if (status >= 300 && status < 400) {
    return new UpstreamFailure(
      'UPSTREAM_INVALID',
      'provider',
      `${who} answered ${status}, a redirect; check its baseUrl`,
      {
        httpStatus: status,
      },
    );
  }
  const error = readError(body) ?? { message: `status ${status}`, type: 'upstream_error', code: null, param: null };
  const check = status === 401 && keyFrom !== undefined ? ` (${who} refused its key; check ${keyFrom})` : '';
  const message = `${who} answered ${status}: ${error.message}${check}`;
  return new UpstreamFailure('UPSTREAM_ERROR', blameFor(status, error), message, {
    httpStatus: status,
    error,
    retryAfter,
  });
}

/** An error object where an answer was due: status 200, and then `{"error": …}`. */
export function fromErrorBody(
  who: string,
  payload: Readonly<Record<string, unknown>>,
  usage: Usage | null,
): UpstreamFailure {
  const error = normalise(payload.error) ?? { message: 'an error', type: 'upstream_error', code: null, param: null };
  const status = typeof error.code === 'number' && error.code >= 400 && error.code < 600 ? error.code : undefined;
  const byType = error.type === 'invalid_request_error' ? 400 : error.type === 'rate_limit_error' ? 429 : 500;
  const blame = blameFor(status ?? byType, error);
  return new UpstreamFailure('UPSTREAM_ERROR', blame, `${who} answered with an error: ${error.message}`, {
    httpStatus: status ?? 200,
    error,
    usage,
  });
}

/** Errors of a request that another model may well accept. */
const OF_THE_MODEL = /^(unsupported_|context_length_exceeded|model_not_found|model_not_available|string_above_max)/;

function blameFor(status: number, { code, type }: ApiError): Blame {
  const name = String(code ?? type);
  if (status === 401 || status === 402 || name === 'insufficient_quota') return 'provider';
  if (status === 403 || status === 404 || status === 405 || status === 413) return 'model';
  if (status === 408 || status === 409 || status === 425 || status === 429 || status >= 500) return 'overload';
  return OF_THE_MODEL.test(name) ? 'model' : 'request';
}

/** Node's and undici's names for "nobody is there", as against "somebody hung up". */
const UNREACHABLE =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|CERT_|ERR_TLS|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED|UNABLE_TO_VERIFY)/;

/** A connection that could not be made, or broke before the reply's head. */
export function fromConnection(who: string, cause: unknown): UpstreamFailure {
  const code = isObject(cause) && typeof cause.code === 'string' ? cause.code : '';
  if (UNREACHABLE.test(code)) {
    const timeout = code === 'UND_ERR_CONNECT_TIMEOUT';
    const message = `${who} cannot be reached (${code}); check its baseUrl and the network`;
    return new UpstreamFailure(timeout ? 'UPSTREAM_TIMEOUT' : 'UPSTREAM_ERROR', 'provider', message, { cause });
  }
  if (/^HPE_/.test(code) || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new UpstreamFailure('UPSTREAM_INVALID', 'overload', `${who} answered something that is not HTTP (${code})`, {
      cause,
    });
  }
  const why = code || (cause instanceof Error ? cause.message : 'connection lost');
  return new UpstreamFailure(
    'UPSTREAM_CLOSED',
    'connection',
    `${who} closed the connection before it answered (${why})`,
    {
      cause,
    },
  );
}

/** The error in a body, in any of the shapes that hosts use; undefined when there is none to be read. */
function readError(body: string): ApiError | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(body);
  } catch {
    return undefined;
  }
  // `[{"error": …}]` is how Google's OpenAI-style endpoint words it.
  const root = Array.isArray(payload) ? payload[0] : payload;
  if (!isObject(root)) return undefined;
  return normalise(root.error, root) ?? normalise(root);
}

function normalise(error: unknown, around: Readonly<Record<string, unknown>> = {}): ApiError | undefined {
  if (typeof error === 'string') {
    return { message: error, type: 'upstream_error', code: codeOf(around.code), param: null };
  }
  if (!isObject(error)) return undefined;
  const message = error.message ?? error.detail;
  if (typeof message !== 'string') return undefined;
  return {
    message,
    type: typeof error.type === 'string' ? error.type : 'upstream_error',
    code: codeOf(error.code),
    param: typeof error.param === 'string' ? error.param : null,
  };
}

const codeOf = (code: unknown): string | number | null =>
  typeof code === 'string' || typeof code === 'number' ? code : null;
