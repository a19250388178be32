/** What a batch is expected to take, model by model, and what it comes to in the end. */
import { z } from 'zod';
import { costUsd, type Price } from '../../../../datasets/catalog/price.ts';
import { isObject } from '../../../forward/usage.ts';

const price = z.number().nonnegative();

export const ExpectedOfModel = z.object({
  /** `provider/model`. */
  model: z.string(),
  requests: z.number().int().positive(),
  inputTokens: z.number().nonnegative(),
  outputTokens: z.number().nonnegative(),
  /** What is set aside for it. */
  usd: z.number().nonnegative(),
  /** What its host takes for tokens of a batch, as its longest prompt is priced. */
  price: z.object({
    inputUsdPerMTok: price,
    outputUsdPerMTok: price,
    cachedInputUsdPerMTok: price.optional(),
    cacheWriteUsdPerMTok: price.optional(),
  }),
});
export type ExpectedOfModel = z.infer<typeof ExpectedOfModel>;

/** Hosts whose price lists say that a batch costs half of what its requests would by themselves; of others nothing is known. */
const HALF: ReadonlySet<string> = new Set([
  ...['openai', 'azure', 'anthropic', 'google', 'mistral', 'groq', 'together', 'fireworks'],
]);

/** @param said by the configuration */
export const shareAt = (provider: string, said: Readonly<Record<string, number>> = {}): number =>
  Object.hasOwn(said, provider) ? said[provider]! : HALF.has(provider) ? 0.5 : 1;

export const batchPrice = (
  { inputUsdPerMTok, outputUsdPerMTok, cachedInputUsdPerMTok: cached, cacheWriteUsdPerMTok: written }: Price,
  share: number,
): ExpectedOfModel['price'] => ({
  inputUsdPerMTok: share * inputUsdPerMTok,
  outputUsdPerMTok: share * outputUsdPerMTok,
  ...(cached !== undefined && { cachedInputUsdPerMTok: share * cached }),
  ...(written !== undefined && { cacheWriteUsdPerMTok: share * written }),
});

export interface BatchEnd {
  /** What its cost is told by: the host's count of tokens, or what was expected. */
  readonly by: 'usage' | 'forecast';
  /** USD, model by model in the order of what was expected. */
  readonly costs: readonly number[];
}

const OVER: ReadonlySet<unknown> = new Set(['completed', 'failed', 'expired', 'cancelled', 'canceled']);

export const isOver = (batch: Readonly<Record<string, unknown>>): boolean => OVER.has(batch.status);

/**
 * What a batch costs of which its host says that it is over; null: it is not.
 *
 * By the tokens that the host has counted, which of several models are divided as they were expected; where it tells none
 *
 *     what was set aside · completed / total
 *
 * and all of what was set aside where it does not count either. One that failed before anything was run costs nothing.
 */
export function endOf(batch: Readonly<Record<string, unknown>>, expected: readonly ExpectedOfModel[]): BatchEnd | null {
  if (!isOver(batch)) return null;
  const requests = expected.reduce((sum, one) => sum + one.requests, 0);
  const done = completedOf(batch, requests);
  const tokens = tokensIn(batch.usage, requests);
  // A host that has answered some and counted nothing does not count.
  const isCounted = tokens !== null && (tokens.inputTokens > 0 || done === 0);
  if (isCounted) return { by: 'usage', costs: costsOf(tokens, expected) };
  const share = done === null ? (batch.status === 'failed' ? 0 : 1) : Math.min(1, done / Math.max(1, requests));
  return { by: 'forecast', costs: expected.map(({ usd }) => share * usd) };
}

/** Requests that were answered; null: its host does not say. */
function completedOf(
  { status, request_counts: counts }: Readonly<Record<string, unknown>>,
  requests: number,
): number | null {
  if (!isObject(counts)) return null;
  const { total, completed } = counts;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
  if (!isCount(total) || !isCount(completed) || completed > total || total > requests) return null;
  if (status === 'completed' && total === 0) return null;
  return completed;
}

interface Tokens {
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
}

/** No request takes or gives so many: a host that says so is not believed. */
const MOST_TOKENS = 10_000_000;

/** Of all requests together, in either of OpenAI's spellings. */
function tokensIn(usage: unknown, requests: number): Tokens | null {
  if (!isObject(usage)) return null;
  const count = (value: unknown): number | null =>
    typeof value === 'number' && value >= 0 && value <= requests * MOST_TOKENS ? value : null;
  const inputTokens = count(usage.input_tokens ?? usage.prompt_tokens);
  const outputTokens = count(usage.output_tokens ?? usage.completion_tokens);
  if (inputTokens === null || outputTokens === null) return null;
  const details = usage.input_tokens_details ?? usage.prompt_tokens_details;
  const cached = isObject(details) ? count(details.cached_tokens) : null;
  return { inputTokens, outputTokens, cachedInputTokens: Math.min(cached ?? 0, inputTokens) };
}

function costsOf({ inputTokens, cachedInputTokens, outputTokens }: Tokens, expected: readonly ExpectedOfModel[]) {
  const shares = (of: (one: ExpectedOfModel) => number): number[] => {
    const sum = expected.reduce((total, one) => total + of(one), 0);
    return expected.map((one) => (sum > 0 ? of(one) / sum : 1 / expected.length));
  };
  const ofInput = shares((one) => one.inputTokens);
  const ofOutput = shares((one) => one.outputTokens);
  return expected.map(({ price }, i) =>
    costUsd(price, {
      inputTokens: inputTokens * ofInput[i]!,
      cachedInputTokens: cachedInputTokens * ofInput[i]!,
      outputTokens: outputTokens * ofOutput[i]!,
    }),
  );
}
