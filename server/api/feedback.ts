/** `POST /v1/feedback`: somebody's verdict on an answer, by its decision id. It is what the router learns from. */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { AttemptRecord, DecisionRecord } from '../db/store.ts';
import type { Gateway } from '../gateway.ts';
import { SANDBOX, WHY_LEFT_OUT, whyLeftOut } from '../learning/learnable.ts';
import { readBody } from './body.ts';
import { findDecision, isCallers, notFound } from './decisions.ts';

const FeedbackBody = z.strictObject({
  decisionId: z.string('the x-pointsman-decision-id of the answer').min(1),
  /** 0 = useless, 1 = as good as it gets. */
  score: z.number('a number from 0 (useless) to 1 (right)').min(0).max(1),
  /** Who judged: `user`, `tests`, `judge:NAME` … Sources are averaged, so keep them apart. */
  source: z.string().min(1).max(100).default('user'),
});

export function feedbackRoute(app: FastifyInstance, gateway: Gateway): void {
  app.post('/v1/feedback', async (request) => {
    const { value } = readBody(FeedbackBody, request.body);
    const found = await findDecision(gateway, value.decisionId, request.log);
    if (found !== null && !isCallers(found.decision, request.caller)) throw notFound(value.decisionId);
    const feedback = { id: randomUUID(), ...value, createdAt: new Date() };
    gateway.store.record({ feedback });
    await gateway.store.saved();
    return { ...feedback, createdAt: feedback.createdAt.toISOString(), ...learnable(gateway, found) };
  });
}

interface Judgement {
  /** False: kept, but the router cannot learn from it. Null: not known now. */
  readonly learnable: boolean | null;
  readonly reason?: string;
}

function learnable(
  gateway: Gateway,
  found: { decision: DecisionRecord; attempts: readonly AttemptRecord[] } | null,
): Judgement {
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
