/** The conversation a request belongs to, from the headers and fields that clients send already. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isObject } from '../forward/usage.ts';

export interface SessionId {
  /** As told; null: nothing was. Goes into the record. */
  readonly told: string | null;
  /** One conversation, told or recognised by how it began: what a pin is kept by. Null: a user, or a single question. */
  readonly conversation: string | null;
}

/** Longest id kept as it is; a longer one is replaced by its hash. */
const MOST_CHARS = 200;

/** Headers of a conversation: our own, OpenRouter's and others', Codex's, Claude Code's, Helicone's and LiteLLM's. */
const HEADERS = [
  'x-session-id',
  'session_id',
  'session-id',
  'conversation_id',
  'x-conversation-id',
  'x-claude-code-session-id',
  'helicone-session-id',
  'x-litellm-session-id',
] as const;

/** @param given `routing.session`, which wins */
export function sessionIdOf(
  given: string | undefined,
  headers: IncomingHttpHeaders,
  json: Readonly<Record<string, unknown>>,
): SessionId {
  const metadata = isObject(json.metadata) ? json.metadata : {};
  const conversation = first([
    given,
    ...HEADERS.map((name) => headers[name]),
    metadata.session_id,
    metadata.sessionId,
    metadata.conversation_id,
    json.session_id,
    json.litellm_session_id,
    claudeCodeSession(metadata.user_id),
    json.prompt_cache_key,
  ]);
  if (conversation !== null) return { told: short(conversation), conversation: short(conversation) };
  const user = first([json.user, json.safety_identifier, metadata.user_id]);
  return { told: user === null ? null : short(user), conversation: beginningOf(json) };
}

/** Claude Code: `user_<hash>_account_<uuid>_session_<uuid>`, lately a JSON object in a text. */
function claudeCodeSession(userId: unknown): string | undefined {
  if (typeof userId !== 'string') return undefined;
  const plain = /_session_([\w-]{8,})$/.exec(userId)?.[1];
  if (plain !== undefined || !userId.startsWith('{')) return plain;
  try {
    const { session_id } = JSON.parse(userId) as { session_id?: unknown };
    return typeof session_id === 'string' ? session_id : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A conversation without an id is known again by how it began: its first user turn, under its instructions. Two that
 * begin alike share a pin, which costs nothing but a preference. Single questions have none.
 */
function beginningOf(json: Readonly<Record<string, unknown>>): string | null {
  const { messages, input } = json;
  const turns: unknown[] = Array.isArray(messages) ? messages : Array.isArray(input) ? input : [];
  const roleOf = (turn: unknown) => (isObject(turn) ? turn.role : undefined);
  const goesOn = turns.some((turn) => roleOf(turn) === 'assistant' || roleOf(turn) === 'tool' || isCall(turn));
  const isAgents = Array.isArray(json.tools) && json.tools.length > 0;
  if (!goesOn && !isAgents) return null;
  const beginning = turns.find((turn) => roleOf(turn) === 'user');
  if (beginning === undefined) return null;
  const instructions = json.system ?? json.instructions ?? turns.find((turn) => roleOf(turn) === 'system');
  const text = JSON.stringify([instructions ?? null, (beginning as { content?: unknown }).content ?? null]);
  return `began:${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

const isCall = (turn: unknown): boolean => isObject(turn) && turn.type === 'function_call';

const first = (said: readonly unknown[]): string | null =>
  (said.find((value) => typeof value === 'string' && value !== '') as string | undefined) ?? null;

const short = (session: string): string =>
  session.length <= MOST_CHARS ? session : createHash('sha256').update(session).digest('hex');
