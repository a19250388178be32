/** `GET /v1/decisions/:id`: why a model was chosen, what was called and what people said of the answer. */
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import type { Caller } from '../callers.ts';
import type { AttemptRecord, DecisionRecord, FeedbackRecord, SqlStore, Store } from '../db/store.ts';
import type { Gateway } from '../gateway.ts';
import { reaches } from '../governance/access/roles.ts';

export function decisionsRoute(app: FastifyInstance, gateway: Gateway): void {
  app.get<{ Params: { id: string } }>('/v1/decisions/:id', async (request) => {
    const found = await findDecision(gateway, request.params.id);
    if (!maySee(found.decision, request.caller)) throw notFound(request.params.id);
    const { embedding, trial, arm, armProbability, shadow, ...decision } = found.decision;
    return {
      ...decision,
      // Which side of a trial it was on is nothing that whoever judges the answer needs to know.
      ...(request.caller.scopes.has('learn') && { trial, arm, armProbability, shadow }),
      embeddingDimension: embedding?.length ?? null,
      attempts: found.attempts,
      feedback: found.feedback,
    };
  });
}

interface Found {
  readonly decision: DecisionRecord;
  readonly attempts: readonly AttemptRecord[];
  readonly feedback: readonly FeedbackRecord[];
}

/**
 * @param log  given by whom a missing database must not stop: then a decision counts as found
 * @throws `NOT_FOUND`
 */
export async function findDecision(gateway: Gateway, id: string): Promise<Found>;
export async function findDecision(gateway: Gateway, id: string, log: FastifyBaseLogger): Promise<Found | null>;
export async function findDecision(gateway: Gateway, id: string, log?: FastifyBaseLogger): Promise<Found | null> {
  return lookFor(gateway, id, log);
}

/** Rows are written 50 ms after they are recorded, on a busy machine somewhat later. */
const RETRY_MS = 100;
const RETRIES = 3;

const isShared = (store: Store): boolean => (store as Partial<SqlStore>).kind === 'postgres';

async function lookFor(
  gateway: Gateway,
  id: string,
  log: FastifyBaseLogger | undefined,
  tries = 0,
): Promise<Found | null> {
  let stored: Found | null = null;
  try {
    // Ids are 128 bits in hex: anything else was never given out.
    if (/^[0-9a-f]{32}$/.test(id)) stored = await gateway.store.getDecision(id);
  } catch (error) {
    if (log === undefined) throw error;
    log.warn({ err: error, decisionId: id }, 'feedback taken unchecked: the database is away');
    return null;
  }
  if (stored !== null) return stored;
  // Still being answered: its client has the id from the stream's headers.
  const decision = gateway.pending.get(id);
  if (decision !== undefined) return { decision, attempts: [], feedback: [] };
  // Answered by another replica a moment ago: its row is on its way.
  if (isShared(gateway.store) && tries < RETRIES && /^[0-9a-f]{32}$/.test(id)) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return lookFor(gateway, id, log, tries + 1);
  }
  throw notFound(id);
}

/** The key that made it, and nobody else: to others it is as if it were not there. */
export const isCallers = ({ tenant, key }: DecisionRecord, caller: Caller): boolean =>
  tenant === caller.tenant && key === caller.name;

/** It holds no text of the request: whoever sees a team's usage sees why each of its models was chosen. */
const maySee = (decision: DecisionRecord, caller: Caller): boolean =>
  isCallers(decision, caller) || (caller.scopes.has('usage') && reaches(caller, decision.tenant));

export const notFound = (id: string): RoutingError =>
  new RoutingError('NOT_FOUND', `no decision ${id.slice(0, 64)}; the id is in the header x-pointsman-decision-id`);
