/** The OpenAI chat protocol over HTTP, which most hosts speak. A host states only where it differs. */
import { Pool } from 'undici';
import { editMembers } from '../forward/edit-json.ts';
import { isObject, readUsage } from '../forward/usage.ts';
import type { Provider, ProviderCall } from './provider.ts';

export interface OpenAiCompatibleOptions {
  readonly name: string;
  /** Up to and including `/v1`. */
  readonly baseUrl: string;
  readonly apiKey?: string | undefined;
  /** What holds the key, for messages. */
  readonly keyFrom?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly connectMs?: number | undefined;
  /** False for a host that reports a stream's usage unasked and may refuse the option. Default: true. */
  readonly asksForStreamUsage?: boolean | undefined;
  /** The field this host bounds its answers by; used for routed requests only. Default: `max_tokens`. */
  readonly outputLimit?: 'max_tokens' | 'max_completion_tokens' | undefined;
  /** Where usage sits when not under `usage`. */
  readonly usageAt?: ((payload: Readonly<Record<string, unknown>>) => unknown) | undefined;
  readonly reasoningOutside?: boolean | undefined;
}

export function openAiCompatible(options: OpenAiCompatibleOptions): Provider {
  const url = new URL(options.baseUrl);
  const path = `${url.pathname.replace(/\/+$/, '')}/chat/completions${url.search}`;
  // Our own timers watch a call, by what they wait for; undici's would only fire beside them.
  const pool = new Pool(url.origin, {
    connect: { timeout: options.connectMs ?? 10_000 },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'user-agent': 'pointsman',
    ...(options.apiKey ? { authorization: `Bearer ${options.apiKey}` } : {}),
    ...options.headers,
  };
  return {
    name: options.name,
    sandbox: false,
    address: `${url.origin}${url.pathname}`,
    keyFrom: options.keyFrom,
    async chat(call) {
      const reply = await pool.request({
        path,
        method: 'POST',
        headers: { ...headers, accept: call.stream ? 'text/event-stream' : 'application/json' },
        body: bodyFor(call, options),
        signal: call.signal,
      });
      // A connection lost while nobody reads the body must not take the process down.
      reply.body.on('error', () => {});
      return {
        status: reply.statusCode,
        contentType: first(reply.headers['content-type']) ?? '',
        retryAfter: first(reply.headers['retry-after']),
        body: reply.body,
      };
    },
    usageOf: (payload) => readUsage(options.usageAt?.(payload) ?? payload.usage, options),
    close: () => pool.destroy(),
  };
}

/** The client's own text with the model's name as the host knows it; nothing else changes without need. */
function bodyFor(call: ProviderCall, options: OpenAiCompatibleOptions): string {
  const { json } = call;
  const edits: Record<string, string> = { model: JSON.stringify(call.model) };
  if (call.stream && options.asksForStreamUsage !== false) {
    const given = isObject(json.stream_options) ? json.stream_options : {};
    if (given.include_usage !== true) edits.stream_options = JSON.stringify({ ...given, include_usage: true });
  }
  const limit = options.outputLimit ?? 'max_tokens';
  const other = limit === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens';
  // OpenAI's reasoning models refuse `max_tokens`; most other hosts do not know `max_completion_tokens`.
  const rename = call.routed && json[other] != null && !(limit in json);
  return editMembers(call.text, edits, rename ? { [other]: limit } : {});
}

const first = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header[0] : header;
