/** The words of an answer that a verifier compares, and whether they are the answer at all. */
import type { Answer, Conversation } from '../protocols/conversation.ts';

/** Longer answers are not looked at. */
const MAX_CHARS = 1_000_000;

/**
 * Null where there is nothing to judge: a turn that calls a tool first answers in a later one, and an answer cut at the
 * client's own bound says nothing of its model.
 */
export function finalText(
  { blocks, finish }: Answer,
  { maxOutputTokens }: Pick<Conversation, 'maxOutputTokens'>,
): string | null {
  if (finish === 'pause' || blocks.some(({ type }) => type === 'tool_call')) return null;
  if (finish === 'length' && maxOutputTokens !== undefined) return null;
  const text = blocks.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return text.length > MAX_CHARS ? null : text;
}
