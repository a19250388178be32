import { expect, test } from 'vitest';
import type { Result } from '../../../server/demo/client.ts';
import { blindMix, type Figures, figures } from '../../../server/demo/table.ts';

const result = (right: boolean, costUsd: number): Result => ({
  task: { prompt: '' },
  model: 'a/a',
  score: right ? 1 : 0,
  costUsd,
});

test('counts right answers, cost of a thousand and what was saved against the dearest', () => {
  const dearest = [result(true, 0.004), result(true, 0.004)];
  const f = figures([result(true, 0.001), result(false, 0.003)], dearest);
  expect(f.right).toBe(0.5);
  expect(f.usdPerThousand).toBeCloseTo(2);
  // 0.004 of 0.008 USD.
  expect(f.saved).toBeCloseTo(0.5);
  expect(figures([result(true, 0.006), result(true, 0.006)], dearest).saved).toBeCloseTo(-0.5);
});

const point = (usdPerThousand: number, right: number): Figures => ({ usdPerThousand, right, saved: 0 });

test('mixes the two programs that buy most right answers for the money', () => {
  const single = [point(1, 0.2), point(2, 0.3), point(5, 1)];
  // Half the way from 1 to 5 USD beats the middle program: 0.2 + 0.8 / 2.
  expect(blindMix(single, 3)).toBeCloseTo(0.6);
  expect(blindMix(single, 1)).toBeCloseTo(0.2);
  expect(blindMix(single, 9)).toBe(1);
  // Cheaper than the cheapest buys nothing.
  expect(blindMix(single, 0.5)).toBe(0);
});
