/** An Anthropic messages request → turns. */
import { z } from 'zod';
import { addContent, Content, draftOf, isContent, isLimit, isObject } from './content.ts';
import type { Conversation, Turn } from './conversation.ts';

const Format = z.looseObject({ type: z.string() });

/** The parts of the request that routing reads; everything else passes through untouched. */
export const MessagesRequest = z.looseObject({
  messages: z
    .array(z.looseObject({ role: z.string().min(1), content: Content.nullish() }))
    .min(1, 'must hold at least one message'),
  system: Content.nullish(),
  max_tokens: z.number().int().positive().nullish(),
  tools: z.array(z.unknown()).nullish(),
  output_config: z.looseObject({ format: Format.nullish() }).nullish(),
  output_format: Format.nullish(),
});
export type MessagesRequest = z.input<typeof MessagesRequest>;

/** The same of a client that says that it speaks this protocol, which asks for a limit on the answer. */
export const StrictMessagesRequest = MessagesRequest.extend({
  max_tokens: z.number('must be given, a number of tokens').int().positive(),
});

/** What {@link MessagesRequest} accepts, told without making a copy of it. */
export function isMessages(body: unknown): body is z.infer<typeof MessagesRequest> {
  if (!isObject(body) || !Array.isArray(body.messages) || body.messages.length === 0) return false;
  for (const message of body.messages) {
    if (!isObject(message) || typeof message.role !== 'string' || message.role === '') return false;
    if (message.content != null && !isContent(message.content)) return false;
  }
  const { tools, output_config: config } = body;
  return (
    (body.system == null || isContent(body.system)) &&
    isLimit(body.max_tokens) &&
    (tools == null || Array.isArray(tools)) &&
    (config == null || (isObject(config) && isFormat(config.format))) &&
    isFormat(body.output_format)
  );
}

const isFormat = (value: unknown): boolean => value == null || (isObject(value) && typeof value.type === 'string');

export function readMessages(body: z.infer<typeof MessagesRequest>): Conversation {
  const { system, messages, tools, max_tokens, output_config, output_format } = body;
  const format = output_config?.format ?? output_format;
  return {
    turns: [...(system == null ? [] : [turnOf('system', system)]), ...messages.map((m) => turnOf(m.role, m.content))],
    tools: tools ?? [],
    schema: format?.schema,
    responseSchema: format?.type === 'json_schema',
    maxOutputTokens: max_tokens ?? undefined,
    continues: false,
  };
}

function turnOf(role: string, content: Content | null | undefined): Turn {
  const turn = draftOf(role);
  addContent(turn, content);
  return turn;
}
