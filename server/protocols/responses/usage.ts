/** Tokens as the Responses protocol counts them ↔ tokens as we record them. */
import { count, isObject, type Usage } from '../../forward/usage.ts';

/** Null when it is no usage object. */
export function readUsage(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  const inputTokens = count(raw.input_tokens);
  const outputTokens = count(raw.output_tokens);
  if (inputTokens === null || outputTokens === null) return null;
  const input = isObject(raw.input_tokens_details) ? raw.input_tokens_details : {};
  const output = isObject(raw.output_tokens_details) ? raw.output_tokens_details : {};
  const cachedInputTokens = Math.min(count(input.cached_tokens) ?? 0, inputTokens);
  return {
    inputTokens,
    cachedInputTokens,
    cacheWriteTokens: Math.min(count(input.cache_write_tokens) ?? 0, inputTokens - cachedInputTokens),
    outputTokens,
    reasoningTokens: count(output.reasoning_tokens),
  };
}

export const writeUsage = (usage: Usage): Record<string, unknown> => ({
  input_tokens: usage.inputTokens,
  input_tokens_details: { cached_tokens: usage.cachedInputTokens, cache_write_tokens: usage.cacheWriteTokens },
  output_tokens: usage.outputTokens,
  output_tokens_details: { reasoning_tokens: usage.reasoningTokens ?? 0 },
  total_tokens: usage.inputTokens + usage.outputTokens,
});
