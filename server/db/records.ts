/** What is written down of every request: the decision, each call upstream, and what people said of the answer. */
import type { RankedCandidate } from '../../router/decision.ts';

export interface DecisionRecord {
  id: string;
  createdAt: Date;
  tenant: string;
  /** Name of the client key that asked, never the key; null where none is asked for. */
  key: string | null;
  /** What the client spoke: `chat`, `responses`, `messages`, `embeddings` … */
  surface: string;
  /** What the request is tagged with, for policies and reports; no text of the prompt. */
  tags: string[];
  session: string | null;
  /** `model` as the client sent it. */
  requestedModel: string;
  /** False where the client named a concrete model: recorded, but no choice of ours to learn from. */
  routed: boolean;
  /** The sampled action: what `propensity` is the probability of. */
  model: string;
  /** The model that answered in the end; null while or if none did. */
  executedModel: string | null;
  reason: string;
  /** Probability of `model` under the policy in force, in (0, 1], unrounded. */
  propensity: number;
  explored: boolean;
  floor: number;
  distribution: { model: string; probability: number }[];
  ranked: RankedCandidate[];
  filtered: { model: string; reason: string }[];
  /** Counts and flags of the request; no text. */
  facts: object;
  difficulty: number | null;
  outOfDomain: number | null;
  artifact: string | null;
  encoderId: string | null;
  embedding: Float32Array | null;
  /** Day of the prices that the decision saw, YYYY-MM-DD. */
  priceDate: string;
  baselineModel: string | null;
  baselineCostUsd: number | null;
  routerMs: number | null;
  /** What `auto` would have done, where the client named a model and the gateway only watched; null: not asked. */
  observed: ObservedChoice | null;
}

/** A decision that was made and not acted upon. */
export interface ObservedChoice {
  model: string;
  reason: string;
  propensity: number;
  artifact: string;
  /** Predicted of the model that `auto` would have called, and of the one that was called (null: no candidate). */
  chosen: { quality: number; outputTokens: number; costUsd: number };
  named: { quality: number; outputTokens: number; costUsd: number } | null;
}

/** One call to one provider, in the order of `ordinal` within its decision. */
export interface AttemptRecord {
  id: string;
  decisionId: string;
  ordinal: number;
  provider: string;
  model: string;
  /** Which of the model's deployments: `provider/model as it is named there`, `#key` where the provider has several. */
  deployment: string;
  /** What it was for: the answer itself, a second runner beside it, or a check of an answer. */
  purpose: 'answer' | 'hedge' | 'escalation' | 'check';
  startedAt: Date;
  status: 'ok' | 'error' | 'cancelled' | 'partial';
  httpStatus: number | null;
  errorCode: string | null;
  inputTokens: number | null;
  cachedInputTokens: number | null;
  cacheWriteTokens: number | null;
  outputTokens: number | null;
  reasoningTokens: number | null;
  costUsd: number | null;
  firstByteMs: number | null;
  totalMs: number;
}

/** Somebody's or something's verdict on an answer: 0 = useless, 1 = as good as it gets. */
export interface FeedbackRecord {
  id: string;
  decisionId: string;
  score: number;
  source: string;
  createdAt: Date;
}

export interface Entry {
  decision?: DecisionRecord;
  attempt?: AttemptRecord;
  feedback?: FeedbackRecord;
}
