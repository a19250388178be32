import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { UpstreamFailure } from '../../../server/forward/failure.ts';
import { mayTryAgain, pause, pauseMs } from '../../../server/forward/pause.ts';
import { onOwnClock } from '../../own-clock.ts';

onOwnClock();

const retry = { retries: 5, firstPauseMs: 250, longestPauseMs: 10_000, hedgeAfterMs: null };
const asking = (retryAfter?: string) => new UpstreamFailure('UPSTREAM_ERROR', 'overload', 'busy', { retryAfter });

test('the bound of the jitter doubles with every round, up to the longest pause', () => {
  const longest = (round: number) => pauseMs(undefined, round, retry, () => 1);
  expect([0, 1, 2, 3, 4, 5, 6, 20].map(longest)).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  expect(pauseMs(undefined, 3, retry, () => 0)).toBe(0);
  expect(pauseMs(undefined, 3, retry, () => 0.25)).toBe(500);
});

test('a pause is never below what retry-after asks for, and never above it or the jitter’s bound', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 10, noNaN: true }),
      fc.nat({ max: 12 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (seconds, round, random) => {
        const ms = pauseMs(String(seconds), round, retry, () => random);
        expect(ms).toBeGreaterThanOrEqual(seconds * 1000);
        expect(ms).toBeLessThanOrEqual(Math.max(seconds * 1000, Math.min(250 * 2 ** round, 10_000)));
      },
    ),
  );
});

test.each([
  ['2', 2000],
  // `retry-after-ms: 1500` reaches here in seconds.
  ['1.5', 1500],
  ['0', 0],
  ['-3', 0],
  ['soon', 0],
  [undefined, 0],
])('retry-after %s asks for %s ms', (retryAfter, ms) => {
  expect(pauseMs(retryAfter, 0, retry, () => 0)).toBe(ms);
});

test('retry-after may be a date', () => {
  vi.setSystemTime('2026-11-01T12:00:00.300Z');
  const inTwoSeconds = new Date(Date.now() + 2000).toUTCString();
  const ms = pauseMs(inTwoSeconds, 0, retry, () => 0);
  // A date has whole seconds only: 12:00:02.
  expect(ms).toBe(1700);
  expect(pauseMs(new Date(0).toUTCString(), 0, retry, () => 0)).toBe(0);
});

test('whoever asks for a longer wait than the longest pause is not tried again', () => {
  expect(mayTryAgain(asking('10'), retry)).toBe(true);
  expect(mayTryAgain(asking('10.001'), retry)).toBe(false);
  expect(mayTryAgain(asking(new Date(Date.now() + 60_000).toUTCString()), retry)).toBe(false);
  expect(mayTryAgain(asking(), retry)).toBe(true);
});

test('a pause ends with the request’s life, and leaves no listener behind', async () => {
  const life = new AbortController();
  const started = performance.now();
  setTimeout(() => life.abort(), 20);
  await pause(5000, life.signal);
  await pause(5000, life.signal);
  expect(performance.now() - started).toBe(20);
});
