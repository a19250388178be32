/** Errors as Anthropic's API words them, read and written: clients branch on `type` and on a few set phrases. */
import { isObject } from '../../forward/usage.ts';
import type { ApiError } from '../conversation.ts';

/** @see https://docs.claude.com/en/api/errors; `billing_error` and `timeout_error` are named by the official client only. */
const STATUS_OF: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  conflict_error: 409,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

const TYPE_OF: ReadonlyMap<number, string> = new Map(Object.entries(STATUS_OF).map(([type, status]) => [status, type]));

/** OpenAI's word for a prompt beyond the context: what the rest of the gateway knows such an error by. */
const TOO_LONG = 'context_length_exceeded';

/** The error in a body, or in an `error` frame; undefined when there is none to be read. */
export function readMessagesError(body: string): ApiError | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(body);
  } catch {
    return undefined;
  }
  // `[{"error": …}]` is how Vertex words what goes wrong before Claude is reached.
  const root: unknown = Array.isArray(payload) ? payload[0] : payload;
  return isObject(root) ? (apiErrorOf(root.error) ?? apiErrorOf(root)) : undefined;
}

/** An error object, or only its text, in OpenAI's shape. */
export function apiErrorOf(error: unknown): ApiError | undefined {
  if (typeof error === 'string') return { message: error, type: 'upstream_error', code: null, param: null };
  if (!isObject(error) || typeof error.message !== 'string') return undefined;
  const { message } = error;
  const type = typeof error.type === 'string' && error.type !== 'error' ? error.type : 'upstream_error';
  const status = STATUS_OF[type];
  const given = typeof error.code === 'string' || typeof error.code === 'number' ? error.code : null;
  return { message, type, code: meaningOf(message, type) ?? given, param: null, ...(status && { status }) };
}

export const SOME_ERROR: ApiError = { message: 'an error', type: 'upstream_error', code: null, param: null };

/** Anthropic has no codes: what matters to a gateway is only in the wording. */
function meaningOf(message: string, type: string): string | undefined {
  if (/prompt is too long|exceed context limit|exceeds? the model's context window/i.test(message)) return TOO_LONG;
  // Answered with status 400, as if the request were at fault.
  if (type === 'billing_error' || /credit balance is too low/i.test(message)) return 'insufficient_quota';
  if (type === 'not_found_error' && /^model:/i.test(message)) return 'model_not_found';
  return undefined;
}

/** @param requestId 32 hex digits */
export function writeMessagesError(error: ApiError, status: number, requestId: string): Record<string, unknown> {
  return {
    type: 'error',
    error: { type: typeFor(error, status), message: error.code === TOO_LONG ? tooLong(error.message) : error.message },
    request_id: `req_${requestId}`,
  };
}

export const errorFrame = (error: ApiError, status: number, requestId: string): string =>
  `event: error\ndata: ${JSON.stringify(writeMessagesError(error, status, requestId))}\n\n`;

/** OpenAI says `invalid_request_error` of a wrong key too, so a client's error goes by its status. */
function typeFor({ type, code }: ApiError, status: number): string {
  if (code === TOO_LONG) return 'invalid_request_error';
  if (status >= 400 && status < 500) return TYPE_OF.get(status) ?? 'invalid_request_error';
  // A break in mid-stream has status 200 or 502; the provider's own word then says more.
  if (type === 'overloaded_error' || type === 'rate_limit_error' || type === 'timeout_error') return type;
  return TYPE_OF.get(status) ?? 'api_error';
}

/**
 * Agents shorten their history when an error begins with Anthropic's own words, `prompt is too long: 210118 tokens
 * > 200000 maximum`, and ask for a shorter answer when it says "input length and `max_tokens` exceed context limit:
 * 190000 + 32000 > 200000". Both are formed from the numbers in OpenAI's wording where it has them.
 */
function tooLong(message: string): string {
  // Where an agent waits for these words, it looks for them at the beginning.
  const own = /(?:prompt is too long|input length and `max_tokens` exceed context limit).*/is.exec(message);
  if (own !== null) return own[0];
  const limit = number(/(?:maximum context length|context (?:window|length|limit))\D{0,40}?(\d[\d,]*)/i, message);
  const input = number(/(\d[\d,]*)(?: tokens)? (?:in|from) the (?:input )?(?:messages|prompt|input)/i, message);
  const output = number(/(\d[\d,]*)(?: tokens)? (?:in|for|of) the (?:completion|output)/i, message);
  if (limit !== undefined && input !== undefined && output !== undefined && input < limit) {
    return `input length and \`max_tokens\` exceed context limit: ${input} + ${output} > ${limit} (${message})`;
  }
  const sent = input ?? number(/(?:resulted in|requested|contains?|has|got)\D{0,30}?(\d[\d,]*)/i, message);
  if (limit !== undefined && sent !== undefined && sent > limit) {
    return `prompt is too long: ${sent} tokens > ${limit} maximum (${message})`;
  }
  return `prompt is too long: ${message}`;
}

function number(pattern: RegExp, text: string): number | undefined {
  const digits = pattern.exec(text)?.[1]?.replaceAll(',', '');
  return digits === undefined ? undefined : Number(digits);
}
