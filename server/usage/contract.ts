/** What `/v1/usage/…` answers: numbers for people, from roll-ups, so that they come at once however long the log is. */
import { z } from 'zod';

/** What all of them may be asked by. Moments are ISO 8601; `from` is in, `to` is not. Default: the last 30 days. */
export const UsageQuery = z.strictObject({
  from: z.iso.datetime({ offset: true }).optional(),
  to: z.iso.datetime({ offset: true }).optional(),
  /** Admins alone may ask for others than their own; they get all teams where they name none. */
  team: z.string().min(1).max(100).optional(),
  project: z.string().min(1).max(100).optional(),
  key: z.string().min(1).max(100).optional(),
  model: z.string().min(1).max(200).optional(),
  provider: z.string().min(1).max(100).optional(),
  /** Hash of an artifact: the version of the router that decided. */
  artifact: z.string().min(1).max(100).optional(),
});
export type UsageQuery = z.infer<typeof UsageQuery>;

export const DIMENSIONS = ['model', 'provider', 'team', 'project', 'key', 'artifact', 'surface', 'reason'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** Sums over requests. USD at list price; null where nothing is known. */
export interface Usage {
  readonly requests: number;
  /** Routed by us: `auto`. */
  readonly routed: number;
  /** Nobody answered, or the stream broke. */
  readonly errors: number;
  /** Answered from the response cache. */
  readonly cached: number;
  /** Answered by a model that was called, in full or in part: what a request costs is a mean over these. */
  readonly answered: number;
  /** A guardrail found something; and stopped it. */
  readonly guarded: number;
  readonly blocked: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of all calls made: answers, retries, hedges, escalations, audits. */
  readonly costUsd: number;
  /** Routed requests whose baseline cost is known: what they cost, all calls included, and what the baseline would have. */
  readonly comparedRequests: number;
  readonly comparedCostUsd: number;
  readonly baselineCostUsd: number;
  /** Baseline minus cost, with its 95 % interval over days as they vary (null: fewer than three). Negative: it cost more. */
  readonly savingUsd: number;
  readonly savingLowUsd: number | null;
  readonly savingHighUsd: number | null;
  /** Mean of judged answers, in [0, 1], and how many; and what had been predicted of the same ones. */
  readonly quality: number | null;
  readonly judged: number;
  readonly predictedQuality: number | null;
  /** Whole requests, ms; from a histogram, so to within its steps. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

/** `GET /v1/usage/summary` */
export interface UsageSummary extends Usage {
  /** What was counted: whole hours, the first and the last of those that were asked for. */
  readonly from: string;
  readonly to: string;
  readonly baseline: string;
  /** Until when the roll-ups hold everything; what is newer is missing yet. Null: nothing was rolled up so far. */
  readonly rolledUpTo: string | null;
}

/**
 * `GET /v1/usage/series?step=hour|day&by=DIMENSION&limit=`: points in order of time, of the dearest groups; the others
 * together under the group null. '' is what a request has none of: no key, no project.
 */
export interface UsageSeries {
  readonly step: 'hour' | 'day';
  readonly points: readonly (Usage & { readonly at: string; readonly group: string | null })[];
}

/** `GET /v1/usage/breakdown?by=DIMENSION&limit=`: dearest first; the rest under the group null. */
export interface UsageBreakdown {
  readonly by: Dimension;
  readonly rows: readonly (Usage & { readonly group: string | null })[];
}

/** `GET /v1/usage/calibration?artifact=`: predicted against judged quality, in ten bins of the prediction, by version of the router. */
export interface UsageCalibration {
  readonly versions: readonly {
    readonly artifact: string;
    readonly judged: number;
    /** Expected calibration error, in [0, 1]. */
    readonly ece: number;
    readonly bins: readonly { readonly predicted: number; readonly observed: number; readonly count: number }[];
  }[];
}

/** `GET /v1/usage/latency?limit=`: calls to providers, most first. Times are of calls that went well. */
export interface UsageLatency {
  readonly rows: readonly {
    readonly provider: string;
    readonly model: string;
    readonly calls: number;
    /** Failed, or broke off. */
    readonly errors: number;
    /** Given up by us or by the client. */
    readonly cancelled: number;
    /** errors / calls, in [0, 1] */
    readonly errorRate: number;
    readonly p50Ms: number | null;
    readonly p95Ms: number | null;
    readonly p99Ms: number | null;
    /** To the first byte of the answer. */
    readonly firstByteP50Ms: number | null;
    readonly firstByteP95Ms: number | null;
  }[];
}

/** One line of `GET /v1/usage/decisions?cursor=&limit=`: newest first; `GET /v1/decisions/:id` has the whole. */
export interface DecisionLine {
  readonly id: string;
  readonly createdAt: string;
  readonly team: string;
  readonly key: string | null;
  /** The kind of request: `chat`, `messages`, …, `files`, `batches`. */
  readonly surface: string;
  readonly requestedModel: string;
  readonly model: string;
  readonly executedModel: string | null;
  readonly reason: string;
  readonly costUsd: number | null;
  readonly baselineCostUsd: number | null;
  readonly totalMs: number | null;
  readonly status: 'ok' | 'error' | 'cancelled' | 'partial' | 'cached' | 'blocked' | 'none';
}

/** `GET /v1/usage/decisions` */
export interface DecisionPage {
  readonly decisions: readonly DecisionLine[];
  /** Give it as `cursor` for the next page; null: that was all. */
  readonly next: string | null;
}

/** `GET /v1/usage/curve?sample=`: what other settings of `dial` would have cost on the newest routed decisions, as predicted. */
export interface UsageCurve {
  readonly sample: number;
  /** The setting in force, as a point of the curve. */
  readonly current: { readonly dial: number | null; readonly quality: number; readonly costUsd: number };
  readonly points: readonly {
    readonly dial: number;
    /** Mean predicted quality, in [0, 1], and mean predicted cost of a request, USD. */
    readonly quality: number;
    readonly costUsd: number;
    /** Share of the requests by model. */
    readonly models: Readonly<Record<string, number>>;
  }[];
}

/** `GET /v1/usage/health`: deployments of the models, and whether they rest. */
export interface UsageHealth {
  readonly deployments: readonly {
    readonly deployment: string;
    readonly model: string;
    readonly provider: string;
    readonly rests: boolean;
    readonly restsForMs: number | null;
    readonly requests: number;
    readonly errors: number;
    readonly p95Ms: number | null;
  }[];
}
