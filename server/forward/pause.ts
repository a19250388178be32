/** How long to wait before a busy or broken deployment is tried again. */
import type { GatewayConfig } from '../config/index.ts';
import type { UpstreamFailure } from './failure.ts';

type Retry = GatewayConfig['retry'];

/** False where the provider asks for a longer wait than a request can bear. */
export const mayTryAgain = ({ retryAfter }: UpstreamFailure, { longestPauseMs }: Retry): boolean =>
  (askedMs(retryAfter) ?? 0) <= longestPauseMs;

/**
 * Full jitter: uniform up to a bound that doubles each round, but never less than `retry-after` asks for.
 * @see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
 */
export function pauseMs(
  retryAfter: string | undefined,
  round: number,
  { firstPauseMs, longestPauseMs }: Retry,
  random: () => number = Math.random,
): number {
  const bound = Math.min(firstPauseMs * 2 ** round, longestPauseMs);
  return Math.max(askedMs(retryAfter) ?? 0, random() * bound);
}

/** `retry-after` in ms: seconds or a date; null where it asks for nothing that can be read. */
function askedMs(retryAfter: string | undefined): number | null {
  if (retryAfter === undefined) return null;
  const seconds = Number(retryAfter);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(retryAfter) - Date.now();
  return Number.isFinite(ms) ? Math.max(ms, 0) : null;
}

/** Waits, but not past the end of the request's life. */
export async function pause(ms: number, life: AbortSignal): Promise<void> {
  if (life.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      life.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    life.addEventListener('abort', done);
  });
}
