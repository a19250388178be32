/** Tool calls name tools that were offered, with arguments that fit them; a call that was required is there. */
import type { Answer, Conversation, ToolCallBlock } from '../protocols/conversation.ts';
import type { Fault } from './answer-shape.ts';
import { schemaTest } from './schemas.ts';

const MAX_CHARS = 1_000_000;

/** Null: nothing is wrong, or nobody can tell. */
export async function checkToolCalls(
  { blocks }: Answer,
  { tools, toolChoice, only }: Pick<Conversation, 'tools' | 'toolChoice' | 'only'>,
): Promise<Fault | null> {
  // With tools that only one protocol has, the offer is not all seen here.
  if (only.length > 0) return null;
  const calls = blocks.filter((block): block is ToolCallBlock => block.type === 'tool_call');
  const fault = (why: string): Fault => ({ check: 'tool_calls', why });
  if (toolChoice?.type === 'required' && calls.length === 0) return fault('a tool call was required and there is none');
  if (toolChoice?.type === 'tool' && !calls.some(({ name }) => name === toolChoice.name)) {
    return fault('a certain tool was to be called and was not');
  }
  if (toolChoice?.type === 'none' && calls.length > 0) return fault('tools were not to be called');
  for (const { name, arguments: text } of calls) {
    const tool = tools.find((offered) => offered.name === name);
    if (tool === undefined) return fault('it calls a tool that was not offered');
    if (text.length > MAX_CHARS) continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return fault('the arguments of a call are not JSON');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return fault('the arguments of a call are not an object');
    }
    if ((await schemaTest(tool.parameters))(value) === false)
      return fault('the arguments of a call do not fit its tool');
  }
  return null;
}
