/** The key that a session was opened with: how the session remembers it, and what it is now. */
import { createHash } from 'node:crypto';
import type { Caller, Callers } from '../../callers.ts';
import type { KeyRing } from './key-ring.ts';

export interface SessionKey {
  /** Its id in the database; for one of the configuration a hash of its hash, which opens nothing. */
  readonly id: string;
  readonly caller: Caller;
}

const CONFIGURED = 'config:';

/** @throws `UNAUTHORIZED` for a key that is nobody's, or past */
export function sessionKey(callers: Callers, key: string): SessionKey {
  const caller = callers.find(key);
  if (caller.keyId !== null) return { id: caller.keyId, caller };
  return { id: idOf(createHash('sha256').update(key).digest()), caller };
}

/** Null once it was revoked, has expired, or is gone from the configuration. */
export function callerOfSessionKey(id: string, callers: Callers, ring: Pick<KeyRing, 'callerOf'>): Caller | null {
  if (!id.startsWith(CONFIGURED)) return ring.callerOf(id);
  for (const { digest, caller } of callers.configured) if (idOf(digest) === id) return caller;
  return null;
}

const idOf = (digest: Uint8Array): string =>
  `${CONFIGURED}${createHash('sha256').update('session\n').update(digest).digest('hex').slice(0, 32)}`;
