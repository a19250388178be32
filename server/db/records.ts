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
  /** False where nothing was left to chance by rule (critical, or a team that does not explore); default true. */
  explorable?: boolean;
  /** Keyed hash of the client's own user, if it told one; default null. */
  endUser?: string | null;
  /** Ordinal of the trial the request was drawn into, for which side, and how likely that side was. */
  trial?: number | null;
  arm?: Arm | null;
  armProbability?: number | null;
  /** What a candidate router in shadow would have done. */
  shadow?: ObservedChoice | null;
  /** Probability with which the answer was drawn for an audit; null: no audits are made. */
  auditProbability?: number | null;
  audited?: boolean;
  /** Id of the client key, where it is one of the database; default null. */
  keyId?: string | null;
  project?: string | null;
  /** Version of the policy document that the request was under; default null. */
  policyVersion?: number | null;
  /** What guardrails found; default null. */
  guards?: GuardHit[] | null;
  /** Answered from the response cache; default false. */
  cached?: boolean;
}

/** As it is read back. */
export interface DecisionOnRecord extends DecisionRecord {
  /** Why not all of its candidates are told. */
  readonly damage?: string;
}

/** What a guardrail found in a request or its answer: how often, and what was done. No text of either. */
export interface GuardHit {
  guard: string;
  /** What it found, in words of the guard's own: `email`, `card`, `injection`. */
  found: string;
  where: 'prompt' | 'answer';
  action: 'masked' | 'blocked' | 'noticed';
  count: number;
}

/** What somebody may do, each more than those after it: all, all of a team, call and see one's own, see alone. */
export type Role = 'admin' | 'manager' | 'member' | 'read-only';

export type LimitKind = 'budget' | 'rate';
export type LimitScope = 'all' | 'team' | 'project' | 'key' | 'model' | 'provider' | 'tag';

/** The side of a trial: the router on trial, or the one in force. */
export type Arm = 'candidate' | 'incumbent';

/** A decision that was made and not acted upon. */
export interface ObservedChoice {
  model: string;
  reason: string;
  propensity: number;
  artifact: string;
  /** Predicted of the model that `auto` would have called, and of the one that was called (null: no candidate). */
  chosen: { quality: number; outputTokens: number; costUsd: number };
  named: { quality: number; outputTokens: number; costUsd: number } | null;
  /** How long deciding took, where the record's own `routerMs` is that of the router in force. */
  routerMs?: number;
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
  /** What it was for: the answer itself, a second runner beside it, a check of an answer, or a judge's audit of it. */
  purpose: 'answer' | 'hedge' | 'escalation' | 'check' | 'audit';
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
  /** `user`, `code`, `judge`, `verifier:NAME`, `hint:NAME`; what a client adds to the first three is kept as a hash. */
  source: string;
  createdAt: Date;
  /** Default: a verdict. */
  kind?: FeedbackKind;
  /** How much it counts, in [0, 1]; default 1. */
  weight?: number;
  tenant?: string | null;
  key?: string | null;
  label?: string | null;
}

/** `verdict`: somebody or something judged the answer. `hint`: read off what the client did next. `audit`: a verdict on an answer drawn at random. */
export type FeedbackKind = 'verdict' | 'hint' | 'audit';
export type OutcomeKind = 'verdict' | 'hint';

/**
 * `shadow` and `canary` begin a trial of an artifact or change its terms; `stopped` ends it without effect on what is in
 * force, `promoted` with the artifact in force. `refused` has no effect. `rolled-back` takes an artifact out of force.
 */
export type PromotionKind = 'promoted' | 'refused' | 'rolled-back' | 'shadow' | 'canary' | 'stopped';

export interface TrialTerms {
  /** Hash of the artifact on trial. */
  readonly artifact: string;
  /** Share of the requests that it decides, in [0, 1]; 0 in the shadow. */
  readonly share: number;
  /** Teams whose requests may be drawn; empty: all that allow it. */
  readonly teams: readonly string[];
}

export type JobKind = 'retrain';
export type JobState = 'queued' | 'running' | 'done' | 'failed';
export type SpendingPurpose = 'exploration' | 'audit';
export type AlarmKind = 'input' | 'calibration' | 'model-change' | 'price' | 'latency';

/** Prompt and answer, for teams that have chosen to keep them. */
export interface TextRecord {
  decisionId: string;
  createdAt: Date;
  redacted: boolean;
  /** The text that the router read. */
  prompt: string;
  answer: string | null;
}

export interface Entry {
  decision?: DecisionRecord;
  attempt?: AttemptRecord;
  feedback?: FeedbackRecord;
  text?: TextRecord;
}
