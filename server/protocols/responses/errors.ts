/** Errors of the Responses protocol: in a body, as a frame, and as the `error` of a failed response. */
import { isObject } from '../../forward/usage.ts';
import { apiErrorOf, readChatError } from '../chat/errors.ts';
import type { ApiError } from '../conversation.ts';

/** Codes and types that come without an HTTP status of their own. */
const STATUS_OF: Readonly<Record<string, number>> = {
  rate_limit_exceeded: 429,
  rate_limit_error: 429,
  too_many_requests: 429,
  tokens: 429,
  requests: 429,
  insufficient_quota: 429,
  server_is_overloaded: 503,
  slow_down: 503,
  server_error: 500,
  invalid_request_error: 400,
  invalid_prompt: 400,
  context_length_exceeded: 400,
  authentication_error: 401,
  invalid_api_key: 401,
};

/** An error object as hosts write it, with the status it would have had; undefined when there is none to be read. */
export function toApiError(raw: unknown, around: Readonly<Record<string, unknown>> = {}): ApiError | undefined {
  const error = apiErrorOf(raw, around);
  if (error === undefined) return undefined;
  const status = statusOf(error.code) ?? statusOf(error.type);
  // A flat `error` event says "error" where the type of the error is due.
  const byStatus = status !== undefined && status < 500 ? 'invalid_request_error' : 'server_error';
  const named = isObject(raw) && typeof raw.type === 'string' && raw.type !== 'error';
  return { ...error, type: named ? error.type : byStatus, ...(status !== undefined && { status }) };
}

/** The error in the body of a reply with an error status: the same as for chat. */
export const readError = readChatError;

export const writeError = ({ message, type, code, param }: ApiError): Record<string, unknown> => ({
  error: { message, type, code, param },
});

/**
 * The data of an `error` event. The reference documents the flat fields; what the API sends, and what makes the
 * official clients throw, is the nested object: both are there.
 */
export const errorEvent = (error: ApiError): Record<string, unknown> => ({
  code: error.code === null ? null : String(error.code),
  message: error.message,
  param: error.param,
  ...writeError({ ...error, code: error.code === null ? null : String(error.code) }),
});

/** The `error` of a response that failed: some clients (Codex) look at nothing else. */
export const responseError = (error: ApiError, status: number): Record<string, unknown> => ({
  code: error.code === null ? (status === 429 ? 'rate_limit_exceeded' : 'server_error') : String(error.code),
  message: error.message,
});

export const sse = (type: string, fields: Readonly<Record<string, unknown>>): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;

/**
 * An error in a stream that was passed on. How far its events were counted is not known here, so they are
 * numbered 0; a stream that we write ourselves counts on (`ResponseWriter.fail`).
 */
export function errorFrame(error: ApiError, status: number, requestId: string): string {
  const response = {
    id: `resp_${requestId}`,
    object: 'response',
    status: 'failed',
    error: responseError(error, status),
    incomplete_details: null,
    output: [],
    usage: null,
  };
  return (
    sse('error', { sequence_number: 0, ...errorEvent(error) }) +
    sse('response.failed', { sequence_number: 0, response })
  );
}

function statusOf(code: string | number | null): number | undefined {
  if (typeof code === 'number') return code >= 400 && code < 600 ? code : undefined;
  return code !== null && Object.hasOwn(STATUS_OF, code) ? STATUS_OF[code] : undefined;
}
