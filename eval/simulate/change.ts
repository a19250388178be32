/** A model that silently becomes worse on a date, and one whose price is cut: how soon the router's choices follow. */
import { deriveSeed, seededRandom, splitByGroup } from '../../datasets/index.ts';
import { oddsOf } from '../../router/policy/rule.ts';
import { TEST_SHARE } from '../split.ts';
import { draw } from './bandit-log.ts';
import type { Beliefs } from './route.ts';
import { meanOver, shareOver, type TargetResult, targetResult } from './target.ts';
import type { World } from './world.ts';

/** Watches one artifact's answers. */
export interface ModelWatch {
  /** An answer, what was forecast of it, and the number of its decision. */
  judged(model: string, predicted: number, observed: number, at: number): void;
  /** What is to be added to the forecasts of each model that was found to have changed. */
  shifts(): ReadonlyMap<string, number>;
}

export interface ChangeOptions {
  /** Of heads in force, fitted on the training groups of {@link splitOf}. */
  readonly beliefs: Beliefs;
  readonly exploration: number;
  readonly makeWatch: () => ModelWatch;
  /** Mean quality that the model loses; 0: nothing changes, and every alarm is a false one. */
  readonly loss: number;
  /** Decisions before the change, and most that are made after it. */
  readonly before: number;
  readonly after: number;
}

export interface ChangeRun {
  /** Decisions of all models between the change and its being noticed; null: it was not. */
  readonly delay: number | null;
  /** A model was said to have changed before the date, or one that has not. */
  readonly falseAlarm: boolean;
  /** Share of decisions that the changed model got: before the change, and in those after it was noticed. */
  readonly shareBefore: number;
  readonly shareAfter: number | null;
  /** What a router that was told of the fall at once would have given it. */
  readonly shareTold: number;
}

/** The one split that the simulations of change use, so that one fit serves all runs. */
export const splitOf = (world: World, seed: number) =>
  splitByGroup(world.part.table.prompts, TEST_SHARE, deriveSeed(seed, 'simulate-split'));

/** Decisions over which a share of traffic is read once the change is noticed. */
const READ_OVER = 500;

/**
 * The model with the most traffic loses `loss` of its mean quality: each of its answers is spoilt (quality 0) with
 * probability loss ÷ mean. Forecasts are shifted as soon as the watch says so; nothing is refitted.
 */
export function runChange(world: World, rows: readonly number[], options: ChangeOptions, seed: number): ChangeRun {
  const { beliefs, exploration, makeWatch, loss, before, after } = options;
  const { table } = world.part;
  const m = table.modelIds.length;
  const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration };
  const shares = greedyShares(world, rows, beliefs);
  const changed = shares.indexOf(Math.max(...shares));
  const mean = rows.reduce((sum, r) => sum + table.quality[r * m + changed]!, 0) / rows.length;
  const spoilt = Math.min(1, loss / mean);
  const random = seededRandom(deriveSeed(seed, 'simulate-change'));
  const watch = makeWatch();
  let noticed: number | null = null;
  let falseAlarm = false;
  let countBefore = 0;
  let countAfter = 0;
  let t = 0;
  for (; t < before + after && (noticed === null || t < noticed + READ_OVER); t++) {
    const row = rows[Math.floor(random() * rows.length)]!;
    const shifts = watch.shifts();
    const quality = table.modelIds.map((id, j) => clamp(beliefs.quality[row * m + j]! + (shifts.get(id) ?? 0)));
    const j = draw(oddsOf(quality, beliefs.costUsd.subarray(row * m, row * m + m), rule).probabilities, random);
    let observed = table.quality[row * m + j]!;
    if (t >= before && j === changed && random() < spoilt) observed = 0;
    if (j === changed) {
      if (t < before) countBefore++;
      else if (noticed !== null) countAfter++;
    }
    // Detectors are fed with what the artifact itself forecast, without what they took off.
    watch.judged(table.modelIds[j]!, beliefs.quality[row * m + j]!, observed, t);
    for (const model of watch.shifts().keys()) {
      if (model !== table.modelIds[changed] || t < before || loss === 0) falseAlarm = true;
      else noticed ??= t + 1;
    }
  }
  const told = {
    ...beliefs,
    quality: beliefs.quality.map((q, at) => (at % m === changed ? clamp(q * (1 - spoilt)) : q)),
  };
  return {
    delay: noticed === null ? null : noticed - before,
    falseAlarm,
    shareBefore: countBefore / before,
    shareAfter: noticed === null ? null : countAfter / Math.max(1, t - noticed),
    shareTold: greedyShares(world, rows, told)[changed]!,
  };
}

const clamp = (x: number): number => Math.min(1, Math.max(0, x));

/** Share of the rows that each model wins, length m. */
export function greedyShares(world: World, rows: readonly number[], { quality, costUsd }: Beliefs): number[] {
  const m = world.part.table.modelIds.length;
  const rule = { tolerance: 1, minQuality: 0, qualityPerUsd: world.qualityPerUsd, exploration: 0 };
  const shares = new Array<number>(m).fill(0);
  for (const r of rows) {
    const { probabilities } = oddsOf(quality.subarray(r * m, r * m + m), costUsd.subarray(r * m, r * m + m), rule);
    probabilities.forEach((p, j) => {
      shares[j]! += p / rows.length;
    });
  }
  return shares;
}

/** A model noticed later than this has cost too much. */
const MOST_DECISIONS = 1500;
/** Traffic that may be left beyond what a router that was told gives: exploration, and an estimate's error. */
const MOST_EXCESS = 0.05;

export function changeTargets(
  world: World,
  runs: readonly ChangeRun[],
  controls: readonly ChangeRun[],
  controlDecisions: number,
): TargetResult[] {
  const of = { simulation: 'change', source: world.name };
  const inTime = runs.filter(({ delay }) => delay !== null && delay <= MOST_DECISIONS);
  const delays = runs.map(({ delay }) => delay ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const median = delays[Math.floor(delays.length / 2)] ?? Number.NaN;
  const slowest = delays.at(-1) ?? Number.NaN;
  const noticed = runs.filter(({ shareAfter }) => shareAfter !== null);
  const alarms = controls.filter(({ falseAlarm }) => falseAlarm).length;
  return [
    targetResult({
      ...of,
      name: `runs in which a fall of 15 points is noticed within ${MOST_DECISIONS} decisions`,
      unit: 'share',
      found: shareOver(inTime.length, runs.length),
      wanted: { atLeast: 0.95 },
      runs: runs.length,
      note: `decisions until noticed: median ${median}, slowest ${slowest}; false alarms in ${alarms} of ${controls.length} runs of ${controlDecisions} decisions without any change`,
    }),
    targetResult({
      ...of,
      name: 'traffic of the changed model beyond what a router that was told gives it',
      unit: 'points',
      found: meanOver(noticed.map(({ shareAfter, shareTold }) => Math.max(0, shareAfter! - shareTold))),
      wanted: { atMost: MOST_EXCESS },
      runs: noticed.length,
      note: `its share: ${percent(meanOf(noticed, (r) => r.shareBefore))} before, ${percent(meanOf(noticed, (r) => r.shareAfter!))} in the ${READ_OVER} decisions after it was noticed, ${percent(meanOf(noticed, (r) => r.shareTold))} if told`,
    }),
  ];
}

const meanOf = (runs: readonly ChangeRun[], of: (run: ChangeRun) => number): number =>
  runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

export interface PriceCutRun {
  readonly model: string;
  readonly shareBefore: number;
  /** In the decisions right after the cut. */
  readonly shareAfter: number;
  /** What the same rule gives it at the new price on all rows: what a router that always had that price would do. */
  readonly shareKnown: number;
}

/** Decisions right after the cut that are looked at. */
const RIGHT_AFTER = 200;

/** The best model's price falls to `factor` of what it was; the artifact stays. Prices are read when deciding. */
export function runPriceCut(
  world: World,
  rows: readonly number[],
  before: Beliefs,
  factor: number,
  seed: number,
): PriceCutRun {
  const { table } = world.part;
  const m = table.modelIds.length;
  const means = table.modelIds.map((_, j) => rows.reduce((sum, r) => sum + table.quality[r * m + j]!, 0) / rows.length);
  const best = means.indexOf(Math.max(...means));
  const after = { ...before, costUsd: before.costUsd.map((usd, at) => (at % m === best ? usd * factor : usd)) };
  const random = seededRandom(deriveSeed(seed, 'simulate-price'));
  const some = Array.from({ length: RIGHT_AFTER }, () => rows[Math.floor(random() * rows.length)]!);
  return {
    model: table.modelIds[best]!,
    shareBefore: greedyShares(world, rows, before)[best]!,
    shareAfter: greedyShares(world, some, after)[best]!,
    shareKnown: greedyShares(world, rows, after)[best]!,
  };
}

export function priceTargets(world: World, factor: number, runs: readonly PriceCutRun[]): TargetResult[] {
  const mean = (of: (run: PriceCutRun) => number): number => runs.reduce((sum, run) => sum + of(run), 0) / runs.length;
  const { model } = runs[0]!;
  return [
    targetResult({
      simulation: 'change',
      source: world.name,
      name: `traffic that ${model} gains in the ${RIGHT_AFTER} decisions after its price falls to ${factor}`,
      unit: 'points',
      found: meanOver(runs.map(({ shareAfter, shareBefore }) => shareAfter - shareBefore)),
      // More than nothing: how much depends on what the others offer.
      wanted: { atLeast: 0.01 },
      runs: runs.length,
      note: `share ${percent(mean((r) => r.shareBefore))} before, ${percent(mean((r) => r.shareAfter))} right after, ${percent(mean((r) => r.shareKnown))} of all prompts at that price; nothing refitted`,
    }),
  ];
}
