/** A refitted router against the one in force, on judged answers that neither was fitted on. */

import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { groupFolds } from '../../datasets/index.ts';
import { forEachResample, percentileInterval } from '../../eval/metrics/bootstrap.ts';
import { doublyRobustRows } from '../../eval/ope/doubly-robust.ts';
import { snips } from '../../eval/ope/snips.ts';
import { type Heads, predictHeads } from '../../router/heads/heads.ts';
import { type CandidatePrediction, decide } from '../../router/policy/decide.ts';
import type { Policy } from '../../router/policy/policy.ts';
import { meanQualities, place, solver } from '../../router/policy/solve.ts';
import type { Comparison, Estimate, ValueComparison } from './gate.ts';
import { embeddingsOf, logTable, type Sample } from './log.ts';

export interface CompareOptions {
  readonly incumbent: Heads;
  readonly candidates: readonly Candidate[];
  readonly policy: Policy;
  /** Fits new heads on these samples. */
  readonly refit: (samples: readonly Sample[]) => Heads;
  readonly seed: number;
}

const FOLDS = 5;
const REPLICATES = 2000;
/** Weights above it are left to the model: an action with propensity below 1/20 is as good as untried. */
const MAX_WEIGHT = 20;
/** A model with fewer judged answers is unknown: its forecast still rests on the model it was likened to. */
const KNOWN_FROM = 10;
const LEAST_PROBABILITY = 1e-4;

/**
 * Every unseen sample is forecast by heads that were fitted without its session, five folds in turn,
 * so that all of them count as held out and not only a third.
 * @param seen   samples that the incumbent may have been fitted on: only learned from
 * @param unseen samples it cannot have been fitted on: learned from in four folds, judged in the fifth
 * @returns null when no sample is about a present candidate
 */
export function compare(
  seen: readonly Sample[],
  unseen: readonly Sample[],
  options: CompareOptions,
): Comparison | null {
  const { incumbent, seed, refit } = options;
  const prompts = logTable(unseen).prompts;
  const groups = new Set(prompts.map((p) => p.groupId)).size;
  if (groups < 2) return null;
  const fold = groupFolds(prompts, Math.min(FOLDS, groups), seed);
  const rows: Row[] = [];
  for (let f = 0; f < Math.min(FOLDS, groups); f++) {
    const judged = unseen.filter((_, i) => fold[i] === f);
    const heads = refit([...seen, ...unseen.filter((_, i) => fold[i] !== f)]);
    const oldForecasts = forecasts(incumbent, judged, options.candidates);
    const newForecasts = forecasts(heads, judged, options.candidates);
    judged.forEach((sample, i) => {
      rows.push({ sample, before: oldForecasts[i]!, after: newForecasts[i]! });
    });
  }
  const answered = rows.filter(
    ({ sample, before, after }) => before.of.has(sample.executed) && after.of.has(sample.executed),
  );
  if (answered.length === 0) return null;

  const of = (forecast: Forecast, sample: Sample) => forecast.of.get(sample.executed)!.quality;
  const lossOld = answered.map(({ sample, before }) => logLoss(sample.quality, of(before, sample)));
  const lossNew = answered.map(({ sample, after }) => logLoss(sample.quality, of(after, sample)));
  return {
    rows: answered.length,
    groups: new Set(answered.map(({ sample }) => sample.group)).size,
    logLoss: estimate(
      answered,
      lossNew.map((l, i) => l - lossOld[i]!),
      seed,
    ),
    logLossOld: mean(lossOld),
    logLossNew: mean(lossNew),
    brierOld: mean(answered.map(({ sample, before }) => (sample.quality - of(before, sample)) ** 2)),
    brierNew: mean(answered.map(({ sample, after }) => (sample.quality - of(after, sample)) ** 2)),
    observed: mean(answered.map(({ sample }) => sample.quality)),
    forecastOld: mean(answered.map(({ sample, before }) => of(before, sample))),
    forecastNew: mean(answered.map(({ sample, after }) => of(after, sample))),
    value: compareValue(answered, answersOf([...seen, ...unseen]), options),
  };
}

interface Row {
  readonly sample: Sample;
  readonly before: Forecast;
  readonly after: Forecast;
}

/** For one prompt. */
interface Forecast {
  readonly of: ReadonlyMap<string, CandidatePrediction>;
  readonly outOfDomain: number;
}

function forecasts(heads: Heads, samples: readonly Sample[], candidates: readonly Candidate[]): Forecast[] {
  const m = heads.modelIds.length;
  const out = predictHeads(heads, embeddingsOf(samples), samples.length);
  const means = meanQualities(heads);
  const column = new Map(heads.modelIds.map((id, j) => [id, j]));
  const placed = place(heads, candidates);
  return samples.map((_, i) => {
    const of = new Map<string, CandidatePrediction>();
    for (const { candidate, like } of placed) {
      const j = column.get(like)!;
      const at = i * m + j;
      of.set(candidate.id, {
        candidate,
        like,
        quality: out.quality[at]!,
        qualitySd: out.qualitySd[at]!,
        meanQuality: means[j]!,
        outputTokens: out.outputTokens[at]!,
      });
    }
    return { of, outOfDomain: out.outOfDomain[i]! };
  });
}

/**
 * Both routers on the candidates that were eligible then, at today's prices and knobs. Forecasts of
 * both come from the new heads; for a choice that the log hardly tried, at one standard deviation
 * below, since nothing observed corrects it.
 */
function compareValue(
  answered: readonly Row[],
  answers: ReadonlyMap<string, number>,
  { incumbent, candidates, policy, seed }: CompareOptions,
): ValueComparison | null {
  const mix = solver(incumbent, place(incumbent, candidates), policy)(policy);
  const kept: Row[] = [];
  const columns: Record<
    'reward' | 'propensity' | 'predicted' | 'oldTarget' | 'newTarget' | 'oldModel' | 'newModel',
    number[]
  > = {
    reward: [],
    propensity: [],
    predicted: [],
    oldTarget: [],
    newTarget: [],
    oldModel: [],
    newModel: [],
  };
  let costOld = 0;
  let costNew = 0;
  let tried = 0;
  let changed = 0;
  let unknown = 0;
  for (const row of answered) {
    const { sample, before, after } = row;
    // Where a call failed and moved on, the answer is not that of the action drawn.
    if (sample.executed !== sample.sampled || !(sample.propensity > 0 && sample.propensity <= 1)) continue;
    // Nothing else could have been chosen there, so it says nothing of other choices.
    if (sample.facts.critical) continue;
    const eligible = sample.distribution.filter(({ model }) => before.of.has(model) && after.of.has(model));
    if (!eligible.some(({ model }) => model === sample.sampled)) continue;
    const logged = new Map(eligible.map(({ model, probability }) => [model, probability]));
    const choose = (forecast: Forecast) => {
      const predictions = eligible.map(({ model }) => forecast.of.get(model)!);
      const { ranked, distribution } = decide(predictions, sample.facts, policy, forecast.outOfDomain, 0, { mix });
      return new Map(ranked.map(({ model, costUsd }, i) => [model, { probability: distribution[i]!, costUsd }]));
    };
    const old = choose(before);
    const fresh = choose(after);
    const isTried = (model: string) => logged.get(model)! >= 1 / MAX_WEIGHT;
    const cautious = (model: string) => {
      const { quality, qualitySd } = after.of.get(model)!;
      return isTried(model) ? quality : Math.max(0, quality - qualitySd);
    };
    let oldModel = 0;
    let newModel = 0;
    let overlap = 0;
    for (const [model, { probability, costUsd }] of fresh) {
      const was = old.get(model)!.probability;
      oldModel += was * cautious(model);
      newModel += probability * cautious(model);
      costOld += was * costUsd;
      costNew += probability * costUsd;
      if (isTried(model)) tried += probability;
      overlap += Math.min(was, probability);
      if ((answers.get(model) ?? 0) < KNOWN_FROM) unknown += Math.max(0, probability - was);
    }
    changed += 1 - overlap;
    kept.push(row);
    columns.reward.push(sample.quality);
    columns.propensity.push(sample.propensity);
    columns.predicted.push(cautious(sample.sampled));
    columns.oldTarget.push(old.get(sample.sampled)!.probability);
    columns.newTarget.push(fresh.get(sample.sampled)!.probability);
    columns.oldModel.push(oldModel);
    columns.newModel.push(newModel);
  }
  if (kept.length === 0) return null;
  const f = (values: number[]) => Float64Array.from(values);
  const shared = {
    rewards: f(columns.reward),
    propensities: f(columns.propensity),
    predicted: f(columns.predicted),
    maxWeight: MAX_WEIGHT,
  };
  const oldRows = doublyRobustRows({ ...shared, target: f(columns.oldTarget), predictedTarget: f(columns.oldModel) });
  const newRows = doublyRobustRows({ ...shared, target: f(columns.newTarget), predictedTarget: f(columns.newModel) });
  const weighed = (target: number[]) =>
    target.some((p) => p > 0) ? snips(shared.rewards, f(target), shared.propensities) : null;
  const snipsOld = weighed(columns.oldTarget);
  const snipsNew = weighed(columns.newTarget);
  const n = kept.length;
  return {
    rows: n,
    quality: estimate(kept, [...newRows.map((v, i) => v - oldRows[i]!)], seed),
    qualityOld: mean([...oldRows]),
    qualityNew: mean([...newRows]),
    snipsOld: snipsOld && { value: snipsOld.value, ess: snipsOld.ess },
    snipsNew: snipsNew && { value: snipsNew.value, ess: snipsNew.ess },
    costOldUsd: costOld / n,
    costNewUsd: costNew / n,
    tried: tried / n,
    changed: changed / n,
    unknown: unknown / n,
  };
}

function answersOf(samples: readonly Sample[]): Map<string, number> {
  const answers = new Map<string, number>();
  for (const { executed } of samples) answers.set(executed, (answers.get(executed) ?? 0) + 1);
  return answers;
}

/** Mean of paired differences, with a percentile interval from resampling sessions. */
function estimate(rows: readonly Row[], differences: readonly number[], seed: number): Estimate {
  const unit = new Map<string, number>();
  const sums: number[] = [];
  const counts: number[] = [];
  rows.forEach(({ sample }, i) => {
    if (!unit.has(sample.group)) {
      unit.set(sample.group, sums.length);
      sums.push(0);
      counts.push(0);
    }
    const u = unit.get(sample.group)!;
    sums[u]! += differences[i]!;
    counts[u]!++;
  });
  const values = new Float64Array(REPLICATES);
  forEachResample(sums.length, REPLICATES, seed, (weights, replicate) => {
    let sum = 0;
    let count = 0;
    for (let u = 0; u < sums.length; u++) {
      sum += weights[u]! * sums[u]!;
      count += weights[u]! * counts[u]!;
    }
    values[replicate] = sum / count;
  });
  const { low, high } = percentileInterval(values);
  return { value: mean(differences), low: low ?? Number.NEGATIVE_INFINITY, high: high ?? Number.POSITIVE_INFINITY };
}

function logLoss(quality: number, forecast: number): number {
  const p = Math.min(1 - LEAST_PROBABILITY, Math.max(LEAST_PROBABILITY, forecast));
  return -(quality * Math.log(p) + (1 - quality) * Math.log(1 - p));
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
