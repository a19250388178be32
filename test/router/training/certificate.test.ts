/** A certificate is given where quality is kept, and hardly ever where it is not. */
import { describe, expect, test } from 'vitest';
import { type OutcomeTable, seededRandom } from '../../../datasets/index.ts';
import type { HeadPredictions } from '../../../router/heads/heads.ts';
import { priceBook } from '../../../router/policy/certificate.ts';
import { certify } from '../../../router/training/certificate.ts';
import { promptOf, tableOf } from '../fixtures.ts';

const PRICES = {
  'm/cheap': { inputUsdPerMTok: 1, outputUsdPerMTok: 1, priceFrom: 'list@1#a' },
  'm/dear': { inputUsdPerMTok: 10, outputUsdPerMTok: 10, priceFrom: 'list@1#b' },
};
const RULE = { exploration: 0, maxOutOfDomain: 0.5 };

/**
 * The dear model succeeds on 80 %. The cheap one is predicted worse by a gap spread evenly over 0 … 0.25, so that
 * a tolerance τ sends it a share 4 τ of the prompts; on any it truly succeeds with probability `cheap`. Hence
 * E[routed − 0.98 · dear] = 0.016 − 4 τ (0.8 − cheap).
 */
function world(cheap: number, n: number, seed: number, groupOf = (i: number) => `g${i}`) {
  const random = seededRandom(seed);
  const quality = Array.from({ length: n }, () => [random() < cheap ? 1 : 0, random() < 0.8 ? 1 : 0]).flat();
  const prompts = Array.from({ length: n }, (_, i) => promptOf(`p${i}`, { groupId: groupOf(i), text: 'x'.repeat(40) }));
  const predicted = Float32Array.from(Array.from({ length: n }, () => [0.8 - 0.25 * random(), 0.8]).flat());
  const part: OutcomeTable = { ...tableOf(['m/cheap', 'm/dear'], quality, { prompts }), models: PRICES };
  const predictions: HeadPredictions = {
    quality: predicted,
    logits: predicted,
    qualitySd: predicted,
    outputTokens: new Float32Array(2 * n).fill(10),
    difficulty: new Float32Array(n),
    outOfDomain: Float32Array.from({ length: n }, (_, i) => (i % 20 === 0 ? 0.9 : 0)),
  };
  return { part, predictions };
}
/** Tells that the dear one is the better one. */
const training = { ...tableOf(['m/cheap', 'm/dear'], [0, 1, 0, 1]), models: PRICES };

const certificateOf = ({ part, predictions }: ReturnType<typeof world>) => certify(part, predictions, training, RULE)!;

describe('certify', () => {
  test('certifies a tolerance that does not keep the quality in at most 5 % of draws', () => {
    // cheap 0.395: at 0 nothing is lost; at 0.01, the next, E = 0.016 − 0.04 · 0.405 = −0.0002, only just too little.
    const draws = 500;
    let wrong = 0;
    let strict = 0;
    for (let seed = 0; seed < draws; seed++) {
      const { tolerance } = certificateOf(world(0.395, 300, 1000 + seed));
      if (tolerance !== null && tolerance > 0) wrong++;
      if (tolerance === 0) strict++;
    }
    // Four standard errors of a share of 5 %.
    expect(wrong / draws).toBeLessThanOrEqual(0.05 + 4 * Math.sqrt((0.05 * 0.95) / draws));
    // And not by refusing everything: what is safe is certified.
    expect(strict / draws).toBeGreaterThan(0.9);
  });

  test('goes as far as the evidence does, then stops, and leaves the rest of the grid untried', () => {
    // cheap 0.72: E = 0.016 − 0.32 τ, below 0 from τ = 0.05 on.
    const { tolerance, grid, groups, keep } = certificateOf(world(0.72, 4000, 5));
    expect(tolerance).toBeGreaterThan(0);
    expect(tolerance).toBeLessThan(0.05);
    expect({ groups, keep }).toEqual({ groups: 4000, keep: 0.98 });
    const failed = grid.findIndex(({ pass }) => !pass);
    expect(grid[failed - 1]!.tolerance).toBe(tolerance);
    expect(grid[failed]!.bound).toBeLessThan(0);
    expect(grid.slice(0, failed).every(({ bound }) => bound! >= 0)).toBe(true);
    expect(grid.slice(failed + 1).every(({ bound, pass }) => bound === null && !pass)).toBe(true);
  });

  test('certifies the whole grid where the cheap model is as good', () => {
    expect(certificateOf(world(0.85, 3000, 6)).tolerance).toBe(0.25);
  });

  test('certifies nothing on too little evidence', () => {
    // 25 prompts, a fifth of which the reference fails: 0.02 · 0.8 is too small a margin to show.
    const few = certificateOf(world(0.2, 25, 7));
    expect(few.tolerance).toBeNull();
    expect(few.grid[0]).toMatchObject({ tolerance: 0, pass: false });
    const { part, predictions } = world(0.5, 19, 8);
    expect(certify(part, predictions, training, RULE)).toBeNull();
  });

  test('counts a group once, however many prompts it has', () => {
    expect(certificateOf(world(0.85, 400, 9, (i) => `g${Math.floor(i / 4)}`)).groups).toBe(100);
  });

  test('names its population: source, reference, pool, prices and how many prompts were out of domain', () => {
    const made = certificateOf(world(0.85, 400, 10));
    expect(made.sources).toEqual([
      {
        source: 'made-up',
        groups: 400,
        reference: 'm/dear',
        pool: ['m/cheap', 'm/dear'],
        priceBook: priceBook([
          { model: 'm/dear', inputUsdPerMTok: 10, outputUsdPerMTok: 10 },
          { model: 'm/cheap', inputUsdPerMTok: 1, outputUsdPerMTok: 1 },
        ]),
        pricesFrom: ['list@1'],
      },
    ]);
    expect(made).toMatchObject(RULE);
    expect(made.outOfDomainShare).toBeCloseTo(0.05, 12);
    // Wilson, z 1.645, p 0.05, n 400: (0.05 + 0.00338 + 1.645 · √(0.00011875 + 0.00000423)) / 1.00676 = 0.0711.
    expect(made.maxOutOfDomainShare).toBeCloseTo(0.0711, 3);
  });

  test('counts exploration as part of what is certified', () => {
    const { part, predictions } = world(0.2, 3000, 11);
    const explored = certify(part, predictions, training, { ...RULE, exploration: 0.3 })!;
    // At tolerance 0: a tenth of 0.3 over both, the rest near, which is the dear one alone: 1.5 % · 0.6 lost.
    const plain = certify(part, predictions, training, RULE)!;
    expect(plain.grid[0]!.bound! - explored.grid[0]!.bound!).toBeCloseTo(0.009, 2);
  });
});
