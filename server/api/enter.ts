/** Lets a request in: bound by the policy of its key and tags, counted against its limits. The same for every endpoint that calls a model. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../callers.ts';
import type { Gateway } from '../gateway.ts';
import type { Entrant } from '../governance/limits/limits.ts';
import { readWishes } from './knobs.ts';

export interface Asked {
  readonly surface: string;
  /** `model` as the client sent it; empty where none is named. */
  readonly requestedModel: string;
  readonly isAuto: boolean;
  /** Characters of the request. */
  readonly chars: number;
  /** It asks for something that is there already, and for no answer. */
  readonly takesNoTokens?: boolean;
  /** Tags that the client added: they can only restrict. */
  readonly added?: readonly string[] | undefined;
}

export interface Entered {
  /** Bound by rules and limits: whatever is called for the request goes by it. */
  readonly caller: Caller;
  readonly tags: readonly string[];
  readonly entrant: Entrant;
  /** A soft limit sets the trade-off of `auto`. */
  readonly isSoftened: boolean;
  /** Its name. */
  readonly softLimit: string | null;
}

/** Tags in the headers of a request whose body is not ours to read. @throws FieldError for a misspelt `x-pointsman-…` */
export const addedTags = ({ headers }: FastifyRequest): readonly string[] | undefined =>
  readWishes('', {}, headers, null).routing.tags;

/** @throws `RATE_LIMITED`, `POLICY_REFUSED` */
export function enter(
  { governance }: Gateway,
  request: FastifyRequest,
  reply: FastifyReply,
  { added = [], ...asked }: Asked,
): Entered {
  const tags = [...new Set([...request.caller.tags, ...added])];
  const governed = governance.policies.govern({ caller: request.caller, tags, surface: asked.surface });
  const entrant = { ...asked, tags, caller: governed };
  const { caller, headers, isSoftened, pending } = governance.limits.admit(entrant);
  reply.headers(headers);
  const softLimit = headers['x-pointsman-soft-limit'] ?? null;
  return { caller, tags, entrant: { ...entrant, caller, pending }, isSoftened, softLimit };
}
