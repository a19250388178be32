/** `POST /v1/feedback`: somebody's verdict on an answer, by its decision id. It is what the router learns from. */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Gateway } from '../gateway.ts';
import { readBody } from './body.ts';
import { findDecision } from './decisions.ts';

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
    await findDecision(gateway, value.decisionId, request.log);
    const feedback = { id: randomUUID(), ...value, createdAt: new Date() };
    gateway.store.record({ feedback });
    return { ...feedback, createdAt: feedback.createdAt.toISOString() };
  });
}
