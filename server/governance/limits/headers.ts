/** `x-ratelimit-…` as OpenAI's clients read it, `anthropic-ratelimit-…` as Anthropic's do: of the tightest limit each. */
import type { Meter } from './matching.ts';
import type { Pot } from './pot.ts';

/** @param nowMs Unix time */
export function rateHeaders(
  requests: readonly Meter[],
  tokens: readonly Meter[],
  isAnthropic: boolean,
  nowMs: number,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [what, meters] of [
    ['requests', requests],
    ['tokens', tokens],
  ] as const) {
    const pot = tightest(meters, nowMs);
    if (pot === null) continue;
    const limit = String(pot.cap);
    const remaining = String(Math.floor(pot.left));
    headers[`x-ratelimit-limit-${what}`] = limit;
    headers[`x-ratelimit-remaining-${what}`] = remaining;
    headers[`x-ratelimit-reset-${what}`] = `${Math.max(1, Math.ceil((pot.span.endMs - nowMs) / 1000))}s`;
    if (!isAnthropic) continue;
    headers[`anthropic-ratelimit-${what}-limit`] = limit;
    headers[`anthropic-ratelimit-${what}-remaining`] = remaining;
    headers[`anthropic-ratelimit-${what}-reset`] = new Date(pot.span.endMs).toISOString();
  }
  return headers;
}

function tightest(meters: readonly Meter[], nowMs: number): Pot | null {
  let least: Pot | null = null;
  for (const meter of meters) {
    const pot = meter.pot(nowMs);
    if (least === null || pot.left < least.left) least = pot;
  }
  return least;
}
