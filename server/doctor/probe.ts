/** One free call to a provider with one of its keys: does its address answer, is the key let in, is the clock right? */
import { fromConnection } from '../forward/failure.ts';
import type { Credential, Provider, ProviderReply, RawCall } from '../providers/provider.ts';

export interface Probed {
  readonly verdict:
    | 'accepted' // answered, and the key was let in
    | 'refused' // answered, and the key was not
    | 'redirected'
    | 'misplaced' // something answers there, but not this API
    | 'busy' // answered, with an error of its own
    | 'silent' // nothing within the time
    | 'unreachable'
    | 'unauthorised'; // no call was made: there are no credentials to make it with
  readonly status?: number;
  /** Code or reason of a call that failed; holds no secret. */
  readonly why?: string;
  readonly ms: number;
  /** Its clock minus ours, seconds; absent where it does not tell the time. */
  readonly skewSeconds?: number;
}

type Ask = Pick<RawCall, 'method' | 'path'> & { readonly body?: string; readonly headers?: Record<string, string> };

const get = (path: string, headers: Record<string, string> = {}): Ask => ({ method: 'GET', path, headers });
/** Without anything to answer: refused for that, after the key has been looked at. */
const empty = (path: string, headers: Record<string, string> = {}): Ask => ({
  method: 'POST',
  path,
  headers: { ...headers, 'content-type': 'application/json' },
  body: '{}',
});

const ANTHROPIC = { 'anthropic-version': '2023-06-01' };

/** What is asked, the next where the one before is not known there. @param kind the host it is one of, by name */
function asksFor(kind: string, provider: Provider): readonly Ask[] {
  switch (kind) {
    // Its list of models is shown to anybody.
    case 'openrouter':
      return [get('/key')];
    case 'bedrock':
    case 'amazon-bedrock':
      return [empty('/model/pointsman-doctor/converse')];
    case 'vertex':
    case 'google-vertex':
      return [empty('/google/models/pointsman-doctor:generateContent')];
    case 'cohere':
      return [empty('/chat')];
  }
  switch (provider.protocolFor('chat', 'pointsman-doctor')) {
    case 'messages':
      return [get('/models', ANTHROPIC), empty('/messages', ANTHROPIC)];
    case 'gemini':
      return [get('/models')];
    default:
      return [get('/models'), empty('/chat/completions')];
  }
}

export interface ProbeOptions {
  readonly kind: string;
  readonly credential: Credential;
  readonly timeoutMs: number;
  readonly now?: () => number;
}

/** Never rejects. */
export async function probe(provider: Provider, options: ProbeOptions): Promise<Probed> {
  const { kind, credential, timeoutMs, now = Date.now } = options;
  const started = performance.now();
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  // Credentials may be fetched from places that take no signal.
  const late = new Promise<Probed>((resolve) => {
    timer = setTimeout(() => {
      controller.abort();
      resolve({ verdict: 'silent', ms: performance.now() - started });
    }, timeoutMs);
  });
  const asked = async (): Promise<Probed> => {
    const asks = asksFor(kind, provider);
    for (const [i, ask] of asks.entries()) {
      const sent = now();
      const reply = await provider.probe!({ headers: {}, ...ask, credential, signal: controller.signal });
      const text = await beginningOf(reply);
      if ((reply.status === 404 || reply.status === 405) && i < asks.length - 1) continue;
      const verdict = verdictOf(reply, text, ask);
      const skew = skewOf(reply, (sent + now()) / 2);
      return {
        verdict,
        status: reply.status,
        ms: performance.now() - started,
        ...(skew !== undefined && { skewSeconds: skew }),
      };
    }
    throw new Error('nothing to ask');
  };
  try {
    return await Promise.race([asked().catch((error) => failed(error, performance.now() - started)), late]);
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
}

/** Google answers 400 to a key that it does not know. */
const KEY_IS_BAD = /API_KEY_INVALID|API key not valid|invalid[_ ]api[_ ]key/i;

function verdictOf({ status, contentType }: ProviderReply, text: string, { method }: Ask): Probed['verdict'] {
  if (status >= 300 && status < 400) return 'redirected';
  if (status === 401 || status === 403 || (status === 400 && KEY_IS_BAD.test(text))) return 'refused';
  // A page where an API was asked for: a portal, or a wrong path.
  if (/^text\/html\b/i.test(contentType)) return 'misplaced';
  if (status < 300 || status === 429 || status === 402) return 'accepted';
  if (status >= 500) return 'busy';
  // The request was too empty, or names no model: so it was read, after the key.
  if (method === 'POST') return status === 405 || (status === 404 && !isError(text)) ? 'misplaced' : 'accepted';
  return status === 404 || status === 405 ? 'misplaced' : 'busy';
}

/** An API that knows the path but not the model says so in JSON. */
const isError = (text: string): boolean => /^\s*\{[\s\S]*(error|message|detail)/i.test(text);

function failed(error: unknown, ms: number): Probed {
  const { code, message = '' } = error as { code?: unknown; message?: string };
  if (code === 'PROVIDER_NOT_CONFIGURED') return { verdict: 'unauthorised', why: message.slice(0, 300), ms };
  if (code === 'UPSTREAM_ERROR' || code === 'INVALID_CONFIG')
    return { verdict: 'unreachable', why: message.slice(0, 300), ms };
  const why = typeof code === 'string' ? code : fromConnection('it', error).message;
  return { verdict: 'unreachable', why: why.slice(0, 300), ms };
}

function skewOf({ headers = {} }: ProviderReply, now: number): number | undefined {
  const { date } = headers;
  const time = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  return Number.isNaN(time) ? undefined : Math.round((time - now) / 1000);
}

const BYTES = 16 * 1024;

async function beginningOf({ body }: ProviderReply): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.byteLength;
    if (size > BYTES) break;
  }
  return Buffer.concat(pieces).toString('utf8', 0, BYTES);
}
