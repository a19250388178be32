/** Google's errors, `{"error": {code, message, status, details}}`, in OpenAI's shape. */
import { isObject } from '../../forward/usage.ts';
import type { ApiError } from '../conversation.ts';

/** google.rpc.Code → OpenAI's type and the HTTP status that goes with it. */
const KINDS: Readonly<Record<string, readonly [type: string, status: number]>> = {
  INVALID_ARGUMENT: ['invalid_request_error', 400],
  FAILED_PRECONDITION: ['invalid_request_error', 400],
  OUT_OF_RANGE: ['invalid_request_error', 400],
  UNAUTHENTICATED: ['authentication_error', 401],
  PERMISSION_DENIED: ['permission_error', 403],
  NOT_FOUND: ['not_found_error', 404],
  ALREADY_EXISTS: ['invalid_request_error', 409],
  ABORTED: ['server_error', 409],
  RESOURCE_EXHAUSTED: ['rate_limit_error', 429],
  CANCELLED: ['server_error', 499],
  INTERNAL: ['server_error', 500],
  UNKNOWN: ['server_error', 500],
  DATA_LOSS: ['server_error', 500],
  UNIMPLEMENTED: ['invalid_request_error', 501],
  UNAVAILABLE: ['server_error', 503],
  DEADLINE_EXCEEDED: ['timeout_error', 504],
};

/** Google says INVALID_ARGUMENT for much that OpenAI has a code for; only the message or `reason` tells it apart. */
const CODES: readonly (readonly [RegExp, Pick<ApiError, 'code'> & Partial<ApiError>])[] = [
  [/input token count.* exceeds|exceeds the maximum number of tokens/i, { code: 'context_length_exceeded' }],
  [/payload size exceeds/i, { code: 'request_too_large', status: 413 }],
  [/API.key (not valid|expired|not found)/i, { code: 'invalid_api_key', type: 'authentication_error', status: 401 }],
  [/location is not supported|enable billing/i, { code: 'unsupported_region', type: 'permission_error', status: 403 }],
  [/not supported|unsupported|not enabled for this model/i, { code: 'unsupported_value' }],
];

/** The error in the body of a reply; undefined where there is none to be read. */
export function readError(body: string): ApiError | undefined {
  try {
    return errorIn(JSON.parse(body));
  } catch {
    return undefined;
  }
}

/** @param payload `{error: …}`, or that in a list of one, as streams without `alt=sse` send it */
export function errorIn(payload: unknown): ApiError | undefined {
  const error = objectIn(payload);
  if (error === undefined) return undefined;
  if (typeof error === 'string') return { message: error, type: 'upstream_error', code: null, param: null };
  const { message, status, code } = error;
  if (typeof message !== 'string') return undefined;
  const [type, usual] = KINDS[String(status)] ?? ['upstream_error', undefined];
  const given = typeof code === 'number' && code >= 400 && code < 600 ? code : usual;
  const known = type === 'invalid_request_error' ? CODES.find(([pattern]) => pattern.test(message))?.[1] : undefined;
  return {
    message,
    type,
    code: typeof status === 'string' ? status : typeof code === 'number' ? code : null,
    param: null,
    ...(given !== undefined && { status: given }),
    ...known,
  };
}

function objectIn(payload: unknown): Readonly<Record<string, unknown>> | string | undefined {
  const root = Array.isArray(payload) ? payload[0] : payload;
  if (!isObject(root)) return undefined;
  if (typeof root.error === 'string') {
    return typeof root.error_description === 'string' ? root.error_description : root.error;
  }
  return isObject(root.error) ? root.error : undefined;
}

/** Seconds that Google asks to wait, from the `RetryInfo` among an error's details: `"34.4s"` → 34.4. */
export function retryDelaySeconds(body: string): number | undefined {
  let error: ReturnType<typeof objectIn>;
  try {
    error = objectIn(JSON.parse(body));
  } catch {
    return undefined;
  }
  if (!isObject(error) || !Array.isArray(error.details)) return undefined;
  for (const detail of error.details) {
    if (!isObject(detail) || !String(detail['@type']).endsWith('google.rpc.RetryInfo')) continue;
    const seconds = /^(\d+(?:\.\d+)?)s$/.exec(String(detail.retryDelay))?.[1];
    if (seconds !== undefined) return Number(seconds);
  }
  return undefined;
}
