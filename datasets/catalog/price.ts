/** What tokens cost at a model's list price. */
import type { Candidate } from './candidate.ts';

/** Prices of a model, USD per million tokens. */
export type Price = Pick<
  Candidate,
  'inputUsdPerMTok' | 'outputUsdPerMTok' | 'cachedInputUsdPerMTok' | 'cacheWriteUsdPerMTok' | 'longPromptPrices'
>;

export interface Tokens {
  /** All input, cached and cache-written included. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens?: number;
  readonly cacheWriteTokens?: number;
}

/**
 * List price of these tokens, USD. Cached input costs the cached price where the catalog knows one, input written to
 * the cache the write price; beyond a model's long-prompt bound its other prices hold for the whole request.
 */
export function costUsd(price: Price, tokens: Tokens): number {
  const { inputTokens, outputTokens, cachedInputTokens: cached = 0, cacheWriteTokens: written = 0 } = tokens;
  const long = price.longPromptPrices?.findLast(({ aboveInputTokens }) => inputTokens > aboveInputTokens);
  const p: Price = long === undefined ? price : { ...price, ...long };
  const cachedPrice = p.cachedInputUsdPerMTok ?? p.inputUsdPerMTok;
  const writePrice = p.cacheWriteUsdPerMTok ?? p.inputUsdPerMTok;
  return (
    ((inputTokens - cached - written) * p.inputUsdPerMTok +
      cached * cachedPrice +
      written * writePrice +
      outputTokens * p.outputUsdPerMTok) /
    1e6
  );
}
