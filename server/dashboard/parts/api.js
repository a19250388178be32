// The gateway's own API, asked as whoever is signed in here: the cookie goes along, keys are kept nowhere in the page.

export class ApiError extends Error {
  /** @param {{ message: string, code?: string, status?: number, requestId?: string | null, param?: string | null }} told */
  constructor({ message, code = '', status = 0, requestId = null, param = null }) {
    super(message);
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.param = param;
  }
}

/** Told when the gateway no longer knows who asks (`signed-out`), when it knows somebody else (`signed-in`), and whether it can be reached. */
export const events = new EventTarget();

const TIMEOUT_MS = 30_000;

/**
 * @param {unknown} [body]  sent as JSON
 * @returns the answer's JSON; null where it has none
 * @throws {ApiError}
 */
export async function call(method, path, body, signal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        accept: 'application/json',
        // No form of another site can set it: the gateway asks for it where a cookie says who it is.
        'x-pointsman-csrf': '1',
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    const message = timeout.aborted
      ? `The gateway did not answer within ${TIMEOUT_MS / 1000} seconds.`
      : 'The gateway cannot be reached.';
    events.dispatchEvent(new CustomEvent('reach', { detail: false }));
    throw new ApiError({ message, code: 'OFFLINE' });
  }
  events.dispatchEvent(new CustomEvent('reach', { detail: true }));
  const text = await response.text();
  let json = null;
  try {
    json = text === '' ? null : JSON.parse(text);
  } catch {
    // Something between here and the gateway answered in its place.
  }
  if (response.ok && (json !== null || text === '')) return json;
  if (response.status === 401) events.dispatchEvent(new CustomEvent('signed-out'));
  const { message, code, param } = json?.error ?? {};
  throw new ApiError({
    message: message ?? `The gateway answered with status ${response.status} and no explanation.`,
    code: code ?? '',
    status: response.status,
    requestId: response.headers.get('x-request-id'),
    param: param ?? null,
  });
}

/** A path with a query; what is undefined, null or empty is left out. */
export function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${text}`;
}
