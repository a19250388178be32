/**
 * Cheapest-first cascade: call a cheap model, have its answer judged, call a dearer one if the judge says no.
 * Every call is paid for. The judge sees the true outcome and errs on one answer in ten, in both directions:
 * a judge as good as this is rare, so the row shows what checking answers could bring, not what it brings.
 */
import { deriveSeed, hashFraction } from '../../datasets/index.ts';
import type { Contender, Frozen, SettingOutcome } from '../contender.ts';
import { freeze, targetCosts } from '../curve.ts';
import type { CurvePoint } from '../metrics/curve-point.ts';
import { upperHull } from '../metrics/upper-hull.ts';
import type { Part } from '../part.ts';
import { fixedOrder } from '../plug-in.ts';

/** Share of answers that the judge gets wrong. Above it cascades stop paying (RouterBench). */
export const JUDGE_ERROR = 0.1;
/** Quality from which an answer is a good one, where quality is graded. */
const GOOD = 0.5;

export const cascadeRouter = (judgeError = JUDGE_ERROR): Contender => ({
  name: 'cascade',
  kind: 'baseline',
  async prepare({ part, singles, baseline, gridPoints, seed }): Promise<Frozen> {
    const judgeSeed = deriveSeed(seed, 'cascade-judge');
    const run = (on: Part, chain: readonly number[]) =>
      runChain(on, chain, singles.byRisingCost, judgeError, judgeSeed);
    const chains = chainsOf(singlesOnHull(singles.costUsd, singles.quality));
    const settings = chains.map((chain): CurvePoint => meanOf(run(part, chain)));
    const low = mean(fixedOrder(part, singles.byRisingCost).costUsd);
    const high = mean(fixedOrder(part, [...singles.byRisingCost].reverse()).costUsd);
    const points = freeze(settings, targetCosts(low, high, gridPoints));
    return {
      points,
      baselineQuality: mean(fixedOrder(part, baseline).quality),
      label: (s) => chains[s]!.map((j) => part.table.modelIds[j]).join(' → '),
      async measure(test) {
        const used = new Set(points.flatMap((p) => [p.a, p.b]));
        return { outcomes: new Map([...used].map((s) => [s, run(test, chains[s]!)])) };
      },
    };
  },
});

/** Models worth calling at all: those on the hull of the single models. */
const singlesOnHull = (costUsd: Float64Array, quality: Float64Array): number[] =>
  upperHull(Array.from(costUsd, (c, j) => ({ costUsd: c, quality: quality[j]! })));

/** Every single model, every pair, and every run of neighbours, each from cheap to dear. */
function chainsOf(models: readonly number[]): number[][] {
  const chains: number[][] = [];
  for (let a = 0; a < models.length; a++) {
    for (let b = a; b < models.length; b++) {
      chains.push(models.slice(a, b + 1));
      if (b > a + 1) chains.push([models[a]!, models[b]!]);
    }
  }
  return chains;
}

function runChain(
  part: Part,
  chain: readonly number[],
  fallback: readonly number[],
  judgeError: number,
  seed: number,
): SettingOutcome {
  const { table } = part;
  const m = table.modelIds.length;
  const n = table.prompts.length;
  const cost = new Float64Array(n);
  const quality = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const tried = (j: number) => !Number.isNaN(table.quality[i * m + j]!);
    const models = chain.filter(tried);
    if (models.length === 0) models.push(fallback.find(tried)!);
    for (const j of models) {
      cost[i]! += part.costUsd[i * m + j]!;
      quality[i] = table.quality[i * m + j]!;
      const errs = hashFraction(`${table.prompts[i]!.id}\0${table.modelIds[j]}`, seed) < judgeError;
      if (quality[i]! >= GOOD !== errs) break;
    }
  }
  return { costUsd: cost, quality };
}

const meanOf = (o: SettingOutcome): CurvePoint => ({ costUsd: mean(o.costUsd), quality: mean(o.quality) });
const mean = (xs: Float64Array): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;
