/**
 * Requests whose answers are never kept, whatever a policy says: those that leave or use something at a provider, and those
 * that a provider answers by doing or looking up something of its own.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { SurfaceName } from '../../protocols/index.ts';

type Json = Readonly<Record<string, unknown>>;

/** Members that make an answer more than a function of the request. */
const LIVE: Readonly<Record<SurfaceName, readonly string[]>> = {
  chat: ['audio'],
  responses: ['previous_response_id', 'conversation', 'prompt', 'background'],
  messages: ['container', 'mcp_servers', 'context_management'],
  embeddings: [],
};

export function mayBeKept(surface: SurfaceName, json: Json): boolean {
  if (LIVE[surface].some((member) => json[member] != null && json[member] !== false)) return false;
  if (json.web_search_options != null || runsPlugins(json.plugins) || namesOf(json).some(isOnline)) return false;
  // OpenAI stores responses unless it is told not to, and chats only when it is told to.
  if (surface === 'responses' ? json.store !== false : json.store === true) return false;
  return !runsTools(json.tools);
}

/** OpenRouter's plugins search and read beside the model; that of its router says which models may be chosen, no more. */
function runsPlugins(plugins: unknown): boolean {
  if (!Array.isArray(plugins)) return plugins != null;
  return plugins.some((plugin: unknown) => (plugin as Json | null)?.id !== 'auto-router');
}

const namesOf = ({ model, models }: Json): unknown[] => [model, ...(Array.isArray(models) ? models : [])];

/** A model that OpenRouter lets search the web, by its name: `maker/model:online`, or with other variants before or after. */
export const isOnline = (model: unknown): boolean => typeof model === 'string' && /:online(?=:|$)/i.test(model);

/** Functions and custom tools are run by the client, which asks again with their results: that is another request. All others run at the provider. */
function runsTools(tools: unknown): boolean {
  if (!Array.isArray(tools)) return tools != null;
  return tools.some((tool: unknown) => {
    const type = (tool as Json | null)?.type;
    return type !== undefined && type !== 'function' && type !== 'custom';
  });
}

/** What a client's `cache-control` asks. */
export interface Wanted {
  /** An answer that was kept may be given. */
  readonly read: boolean;
  /** The answer may be kept. */
  readonly write: boolean;
  /** Oldest answer that is taken, s; null: any. */
  readonly maxAgeS: number | null;
}

/** @see RFC 9111, 5.2.1; `pragma: no-cache` (5.4) for clients of old */
export function wantedBy(headers: IncomingHttpHeaders): Wanted {
  const directives = (headers['cache-control'] ?? headers.pragma ?? '')
    .toString()
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim());
  const noStore = directives.includes('no-store');
  const ages = directives.flatMap((directive) => /^max-age="?(\d{1,10})"?$/.exec(directive)?.[1] ?? []);
  return {
    read: !noStore && !directives.includes('no-cache'),
    write: !noStore,
    maxAgeS: ages.length === 0 ? null : Math.min(...ages.map(Number)),
  };
}
