/** Tokens as providers report them → tokens as we record them. */

export interface Usage {
  /** All input: cached, newly written to the cache, and plain. */
  readonly inputTokens: number;
  /** Of these, read from the provider's prompt cache. */
  readonly cachedInputTokens: number;
  /** Of these, written to it. */
  readonly cacheWriteTokens: number;
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
  const prompt = count(raw.prompt_tokens);
  const completion = count(raw.completion_tokens);
  if (prompt === null || completion === null) return null;
  const details = raw.prompt_tokens_details ?? raw.prompt_token_details; // Mistral has been seen to write the second
  const inputDetails = isObject(details) ? details : {};
  const outputDetails = isObject(raw.completion_tokens_details) ? raw.completion_tokens_details : {};
  const thought = count(outputDetails.reasoning_tokens);
  const reasoningTokens =
    quirks.reasoningOutside === true || thought === null ? thought : Math.min(thought, completion);
  const told =
    count(inputDetails.cached_tokens) ??
    count(raw.prompt_cache_hit_tokens) ?? // DeepSeek
    count(raw.cached_tokens) ?? // Moonshot
    count(raw.num_cached_tokens) ?? // Mistral
    0;
  // More cached than there was: xAI has been seen to count it beside the prompt; from anybody else it is not believed.
  const beside = quirks.reasoningOutside === true && told > prompt;
  const input = beside ? prompt + told : prompt;
  const cached = beside ? told : Math.min(told, prompt);
  return {
    inputTokens: input,
    cachedInputTokens: cached,
    cacheWriteTokens: Math.min(
      count(inputDetails.cache_write_tokens) ?? count(inputDetails.cache_creation_input_tokens) ?? 0, // Alibaba
      input - cached,
    ),
    outputTokens: completion + (quirks.reasoningOutside === true ? (reasoningTokens ?? 0) : 0),
    reasoningTokens,
  };
}

/** Tokens of a text whose usage was never reported. */
export const tokensOfChars = (chars: number): number => Math.ceil(chars / 4);

/** No model takes or writes so many in one call: a host that says so is not believed. */
const MOST_TOKENS = 100_000_000;

/** A number of tokens, or null for what is none. */
export const count = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MOST_TOKENS ? value : null;

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
