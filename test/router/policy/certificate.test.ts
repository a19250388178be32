/** A certificate speaks of what it was made on, and says so when that is no longer what is done. */
import { describe, expect, test } from 'vitest';
import { Certificate, certificateHolds, priceBook } from '../../../router/policy/certificate.ts';
import { Policy } from '../../../router/policy/policy.ts';

const PRICES = [
  { model: 'x/a', inputUsdPerMTok: 1, outputUsdPerMTok: 2 },
  { model: 'x/b', inputUsdPerMTok: 3, outputUsdPerMTok: 4 },
];
const certificate = Certificate.parse({
  keep: 0.98,
  delta: 0.05,
  method: 'betting',
  tolerance: 0.01,
  grid: [
    { tolerance: 0, bound: 0.01, pass: true },
    { tolerance: 0.01, bound: 0.001, pass: true },
    { tolerance: 0.02, bound: -0.01, pass: false },
  ],
  exploration: 0.02,
  maxOutOfDomain: 0.5,
  groups: 800,
  sources: [
    {
      source: 'ours',
      groups: 800,
      reference: 'x/b',
      pool: ['x/a', 'x/b'],
      priceBook: priceBook(PRICES),
      pricesFrom: [],
    },
  ],
  outOfDomainShare: 0.01,
  maxOutOfDomainShare: 0.02,
});
const policy = Policy.parse({ tolerance: 0.01, exploration: 0.02, maxOutOfDomain: 0.5 });
const present = { prices: priceBook(PRICES), outOfDomainShare: 0.02, policy };

describe('a certificate', () => {
  test('holds for its candidates, prices, knobs and kind of prompts, and says what it promises', () => {
    const { holds, reason } = certificateHolds(certificate, present);
    expect(holds).toBe(true);
    expect(reason).toContain('98 % of x/b');
    expect(reason).toContain('ours');
    expect(reason).toContain('95 % confidence');
    expect(certificateHolds(certificate, { ...present, outOfDomainShare: null }).holds).toBe(true);
    // A stricter tolerance that passed on the way.
    expect(certificateHolds(certificate, { ...present, policy: { ...policy, tolerance: 0 } }).holds).toBe(true);
  });

  test.each([
    ['a price changes', { prices: priceBook([PRICES[0]!, { ...PRICES[1]!, outputUsdPerMTok: 5 }]) }, 'prices'],
    ['a candidate is added', { prices: priceBook([...PRICES, { ...PRICES[0]!, model: 'x/c' }]) }, 'candidates'],
    ['prompts drift', { outOfDomainShare: 0.021 }, 'drift'],
    ['the tolerance is another', { policy: { ...policy, tolerance: 0.02 } }, 'trade-off'],
    ['the tolerance lies between two that passed', { policy: { ...policy, tolerance: 0.005 } }, 'trade-off'],
    ['a dial is set', { policy: { ...policy, dial: 10 } }, 'trade-off'],
    ['a budget is set', { policy: { ...policy, budget: 1 } }, 'trade-off'],
    ['more is explored', { policy: { ...policy, exploration: 0.1 } }, 'exploration'],
    ['planning asks for more', { policy: { ...policy, planMinQuality: 0.5 } }, 'planMinQuality'],
    ['calls are capped', { policy: { ...policy, maxCostUsd: 1 } }, 'maxCostUsd'],
  ])('no longer holds where %s', (_, change, word) => {
    const { holds, reason } = certificateHolds(certificate, { ...present, ...change });
    expect(holds).toBe(false);
    expect(reason).toContain(word);
  });

  test('that proved nothing holds for nothing', () => {
    expect(certificateHolds({ ...certificate, tolerance: null }, present)).toMatchObject({ holds: false });
    expect(certificateHolds(null, present)).toMatchObject({ holds: false });
  });
});

test('a price book does not depend on the order of its models', () => {
  expect(priceBook([...PRICES].reverse())).toBe(priceBook(PRICES));
});
