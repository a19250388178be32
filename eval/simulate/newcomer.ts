/**
 * A new model that is worth more than all others is let in on its prior, the average model, and gets a capped share of
 * the requests by exploration; the router is refitted from the log. How near does it come to the traffic that a router
 * gives it which knows every answer?
 */
import { deriveSeed, seededRandom, selectModels, selectRows } from '../../datasets/index.ts';
import { selectHeads } from '../../router/heads/heads.ts';
import { NEW, oddsOf, UNTRIED } from '../../router/policy/rule.ts';
import { fitHeads } from '../../router/training/fit-heads.ts';
import { refitHeads } from '../../router/training/refit-heads.ts';
import { draw, embeddingsAt, loggedTable, type SimulatedDecision } from './bandit-log.ts';
import { greedyShares, splitOf } from './change.ts';
import { believe } from './route.ts';
import { ratioOver, type TargetResult, targetResult } from './target.ts';
import type { World } from './world.ts';

export interface NewcomerOptions {
  readonly exploration: number;
  /** Most of the requests that it gets by exploration. */
  readonly share: number;
  /** Explored calls of it after which the router is refitted, rising; the last is its whole budget. */
  readonly refitAt: readonly number[];
  readonly seed: number;
  readonly onProgress?: (step: string) => void;
}

export interface NewcomerRun {
  readonly model: string;
  /** Share of the test prompts that it wins: fitted on every answer to the training prompts. */
  readonly fair: number;
  /** Quality − λ cost of all test prompts, with it known, and without it. */
  readonly at: readonly { readonly explored: number; readonly decisions: number; readonly share: number }[];
}

export function runNewcomer(world: World, options: NewcomerOptions): NewcomerRun {
  const { exploration, share, refitAt, seed, onProgress = () => {} } = options;
  const { train, test } = splitOf(world, seed);
  const { table } = world.part;
  const m = table.modelIds.length;
  onProgress('fit on every answer');
  const known = believe(fitHeads(selectRows(table, train), embeddingsAt(world, train), seed).heads, world);
  const shares = greedyShares(world, test, known);
  const newcomer = shares.indexOf(Math.max(...shares));
  const model = table.modelIds[newcomer]!;
  const others = table.modelIds.filter((id) => id !== model);
  onProgress(`fit without ${model}`);
  const base = fitHeads(selectModels(selectRows(table, train), others), embeddingsAt(world, train), seed).heads;
  const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration };
  const random = seededRandom(deriveSeed(seed, 'simulate-newcomer'));
  let beliefs = believe(base, world);
  const log: SimulatedDecision[] = [];
  let explored = 0;
  const at: NewcomerRun['at'][number][] = [];
  for (const calls of refitAt) {
    const novelty = new Uint8Array(m);
    novelty[newcomer] = at.length === 0 ? UNTRIED : NEW;
    while (explored < calls) {
      const row = train[Math.floor(random() * train.length)]!;
      const cells = [row * m, row * m + m] as const;
      const { probabilities, greedy } = oddsOf(
        beliefs.quality.subarray(...cells),
        beliefs.costUsd.subarray(...cells),
        rule,
        undefined,
        { share, novelty },
      );
      const column = draw(probabilities, random);
      if (column === newcomer && !greedy.includes(newcomer)) explored++;
      log.push({ row, column, probabilities, greedy });
      // Where it wins already, what it still explores is little: its budget must not last for ever.
      if (log.length > 2 * (calls / share)) break;
    }
    onProgress(`refit after ${explored} explored calls in ${log.length} decisions`);
    const rows = log.map(({ row }) => row);
    const heads = refitHeads(base, loggedTable(world, log), embeddingsAt(world, rows), {
      seed,
      likeOf: () => undefined,
    });
    beliefs = believe(selectHeads(heads, table.modelIds), world);
    at.push({ explored, decisions: log.length, share: greedyShares(world, test, beliefs)[newcomer]! });
  }
  return { model, fair: shares[newcomer]!, at };
}

export function newcomerTargets(world: World, runs: readonly NewcomerRun[]): TargetResult[] {
  const first = runs[0]!;
  return first.at.map((_, k) => {
    const explored = Math.round(runs.reduce((sum, run) => sum + run.at[k]!.explored, 0) / runs.length);
    const mean = (of: (run: NewcomerRun) => number) =>
      ((100 * runs.reduce((sum, run) => sum + of(run), 0)) / runs.length).toFixed(1);
    return targetResult({
      simulation: 'newcomer',
      source: world.name,
      name: `traffic of a new model after ${explored} explored calls ÷ its fair share`,
      unit: 'share',
      found: ratioOver(
        runs.map((run) => run.at[k]!.share),
        runs.map((run) => run.fair),
      ),
      wanted: k === first.at.length - 1 ? { atLeast: 0.9 } : null,
      runs: runs.length,
      note: `${first.model}: ${mean((run) => run.at[k]!.share)} % of the test prompts after ${Math.round(runs.reduce((sum, run) => sum + run.at[k]!.decisions, 0) / runs.length)} decisions, ${mean((run) => run.fair)} % with every answer known`,
    });
  });
}
