/** A conversation under way: which model has it, and what it costs to leave that model. Data of the caller; nothing is remembered here. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../datasets/index.ts';
import type { RequestFacts } from '../request.ts';

/**
 * Why a conversation cannot change its model: it is between a tool call and what is made of the result; it holds
 * thoughts that are signed, or sealed, for their model; its provider holds a part of it.
 */
export const LOCKS = ['tool_loop', 'thinking', 'encrypted_reasoning', 'held_object'] as const;
export type Lock = (typeof LOCKS)[number];

export interface Session {
  /** The candidate that answered last. */
  readonly incumbent: string;
  /** Tokens of this conversation in the incumbent's prompt cache. */
  readonly prefixTokens: number;
  readonly locked: Lock | null;
  /** False: what a change of model costs is left out of account; a lock holds all the same. */
  readonly sticky: boolean;
}

/** @throws `INVALID_CONFIG` naming the field that is not as it should be */
export function checkedSession(session: Session | undefined): Session | undefined {
  if (session == null) return undefined;
  const { incumbent, prefixTokens, locked, sticky } = session;
  const fault =
    typeof incumbent !== 'string' || incumbent === ''
      ? 'incumbent: a model id is wanted'
      : !(typeof prefixTokens === 'number' && prefixTokens >= 0 && prefixTokens < Number.POSITIVE_INFINITY)
        ? 'prefixTokens: a number of tokens is wanted'
        : locked !== null && !LOCKS.includes(locked)
          ? `locked: null or one of ${LOCKS.join(', ')} is wanted`
          : typeof sticky !== 'boolean'
            ? 'sticky: true or false is wanted'
            : null;
  if (fault !== null) throw new RoutingError('INVALID_CONFIG', `session.${fault}`);
  return session;
}

/** Input that is read from a prompt cache, and input that is written to one. */
export interface CacheUse {
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
}

const NO_CACHE: CacheUse = { cachedInputTokens: 0, cacheWriteTokens: 0 };

/**
 * What a candidate would read from its cache and write to it. The incumbent reads the prefix and writes the rest;
 * anybody else reads nothing and writes it all, since a conversation that was cached goes on being so. Where nothing
 * was cached, nobody writes.
 */
export function cacheUse(candidate: Candidate, facts: RequestFacts, session: Session | undefined): CacheUse {
  if (session === undefined || !session.sticky || session.prefixTokens === 0) return NO_CACHE;
  const cached = candidate.id === session.incumbent ? Math.min(session.prefixTokens, facts.inputTokens) : 0;
  return { cachedInputTokens: cached, cacheWriteTokens: facts.inputTokens - cached };
}
