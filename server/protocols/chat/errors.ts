/** Errors as OpenAI's API and its many copies word them. */
import { isObject } from '../../forward/usage.ts';
import type { ApiError } from '../conversation.ts';

/** The error in a body, in any of the shapes that hosts use; undefined when there is none to be read. */
export function readChatError(body: string): ApiError | undefined {
  let payload: unknown;
  try {
    payload = JSON.parse(body);
  } catch {
    return undefined;
  }
  // `[{"error": …}]` is how Google's OpenAI-style endpoint words it.
  const root = Array.isArray(payload) ? payload[0] : payload;
  if (!isObject(root)) return undefined;
  // Mistral puts the list where the message should be.
  const { detail } = isObject(root.message) ? root.message : root;
  return apiErrorOf(root.error, root) ?? apiErrorOf(root) ?? fromDetails(detail);
}

/** FastAPI, on which Mistral's and many servers of open models are built: a list of fields and what is wrong with each. */
function fromDetails(detail: unknown): ApiError | undefined {
  if (!Array.isArray(detail)) return undefined;
  const found = detail.filter(isObject).flatMap(({ loc, msg }) => {
    if (typeof msg !== 'string') return [];
    const path = Array.isArray(loc) ? loc.filter((part) => part !== 'body').join('.') : '';
    return [{ path, text: path === '' ? msg : `${path}: ${msg}` }];
  });
  const [first] = found;
  if (first === undefined) return undefined;
  const message = found.map(({ text }) => text).join('; ');
  return { message, type: 'invalid_request_error', code: null, param: first.path === '' ? null : first.path };
}

/** An error object, or only its text, in OpenAI's shape. @param around the object it stood in */
export function apiErrorOf(error: unknown, around: Readonly<Record<string, unknown>> = {}): ApiError | undefined {
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

export const SOME_ERROR: ApiError = { message: 'an error', type: 'upstream_error', code: null, param: null };

const codeOf = (code: unknown): string | number | null =>
  typeof code === 'string' || typeof code === 'number' ? code : null;
