/** Candidate models: facts about what may be chosen. Dated, without opinion. */
import { z } from 'zod';

export const Modality = z.enum(['text', 'image', 'audio', 'video', 'pdf']);
export type Modality = z.infer<typeof Modality>;

const LongPromptPrices = z.strictObject({
  aboveInputTokens: z.number().int().positive(),
  inputUsdPerMTok: z.number().nonnegative(),
  outputUsdPerMTok: z.number().nonnegative(),
  cachedInputUsdPerMTok: z.number().nonnegative().optional(),
  cacheWriteUsdPerMTok: z.number().nonnegative().optional(),
});

/** One model that the router may choose, as its provider sells it. Prices in USD per million tokens. */
export const Candidate = z.strictObject({
  /** `provider/model id as the API names it`; the provider is what stands before the first slash. */
  id: z.string().regex(/^[^/\s]+\/\S+$/, 'must be provider/model'),
  /** The artifact's model whose predictions stand in for this one until it has its own. Default: `id`. */
  like: z.string().optional(),
  inputUsdPerMTok: z.number().nonnegative(),
  outputUsdPerMTok: z.number().nonnegative(),
  /** Price of input read from the provider's prompt cache. Default: the input price. */
  cachedInputUsdPerMTok: z.number().nonnegative().optional(),
  /** Price of input newly written to that cache (Anthropic's five-minute write). Default: the input price. */
  cacheWriteUsdPerMTok: z.number().nonnegative().optional(),
  /** Prices of the whole request once its input is longer than a bound; rising bounds. */
  longPromptPrices: z.array(LongPromptPrices).optional(),
  contextTokens: z.number().int().positive(),
  maxOutputTokens: z.number().int().positive().optional(),
  inputModalities: z.array(Modality).default(['text']),
  tools: z.boolean().default(true),
  structuredOutput: z.boolean().default(true),
  reasoning: z.boolean().default(false),
  /** False: the model takes no temperature, top_p and the like. Absent: it does. */
  sampling: z.boolean().optional(),
  /** An embedding model is called by name only; it is no candidate for `auto`. Absent: chat. */
  kind: z.enum(['chat', 'embedding']).optional(),
  /** Month in which the model came out, YYYY-MM: one of the facts that a model without labels is judged by. */
  released: z
    .string()
    .regex(/^20\d\d-(0[1-9]|1[0-2])$/, 'must be YYYY-MM')
    .optional(),
  /** Where the facts were read, and when the price held (YYYY-MM-DD). */
  source: z.string().optional(),
  priceDate: z.iso.date().optional(),
});
export type Candidate = z.infer<typeof Candidate>;

export const Catalog = z.strictObject({
  /** The day the prices were collected. */
  priceDate: z.iso.date(),
  models: z.array(Candidate).min(1),
});
export type Catalog = z.infer<typeof Catalog>;

/** The provider's name: what stands before the first slash of a model id. */
export const providerOf = (modelId: string): string => modelId.slice(0, modelId.indexOf('/'));

/** The model id as its provider's API names it: what stands after the first slash. */
export const upstreamModelOf = (modelId: string): string => modelId.slice(modelId.indexOf('/') + 1);
