/**
 * Sealed reasoning of one maker on its way through a protocol of another: a client hands it back with the next
 * turn, and it must then be known again for what it is. In its maker's own protocol it travels as it is; in a
 * foreign one it is wrapped: `pm1.<maker>.<base64url of {data, id}>`.
 */
import type { Maker, Sealed } from './conversation.ts';

const WRAPPED = /^pm1\.(anthropic|google|openai|deepseek|xai|minimax|other)\.([\w-]+)$/;

/** @param native the maker whose sealed reasoning this protocol carries unwrapped */
export function sealedToText(sealed: Sealed, native: Maker): string {
  if (sealed.by === native && sealed.id === undefined) return sealed.data;
  const json = JSON.stringify({ data: sealed.data, ...(sealed.id !== undefined && { id: sealed.id }) });
  return `pm1.${sealed.by}.${Buffer.from(json).toString('base64url')}`;
}

/** The reverse; what is not wrapped is taken to be `native`'s own. */
export function sealedFromText(text: string, native: Maker): Sealed {
  const [, by, packed] = WRAPPED.exec(text) ?? [];
  if (by === undefined || packed === undefined) return { by: native, data: text };
  try {
    const { data, id } = JSON.parse(Buffer.from(packed, 'base64url').toString()) as { data?: unknown; id?: unknown };
    if (typeof data === 'string') return { by: by as Maker, data, ...(typeof id === 'string' && { id }) };
  } catch {
    // Not one of ours after all.
  }
  return { by: native, data: text };
}
