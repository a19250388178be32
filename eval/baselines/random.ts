/**
 * A candidate drawn evenly for every prompt, measured in expectation: one point, without the noise of a draw.
 * For two-model data it also has a random order, whose APGR shows how far 0.5 wanders on this many prompts.
 */
import { deriveSeed, seededRandom } from '../../datasets/index.ts';
import type { Contender, Frozen, SettingOutcome } from '../contender.ts';
import { pure } from '../curve.ts';
import type { Part } from '../part.ts';
import { fixedOrder } from '../plug-in.ts';

export const randomRouter = (): Contender => ({
  name: 'random',
  kind: 'baseline',
  async prepare({ part, baseline, seed }): Promise<Frozen> {
    const train = evenly(part);
    const setting = { costUsd: mean(train.costUsd), quality: mean(train.quality) };
    return {
      points: [pure([setting], 0)],
      baselineQuality: mean(fixedOrder(part, baseline).quality),
      label: () => 'each candidate equally often',
      async measure(test) {
        const random = seededRandom(deriveSeed(seed, 'random-router'));
        return {
          outcomes: new Map([[0, evenly(test)]]),
          preference: Float64Array.from(test.table.quality, () => random()),
        };
      },
    };
  },
});

function evenly({ table, costUsd }: Part): SettingOutcome {
  const m = table.modelIds.length;
  const n = table.prompts.length;
  const cost = new Float64Array(n);
  const quality = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let tried = 0;
    for (let at = i * m; at < i * m + m; at++) {
      if (Number.isNaN(table.quality[at]!)) continue;
      tried++;
      cost[i]! += costUsd[at]!;
      quality[i]! += table.quality[at]!;
    }
    cost[i]! /= tried;
    quality[i]! /= tried;
  }
  return { costUsd: cost, quality };
}

const mean = (xs: Float64Array): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;
