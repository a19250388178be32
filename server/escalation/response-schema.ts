/** The answer is the JSON that was asked for, and fits its schema. */
import type { Answer, Conversation } from '../protocols/conversation.ts';
import type { Fault } from './answer-shape.ts';
import { schemaTest } from './schemas.ts';

/** Longer answers are not parsed again. */
const MAX_CHARS = 1_000_000;

/** Null: it fits, or nobody can tell. */
export async function checkSchema(
  answer: Answer,
  conversation: Pick<Conversation, 'responseFormat'>,
): Promise<Fault | null> {
  const found = await judgeSchema(answer, conversation);
  return found === 'fits' ? null : found;
}

/** The same where it matters which of the two it is. Null: nobody can tell. */
export async function judgeSchema(
  { blocks }: Answer,
  { responseFormat }: Pick<Conversation, 'responseFormat'>,
): Promise<Fault | 'fits' | null> {
  if (responseFormat === undefined || responseFormat.type === 'text') return null;
  // A model that calls a tool first answers in the next turn.
  if (blocks.some(({ type }) => type === 'tool_call')) return null;
  const text = blocks.map((block) => (block.type === 'text' ? block.text : '')).join('');
  if (text.length > MAX_CHARS) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { check: 'schema', why: 'JSON was asked for and it is none' };
  }
  if (responseFormat.type !== 'json_schema') return 'fits';
  const fits = (await schemaTest(responseFormat.schema))(value);
  if (fits === null) return null;
  return fits ? 'fits' : { check: 'schema', why: 'it does not fit the schema that was asked for' };
}
