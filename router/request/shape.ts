/** Which API a request was written for, told by the fields that only one of them has. */
import { isObject } from './content.ts';
import type { Shape } from './conversation.ts';

/** Blocks of Anthropic messages that OpenAI chat has none of. */
const ONLY_ANTHROPIC: ReadonlySet<unknown> = new Set([
  'tool_use',
  'tool_result',
  'server_tool_use',
  'thinking',
  'redacted_thinking',
  'document',
]);

/** A request with `messages` is no Responses request, whatever else it holds; anything strange is a chat request, whose reader says what is wrong. */
export function shapeOf(request: unknown): Shape {
  if (!isObject(request)) return 'chat';
  const { messages, input, system } = request;
  if (messages === undefined && input !== undefined) return 'responses';
  if (system != null) return 'messages';
  if (!Array.isArray(messages)) return 'chat';
  return messages.some(isAnthropic) ? 'messages' : 'chat';
}

function isAnthropic(message: unknown): boolean {
  if (!isObject(message) || !Array.isArray(message.content)) return false;
  for (const part of message.content) {
    if (!isObject(part)) continue;
    if (ONLY_ANTHROPIC.has(part.type) || (part.type === 'image' && isObject(part.source))) return true;
  }
  return false;
}
