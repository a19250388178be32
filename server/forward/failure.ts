/** A call upstream that failed: whose fault it was, what to try next, what to tell the client. */
import { type ErrorCode, RoutingError } from '../../datasets/index.ts';
import type { ApiError } from '../protocols/conversation.ts';
import { isObject, type Usage } from './usage.ts';

/**
 * Decides what is tried next:
 * - `request`    the client's own fault: no other model would take it
 * - `model`      this model cannot or may not: another may
 * - `overload`   busy, broken or slow for now: another may; the same, a little later
 * - `connection` the line broke before any byte of a reply: the same again, once (a kept-alive
 *                connection that the host had closed looks just like that)
 * - `credential` this key of the provider is refused or out of credit: another of its keys may do
 * - `provider`   no model of this provider can be had: it cannot be reached
 * - `cancelled`  we hung up: the client left, time is up, or the gateway stops
 */
export type Blame = 'request' | 'model' | 'overload' | 'connection' | 'credential' | 'provider' | 'cancelled';

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

export interface StatusDetails {
  readonly retryAfter?: string | undefined;
  readonly keyFrom?: string | undefined;
  /** Reads the error in the body, as the provider's protocol words it. */
  readonly readError: (body: string, errorType?: string) => ApiError | undefined;
  /** The error's name, where only a header tells it. */
  readonly errorType?: string | undefined;
}

/** Whose failure it is: a provider, which may quote its own key. */
export interface Who {
  readonly name: string;
  readonly mask?: ((text: string) => string) | undefined;
}

/** The error without the provider's secrets: from here it goes to clients and into logs. */
function unsecret({ mask }: Who, error: ApiError): ApiError {
  if (mask === undefined) return error;
  const { message, type, code, param } = error;
  return {
    ...error,
    message: mask(message),
    type: mask(type),
    code: typeof code === 'string' ? mask(code) : code,
    param: param === null ? null : mask(param),
  };
}

/** A reply with an error status. */
export function fromStatus(from: Who, status: number, body: string, details: StatusDetails): UpstreamFailure {
  const { retryAfter, keyFrom, readError, errorType } = details;
  const { name: who } = from;
  if (status >= 300 && status < 400) {
    const message = `${who} answered ${status}, a redirect; check its baseUrl`;
    return new UpstreamFailure('UPSTREAM_INVALID', 'provider', message, { httpStatus: status });
  }
  const told = readError(body, errorType) ?? {
    message: `status ${status}`,
    type: 'upstream_error',
    code: null,
    param: null,
  };
  const error = named(unsecret(from, told));
  const check = status === 401 && keyFrom !== undefined ? ` (${who} refused its key; check ${keyFrom})` : '';
  const message = `${who} answered ${status}: ${error.message}${check}`;
  // What the body says counts for more: Google answers 400 to a key that it does not know.
  const meant = error.status ?? status;
  return new UpstreamFailure('UPSTREAM_ERROR', blameFor(meant, error), message, {
    httpStatus: meant,
    error,
    retryAfter: isWait(retryAfter) ? retryAfter : undefined,
  });
}

/** Seconds or a date: what is neither is not handed on. */
const isWait = (retryAfter: string | undefined): boolean =>
  retryAfter !== undefined && /^(\d+(\.\d+)?|[A-Z][a-z]{2}, [\w :-]{10,30})$/.test(retryAfter);

/** An error told where an answer was due: with status 200, or as a frame of the stream. */
export function fromTold(from: Who, told: ApiError, usage: Usage | null): UpstreamFailure {
  const { name: who } = from;
  const error = named(unsecret(from, told));
  const { code } = error;
  const inCode = typeof code === 'number' && code >= 400 && code < 600 ? code : undefined;
  const byType = error.type === 'invalid_request_error' ? 400 : error.type === 'rate_limit_error' ? 429 : 500;
  const status = error.status ?? inCode;
  const blame = blameFor(status ?? byType, error);
  return new UpstreamFailure('UPSTREAM_ERROR', blame, `${who} answered with an error: ${error.message}`, {
    httpStatus: status ?? 200,
    error,
    usage,
  });
}

/** OpenAI's word for a prompt beyond the context: agents that hear it shorten their history and go on. */
export const TOO_LONG = 'context_length_exceeded';

/** How hosts word it that have no code for it. */
const SAYS_TOO_LONG =
  /prompt is too long|maximum context length|context (length|window|limit)|input token count .{0,40}exceeds|input is too long|too many (input )?tokens|reduce the length|exceeded model token limit|range of input length/i;

const named = (error: ApiError): ApiError =>
  error.code !== TOO_LONG &&
  /invalid|validation|too_large|upstream_error/i.test(error.type) &&
  SAYS_TOO_LONG.test(error.message)
    ? { ...error, code: TOO_LONG }
    : error;

/** Errors of a request that another model may well accept. */
const OF_THE_MODEL = /^(unsupported_|context_length_exceeded|model_not_found|model_not_available|string_above_max)/;

function blameFor(status: number, { code, type }: ApiError): Blame {
  const name = String(code ?? type);
  if (status === 401 || status === 402 || name === 'insufficient_quota') return 'credential';
  if (name === TOO_LONG) return 'model';
  if (status === 403 || status === 404 || status === 405 || status === 413) return 'model';
  if (status === 408 || status === 409 || status === 424 || status === 425 || status === 429 || status >= 500)
    return 'overload';
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
