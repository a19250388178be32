/** Checks that need no schema: the answer says something, was not refused, and was not cut off. */
import type { Answer, Conversation } from '../protocols/conversation.ts';

/** What a check finds wrong, for the log: never a word of the answer. */
export interface Fault {
  readonly check: CheckName;
  readonly why: string;
}

export type CheckName = 'empty' | 'refused' | 'cut' | 'schema' | 'tool_calls' | 'confidence' | 'verifier';

/** Null: nothing is wrong. */
export type Check = (answer: Answer, conversation: Conversation) => Fault | null;

export const checkShape: Check = ({ blocks, finish }, { maxOutputTokens, only }) => {
  if (finish === 'refusal' || finish === 'content_filter' || blocks.some(({ type }) => type === 'refusal')) {
    return { check: 'refused', why: finish === 'content_filter' ? 'its provider filtered it' : 'the model refused' };
  }
  if (finish === 'length' && maxOutputTokens === undefined) {
    return { check: 'cut', why: 'it ended at a length that the client had not set' };
  }
  // What only one protocol can say (a built-in tool, a picture) may be all there is, and is not seen here.
  if (only.length > 0 || finish === 'pause') return null;
  const says = blocks.some(
    (block) => block.type === 'tool_call' || (block.type === 'text' && block.text.trim() !== ''),
  );
  return says ? null : { check: 'empty', why: 'it holds neither text nor a tool call' };
};
