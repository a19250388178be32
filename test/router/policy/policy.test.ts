/** Knobs: what they mean together, and what one request may change of a router's. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dialTolerance, Policy, withOverrides } from '../../../router/policy/policy.ts';

const base = (more: Partial<Policy> = {}): Policy => Policy.parse({ tolerance: 0.1, ...more });

describe('the dial', () => {
  test.each([
    [10, 0],
    [7.5, 0.05],
    [5, 0.1],
    // 0.1^(2.5/5) = √0.1
    [2.5, Math.sqrt(0.1)],
    [0, 1],
  ])('at %s stands for the tolerance %s where the policy has 0.1', (dial, tolerance) => {
    expect(dialTolerance({ dial, tolerance: 0.1 })).toBeCloseTo(tolerance, 12);
  });

  test('left alone is the policy’s tolerance', () => {
    expect(dialTolerance({ dial: null, tolerance: 0.37 })).toBe(0.37);
  });

  test('never loosens as it is raised, whatever the policy', () => {
    const dials = fc.double({ min: 0, max: 10, noNaN: true });
    fc.assert(
      fc.property(dials, dials, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, tolerance) => {
        const [low, high] = [a, b].sort((x, y) => x - y) as [number, number];
        expect(dialTolerance({ dial: high, tolerance })).toBeLessThanOrEqual(dialTolerance({ dial: low, tolerance }));
        expect(dialTolerance({ dial: high, tolerance })).toBeGreaterThanOrEqual(0);
        expect(dialTolerance({ dial: low, tolerance })).toBeLessThanOrEqual(1);
      }),
      { numRuns: 1000, seed: 1 },
    );
  });

  test('reaches the cheapest even where the policy tolerates nothing', () => {
    expect(dialTolerance({ dial: 0, tolerance: 0 })).toBe(1);
    expect(dialTolerance({ dial: 5, tolerance: 0 })).toBe(0);
    // 0.01^(2.5/5)
    expect(dialTolerance({ dial: 2.5, tolerance: 0 })).toBeCloseTo(0.1, 12);
  });
});

describe('overrides', () => {
  test.each([
    [{ dial: 7 }, { dial: 7, target: null, budget: null }],
    [{ target: { keep: 0.9 } }, { dial: null, target: { keep: 0.9 }, budget: null }],
    [{ tolerance: 0.3 }, { tolerance: 0.3, dial: null, target: null, budget: null }],
    [{ minQuality: 0.4 }, { minQuality: 0.4, budget: 2 }],
    [{ dial: null }, { dial: null, budget: 2 }],
  ])('replace the trade-off of the policy by their own: %o over a budget', (more, expected) => {
    expect(withOverrides(base({ budget: 2 }), more)).toMatchObject(expected);
  });

  test('of a request without any are none, and what is no object of knobs is refused', () => {
    expect(withOverrides(base(), null as never)).toEqual(base());
    for (const knobs of [[], 'dial', 7]) {
      expect(() => withOverrides(base(), knobs as never)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
    }
  });

  test('that set two trade-offs at once are refused, and both are named', () => {
    expect(() => withOverrides(base(), { dial: 3, budget: 1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining('dial and budget') }),
    );
  });

  test.each([
    ['dial', 10.1],
    ['dial', Number.NaN],
    ['budget', 0],
    ['target', { keep: 1.2 }],
    ['target', { kep: 0.9 }],
    ['certificate', null],
    ['traffic', null],
  ])('with %s = %o are refused by name', (knob, value) => {
    expect(() => withOverrides(base(), { [knob]: value })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(knob) }),
    );
  });
});
