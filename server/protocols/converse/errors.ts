/** Bedrock's exceptions as errors in OpenAI's words, with the status that each stands for. */
import { isObject } from '../../forward/usage.ts';
import type { ApiError } from '../conversation.ts';

type Json = Readonly<Record<string, unknown>>;

/** By name without its ending, in lower case: a stream says `throttlingException`, a body `ThrottlingException`. */
const STATUS: ReadonlyMap<string, number> = new Map([
  ['throttling', 429],
  ['toomanyrequests', 429],
  ['servicequotaexceeded', 429],
  ['serviceunavailable', 503],
  ['modelnotready', 503],
  ['internalserver', 500],
  ['internalfailure', 500],
  // 424 on the wire, which says whose fault it was: the model's. For the client it is as any failure of the host.
  ['modelstreamerror', 500],
  ['modelerror', 500],
  ['modeltimeout', 408],
  ['validation', 400],
  ['serialization', 400],
  ['accessdenied', 403],
  ['unrecognizedclient', 403],
  ['invalidsignature', 403],
  ['expiredtoken', 403],
  ['missingauthenticationtoken', 403],
  ['resourcenotfound', 404],
  ['unknownoperation', 404],
  ['conflict', 409],
]);

/** Both the names above end so; events of a stream never do. */
export const isException = (event: string): boolean => /(exception|error)$/i.test(event);

const TOO_LONG =
  /input is too long|prompt is too long|too many (input )?tokens|exceeds? the (maximum )?context|context (window|length)/i;

/** The error that a payload tells; undefined when it tells none. @param event name of the stream's exception */
export function errorOf(payload: Json, event?: string): ApiError | undefined {
  const message = payload.message ?? payload.Message;
  const told = typeof payload.__type === 'string' && payload.__type !== '' ? payload.__type : event;
  if (typeof message !== 'string' && told === undefined) return undefined;
  const text = typeof message === 'string' && message !== '' ? message : (told ?? 'an error');
  // `com.amazon.coral.service#AccessDeniedException`, `ValidationException:http://…`
  const name = told?.replace(/^.*#/, '').replace(/:.*$/s, '');
  const original = typeof payload.originalMessage === 'string' ? ` (${payload.originalMessage})` : '';
  const status = statusOf(name, payload);
  return {
    message: text + original,
    type: typeOf(status),
    code: TOO_LONG.test(text) ? 'context_length_exceeded' : (name ?? null),
    param: null,
    ...(status !== undefined && { status }),
  };
}

function statusOf(name: string | undefined, { originalStatusCode }: Json): number | undefined {
  if (name === undefined) return undefined;
  // The model's own status, where it is one that waiting may help.
  if (typeof originalStatusCode === 'number' && (originalStatusCode === 429 || originalStatusCode >= 500)) {
    return originalStatusCode < 600 ? originalStatusCode : 500;
  }
  return STATUS.get(name.replace(/(Exception|Error)$/i, '').toLowerCase()) ?? STATUS.get(name.toLowerCase()) ?? 500;
}

function typeOf(status: number | undefined): string {
  if (status === undefined) return 'upstream_error';
  if (status === 429) return 'rate_limit_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  return status === 400 ? 'invalid_request_error' : 'server_error';
}

/** An answer that the host itself could not read is none, although it came with status 200. */
export function malformedOutput(stopReason: unknown): ApiError | undefined {
  if (stopReason !== 'malformed_model_output' && stopReason !== 'malformed_tool_use') return undefined;
  const what = stopReason === 'malformed_tool_use' ? 'a tool call' : 'an answer';
  return {
    message: `the model wrote ${what} that Bedrock could not read`,
    type: 'server_error',
    code: stopReason,
    param: null,
    status: 500,
  };
}

/** @param body of a reply with an error status */
export function readError(body: string, errorType?: string): ApiError | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(body);
  } catch {
    return undefined;
  }
  // `ValidationException:http://…`: the name stands in the header more often than in the body.
  return isObject(payload) ? errorOf(payload, errorType) : undefined;
}
