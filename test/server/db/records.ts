/** Rows to record, with numbers that do not survive any rounding. */
import type { AttemptRecord, DecisionRecord, FeedbackRecord } from '../../../server/db/store.ts';

export const aDecision = (over: Partial<DecisionRecord> = {}): DecisionRecord => ({
  id: 'd1',
  createdAt: new Date('2026-01-02T03:04:05.678Z'),
  tenant: 'default',
  session: 's1',
  requestedModel: 'auto',
  routed: true,
  model: 'a/small',
  executedModel: 'a/small',
  reason: 'cheapest_adequate',
  propensity: 0.1 + 0.2,
  explored: false,
  floor: 1 / 3,
  distribution: [
    { model: 'a/small', probability: 0.1 + 0.2 },
    { model: 'b/large', probability: 1 - (0.1 + 0.2) },
  ],
  ranked: [
    {
      model: 'a/small',
      like: 'x/y',
      quality: 2 / 3,
      qualitySd: 1e-17,
      outputTokens: 300.5,
      costUsd: 5e-324,
      adequate: true,
    },
  ],
  filtered: [{ model: 'c/blind', reason: 'no_image_input' }],
  facts: { inputTokens: 12, images: 1 },
  difficulty: -0.7000000000000001,
  outOfDomain: Math.PI,
  artifact: 'abc',
  encoderId: 'ngram-1',
  embedding: Float32Array.of(0.1, -1e-30, 3.4e38, 0),
  priceDate: '2026-11-20',
  baselineModel: 'b/large',
  baselineCostUsd: 1.2345678901234e-5,
  routerMs: 0.30000000000000004,
  ...over,
});

export const anAttempt = (over: Partial<AttemptRecord> = {}): AttemptRecord => ({
  id: 'a1',
  decisionId: 'd1',
  ordinal: 0,
  provider: 'a',
  model: 'a/small',
  startedAt: new Date('2026-01-02T03:04:05.700Z'),
  status: 'ok',
  httpStatus: 200,
  errorCode: null,
  inputTokens: 12,
  cachedInputTokens: 0,
  outputTokens: 3_000_000_000,
  reasoningTokens: null,
  costUsd: 0.1 + 0.7,
  firstByteMs: 12.5,
  totalMs: 99.99999999999999,
  ...over,
});

export const someFeedback = (over: Partial<FeedbackRecord> = {}): FeedbackRecord => ({
  id: 'f1',
  decisionId: 'd1',
  score: 0.30000000000000004,
  source: 'user',
  createdAt: new Date('2026-01-02T03:05:00.001Z'),
  ...over,
});
