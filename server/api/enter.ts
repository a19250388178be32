/** Lets a request in: bound by the policy of its key and tags, counted against its limits. The same for every endpoint that calls a model. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../callers.ts';
import type { Gateway } from '../gateway.ts';
import type { Entrant } from '../governance/limits/limits.ts';

export interface Asked {
  readonly surface: string;
  /** `model` as the client sent it; empty where none is named. */
  readonly requestedModel: string;
  readonly isAuto: boolean;
  /** Characters of the request. */
  readonly chars: number;
  /** Tags that the client added: they can only restrict. */
  readonly added?: readonly string[] | undefined;
}

export interface Entered {
  /** Bound by rules and limits: whatever is called for the request goes by it. */
  readonly caller: Caller;
  readonly tags: readonly string[];
  readonly entrant: Entrant;
}

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
  const { caller, headers } = governance.limits.admit(entrant);
  reply.headers(headers);
  return { caller, tags, entrant: { ...entrant, caller } };
}
