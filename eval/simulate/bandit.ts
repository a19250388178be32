/**
 * What one outcome a decision teaches beside all outcomes of the same prompts. A router decides at a small exploration,
 * sees the answer of the model drawn, and is refitted from its log as a gateway is; another one is fitted on every
 * model's answer to the same prompts. Both start from the same heads, and both are read on prompts that neither saw.
 */
import { deriveSeed, seededRandom, selectRows, splitByGroup } from '../../datasets/index.ts';
import type { Heads } from '../../router/heads/heads.ts';
import { refitHeads } from '../../router/training/refit-heads.ts';
import { selectPartRows } from '../part.ts';
import { singleModels } from '../single-models.ts';
import { TEST_SHARE } from '../split.ts';
import { decideAll, embeddingsAt, loggedTable, type SimulatedDecision } from './bandit-log.ts';
import { type Beliefs, believe, type Reading, readingOn } from './route.ts';
import { ratioOver, type TargetResult, targetResult } from './target.ts';
import type { World } from './world.ts';

export interface BanditOptions {
  /** Heads that the router starts with. */
  readonly start: Heads;
  readonly exploration: number;
  /** Decisions after which the router is refitted on its whole log, rising. */
  readonly refitAt: readonly number[];
  /** Of these, those at which it is compared. */
  readonly readAt: readonly number[];
  /** Weight of each logged answer; default: all count alike, as in `server/learning/weights.ts`. */
  readonly weightsOf?: (log: readonly SimulatedDecision[]) => Float64Array;
  readonly seed: number;
  readonly onProgress?: (step: string) => void;
}

/** AIQ on the test groups of one run. */
export interface BanditRun {
  readonly start: number;
  /** Each model's mean on the training groups, whatever the prompt: what reading the prompt has to beat. */
  readonly zero: number;
  readonly at: readonly {
    readonly decisions: number;
    readonly prompts: number;
    readonly bandit: number;
    readonly full: number;
  }[];
}

export function runBandit(world: World, options: BanditOptions): BanditRun {
  const { start, exploration, refitAt, readAt, weightsOf, seed, onProgress = () => {} } = options;
  const { train, test } = splitByGroup(world.part.table.prompts, TEST_SHARE, deriveSeed(seed, 'simulate-split'));
  const reading = readingOn(world, test);
  const random = seededRandom(deriveSeed(seed, 'simulate-bandit'));
  const order = Array.from({ length: refitAt.at(-1)! }, () => train[Math.floor(random() * train.length)]!);
  const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration };
  const log: SimulatedDecision[] = [];
  const first = believe(start, world);
  let beliefs = first;
  const at: BanditRun['at'][number][] = [];
  for (const decisions of refitAt) {
    log.push(...decideAll(world, order.slice(log.length, decisions), beliefs, rule, random));
    onProgress(`refit on ${decisions} logged decisions`);
    const weights = weightsOf?.(log);
    const rows = log.map(({ row }) => row);
    beliefs = believe(
      refitHeads(start, loggedTable(world, log), embeddingsAt(world, rows), {
        seed,
        likeOf,
        ...(weights && { weights }),
      }),
      world,
    );
    if (!readAt.includes(decisions)) continue;
    const known = [...new Set(rows)];
    onProgress(`refit on every outcome of the same ${known.length} prompts`);
    const full = refitHeads(start, selectRows(world.part.table, known), embeddingsAt(world, known), { seed, likeOf });
    at.push({
      decisions,
      prompts: known.length,
      bandit: reading.aiqOf(beliefs),
      full: reading.aiqOf(believe(full, world)),
    });
  }
  return { start: reading.aiqOf(first), zero: zeroAiq(world, train, reading), at };
}

const likeOf = (): undefined => undefined;

function zeroAiq(world: World, train: readonly number[], reading: Reading): number {
  const { quality, costUsd } = singleModels(selectPartRows(world.part, train));
  const m = quality.length;
  const cells = world.part.table.quality.length;
  const beliefs: Beliefs = {
    quality: Float32Array.from({ length: cells }, (_, at) => quality[at % m]!),
    costUsd: Float64Array.from({ length: cells }, (_, at) => costUsd[at % m]!),
  };
  return reading.aiqOf(beliefs);
}

/** Share of the gain of full information that is wanted after so many decisions. */
const WANTED: Readonly<Record<number, number>> = { 2000: 0.6, 20000: 0.9 };

/** (AIQ of the bandit − start) ÷ (AIQ of full information − start), by number of decisions. */
export function banditTargets(world: World, startName: string, runs: readonly BanditRun[]): TargetResult[] {
  const mean = (of: (run: BanditRun) => number): string =>
    (runs.reduce((sum, run) => sum + of(run), 0) / runs.length).toFixed(4);
  return (runs[0]?.at ?? []).map(({ decisions }, k) =>
    targetResult({
      simulation: 'bandit',
      source: world.name,
      name: `gain of ${decisions} logged decisions ÷ gain of full information, ${startName} start`,
      unit: 'share',
      found: ratioOver(
        runs.map((run) => run.at[k]!.bandit - run.start),
        runs.map((run) => run.at[k]!.full - run.start),
      ),
      wanted: WANTED[decisions] === undefined ? null : { atLeast: WANTED[decisions] },
      runs: runs.length,
      note:
        `AIQ: start ${mean((run) => run.start)}, bandit ${mean((run) => run.at[k]!.bandit)}, full information ` +
        `${mean((run) => run.at[k]!.full)}; zero router ${mean((run) => run.zero)}`,
    }),
  );
}
