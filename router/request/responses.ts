/** An OpenAI Responses request → turns: each item of its input is one. */
import { z } from 'zod';
import { addContent, addToolResult, Content, draftOf, isContent, isLimit, isObject } from './content.ts';
import type { Conversation, Turn } from './conversation.ts';
import { estimateTokens, fileTokens, jsonTokens, sealedTokens } from './tokens.ts';

const Item = z
  .looseObject({ type: z.string().optional(), role: z.string().min(1).optional(), content: Content.nullish() })
  .refine(({ type, role }) => type !== undefined || role !== undefined, 'must have a type or a role');
type Item = z.infer<typeof Item>;

const Format = z.looseObject({ type: z.string() });

/** The parts of the request that routing reads; everything else passes through untouched. */
export const ResponsesRequest = z.looseObject({
  input: z.union([z.string(), z.array(Item)], 'must be a text or a list of items').nullish(),
  instructions: z.string().nullish(),
  max_output_tokens: z.number().int().positive().nullish(),
  tools: z.array(z.unknown()).nullish(),
  text: z.looseObject({ format: Format.nullish() }).nullish(),
});
export type ResponsesRequest = z.input<typeof ResponsesRequest>;

/** What {@link ResponsesRequest} accepts, told without making a copy of it. */
export function isResponses(body: unknown): body is z.infer<typeof ResponsesRequest> {
  if (!isObject(body)) return false;
  const { input, instructions, tools, text } = body;
  if (input != null && typeof input !== 'string' && !(Array.isArray(input) && input.every(isItem))) return false;
  return (
    (instructions == null || typeof instructions === 'string') &&
    isLimit(body.max_output_tokens) &&
    (tools == null || Array.isArray(tools)) &&
    (text == null ||
      (isObject(text) && (text.format == null || (isObject(text.format) && typeof text.format.type === 'string'))))
  );
}

function isItem(item: unknown): boolean {
  if (!isObject(item)) return false;
  const { type, role, content } = item;
  if (type === undefined && role === undefined) return false;
  if (type !== undefined && typeof type !== 'string') return false;
  if (role !== undefined && (typeof role !== 'string' || role === '')) return false;
  return content == null || isContent(content);
}

export function readResponses(body: z.infer<typeof ResponsesRequest>): Conversation {
  const { input, instructions, tools, text, max_output_tokens } = body;
  const items: readonly Item[] = typeof input === 'string' ? [{ role: 'user', content: input }] : (input ?? []);
  const system: Item[] = instructions == null ? [] : [{ role: 'system', content: instructions }];
  const format = text?.format;
  return {
    turns: [...system, ...items].map(turnOf),
    tools: tools ?? [],
    schema: format?.schema,
    responseSchema: format?.type === 'json_schema',
    maxOutputTokens: max_output_tokens ?? undefined,
    continues: [body.previous_response_id, body.conversation, body.prompt].some((held) => held != null),
  };
}

function turnOf(item: Item): Turn {
  const { type = 'message', role } = item;
  if (type === 'message') {
    const turn = draftOf(role ?? 'user');
    addContent(turn, item.content);
    return turn;
  }
  // `function_call_output`, `custom_tool_call_output`, `local_shell_call_output`, `computer_call_output` …
  if (type.endsWith('_output')) {
    const turn = draftOf('tool');
    addToolResult(turn, item.output, undefined);
    return turn;
  }
  // What the model said or did by itself: calls, reasoning, its provider's own tools.
  const turn = draftOf(role ?? 'assistant');
  turn.other = true;
  if (type === 'reasoning' || type === 'compaction') {
    for (const list of [item.summary, item.content]) {
      if (isContent(list)) addContent(turn, list);
    }
    turn.tokens += sealedTokens(item.encrypted_content);
    // Read for its length only: thoughts are nothing that was said.
    turn.texts = [];
  } else if (type === 'image_generation_call') turn.tokens += fileTokens(item);
  else if (type !== 'item_reference') {
    if (typeof item.name === 'string') turn.calls.push(item.name);
    const { arguments: args } = item;
    turn.tokens += typeof args === 'string' ? estimateTokens(`${item.name ?? ''}${args}`) : jsonTokens(item);
  }
  return turn;
}
