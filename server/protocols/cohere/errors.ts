/** Cohere's errors, `{"message"}`, in OpenAI's shape. They name no kind; only the message can be gone by. */
import { isObject } from '../../forward/usage.ts';
import type { ApiError } from '../conversation.ts';

const KINDS: readonly (readonly [RegExp, Partial<ApiError>])[] = [
  [
    /too many tokens|maximum context|context length/i,
    { code: 'context_length_exceeded', type: 'invalid_request_error' },
  ],
  [/invalid api (token|key)|no api key/i, { code: 'invalid_api_key', type: 'authentication_error' }],
  [/rate limit|too many requests|limited to \d+ api calls/i, { code: 'rate_limit_exceeded', type: 'rate_limit_error' }],
  [/model .*not found/i, { code: 'model_not_found', type: 'not_found_error' }],
  [/not supported|unsupported|does not support/i, { code: 'unsupported_value', type: 'invalid_request_error' }],
];

/** The error in the body of a reply; undefined where there is none to be read. */
export function readError(body: string): ApiError | undefined {
  try {
    const payload: unknown = JSON.parse(body);
    return isObject(payload) ? errorIn(payload) : undefined;
  } catch {
    return undefined;
  }
}

export function errorIn({ message }: Readonly<Record<string, unknown>>): ApiError | undefined {
  return typeof message === 'string' ? errorFor(message) : undefined;
}

export function errorFor(message: string): ApiError {
  const known = KINDS.find(([pattern]) => pattern.test(message))?.[1];
  return { message, type: 'upstream_error', code: null, param: null, ...known };
}
