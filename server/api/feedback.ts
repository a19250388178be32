/** `POST /v1/feedback`: somebody's verdict on an answer, by its decision id. It is what the router learns from. */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import { type Caller, demand } from '../callers.ts';
import type { AttemptRecord, DecisionRecord, FeedbackRecord } from '../db/store.ts';
import { FeedbackBody, feedbackId, type Verdict, verdictOf } from '../feedback/verdict.ts';
import type { Gateway } from '../gateway.ts';
import { SANDBOX, WHY_LEFT_OUT, WITHOUT_WEIGHT, whyLeftOut } from '../learning/learnable.ts';
import { readBody } from './body.ts';
import { findDecision, isCallers, notFound } from './decisions.ts';
import { FieldError } from './errors.ts';

interface Found {
  readonly decision: DecisionRecord;
  readonly attempts: readonly AttemptRecord[];
  readonly feedback: readonly FeedbackRecord[];
}

export function feedbackRoute(app: FastifyInstance, gateway: Gateway): void {
  const oneByOne = new OneByOne();
  app.post('/v1/feedback', async (request) => {
    const { caller } = request;
    demand(caller, 'feedback', 'feedback:team');
    const { value } = readBody(FeedbackBody, request.body);
    const verdict = verdictOf(value, caller.tenant, gateway.config.feedback.labels);
    const given = givenId(request, value.id);
    return oneByOne.do(value.decisionId, () => judge(gateway, request, value.decisionId, verdict, given));
  });
}

async function judge(
  gateway: Gateway,
  { caller, log }: FastifyRequest,
  decisionId: string,
  verdict: Verdict,
  given: string | undefined,
): Promise<object> {
  const found = await findFor(gateway, caller, decisionId, log);
  const id = given === undefined ? randomUUID() : feedbackId(caller.tenant, caller.name, decisionId, given);
  const before = found?.feedback.find((row) => row.id === id);
  if (before !== undefined) return told(refuseAnother(before, verdict), gateway, found);
  refuseMore(found?.feedback ?? [], gateway.config.feedback.maxPerDecision);
  const feedback: FeedbackRecord = {
    id,
    decisionId,
    ...verdict,
    createdAt: new Date(),
    kind: 'verdict',
    // By the key, whatever the request says.
    weight: caller.feedbackWeight,
    tenant: caller.tenant,
    key: caller.name,
  };
  gateway.store.record({ feedback });
  await gateway.store.saved();
  return told(feedback, gateway, found);
}

/** Verdicts on one decision are taken one after another, so that two at once cannot both be the last that fits. */
class OneByOne {
  readonly #last = new Map<string, Promise<unknown>>();

  async do<T>(id: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#last.get(id) ?? Promise.resolve()).catch(() => undefined).then(work);
    this.#last.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(id) === mine) this.#last.delete(id);
    }
  }
}

/** @throws `INVALID_REQUEST` where header and body name two */
function givenId({ headers }: FastifyRequest, inBody: string | undefined): string | undefined {
  const inHeader = headers['idempotency-key'];
  if (inHeader === undefined) return inBody;
  if (typeof inHeader !== 'string' || inHeader === '' || inHeader.length > 255) {
    throw new FieldError('idempotency-key', 'must have 1 to 255 characters');
  }
  if (inBody !== undefined && inBody !== inHeader) {
    throw new FieldError('id', 'is not what the header idempotency-key says; send one of them');
  }
  return inHeader;
}

/**
 * For the key that made the decision, and for those of its team that may judge for all of it; to everybody else it is
 * as if it were not there.
 * @returns null while the database is away: then the verdict is taken unchecked, and counts if it is of the right team
 * @throws `NOT_FOUND`
 */
async function findFor(
  gateway: Gateway,
  caller: Caller,
  id: string,
  log: FastifyRequest['log'],
): Promise<Found | null> {
  const pending = gateway.pending.get(id);
  const found =
    (await findDecision(gateway, id, log)) ??
    (pending === undefined ? null : { decision: pending, attempts: [], feedback: [] });
  if (found === null) return null;
  const { decision } = found;
  const isTeams = decision.tenant === caller.tenant && caller.scopes.has('feedback:team');
  if (!isTeams && !isCallers(decision, caller)) throw notFound(id);
  return found;
}

/** @throws `CONFLICT` */
function refuseAnother(before: FeedbackRecord, { score, source, label }: Verdict): FeedbackRecord {
  if (before.score === score && before.source === source && (before.label ?? null) === label) return before;
  throw new RoutingError('CONFLICT', 'another verdict was given under this id; send this one under an id of its own');
}

/** What people and programs say is counted; what the gateway itself adds is bounded by its configuration. @throws `LIMIT_REACHED` */
function refuseMore(feedback: readonly FeedbackRecord[], most: number): void {
  const verdicts = feedback.filter(
    ({ kind, source }) => (kind ?? 'verdict') === 'verdict' && !source.startsWith('verifier:'),
  );
  if (verdicts.length < most) return;
  throw new RoutingError(
    'LIMIT_REACHED',
    `this decision has its ${most} verdicts (feedback.maxPerDecision of the configuration)`,
  );
}

function told(feedback: FeedbackRecord, gateway: Gateway, found: Found | null): object {
  const { id, decisionId, score, label, source, weight, createdAt } = feedback;
  return {
    ...{ id, decisionId, score, label: label ?? null, source, weight },
    createdAt: createdAt.toISOString(),
    ...learnable(gateway, found, feedback),
  };
}

interface Judgement {
  /** False: kept, but the router cannot learn from it. Null: not known now. */
  readonly learnable: boolean | null;
  readonly reason?: string;
}

function learnable(gateway: Gateway, found: Found | null, { weight }: FeedbackRecord): Judgement {
  if (weight === 0) return { learnable: false, reason: WITHOUT_WEIGHT };
  if (found === null) return { learnable: null, reason: 'taken unchecked: the database is away' };
  const { decision, attempts } = found;
  // Still being answered: who will answer is not known, nor is the call on record.
  const running = gateway.pending.has(decision.id);
  const executedModel = decision.executedModel ?? (running ? decision.model : null);
  const call = attempts.findLast(({ model }) => model === executedModel);
  const provider = call?.provider ?? (running && gateway.isSandbox ? SANDBOX : null);
  const why = whyLeftOut({ ...decision, executedModel, provider }, gateway.holder.current.encoderId);
  return why === null ? { learnable: true } : { learnable: false, reason: WHY_LEFT_OUT[why] };
}
