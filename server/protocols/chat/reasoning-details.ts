/**
 * `reasoning_details` of chat messages, as OpenRouter introduced it: the one way in which this protocol carries
 * signed and hidden reasoning that has to go back to its maker.
 */
import { isObject } from '../../forward/usage.ts';
import type { Maker, Sealed, ThinkingBlock } from '../conversation.ts';

const FORMATS: Readonly<Record<Maker, string>> = {
  anthropic: 'anthropic-claude-v1',
  google: 'google-gemini-v1',
  openai: 'openai-responses-v1',
  deepseek: 'deepseek-v1',
  xai: 'xai-responses-v1',
  minimax: 'minimax-messages-v1',
  other: 'unknown',
};

function makerOf(format: unknown): Maker {
  const found = Object.entries(FORMATS).find(([, name]) => name === format);
  return (found?.[0] as Maker | undefined) ?? 'other';
}

export interface ReasoningDetail {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Thinking blocks of the details; seals of tool calls are {@link sealedCallsOf}'s. */
export function readReasoningDetails(details: unknown): ThinkingBlock[] {
  if (!Array.isArray(details)) return [];
  return details.filter(isObject).flatMap((detail): ThinkingBlock[] => {
    const by = makerOf(detail.format);
    const id = typeof detail.id === 'string' ? { id: detail.id } : {};
    if (detail.type === 'reasoning.text') {
      const text = typeof detail.text === 'string' ? detail.text : '';
      const sealed = typeof detail.signature === 'string' ? { sealed: { by, data: detail.signature, ...id } } : {};
      return [{ type: 'thinking', text, ...sealed }];
    }
    if (detail.type === 'reasoning.summary') {
      return [{ type: 'thinking', text: typeof detail.summary === 'string' ? detail.summary : '' }];
    }
    if (detail.type === 'reasoning.encrypted' && typeof detail.data === 'string' && !sealsCall(detail)) {
      return [{ type: 'thinking', text: '', sealed: { by, data: detail.data, ...id }, redacted: true }];
    }
    return [];
  });
}

/** Seals of tool calls, by the call's id. */
export function sealedCallsOf(details: unknown): ReadonlyMap<string, Sealed> {
  const seals = new Map<string, Sealed>();
  if (!Array.isArray(details)) return seals;
  for (const detail of details.filter(isObject)) {
    if (sealsCall(detail) && typeof detail.data === 'string') {
      seals.set(detail.id as string, { by: makerOf(detail.format), data: detail.data });
    }
  }
  return seals;
}

/** Gemini signs the call; the detail then bears the call's id. */
const sealsCall = (detail: Readonly<Record<string, unknown>>): boolean =>
  detail.type === 'reasoning.encrypted' && detail.format === FORMATS.google && typeof detail.id === 'string';

/** Reasoning that says whose it is, and is not this maker's; where none is said, nobody can tell. */
export function isSealedByAnother(detail: unknown, maker: Maker | undefined): boolean {
  if (!isObject(detail)) return false;
  const by = makerOf(detail.format);
  return by !== 'other' && by !== maker;
}

/** @param text the thinking that the seal closes; '' for hidden reasoning */
export function writeSealed(sealed: Sealed, text: string, redacted: boolean): ReasoningDetail {
  const common = { format: FORMATS[sealed.by], ...(sealed.id !== undefined && { id: sealed.id }) };
  if (redacted) return { type: 'reasoning.encrypted', data: sealed.data, ...common };
  return { type: 'reasoning.text', text, signature: sealed.data, ...common };
}

export const writeSealedCall = (sealed: Sealed, callId: string): ReasoningDetail => ({
  type: 'reasoning.encrypted',
  data: sealed.data,
  format: FORMATS[sealed.by],
  id: callId,
});
