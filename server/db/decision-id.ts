/** Ids of decisions: they begin with their time, so that the newest lie together in an index, and a reader knows which month to look in. */
import { freshBytes } from '../random.ts';

/**
 * 12 hex digits of milliseconds since 1970, then 80 random bits: an id cannot be guessed, and knowing one is what allows
 * to give feedback on it.
 */
export const newDecisionId = (now = Date.now()): string =>
  now.toString(16).padStart(12, '0') + freshBytes(10).toString('hex');

/** Ids began with their time in 2026; those of before are random. */
const FIRST_MS = Date.UTC(2026, 0);
const HOUR_MS = 3_600_000;

/**
 * Between which moments the decision of an id was written down, if it was made like this: clocks are granted an hour, a
 * request a day. An old, random id looks like one of now once in a thousand times: who finds nothing there looks everywhere.
 */
export function timesOfId(id: string, now = Date.now()): { readonly from: Date; readonly to: Date } | null {
  const ms = /^[0-9a-f]{32}$/.test(id) ? Number.parseInt(id.slice(0, 12), 16) : Number.NaN;
  if (!(ms >= FIRST_MS && ms <= now + HOUR_MS)) return null;
  return { from: new Date(ms - HOUR_MS), to: new Date(ms + 24 * HOUR_MS) };
}
