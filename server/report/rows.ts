/** What `pointsman report` reads of each request, and its form over HTTP: one JSON object a line, {@link UsageMeta} first. */
import { z } from 'zod';

const count = z.number().nonnegative().nullable();
const predicted = z.object({ quality: z.number(), outputTokens: z.number(), costUsd: z.number() });

/** One call upstream. */
export const UsageCall = z.object({
  provider: z.string(),
  model: z.string(),
  purpose: z.string(),
  status: z.string(),
  errorCode: z.string().nullable(),
  /** USD; null where nobody knows the price. */
  costUsd: z.number().nullable(),
  inputTokens: count,
  cachedInputTokens: count,
  outputTokens: count,
  reasoningTokens: count,
  /** Milliseconds since 1970. */
  startedAt: z.number(),
  firstByteMs: z.number().nullable(),
  totalMs: z.number(),
});
export type UsageCall = z.infer<typeof UsageCall>;

/** One request with the calls made for it, in order. */
export const UsageRow = z.object({
  id: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
  tenant: z.string(),
  session: z.string().nullable(),
  surface: z.string(),
  routed: z.boolean(),
  /** The model decided for, or named by the client. */
  model: z.string(),
  /** The one that answered; null: nobody did. */
  executed: z.string().nullable(),
  baselineModel: z.string().nullable(),
  baselineCostUsd: z.number().nullable(),
  observed: z.object({ model: z.string(), chosen: predicted, named: predicted.nullable() }).nullable(),
  /** What the answer had cost that was given again from the cache, USD; null: a provider was asked. */
  cachedUsd: z.number().nullable().optional(),
  calls: z.array(UsageCall),
});
export type UsageRow = z.infer<typeof UsageRow>;

/** What is asked of a log. */
export const UsageRequest = z.strictObject({
  /** Requests from this moment on, ISO 8601; without it all of them. */
  since: z.iso.datetime({ offset: true }).optional(),
});
export type UsageRequest = z.infer<typeof UsageRequest>;

/** The first line. */
export const UsageMeta = z.object({ usage: z.literal(1) });

/** Newest requests that one report reads; bounds its time and memory. */
export const MAX_USAGE_ROWS = 500_000;
