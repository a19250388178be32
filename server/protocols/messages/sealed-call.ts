/**
 * Gemini seals a tool call itself, and Messages has no place for that on the call. The seal travels as a redacted
 * block before it, which every client hands back unchanged, its id naming the call.
 */
import type { Sealed } from '../conversation.ts';

const PREFIX = 'call:';

export const sealForCall = (sealed: Sealed, callId: string): Sealed => ({ ...sealed, id: PREFIX + callId });

/** The call that a seal belongs to; undefined for a seal of reasoning. */
export const sealedCallId = ({ id }: Sealed): string | undefined =>
  id?.startsWith(PREFIX) ? id.slice(PREFIX.length) : undefined;
