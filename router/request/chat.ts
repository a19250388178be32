/** An OpenAI chat completions request → turns. */
import { z } from 'zod';
import { addContent, addToolResult, Content, draftOf, isContent, isLimit, isObject } from './content.ts';
import type { Conversation, Turn } from './conversation.ts';
import { jsonTokens } from './tokens.ts';

const Message = z.looseObject({
  role: z.string().min(1),
  content: Content.nullish(),
  tool_calls: z.array(z.unknown()).nullish(),
});
type Message = z.infer<typeof Message>;

/** The parts of the request that routing reads; everything else passes through untouched. */
export const ChatRequest = z.looseObject({
  messages: z.array(Message).min(1, 'must hold at least one message'),
  max_tokens: z.number().int().positive().nullish(),
  max_completion_tokens: z.number().int().positive().nullish(),
  tools: z.array(z.unknown()).nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish(),
});
export type ChatRequest = z.input<typeof ChatRequest>;

/** What {@link ChatRequest} accepts, told without making a copy of it. */
export function isChat(body: unknown): body is z.infer<typeof ChatRequest> {
  if (!isObject(body) || !Array.isArray(body.messages) || body.messages.length === 0) return false;
  for (const message of body.messages) {
    if (!isObject(message) || typeof message.role !== 'string' || message.role === '') return false;
    if (message.content != null && !isContent(message.content)) return false;
    if (message.tool_calls != null && !Array.isArray(message.tool_calls)) return false;
  }
  const { tools, response_format: format } = body;
  return (
    isLimit(body.max_tokens) &&
    isLimit(body.max_completion_tokens) &&
    (tools == null || Array.isArray(tools)) &&
    (format == null || (isObject(format) && typeof format.type === 'string'))
  );
}

export function readChat(body: z.infer<typeof ChatRequest>): Conversation {
  const { messages, tools, response_format, max_tokens, max_completion_tokens } = body;
  return {
    turns: messages.map(turnOf),
    tools: tools ?? [],
    schema: response_format?.json_schema,
    responseSchema: response_format?.type === 'json_schema',
    maxOutputTokens: max_completion_tokens ?? max_tokens ?? undefined,
    continues: false,
  };
}

function turnOf({ role, content, tool_calls }: Message): Turn {
  const turn = draftOf(role);
  if (role === 'tool' || role === 'function') addToolResult(turn, content ?? '', undefined);
  else addContent(turn, content);
  if (tool_calls) {
    turn.tokens += jsonTokens(tool_calls);
    for (const call of tool_calls) {
      const named = isObject(call) && (call.function ?? call.custom);
      if (isObject(named) && typeof named.name === 'string') turn.calls.push(named.name);
    }
  }
  return turn;
}
