/** Whose time periods go by. */
import { afterEach, expect, test, vi } from 'vitest';
import { Clock } from '../../../../server/governance/limits/clock.ts';
import { spanOf } from '../../../../server/governance/limits/period.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('is the database’s, whatever the local clock says and wherever it leaps', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.UTC(2026, 10, 29, 23, 0) });
  const clock = new Clock();
  expect(clock.now()).toBe(Date.UTC(2026, 10, 29, 23, 0));
  const database = Date.UTC(2026, 10, 30, 0, 0, 1);
  // The answer took 20 ms; half of that ago it was so late there.
  clock.heard(database, 20);
  expect(clock.now()).toBeCloseTo(database + 10, 3);
  vi.setSystemTime(Date.UTC(2020, 0, 1));
  expect(clock.now()).toBeCloseTo(database + 10, 3);
  // A second later: a slow answer, which may be off by a second, does not replace an exact one.
  vi.advanceTimersByTime(1000);
  clock.heard(database + 3000, 900);
  expect(clock.now()).toBeCloseTo(database + 1010, 3);
});

test.each([
  ['minute', '2026-11-29T12:34:56.789Z', '2026-11-29T12:34', '2026-11-29T12:34:00.000Z', '2026-11-29T12:35:00.000Z'],
  ['day', '2026-11-29T12:34:56.789Z', '2026-11-29', '2026-11-29T00:00:00.000Z', '2026-11-30T00:00:00.000Z'],
  ['day', '2026-12-31T23:59:59.999Z', '2026-12-31', '2026-12-31T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
  ['month', '2028-02-29T00:00:00.000Z', '2028-02', '2028-02-01T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
  ['month', '2026-12-01T00:00:00.000Z', '2026-12', '2026-12-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
] as const)('a %s of UTC: %s is in %s', (period, moment, name, start, end) => {
  const span = spanOf(period, Date.parse(moment));
  expect([span.name, new Date(span.startMs).toISOString(), new Date(span.endMs).toISOString()]).toEqual([
    name,
    start,
    end,
  ]);
});
