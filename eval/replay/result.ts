/** What a replay found. USD per prompt, fractions, null where undefined; field names are those of the JSON. */
import type { ReplayEvent } from './events.ts';
import type { ReplayOrder } from './order.ts';
import type { Stickiness } from './play.ts';

export interface Estimate {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** Means over the decisions `from` … `to` (counted from 1); intervals are percentiles over the seeds. */
export interface ReplayWindow {
  readonly from: number;
  readonly to: number;
  readonly quality: Estimate;
  /** Calls, routing, audits and judges. */
  readonly costUsd: Estimate;
  /** quality − λ · everything paid. */
  readonly utility: Estimate;
  /** Mean utility per decision that a choice with hindsight would have had more, in the router's own state: ≥ 0. */
  readonly regret: Estimate;
  /** Share of decisions that were not the greedy ones. */
  readonly explored: number;
  /** Share of the answers by model; sums to 1 less what nobody answered. */
  readonly traffic: Readonly<Record<string, number>>;
}

/** Sums of utility lost up to and including decision `at`: against hindsight, and against always the same model. */
export interface RegretPoint {
  readonly at: number;
  readonly oracle: Estimate;
  readonly bestFixed: Estimate;
  readonly bestSingle: Estimate;
  readonly cheapest: Estimate;
}

export interface ReplayRow {
  readonly name: string;
  readonly kind: 'router' | 'fixed' | 'cascade' | 'hindsight';
  /** Who answers, where that is one model or a chain. */
  readonly models: string | null;
  readonly quality: Estimate;
  /** Everything paid: calls, routing, audits, judges. */
  readonly costUsd: Estimate;
  /** The calls alone. */
  readonly callsUsd: Estimate;
  /** quality − λ · everything paid. */
  readonly utility: Estimate;
  /** Utility minus that of the best fixed model. */
  readonly minusBestFixed: Estimate;
  /** Quality minus that of a mix of single models which costs the same, known in hindsight. */
  readonly minusBlindMix: Estimate;
  /** 1 − paid / what the best single model costs; with and without what lies beside the calls. */
  readonly saved: Estimate;
  readonly savedBeforeOverhead: Estimate;
  /** Calls that an unannounced outage let fail, per decision; and what waiting for them added, ms per decision. */
  readonly failures: number;
  readonly failedAttemptMs: number;
}

export interface ReplayResult {
  readonly dataset: string;
  readonly order: ReplayOrder;
  readonly seeds: readonly number[];
  /** Decisions in one life, after the warm-up. */
  readonly decisions: number;
  /** Groups of near-duplicate prompts among them, in the first life. */
  readonly groups: number;
  readonly modelIds: readonly string[];
  /** Prompts left out because the encoder or its heads have learned from their groups. */
  readonly seenLeftOut: number;
  /** Of those replayed: prompts that were learned from, and kept on request. */
  readonly seenKept: number;
  readonly untriedShare: number;
  readonly unpricedModels: readonly string[];
  readonly hiddenReasoningModels: readonly string[];
  readonly contaminated: number;
  readonly costBasisShares: Readonly<Record<string, number>>;
  readonly artifact: string;
  readonly start: string;
  /** λ, quality per USD, and what it was taken from. */
  readonly qualityPerUsd: number;
  readonly qualityPerUsdFrom: string;
  readonly tolerance: number;
  readonly explorationShare: number;
  readonly feedback: 'bandit' | 'full' | number;
  readonly retrainEvery: number;
  readonly retrainings: Estimate;
  /** Answers that the router was told the outcome of. */
  readonly told: Estimate;
  /** Prompts whose every outcome was known before the start, and what these calls cost, USD in all. */
  readonly warm: { readonly prompts: number; readonly costUsd: Estimate };
  readonly events: readonly ReplayEvent[];
  readonly windows: readonly ReplayWindow[];
  readonly regret: readonly RegretPoint[];
  readonly rows: readonly ReplayRow[];
  readonly exploration: {
    /** Sum over a life of utility expected of the draw minus that of the greedy choice; below 0: it cost something. */
    readonly expected: Estimate;
    /** The same of what was drawn. */
    readonly drawn: Estimate;
    /** Decisions that were not the greedy ones, per life. */
    readonly decisions: Estimate;
  };
  readonly overhead: {
    readonly routerUsd: number;
    readonly auditShare: number;
    readonly auditModel: string | null;
    readonly judgeUsd: number;
    /** Audits per life and what they cost, USD in all. */
    readonly audits: Estimate;
    readonly auditUsd: Estimate;
  };
  readonly cascade: {
    readonly chain: readonly string[];
    readonly judgeError: number;
    readonly judgeUsd: number;
    /** Judgements and escalations per decision. */
    readonly judgements: Estimate;
    readonly escalated: Estimate;
  } | null;
  readonly sessions: {
    readonly turns: number;
    readonly conversations: Estimate;
    readonly cachedShare: number;
    /** Models whose cached price is known; for the others it is `cachedShare` of the input price. */
    readonly cachedPriceKnown: readonly string[];
    readonly stickiness: Stickiness;
    readonly rows: readonly {
      readonly stickiness: Stickiness;
      readonly quality: Estimate;
      readonly costUsd: Estimate;
      readonly utility: Estimate;
      /** USD per prompt paid for reading a conversation anew, beyond reading it from the cache. */
      readonly switchUsd: Estimate;
      /** Share of the follow-up turns that another model answered. */
      readonly switched: Estimate;
    }[];
  } | null;
  /** Decisions that nobody could answer, per life: every model that was tried on the prompt was out. */
  readonly unanswered: Estimate;
  readonly attemptMs: number;
}
