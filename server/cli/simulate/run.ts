/** All simulations in order: worlds from folders of outcomes → targets. What is needed twice is fitted once. */
import { type Dataset, deriveSeed, RoutingError, sampleRows, selectRows } from '../../../datasets/index.ts';
import { blankHeads } from '../../../eval/replay/learner.ts';
import { type BanditRun, banditTargets, runBandit } from '../../../eval/simulate/bandit.ts';
import { embeddingsAt } from '../../../eval/simulate/bandit-log.ts';
import { changeTargets, priceTargets, runChange, runPriceCut, splitOf } from '../../../eval/simulate/change.ts';
import {
  type FlippedRun,
  flippedTargets,
  runFlipped,
  type TeamAnswer,
  type TeamForecast,
} from '../../../eval/simulate/flipped.ts';
import { missingTargets, runMissing } from '../../../eval/simulate/missing.ts';
import { type NewcomerRun, newcomerTargets, runNewcomer } from '../../../eval/simulate/newcomer.ts';
import { type Beliefs, believe } from '../../../eval/simulate/route.ts';
import type { TargetResult } from '../../../eval/simulate/target.ts';
import { type World, worldOf } from '../../../eval/simulate/world.ts';
import type { Heads } from '../../../router/heads/heads.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { refitHeads } from '../../../router/training/refit-heads.ts';
import { teamAgreement } from '../../feedback/agreement.ts';
import { influenceWeights } from '../../feedback/influence.ts';
import { type GateCell, gateTargets, runGate } from './gate.ts';
import { gateWorld } from './gate-worlds.ts';
import { driftWatch } from './watch.ts';

export const SIMULATIONS = {
  bandit: 'one outcome a decision beside all outcomes of the same prompts',
  gate: 'better and worse routers before the gate, and the intervals it goes by',
  change: 'a model that silently becomes worse, and one whose price is cut',
  newcomer: 'a new model that is worth more than the others',
  missing: 'feedback that the unhappy give three times as often',
  flipped: 'a team that judges the opposite of what was',
} as const;
export type SimulationName = keyof typeof SIMULATIONS;

export interface SimulateOptions {
  readonly only: readonly SimulationName[];
  /** Runs of what refits heads, and of what does not. */
  readonly seeds: number;
  readonly runs: number;
  readonly seed: number;
  /** Sources to simulate on; those after the first run `bandit` alone. */
  readonly sources: readonly string[];
  readonly onProgress: (step: string) => void;
}

/** Of the logs; a gateway's own default is 2 %. */
const EXPLORATION = 0.03;
/** As after `learning.afterOutcomes` has been raised along with the log: often at first, when each answer tells most. */
const REFIT_AT = [500, 1000, 2000, 5000, 10_000, 20_000];
const READ_AT = [2000, 20_000];
/** Everything below is of the size that shows the effect and ends in minutes. */
const CHANGE = { loss: 0.15, before: 2000, after: 3000 };
const PRICE_FACTOR = 0.1;
const NEWCOMER = { share: 0.02, refitAt: [100, 200, 500] };
const MISSING = { decisions: 5000, contentSpeak: 0.1, auditShare: 0.05 };
const FLIPPED = { decisions: 5000, teams: 20 };
const GATE = {
  models: 4,
  incumbentPrompts: 500,
  logs: [
    { exploration: 0.03, decisions: 5000 },
    { exploration: 0.3, decisions: 5000 },
    { exploration: 0.3, decisions: 20_000 },
  ],
  differences: [0.01, -0.005],
};

/** @throws `INVALID_CONFIG` for a source that is not there; what reading worlds throws */
export async function simulate(datasets: readonly Dataset[], options: SimulateOptions): Promise<TargetResult[]> {
  const { only, seed, sources, onProgress } = options;
  const found: TargetResult[] = [];
  for (const [k, name] of sources.entries()) {
    const wanted = only.filter((simulation) => k === 0 || simulation === 'bandit');
    if (wanted.length === 0) continue;
    const source = datasets.find((dataset) => dataset.name === name);
    if (source === undefined) {
      throw new RoutingError(
        'INVALID_CONFIG',
        `--source ${name}: not among the folders given (${datasets.map((dataset) => dataset.name).join(', ')})`,
      );
    }
    onProgress(`${name}: encoder and prior, without any prompt of it`);
    const world = await worldOf(datasets, source, seed);
    onProgress(`${name}: ${world.part.table.prompts.length} prompts; ${world.notes.join('; ')}`);
    found.push(...simulateIn(world, { ...options, only: wanted }));
  }
  return found;
}

/** The same in a world that is there already. */
export function simulateIn(
  world: World,
  { only, seeds, runs, seed, onProgress }: Omit<SimulateOptions, 'sources'>,
): TargetResult[] {
  const context: Context = { world, seeds: firstSeeds(seeds, seed), runs: firstSeeds(runs, seed), seed, onProgress };
  const full = fullBeliefs(context);
  return only.flatMap((simulation) => RUNS[simulation](context, full));
}

interface Context {
  readonly world: World;
  /** Of what refits heads, and of what does not. */
  readonly seeds: readonly number[];
  readonly runs: readonly number[];
  readonly seed: number;
  readonly onProgress: (step: string) => void;
}

const firstSeeds = (count: number, from: number): number[] => Array.from({ length: count }, (_, k) => from + k);

/** What a router in force believes where all is known: fitted once on every answer to the training prompts. */
function fullBeliefs({ world, seed, onProgress }: Context): () => Beliefs {
  let beliefs: Beliefs | undefined;
  return () => {
    if (beliefs === undefined) {
      onProgress('heads in force: fitted on every answer to the training prompts');
      const { train } = splitOf(world, seed);
      const table = selectRows(world.part.table, train);
      beliefs = believe(fitHeads(table, embeddingsAt(world, train), seed).heads, world);
    }
    return beliefs;
  };
}

const RUNS: Record<SimulationName, (context: Context, full: () => Beliefs) => TargetResult[]> = {
  bandit: (context) => {
    const { world, seeds, onProgress } = context;
    return Object.entries(startsOf(world)).flatMap(([name, start]) => {
      const runs = seeds.map(
        (seed, k): BanditRun =>
          runBandit(world, {
            start,
            exploration: EXPLORATION,
            refitAt: REFIT_AT,
            readAt: READ_AT,
            seed,
            onProgress: (step) => onProgress(`bandit, ${name} start, run ${k + 1} of ${seeds.length}: ${step}`),
          }),
      );
      return banditTargets(world, name, runs);
    });
  },

  gate: ({ world, runs, seed, onProgress }, full) => {
    const { train, test } = splitOf(world, seed);
    const few = sampleRows(world.part.table.prompts, train, GATE.incumbentPrompts, deriveSeed(seed, 'incumbent'));
    const { models } = GATE;
    const young = refitHeads(
      blankHeads(world.part.table.modelIds, world.dimension),
      selectRows(world.part.table, few),
      embeddingsAt(world, few),
      { seed, likeOf: () => undefined },
    );
    const incumbent = believe(young, world);
    const cells = GATE.logs.flatMap(({ exploration, decisions }) =>
      GATE.differences.flatMap((difference): GateCell[] => {
        onProgress(`gate, ${decisions} decisions at ${100 * exploration} %, ${100 * difference} points`);
        const trial = gateWorld(world, test, {
          incumbent,
          better: full(),
          exploration,
          difference,
          models,
          seed,
        });
        if (trial === null) return [];
        // Judging takes longer than deciding, and several kinds of log make up the figures.
        const options = {
          decisions,
          qualityPerUsd: world.qualityPerUsd,
          runs: Math.ceil(runs.length / 2),
          // Other logs for each kind, so that all runs together are independent.
          seed: deriveSeed(seed, `gate ${exploration} ${decisions} ${difference}`),
        };
        return [{ exploration, decisions, difference, trials: runGate(trial, options) }];
      }),
    );
    return gateTargets(world.name, cells);
  },

  change: ({ world, runs, seed, onProgress }, full) => {
    const { test } = splitOf(world, seed);
    const options = { beliefs: full(), exploration: EXPLORATION, makeWatch: driftWatch, ...CHANGE };
    onProgress('change: a model becomes worse');
    const changed = runs.map((run) => runChange(world, test, options, run));
    onProgress('change: nothing happens');
    const controls = runs.map((run) => runChange(world, test, { ...options, loss: 0 }, run));
    onProgress('change: a price is cut');
    const cuts = runs.map((run) => runPriceCut(world, test, full(), PRICE_FACTOR, run));
    return [
      ...changeTargets(world, changed, controls, CHANGE.before + CHANGE.after),
      ...priceTargets(world, PRICE_FACTOR, cuts),
    ];
  },

  newcomer: ({ world, seeds, onProgress }) => {
    const runs = seeds.map(
      (seed, k): NewcomerRun =>
        runNewcomer(world, {
          exploration: EXPLORATION,
          ...NEWCOMER,
          seed,
          onProgress: (step) => onProgress(`newcomer, run ${k + 1} of ${seeds.length}: ${step}`),
        }),
    );
    return newcomerTargets(world, runs);
  },

  missing: ({ world, runs, seed, onProgress }, full) => {
    const { test } = splitOf(world, seed);
    const options = { beliefs: full(), exploration: EXPLORATION, ...MISSING };
    onProgress(`missing feedback, ${runs.length} logs with audits and without`);
    return missingTargets(
      world,
      MISSING,
      runs.map((run) => runMissing(world, test, options, run)),
      runs.map((run) => runMissing(world, test, { ...options, auditShare: 0 }, run)),
    );
  },

  flipped: ({ world, seeds, onProgress }) => {
    const start = startsOf(world).prior ?? startsOf(world).cold!;
    const runs = seeds.map(
      (seed, k): FlippedRun =>
        runFlipped(world, {
          start,
          exploration: EXPLORATION,
          ...FLIPPED,
          weightsOf: teamWeights,
          seed,
          onProgress: (step) => onProgress(`flipped labels, run ${k + 1} of ${seeds.length}: ${step}`),
        }),
    );
    return flippedTargets(world, FLIPPED.teams, FLIPPED.decisions, runs);
  },
};

/** `cold` knows the price list and nothing else; `prior` what other sources say of some of the models. */
function startsOf(world: World): Record<string, Heads> {
  return {
    cold: blankHeads(world.part.table.modelIds, world.dimension),
    ...(world.prior && { prior: world.prior }),
  };
}

/** As a retraining weighs them: teams that contradict all others down, and the caps that a gateway has unless told otherwise. */
function teamWeights(answers: readonly TeamAnswer[], forecast: TeamForecast): Float64Array {
  const { multipliers } = teamAgreement(answers, forecast, 1);
  const capped = influenceWeights(answers, { maxTeamShare: 0.5, maxKeyShare: 0.25 }, multipliers);
  return multipliers.map((w, i) => w * capped[i]!);
}
