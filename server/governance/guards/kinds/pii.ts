/** Personal data and secrets, by the same rules as texts that are kept (`privacy/redact.ts`). */
import { redact } from '../../../privacy/redact.ts';
import { forcedCut, LONGEST_KEY, redactInPieces, settled } from '../../../privacy/redact-pieces.ts';
import { type Kind, maskOf } from '../../../privacy/redact-rules.ts';
import { IN_ONE_GO } from '../breath.ts';
import type { Guard } from '../plug-in.ts';
import type { PiiRule } from './rules.ts';

const SECRETS: ReadonlySet<Kind> = new Set(['secret']);

export function pii({ kinds }: PiiRule): Guard {
  const wanted = new Set(kinds);
  return {
    ...(wanted.has('secret') && {
      lookEncoded: (text: string) => redact(text, SECRETS).found,
      encodedMask: maskOf('secret'),
    }),
    look: (text) => (text.length <= IN_ONE_GO ? redact(text, wanted) : redactInPieces(text, wanted)),
    lookAt: ({ text, from, to }) => redact(text.slice(from, to), wanted),
    settled(text, from, tried) {
      const place = settled(text, from, tried);
      return place > from || text.length - from <= LONGEST_KEY ? place : forcedCut(text, from, wanted);
    },
    mostWaiting: LONGEST_KEY,
    // A line's end is within nothing but private keys, and of those no one is passed over.
    isSeparable: true,
  };
}
