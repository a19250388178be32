/** Pins of conversations in the database, where every replica finds them. */
import { claimPin, movePin, readPin } from './db/sessions.ts';
import type { SqlStore } from './db/store.ts';
import type { Pin, PinStore } from './sessions.ts';

export const pinsIn = ({ db, kind }: SqlStore): PinStore => ({
  shared: kind === 'postgres',
  read: (tenant, session, ttlMs) => readPin(db, tenant, session, ttlMs),
  claim: (tenant, session, pin, ttlMs) => claimPin(db, lockless(tenant, session, pin), ttlMs),
  move: (tenant, session, pin) => movePin(db, lockless(tenant, session, pin)),
});

/** What locks a conversation to its model is read from each request: nothing to keep. */
const lockless = (tenant: string, session: string, pin: Pin) => ({ ...pin, tenant, session, locked: null });
