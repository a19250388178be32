/** The answer is the JSON that was asked for, and fits its schema. */
import type { Answer, Conversation } from '../protocols/conversation.ts';
import type { Fault } from './answer-shape.ts';
import { schemaTest } from './schemas.ts';

/** Longer answers are not parsed again. */
const MAX_CHARS = 1_000_000;

/** Null: it fits, or nobody can tell. */
export async function checkSchema(
  { blocks }: Answer,
  { responseFormat }: Pick<Conversation, 'responseFormat'>,
): Promise<Fault | null> {
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
  if (responseFormat.type !== 'json_schema') return null;
  const fits = (await schemaTest(responseFormat.schema))(value);
  return fits === false ? { check: 'schema', why: 'it does not fit the schema that was asked for' } : null;
}
