/** Periods that limits are counted by: minutes, days and months of UTC, each with a name that sorts. */

export type Period = 'minute' | 'day' | 'month';

export interface Span {
  /** `2026-11`, `2026-11-29` or `2026-11-29T19:35`. */
  readonly name: string;
  /** Unix time, ms; the end is no part of it. */
  readonly startMs: number;
  readonly endMs: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** The one that a moment is in. UTC has no daylight saving: every minute and day is as long as any other. */
export function spanOf(period: Period, nowMs: number): Span {
  if (period === 'month') {
    const now = new Date(nowMs);
    const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()];
    return {
      name: now.toISOString().slice(0, 7),
      startMs: Date.UTC(year, month, 1),
      endMs: Date.UTC(year, month + 1, 1),
    };
  }
  const length = period === 'day' ? DAY_MS : MINUTE_MS;
  const startMs = Math.floor(nowMs / length) * length;
  return {
    name: new Date(startMs).toISOString().slice(0, period === 'day' ? 10 : 16),
    startMs,
    endMs: startMs + length,
  };
}
