/** Every error as OpenAI's clients know it: a status, and `{error: {message, type, code, param}}`. */
import type { IncomingMessage } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, RoutingError } from '../../datasets/index.ts';
import { isTooLong, NoCandidate } from '../../router/decision.ts';
import { TOO_LONG, UpstreamFailure } from '../forward/failure.ts';
import { LimitReached } from '../governance/limits/refusal.ts';
import type { ApiError } from '../protocols/conversation.ts';
import { SURFACES, type Surface, type SurfaceName } from '../protocols/index.ts';

/** A code without a status does not compile. */
export const STATUS: Record<ErrorCode, number> = {
  INVALID_ROW: 400,
  MALFORMED_JSON: 400,
  TRUNCATED_FILE: 500,
  DUPLICATE_ROW: 400,
  UNKNOWN_PROMPT: 400,
  MISSING_FILE: 500,
  WRONG_FORMAT: 400,
  WRONG_CHECKSUM: 500,
  EVALUATION_ONLY: 400,
  EMPTY_TABLE: 400,
  UNDEFINED_METRIC: 500,
  NO_CANDIDATE: 400,
  UNKNOWN_MODEL: 404,
  INVALID_REQUEST: 400,
  ARTIFACT_MISSING: 500,
  ARTIFACT_DAMAGED: 500,
  ARTIFACT_UNTRUSTED: 500,
  ARTIFACT_MISMATCH: 500,
  INVALID_CONFIG: 500,
  BODY_TOO_LARGE: 413,
  FORBIDDEN_ORIGIN: 403,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  FORBIDDEN_MODEL: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  LIMIT_REACHED: 429,
  RATE_LIMITED: 429,
  BUDGET_EXCEEDED: 429,
  POLICY_REFUSED: 403,
  GUARDRAIL_BLOCKED: 400,
  UPSTREAM_ERROR: 502,
  UPSTREAM_TIMEOUT: 504,
  UPSTREAM_INVALID: 502,
  UPSTREAM_CLOSED: 502,
  PROVIDER_NOT_CONFIGURED: 400,
  EGRESS_REFUSED: 400,
  EGRESS_FAILED: 400,
  DATABASE_LOCKED: 503,
  DATABASE_UNAVAILABLE: 503,
  RECORD_DAMAGED: 500,
  SHUTTING_DOWN: 503,
  INTERNAL: 500,
};

export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** OpenAI's shape, which is what surfaces of other protocols write theirs from. */
  readonly body: { readonly error: ApiError };
}

/** The error as the clients of a protocol know it. @param requestId ours, 32 hex digits */
export const surfaceError = (surface: Surface, { body, status }: ErrorReply, requestId: string): object =>
  surface.writeError(body.error, status, requestId);

/** Which protocol an endpoint's clients speak, if not OpenAI's. */
declare module 'fastify' {
  interface FastifyContextConfig {
    readonly surface?: SurfaceName;
  }
}

/** An error in a field of the request body. */
export class FieldError extends RoutingError {
  readonly param: string;

  constructor(param: string, message: string) {
    super('INVALID_REQUEST', `${param}: ${message}`);
    this.param = param;
  }
}

/**
 * @param routed  the router chose the model: a provider's 401 or 404 is then not the client's doing
 */
export function errorReply(error: unknown, routed = false): ErrorReply {
  if (error instanceof UpstreamFailure) return upstreamReply(error, routed);
  if (error instanceof LimitReached) {
    const { message, type, code, headers } = error;
    return reply(STATUS[code], { message, type, code, param: null }, headers);
  }
  if (error instanceof RoutingError) {
    const status = STATUS[error.code];
    const type =
      status === 401
        ? 'authentication_error'
        : status === 403
          ? 'permission_error'
          : status < 500
            ? 'invalid_request_error'
            : 'server_error';
    const param = error instanceof FieldError || error instanceof NoCandidate ? error.param : paramOf(error);
    return reply(status, { message: error.message, type, code: codeOf(error), param });
  }
  const known = ofFastify(error as FastifyError);
  if (known !== undefined) return errorReply(known);
  return reply(500, {
    message: 'the gateway failed on this request; its log says more',
    type: 'server_error',
    code: 'INTERNAL',
    param: null,
  });
}

function upstreamReply(failure: UpstreamFailure, routed: boolean): ErrorReply {
  const { httpStatus = 0, error, code, blame, retryAfter } = failure;
  const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  // What the provider refused is passed on in its words: clients branch on `code` and `param`.
  const isClients =
    blame === 'request' ||
    httpStatus === 429 ||
    error?.code === TOO_LONG ||
    // A key of ours that is refused is no fault of the client's, whose own key is another.
    (!routed && httpStatus >= 400 && httpStatus < 500 && blame !== 'credential');
  const status = !isClients ? STATUS[code] : httpStatus >= 400 && httpStatus < 500 ? httpStatus : 400;
  return reply(
    status,
    {
      message: failure.message,
      type: isClients && error !== undefined ? error.type : 'upstream_error',
      code: isClients && error?.code != null ? error.code : code,
      param: error?.param ?? null,
    },
    headers,
  );
}

function ofFastify(error: FastifyError): RoutingError | undefined {
  if (error?.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new RoutingError('BODY_TOO_LARGE', 'the request body is too large');
  }
  if (error?.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new RoutingError('INVALID_REQUEST', 'send the body as JSON, with the header content-type: application/json');
  }
  if (typeof error?.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500) {
    return new RoutingError('INVALID_REQUEST', error.message);
  }
  return undefined;
}

const codeOf = (error: RoutingError): string =>
  error instanceof NoCandidate &&
  isTooLong(error.filtered) &&
  error.filtered.some(({ reason }) => reason === 'context_too_small')
    ? TOO_LONG
    : error.code;

/** Messages of request errors start with the field at fault: `messages.0.role: …`. */
function paramOf({ code, message }: RoutingError): string | null {
  if (code === 'UNKNOWN_MODEL' || code === 'PROVIDER_NOT_CONFIGURED' || code === 'FORBIDDEN_MODEL') return 'model';
  if (code === 'NO_CANDIDATE') return 'messages';
  if (code !== 'INVALID_REQUEST' && code !== 'NOT_FOUND') return null;
  return /^([a-z_]+(?:\.[\w]+)*): /i.exec(message)?.[1] ?? null;
}

const reply = (status: number, error: ApiError, headers: Readonly<Record<string, string>> = {}): ErrorReply => ({
  status,
  headers,
  body: { error },
});

/** Fastify's handler for whatever an endpoint threw. */
export async function handleError(
  error: unknown,
  request: FastifyRequest,
  response: FastifyReply,
): Promise<FastifyReply> {
  const { status, headers, body: plain } = errorReply(error);
  let body = plain;
  if (body.error.code === 'BODY_TOO_LARGE') {
    const limitBytes = request.routeOptions.bodyLimit ?? 0;
    await drain(request.raw, limitBytes);
    const limit = `${limitBytes / 1024 / 1024} MB`;
    const message =
      limitBytes < 8192
        ? `the request body is over the ${limitBytes} bytes that are read here`
        : `the request body is over this gateway’s limit of ${limit}; raise bodyLimitMb in pointsman.yaml`;
    body = { error: { ...body.error, message } };
  }
  if (status >= 500) request.log.error({ code: body.error.code, err: error }, 'request failed');
  const { surface } = request.routeOptions.config ?? {};
  const told = surface === undefined ? body : surfaceError(SURFACES[surface], { status, headers, body }, request.id);
  return response
    .code(status)
    .headers({ 'x-request-id': request.id, ...headers })
    .send(told);
}

/** How much longer than the limit, and for how long, a refused body is listened to. */
const DRAIN_FACTOR = 4;
const DRAIN_MS = 2000;

/** Clients look for an answer once they have sent it all; one hung up on before that sees a broken pipe, not why. */
async function drain(request: IncomingMessage, limitBytes: number): Promise<void> {
  if (request.readableEnded || request.destroyed) return;
  await new Promise<void>((resolve) => {
    let bytes = 0;
    const count = (piece: Uint8Array | string) => {
      bytes += piece.length;
      if (bytes > DRAIN_FACTOR * limitBytes) done();
    };
    const done = () => {
      clearTimeout(timer);
      request.off('data', count);
      resolve();
    };
    const timer = setTimeout(done, DRAIN_MS);
    for (const event of ['end', 'error', 'close']) request.once(event, done);
    request.on('data', count);
    request.resume();
  });
}
