/** Do 95 % intervals hold in 95 % of the cases? Full information, all but one answer hidden, many times over. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { normal, outcomeTable, readDataset, seededRandom } from '../../../datasets/index.ts';
import { crossFit } from '../../../eval/ope/cross-fit.ts';
import { differenceRows } from '../../../eval/ope/difference.ts';
import { directMethodRows } from '../../../eval/ope/direct-method.ts';
import { doublyRobustRows } from '../../../eval/ope/doubly-robust.ts';
import { importanceWeights, ipsRows } from '../../../eval/ope/ips.ts';
import { ratioEstimates, unitsOf } from '../../../eval/ope/ratio-interval.ts';
import { hideAllButOne, loggingOdds, MODELS, makeWorld, truth, type World } from './world.ts';

const ROWS = 800;
const REPLICATES = 400;
const RUNS = 1000;
const m = MODELS.length;

/**
 * Share of logs on which the interval holds the truth. What `judgeLog` does, without the estimators not asked for.
 * Of 200 logs a perfect interval holds it outside 93-97 % one time in five; of 1 000, in one of 270.
 */
function coverage(world: World, runs: number) {
  const value = truth(world, world.target);
  const truths = [value, value, value - truth(world, world.logging)];
  const held = [0, 0, 0];
  let effective = 0;
  for (let run = 1; run <= runs; run++) {
    const log = hideAllButOne(world, ROWS, 7919 * run);
    const rewards = Float64Array.from(log, ({ quality }) => quality);
    const sessions = log.map(({ session }) => session!);
    const forecast = crossFit(log, rewards, sessions, { seed: run });
    const forecasts = log.map((row, i) => MODELS.map((model) => forecast(i)(row, model)));
    const of = (policy: Float64Array) => {
      const rows = log.map(({ prompt }) => policy.subarray(prompt * m, (prompt + 1) * m));
      const target = Float64Array.from(log, ({ sampled }, i) => rows[i]![MODELS.indexOf(sampled)]!);
      return { target, predictedTarget: directMethodRows(rows, forecasts) };
    };
    const propensities = Float64Array.from(log, ({ propensity }) => propensity!);
    const predicted = Float64Array.from(log, ({ sampled }, i) => forecasts[i]![MODELS.indexOf(sampled)]!);
    const fresh = of(world.target);
    const old = of(world.logging);
    const shared = { rewards, propensities, predicted };
    const weights = importanceWeights(fresh.target, propensities);
    const mean = (numerator: Float64Array) => ({ ratios: [{ numerator, denominator: null }] });
    const estimates = ratioEstimates(
      [
        mean(doublyRobustRows({ ...shared, ...fresh })),
        { ratios: [{ numerator: ipsRows(rewards, fresh.target, propensities), denominator: weights }] },
        mean(differenceRows({ ...shared, fresh, old })),
      ],
      unitsOf(sessions),
      { replicates: REPLICATES, seed: run },
    );
    estimates.forEach(({ low, high }, k) => {
      if (low! <= truths[k]! && truths[k]! <= high!) held[k]!++;
    });
    effective += weights.reduce((a, w) => a + w) ** 2 / weights.reduce((a, w) => a + w * w, 0) / runs;
  }
  const [dr, snips, difference] = held.map((count) => count / runs);
  return { dr, snips, difference, effective };
}

function expectNominal(name: string, { effective, ...shares }: ReturnType<typeof coverage>) {
  console.log(`${name}: coverage`, shares, `of ${RUNS} logs; ${effective.toFixed(0)} effective rows of ${ROWS}`);
  for (const [estimator, share] of Object.entries(shares)) {
    expect(share, estimator).toBeGreaterThanOrEqual(0.93);
    expect(share, estimator).toBeLessThanOrEqual(0.97);
  }
}

test('95 % intervals of DR, SNIPS and the paired difference cover the truth in 93-97 % of logs', () => {
  expectNominal('simulated', coverage(makeWorld(99, 4000, 0.2), RUNS));
}, 180_000);

const folder = join(import.meta.dirname, '../../../../shared/data/outcomes/mmlu-pro');
const there = existsSync(folder);
if (!there) console.log(`skipped: the outcomes of MMLU-Pro are not at ${folder}`);

describe.skipIf(!there)('real models on real prompts', () => {
  test('the same on MMLU-Pro, all but one of five models’ answers hidden', async () => {
    expectNominal('MMLU-Pro', coverage(await realWorld(), RUNS));
  }, 180_000);
});

/** Five models from poor to good on the prompts that all five answered; the view is the outcome, half drowned in noise. */
async function realWorld(): Promise<World> {
  const { modelIds, quality, prompts } = outcomeTable(await readDataset(folder));
  const all = modelIds.length;
  const means = modelIds.map((_, j) => {
    const known = prompts.flatMap((_, i) => (Number.isNaN(quality[i * all + j]!) ? [] : [quality[i * all + j]!]));
    return known.length < 0.9 * prompts.length ? Number.NaN : known.reduce((a, b) => a + b) / known.length;
  });
  const full = [...modelIds.keys()].filter((j) => !Number.isNaN(means[j]!)).sort((a, b) => means[a]! - means[b]!);
  const five = MODELS.map((_, k) => full[Math.round((k * (full.length - 1)) / (m - 1))]!);
  const rows = [...prompts.keys()].filter((i) => five.every((j) => !Number.isNaN(quality[i * all + j]!)));
  const random = seededRandom(17);
  const chance = Float64Array.from(rows.flatMap((i) => five.map((j) => quality[i * all + j]!)));
  const seen = chance.map((q, at) => means[five[at % m]!]! + q + 1.5 * normal(random));
  const n = rows.length - (rows.length % 2);
  return { prompts: n, perSession: 2, chance: chance.slice(0, n * m), ...loggingOdds(seen.slice(0, n * m), 0.2) };
}
