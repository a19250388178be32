/** Pairs of routers for the gate to judge, whose true difference in utility is what it is said to be. */
import { deriveSeed, seededRandom, shuffled } from '../../../datasets/index.ts';
import { decideAll } from '../../../eval/simulate/bandit-log.ts';
import { greedyShares } from '../../../eval/simulate/change.ts';
import type { Beliefs } from '../../../eval/simulate/route.ts';
import type { World } from '../../../eval/simulate/world.ts';
import type { TrialWorld } from '../../learning/gate-trial.ts';

export interface GateWorldOptions {
  /** What the router in force believes, and what a better one does. */
  readonly incumbent: Beliefs;
  readonly better: Beliefs;
  /** Share of the logged decisions that go evenly to all models. */
  readonly exploration: number;
  /** Candidate − incumbent, utility. */
  readonly difference: number;
  /** Models in the pool: those that either of the two uses most. */
  readonly models: number;
  readonly seed: number;
}

/**
 * The candidate does as the incumbent but on some prompts, drawn at random until the difference is reached: above 0 it
 * takes there what the better router takes, below 0 another model at random.
 * @returns null where the difference cannot be reached
 */
export function gateWorld(world: World, rows: readonly number[], options: GateWorldOptions): TrialWorld | null {
  const { exploration, difference, models, seed } = options;
  const all = world.part.table.modelIds.length;
  const used = greedyShares(world, rows, options.incumbent).map(
    (share, j) => share + greedyShares(world, rows, options.better)[j]!,
  );
  const columns = [...used.keys()].sort((a, b) => used[b]! - used[a]! || a - b).slice(0, models);
  const m = columns.length;
  const n = rows.length;
  const cells = (values: ArrayLike<number>): Float64Array =>
    Float64Array.from({ length: n * m }, (_, at) => values[rows[Math.floor(at / m)]! * all + columns[at % m]!]!);
  const quality = cells(world.part.table.quality);
  const costUsd = cells(world.part.costUsd);
  const small: World = {
    ...world,
    part: {
      ...world.part,
      table: { ...world.part.table, modelIds: columns.map((j) => world.part.table.modelIds[j]!) },
    },
  };
  const choose = ({ quality: q, costUsd: c }: Beliefs): number[] => {
    const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration: 0 };
    const own = { quality: Float32Array.from(cells(q)), costUsd: cells(c) };
    return decideAll(small, [...rows.keys()], own, rule, () => 0).map(({ column }) => column);
  };
  const incumbent = choose(options.incumbent);
  const better = choose(options.better);
  const utility = (i: number, j: number): number => quality[i * m + j]! - world.qualityPerUsd * costUsd[i * m + j]!;
  const random = seededRandom(deriveSeed(seed, 'gate-world'));
  const candidate = [...incumbent];
  let gained = 0;
  for (const i of shuffled([...rows.keys()], random)) {
    if (difference > 0 ? gained >= difference : gained <= difference) break;
    const j = difference > 0 ? better[i]! : (incumbent[i]! + 1 + Math.floor(random() * (m - 1))) % m;
    gained += (utility(i, j) - utility(i, incumbent[i]!)) / n;
    candidate[i] = j;
  }
  if (difference > 0 ? gained < difference : gained > difference) return null;
  const certain = (choice: readonly number[], spread: number): Float64Array => {
    const out = new Float64Array(n * m).fill(spread / m);
    choice.forEach((j, i) => {
      out[i * m + j]! += 1 - spread;
    });
    return out;
  };
  return {
    modelIds: small.part.table.modelIds,
    quality,
    costUsd,
    forecasts: cells(options.incumbent.quality),
    logging: certain(incumbent, exploration),
    incumbent: certain(incumbent, 0),
    candidate: certain(candidate, 0),
  };
}
