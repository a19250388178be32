// Who has signed in, and what they may do here.

import { useContext } from '../vendor/hooks.js';
import { createContext } from '../vendor/preact.js';

export const Session = createContext(null);

/** `{ name, role, team, kind, may(scope) }` */
export const useSession = () => useContext(Session);

export const sessionOf = (me) => {
  const scopes = new Set(me.scopes ?? []);
  return { ...me, may: (...anyOf) => anyOf.some((scope) => scopes.has(scope)) };
};
