/** One team of many judges the opposite of what was: what that costs the requests of the others. */
import { deriveSeed, seededRandom } from '../../datasets/index.ts';
import type { Heads } from '../../router/heads/heads.ts';
import { refitHeads } from '../../router/training/refit-heads.ts';
import { decideAll, embeddingsAt, loggedTable } from './bandit-log.ts';
import { greedyShares, splitOf } from './change.ts';
import { type Beliefs, believe } from './route.ts';
import { meanOver, type TargetResult, targetResult } from './target.ts';
import type { World } from './world.ts';

export interface FlippedOptions {
  readonly start: Heads;
  readonly decisions: number;
  readonly exploration: number;
  /** Teams of equal traffic; the first one lies. */
  readonly teams: number;
  /** Weight of each logged answer; `forecast` learns from some of them and forecasts others. */
  readonly weightsOf: (answers: readonly TeamAnswer[], forecast: TeamForecast) => Float64Array;
  readonly seed: number;
  readonly onProgress?: (step: string) => void;
}

/** A logged answer as far as influence goes by it. */
export interface TeamAnswer {
  readonly tenant: string;
  readonly key: null;
  /** The prompt: drawn twice, it is no two witnesses. */
  readonly group: string;
  /** As the team judges it, in [0, 1]. */
  readonly quality: number;
  readonly weight: 1;
  /** Place in the log. */
  readonly at: number;
}

export type TeamForecast = (learnedFrom: readonly TeamAnswer[], asked: readonly TeamAnswer[]) => number[];

export interface FlippedRun {
  /** Utility (quality − λ cost) of the test prompts by the router fitted on honest labels minus that with the lies. */
  readonly cost: number;
  readonly movedShare: number;
}

/** Both routers are fitted on the same log, each with the weights that its labels give; only the liar's labels differ. */
export function runFlipped(world: World, options: FlippedOptions): FlippedRun {
  const { start, decisions, exploration, teams, weightsOf, seed, onProgress = () => {} } = options;
  const { train, test } = splitOf(world, seed);
  const random = seededRandom(deriveSeed(seed, 'simulate-flipped'));
  const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration };
  const order = Array.from({ length: decisions }, () => train[Math.floor(random() * train.length)]!);
  // One refit in between, so that the log is that of a router which has learned something.
  const half = decisions >> 1;
  const log = decideAll(world, order.slice(0, half), believe(start, world), rule, random);
  const learned = (table: ReturnType<typeof loggedTable>, weights?: Float64Array, some = log): Beliefs => {
    const z = embeddingsAt(
      world,
      some.map(({ row }) => row),
    );
    return believe(refitHeads(start, table, z, { seed, likeOf: () => undefined, ...(weights && { weights }) }), world);
  };
  onProgress(`refit on ${half} honest labels`);
  log.push(...decideAll(world, order.slice(half), learned(loggedTable(world, log)), rule, random));
  const team = log.map(() => `team ${Math.floor(random() * teams)}`);
  const m = world.part.table.modelIds.length;
  /** What is learned from the log where team 0 judges as told. */
  const learnedWhere = (lies: boolean): Beliefs => {
    const table = loggedTable(world, log);
    const flip = (i: number) => lies && team[i] === 'team 0';
    log.forEach(({ column }, i) => {
      if (flip(i)) table.quality[i * m + column] = 1 - table.quality[i * m + column]!;
    });
    const answers = log.map(
      ({ row, column }, at): TeamAnswer => ({
        tenant: team[at]!,
        key: null,
        group: String(row),
        quality: table.quality[at * m + column]!,
        weight: 1,
        at,
      }),
    );
    const forecast: TeamForecast = (learnedFrom, asked) => {
      const some = learnedFrom.map(({ at }) => log[at]!);
      const part = loggedTable(world, some);
      learnedFrom.forEach(({ quality }, i) => {
        part.quality[i * m + some[i]!.column] = quality;
      });
      const { quality } = learned(part, undefined, some);
      return asked.map(({ at }) => quality[log[at]!.row * m + log[at]!.column]!);
    };
    return learned(table, weightsOf(answers, forecast));
  };
  onProgress(`refit on ${decisions} honest labels, and with those of one team of ${teams} flipped`);
  const honest = learnedWhere(false);
  const lied = learnedWhere(true);
  const before = greedyShares(world, test, honest);
  const moved = greedyShares(world, test, lied).reduce((sum, s, j) => sum + Math.max(0, s - before[j]!), 0);
  return { cost: utilityOf(world, test, honest) - utilityOf(world, test, lied), movedShare: moved };
}

/** Mean quality − λ · USD of what the greedy choices bring. */
export function utilityOf(world: World, rows: readonly number[], beliefs: Beliefs): number {
  const { table, costUsd } = world.part;
  const m = table.modelIds.length;
  const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration: 0 };
  const chosen = decideAll(world, rows, beliefs, rule, () => 0);
  return (
    chosen.reduce(
      (sum, { row, column }) =>
        sum + table.quality[row * m + column]! - world.qualityPerUsd * costUsd[row * m + column]!,
      0,
    ) / rows.length
  );
}

export function flippedTargets(
  world: World,
  teams: number,
  decisions: number,
  runs: readonly FlippedRun[],
): TargetResult[] {
  const moved = runs.reduce((sum, { movedShare }) => sum + movedShare, 0) / runs.length;
  return [
    targetResult({
      simulation: 'flipped',
      source: world.name,
      name: `utility that a team with 1/${teams} of ${decisions} labels, all flipped, costs the others`,
      unit: 'points',
      found: meanOver(runs.map(({ cost }) => cost)),
      wanted: { atMost: 0.005 },
      runs: runs.length,
      note: `${(100 * moved).toFixed(1)} % of the traffic moves between models`,
    }),
  ];
}
