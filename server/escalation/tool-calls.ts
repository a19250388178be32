/** Tool calls name tools that were offered, with arguments that fit them; a call that was required is there. */
import type { Answer, Conversation, ToolCallBlock } from '../protocols/conversation.ts';
import type { Fault } from './answer-shape.ts';
import { schemaTest } from './schemas.ts';

const MAX_CHARS = 1_000_000;

type Offer = Pick<Conversation, 'tools' | 'toolChoice' | 'only'>;

/** Null: nothing is wrong, or nobody can tell. */
export async function checkToolCalls(answer: Answer, offer: Offer): Promise<Fault | null> {
  const found = await judgeToolCalls(answer, offer);
  return found === 'fits' ? null : found;
}

/** The same where it matters which of the two it is. Null: nobody can tell, or there was nothing to call and nothing was. */
export async function judgeToolCalls(
  { blocks }: Answer,
  { tools, toolChoice, only }: Offer,
): Promise<Fault | 'fits' | null> {
  // With tools that only one protocol has, the offer is not all seen here.
  if (only.length > 0) return null;
  const calls = blocks.filter((block): block is ToolCallBlock => block.type === 'tool_call');
  const fault = (why: string): Fault => ({ check: 'tool_calls', why });
  if (toolChoice?.type === 'required' && calls.length === 0) return fault('a tool call was required and there is none');
  if (toolChoice?.type === 'tool' && !calls.some(({ name }) => name === toolChoice.name)) {
    return fault('a certain tool was to be called and was not');
  }
  if (toolChoice?.type === 'none' && calls.length > 0) return fault('tools were not to be called');
  let isSure = calls.length > 0;
  for (const { name, arguments: text } of calls) {
    const tool = tools.find((offered) => offered.name === name);
    if (tool === undefined) return fault('it calls a tool that was not offered');
    if (text.length > MAX_CHARS) {
      isSure = false;
      continue;
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return fault('the arguments of a call are not JSON');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return fault('the arguments of a call are not an object');
    }
    const fits = (await schemaTest(tool.parameters))(value);
    if (fits === false) return fault('the arguments of a call do not fit its tool');
    isSure &&= fits === true;
  }
  return isSure ? 'fits' : null;
}
