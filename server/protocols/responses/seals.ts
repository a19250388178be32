/**
 * Sealed reasoning as the `encrypted_content` of a reasoning item. OpenAI's own stands there as it is, under the
 * item's own id; another maker's is wrapped, and the wrapping also says where the seal was: on a thinking block,
 * on one whose text the maker hid, or on a tool call (Gemini), for which a reasoning item has no field.
 */
import { isObject } from '../../forward/usage.ts';
import type { Maker, Sealed } from '../conversation.ts';
import { sealedFromText, sealedToText } from '../sealed.ts';

const REDACTED = 'redacted';
const CALL = 'call:';

export interface ReadSeal {
  readonly sealed: Sealed;
  readonly redacted: boolean;
  /** The seal belongs to this tool call. */
  readonly callId: string | undefined;
}

/** @param maker whose seals stand unwrapped */
export function readSeal(encrypted: string, itemId: unknown, maker: Maker): ReadSeal {
  const { by, data, id } = sealedFromText(encrypted, maker);
  if (data === encrypted) {
    const named = typeof itemId === 'string' && !OUR_ID.test(itemId);
    return { sealed: { by, data, ...(named && { id: itemId }) }, redacted: false, callId: undefined };
  }
  if (id === REDACTED) return { sealed: { by, data }, redacted: true, callId: undefined };
  if (id?.startsWith(CALL)) return { sealed: { by, data }, redacted: false, callId: id.slice(CALL.length) };
  return { sealed: { by, data, ...(id !== undefined && { id }) }, redacted: false, callId: undefined };
}

/** The item that bears the seal has an id of ours, so OpenAI's own seal too is wrapped where it has an id. */
export const writeSeal = (sealed: Sealed): string => sealedToText(sealed, 'openai');

export const writeRedacted = ({ by, data }: Sealed): string => sealedToText({ by, data, id: REDACTED }, 'openai');

export const writeCallSeal = ({ by, data }: Sealed, callId: string): string =>
  sealedToText({ by, data, id: CALL + callId }, 'openai');

/** Ids that we gave to reasoning items: no provider knows them. */
const OUR_ID = /^rs_[0-9a-f]{32}_\d+$/;

/** Reasoning of a model elsewhere as we told it, unsealed: no host gets it. */
export const isOurReasoning = ({ id }: Readonly<Record<string, unknown>>): boolean =>
  typeof id === 'string' && OUR_ID.test(id);

/**
 * What a host that reads seals of this maker is to get of an item: the item, another seal in it, or null: reasoning
 * that it would refuse, sealed by another maker or by nobody.
 */
export function itemForHost(item: unknown, maker: Maker): 'same' | { id?: string; encrypted_content: string } | null {
  if (!isObject(item) || item.type !== 'reasoning') return 'same';
  const { id, encrypted_content: encrypted } = item;
  if (typeof encrypted !== 'string' || encrypted === '') return isOurReasoning(item) ? null : 'same';
  const { sealed, redacted, callId } = readSeal(encrypted, id, 'openai');
  // Only OpenAI's own goes to clients as it is.
  if (sealed.data === encrypted) return maker === 'openai' ? 'same' : null;
  // With nothing sealed, the id that is told beside it would be all that it says.
  if (sealed.by !== maker || sealed.data === '' || redacted || callId !== undefined) return null;
  return { ...(sealed.id !== undefined && { id: sealed.id }), encrypted_content: sealed.data };
}
