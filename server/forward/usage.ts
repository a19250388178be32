/** Tokens as providers report them → tokens as we record them → USD at the catalog's list price. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';

export interface Usage {
  /** All input, cached input included. */
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  /** All output, hidden reasoning included. */
  readonly outputTokens: number;
  readonly reasoningTokens: number | null;
}

export interface UsageQuirks {
  /** xAI counts reasoning beside `completion_tokens`; everyone else inside. */
  readonly reasoningOutside?: boolean;
}

/** Reads an OpenAI-style `usage` object with the field names its copies use; null when it is not one. */
export function readUsage(raw: unknown, quirks: UsageQuirks = {}): Usage | null {
  if (!isObject(raw)) return null;
  const input = count(raw.prompt_tokens);
  const completion = count(raw.completion_tokens);
  if (input === null || completion === null) return null;
  const inputDetails = isObject(raw.prompt_tokens_details) ? raw.prompt_tokens_details : {};
  const outputDetails = isObject(raw.completion_tokens_details) ? raw.completion_tokens_details : {};
  const reasoningTokens = count(outputDetails.reasoning_tokens);
  const cached =
    count(inputDetails.cached_tokens) ??
    count(raw.prompt_cache_hit_tokens) ?? // DeepSeek
    count(raw.cached_tokens) ?? // Moonshot
    count(raw.num_cached_tokens) ?? // Mistral
    0;
  return {
    inputTokens: input,
    cachedInputTokens: Math.min(cached, input),
    outputTokens: completion + (quirks.reasoningOutside === true ? (reasoningTokens ?? 0) : 0),
    reasoningTokens,
  };
}

/** List price of these tokens, USD. Cached input costs the cached price where the catalog knows one. */
export function costUsd(
  price: Pick<Candidate, 'inputUsdPerMTok' | 'outputUsdPerMTok' | 'cachedInputUsdPerMTok'>,
  tokens: { readonly inputTokens: number; readonly outputTokens: number; readonly cachedInputTokens?: number },
): number {
  const cached = tokens.cachedInputTokens ?? 0;
  const cachedPrice = price.cachedInputUsdPerMTok ?? price.inputUsdPerMTok;
  return (
    ((tokens.inputTokens - cached) * price.inputUsdPerMTok +
      cached * cachedPrice +
      tokens.outputTokens * price.outputUsdPerMTok) /
    1e6
  );
}

/** Tokens of a text whose usage was never reported. */
export const tokensOfChars = (chars: number): number => Math.ceil(chars / 4);

const count = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
