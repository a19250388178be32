/** A new model earns its traffic: tried for a few hundred requests, refitted from the log once, and then on its merits. */
import { describe, expect, test } from 'vitest';
import { normal, seededRandom } from '../../../datasets/index.ts';
import { AVERAGE_MODEL } from '../../../router/decision.ts';
import { type Heads, predictHeads } from '../../../router/heads/heads.ts';
import { type CandidatePrediction, decide } from '../../../router/policy/decide.ts';
import { Policy } from '../../../router/policy/policy.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { refitHeads } from '../../../router/training/refit-heads.ts';
import { candidateOf, factsOf, irtWorld, sigmoid, tableOf } from '../fixtures.ts';

const D = 6;
const KNOWN = {
  'm/weak': { ability: -0.5, slope: 1 },
  'm/mid': { ability: 0.5, slope: 1 },
  'm/best': { ability: 1.5, slope: 1 },
};
/** USD per million tokens of output; a call is 1 000. */
const PRICE = { 'm/weak': 0.5, 'm/mid': 2, 'm/best': 10 } as const;
const NEW = 'n/new';
const EASE = 1.2;
const CALLS = 500;
const SHARE = 0.05;
const base = (() => {
  const { table, z } = irtWorld({ n: 1000, d: D, models: KNOWN, ease: EASE, seed: 31 });
  return fitHeads(table, z, 1).heads;
})();
const facts = factsOf();
const policy = Policy.parse({ tolerance: 0.03, exploration: 0.03 });

interface Newcomer {
  readonly ability: number;
  readonly slope: number;
  readonly usdPerMTok: number;
}

function simulate(newcomer: Newcomer, seed: number) {
  const random = seededRandom(seed);
  const worlds: Readonly<Record<string, { ability: number; slope: number }>> = { ...KNOWN, [NEW]: newcomer };
  const ids = Object.keys(worlds);
  const price: Readonly<Record<string, number>> = { ...PRICE, [NEW]: newcomer.usdPerMTok };
  const candidates = ids.map((id) => candidateOf(id, { inputUsdPerMTok: 0, outputUsdPerMTok: price[id]! }));
  const prompts = (n: number) => Float32Array.from({ length: n * D }, () => normal(random));
  const truth = (z: Float32Array, i: number, id: string) => {
    const { ability, slope } = worlds[id]!;
    return sigmoid(ability + slope * EASE * z[i * D]!);
  };
  const option = (j: number, quality: number, novelty?: 'untried'): CandidatePrediction => ({
    candidate: candidates[j]!,
    like: novelty === undefined ? ids[j]! : AVERAGE_MODEL,
    quality,
    qualitySd: 0.1,
    meanQuality: quality,
    outputTokens: 1000,
    novelty,
  });
  /** Forecasts of heads; one without a row is untried. */
  const forecasts = (heads: Heads, z: Float32Array) => {
    const { quality } = predictHeads(heads, z, z.length / D);
    const m = heads.modelIds.length;
    return (i: number) =>
      ids.map((id, j) => {
        const column = heads.modelIds.indexOf(id);
        return column < 0 ? option(j, 0.5, 'untried') : option(j, quality[i * m + column]!);
      });
  };

  // The traffic, until the new one was tried often enough.
  const length = 20_000;
  const z = prompts(length);
  const before = forecasts(base, z);
  const judged: { readonly row: number; readonly model: string; readonly quality: number }[] = [];
  let tried = 0;
  for (let i = 0; i < length && tried < CALLS; i++) {
    const { model } = decide(before(i), facts, policy, 0, random(), { newcomerShare: SHARE });
    if (model === NEW) tried++;
    judged.push({ row: i, model, quality: random() < truth(z, i, model) ? 1 : 0 });
  }

  // What the log knows: one model's answer per prompt.
  const quality = new Float32Array(judged.length * ids.length).fill(Number.NaN);
  judged.forEach(({ model, quality: q }, i) => {
    quality[i * ids.length + ids.indexOf(model)] = q;
  });
  const seen = z.slice(0, judged.length * D);
  const refitted = refitHeads(base, tableOf(ids, quality), seen, { seed: 1, likeOf: () => undefined });

  const n = 4000;
  const fresh = prompts(n);
  const greedy = { ...policy, exploration: 0 };
  const shareOf = (of: (i: number) => CandidatePrediction[]) => {
    let count = 0;
    for (let i = 0; i < n; i++) if (decide(of(i), facts, greedy, 0, random()).model === NEW) count++;
    return count / n;
  };
  return {
    decisions: judged.length,
    tried,
    before: shareOf(forecasts(base, fresh)),
    after: shareOf(forecasts(refitted, fresh)),
    // The same rule with the truth in place of forecasts.
    oracle: shareOf((i) => ids.map((id, j) => option(j, truth(fresh, i, id)))),
  };
}

describe('after 500 tries and one refit', () => {
  test.each([1, 2, 3])('a model that is better and cheaper than nearly all has its fair share (seed %i)', (seed) => {
    // Better than best on all but the easiest prompts, and dearer than weak alone.
    const { decisions, tried, before, after, oracle } = simulate({ ability: 2.2, slope: 0.8, usdPerMTok: 1 }, seed);
    expect(tried).toBe(CALLS);
    // 500 of 5 % are 10 000, give or take four standard deviations of a negative binomial: 4 · 0.95^½ · 500^½ / 0.05.
    expect(Math.abs(decisions - CALLS / SHARE)).toBeLessThan(1750);
    expect(before).toBe(0);
    expect(oracle).toBeGreaterThan(0.7);
    expect(after).toBeGreaterThanOrEqual(0.8 * oracle);
  });

  test.each([1, 2])('one that is worse and dearer gets next to nothing (seed %i)', (seed) => {
    const { after, oracle } = simulate({ ability: -0.3, slope: 1, usdPerMTok: 5 }, seed);
    expect(oracle).toBe(0);
    expect(after).toBeLessThan(0.02);
  });

  test('one that is good at easy prompts alone, for nothing, gets about those', () => {
    const { after, oracle } = simulate({ ability: 0.5, slope: 2.5, usdPerMTok: 0.1 }, 4);
    expect(oracle).toBeGreaterThan(0.2);
    expect(oracle).toBeLessThan(0.8);
    expect(after).toBeGreaterThan(0.8 * oracle);
    expect(after).toBeLessThan(1.3 * oracle);
  });
});
