/** What other policies would have reached on a log, how sure that is, and which of it may not be trusted. */
import { RoutingError } from '../../datasets/index.ts';
import type { Estimate } from '../result.ts';
import { differenceSequence } from './confidence-sequence.ts';
import { crossFit, type RewardModel } from './cross-fit.ts';
import { type Diagnostics, diagnose, type Flag, flagsOf, SAME_POLICY } from './diagnostics.ts';
import { differenceRows } from './difference.ts';
import { directMethodRows } from './direct-method.ts';
import { doublyRobustRows } from './doubly-robust.ts';
import { importanceWeights, ipsRows } from './ips.ts';
import { checkLoggedRow, type LoggedRow, sessionOf } from './logged-row.ts';
import { type IntervalOptions, ratioEstimates, type Statistic, type Units, unitsOf } from './ratio-interval.ts';
import { correctedForecast, meanPerModel, ridgeOverEmbeddings } from './reward-models.ts';

/** A way of choosing, asked about every logged row. */
export interface LoggedPolicy {
  readonly name: string;
  /** Probability of each model that could be drawn on the row, summing to 1; a model left out has 0. */
  probabilities(row: LoggedRow): Readonly<Record<string, number>>;
  /** True for rows that the policy has learned from: a value on these flatters it. */
  readonly learnedFrom?: (row: LoggedRow) => boolean;
}

export interface JudgeOptions {
  readonly replicates?: number;
  readonly seed?: number;
  /** τ of Switch-DR. */
  readonly maxWeight?: number;
  readonly folds?: number;
  /** Default: the rows' own predictions corrected per model, else a ridge over embeddings, else each model's mean. */
  readonly rewardModel?: RewardModel;
  /** Lists a policy without a value under `refused` instead of throwing. Faults of the log itself are thrown always. */
  readonly keepGoing?: boolean;
}

export const ESTIMATORS = ['dm', 'ips', 'snips', 'dr', 'switchDr', 'sndr'] as const;
export type EstimatorName = (typeof ESTIMATORS)[number];

export interface PolicyJudgement {
  readonly name: string;
  /**
   * Mean quality by each estimator; `dr` is the one to read. What rests on forecasts that no answer corrects has no
   * bounds: `dm` never, `switchDr` not where more than 2 % of the policy's mass is left to the forecast.
   */
  readonly quality: Readonly<Record<EstimatorName, Estimate>>;
  /** Against the policy that logged, by the paired difference estimator; [0, 0] for that policy itself. */
  readonly qualityMinusLog: Estimate;
  /** The same as bounds that hold at all times together; each session counts once. Null where there is no difference. */
  readonly qualityMinusLogAnytime: { readonly low: number; readonly high: number } | null;
  /** USD a request, doubly robust; null where costs are not known. */
  readonly costUsd: Estimate | null;
  readonly costMinusLogUsd: Estimate | null;
  readonly diagnostics: Diagnostics;
  /** Why the estimates may not be trusted; empty where nothing speaks against them. */
  readonly flags: readonly Flag[];
}

export interface LogJudgement {
  readonly rows: number;
  readonly sessions: number;
  /** Models that could be drawn, with how often each was, most first. */
  readonly models: readonly { readonly model: string; readonly drawn: number; readonly eligible: number }[];
  /** Rows on which a call failed and another model answered: what it brought counts for the model drawn. */
  readonly fellBack: number;
  /** Share of rows with a choice on which nothing was left to chance. */
  readonly deterministicShare: number;
  /** Rows whose cost is not known; with more than 5 % of them no cost is judged. */
  readonly withoutCost: number;
  readonly policies: readonly PolicyJudgement[];
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
  readonly rewardModel: string;
  readonly folds: number;
  readonly maxWeight: number;
  readonly replicates: number;
  readonly seed: number;
}

const DEFAULT_REPLICATES = 1000;
const DEFAULT_MAX_WEIGHT = 20;
const DEFAULT_FOLDS = 5;
/** More unknown costs than this are not filled in. */
const MOST_WITHOUT_COST = 0.05;
/** A value of which more than this is forecast has the error of the forecast, which no interval here knows. */
const MOST_FORECAST = 0.02;
/** Probabilities of a policy sum to 1 up to here. */
const SUM_ERROR = 1e-6;
const CERTAIN = 1 - 1e-9;

/** The log in columns, and what all policies share. */
interface Columns {
  readonly rows: readonly LoggedRow[];
  readonly units: Units;
  readonly models: readonly (readonly string[])[];
  readonly logging: readonly Float64Array[];
  readonly propensities: Float64Array;
  readonly drawn: ReadonlySet<string>;
  readonly quality: Rewards;
  readonly cost: Rewards | null;
  readonly deterministicShare: number;
}

/** Rewards of one kind, and forecasts of them that saw no row's own session. */
interface Rewards {
  readonly of: Float64Array;
  /** For the action drawn. */
  readonly predicted: Float64Array;
  /** For every model that could be drawn. */
  readonly forecasts: readonly Float64Array[];
  /** Expected forecast of the policy that logged. */
  readonly predictedLogging: Float64Array;
  readonly range: readonly [number, number];
}

/**
 * Judges policies on a log of sampled decisions.
 * @param rows in any order; those with `at` are put in the order of time for the confidence sequence
 * @throws `EMPTY_TABLE` without rows; `UNDEFINED_METRIC` for a log on which nothing can rest, naming row and field, and
 *         (unless `keepGoing`) for a policy that gives no distribution or takes no logged action
 */
export function judgeLog(
  rows: readonly LoggedRow[],
  policies: readonly LoggedPolicy[],
  options: JudgeOptions = {},
): LogJudgement {
  const {
    replicates = DEFAULT_REPLICATES,
    seed = 0,
    maxWeight = DEFAULT_MAX_WEIGHT,
    folds = DEFAULT_FOLDS,
    rewardModel = modelFor(rows),
    keepGoing = false,
  } = options;
  if (rows.length === 0) {
    throw new RoutingError(
      'EMPTY_TABLE',
      'the log holds no judged decision; log some, with a judgement of each answer',
    );
  }
  for (const row of rows) checkLoggedRow(row, `row ${row.id}`);
  const withoutCost = rows.filter(({ costUsd }) => costUsd === undefined || costUsd === null).length;
  const columns = columnsOf(inTime(rows), rewardModel, { folds, seed });
  const refused: { name: string; reason: string }[] = [];
  const judged: PolicyJudgement[] = [];
  for (const policy of policies) {
    try {
      judged.push(judgePolicy(policy, columns, maxWeight, { replicates, seed }));
    } catch (error) {
      if (!keepGoing || !(error instanceof RoutingError) || error.code !== 'UNDEFINED_METRIC') throw error;
      refused.push({ name: policy.name, reason: error.message });
    }
  }
  return {
    rows: rows.length,
    sessions: columns.units.count,
    models: modelsOf(rows),
    fellBack: rows.filter(({ sampled, executed }) => executed !== undefined && executed !== sampled).length,
    deterministicShare: columns.deterministicShare,
    withoutCost,
    policies: judged,
    refused,
    rewardModel: rewardModel.name,
    folds,
    maxWeight,
    replicates,
    seed,
  };
}

/** The policy that logged: weights of 1, so that SNIPS is the plain mean. DR takes the luck of the draw out of it. */
export const asLogged: LoggedPolicy = { name: 'as logged', probabilities: ({ distribution }) => distribution };

/** Every model that could be drawn, alike. */
export const uniform: LoggedPolicy = {
  name: 'uniform',
  probabilities: ({ distribution }) => {
    const models = Object.keys(distribution);
    return Object.fromEntries(models.map((model) => [model, 1 / models.length]));
  },
};

/** One model for everything. Where it could not be drawn on some row, the policy is refused. */
export const always = (model: string): LoggedPolicy => ({
  name: model,
  probabilities: () => ({ [model]: 1 }),
});

function judgePolicy(
  policy: LoggedPolicy,
  columns: Columns,
  maxWeight: number,
  options: IntervalOptions,
): PolicyJudgement {
  const { rows, units, propensities, models, logging, drawn, quality, cost } = columns;
  const target = rows.map((row, i) => probabilitiesOf(policy, row, models[i]!));
  const taken = Float64Array.from(rows, ({ sampled }, i) => target[i]![models[i]!.indexOf(sampled)]!);
  const weights = importanceWeights(taken, propensities);
  if (!weights.some((w) => w > 0)) {
    throw new RoutingError(
      'UNDEFINED_METRIC',
      `${policy.name}: it takes no action that was logged, so the log says nothing of it; ` +
        'let the router explore (policy.exploration above 0) and judge it on what is logged then',
    );
  }
  const diagnostics = diagnose({ weights, sessions: units.of, models, target, logging, drawn });
  const model = directMethodRows(target, quality.forecasts);
  const input = {
    rewards: quality.of,
    target: taken,
    propensities,
    predicted: quality.predicted,
    predictedTarget: model,
  };
  const robust = doublyRobustRows(input);
  const weighted = ipsRows(quality.of, taken, propensities);
  const corrections = weights.map((w, i) => w * (quality.of[i]! - quality.predicted[i]!));
  const isLogging = diagnostics.differs < SAME_POLICY;
  const minusLog = (rewards: Rewards, predictedTarget: Float64Array) =>
    differenceRows({
      rewards: rewards.of,
      propensities,
      predicted: rewards.predicted,
      fresh: { target: taken, predictedTarget },
      old: { target: propensities, predictedTarget: rewards.predictedLogging },
    });
  const costModel = cost && directMethodRows(target, cost.forecasts);
  const money =
    cost && costModel
      ? {
          robust: doublyRobustRows({
            rewards: cost.of,
            target: taken,
            propensities,
            predicted: cost.predicted,
            predictedTarget: costModel,
          }),
          minusLog: minusLog(cost, costModel),
        }
      : null;
  const meanOf = (numerator: Float64Array, range: readonly [number, number]): Statistic => ({
    ratios: [{ numerator, denominator: null }],
    range,
  });
  const { range } = quality;
  const statistics: Record<EstimatorName | 'minusLog', Statistic> = {
    dm: meanOf(model, range),
    ips: meanOf(weighted, range),
    snips: { ratios: [{ numerator: weighted, denominator: weights }], range },
    dr: meanOf(robust, range),
    switchDr: meanOf(doublyRobustRows({ ...input, maxWeight }), range),
    sndr: {
      ratios: [
        { numerator: model, denominator: null },
        { numerator: corrections, denominator: weights },
      ],
      range,
    },
    minusLog: meanOf(minusLog(quality, model), [-1, 1]),
  };
  const names = Object.keys(statistics) as (keyof typeof statistics)[];
  const estimates = ratioEstimates(
    [
      ...names.map((name) => statistics[name]),
      ...(money ? [meanOf(money.robust, [0, Infinity]), meanOf(money.minusLog, [-Infinity, Infinity])] : []),
    ],
    units,
    options,
  );
  const { minusLog: qualityMinusLog, ...ofQuality } = Object.fromEntries(
    names.map((name, k) => [name, estimates[k]!]),
  ) as Record<keyof typeof statistics, Estimate>;
  const left = leftToForecast(target, logging, maxWeight);
  const learned = policy.learnedFrom === undefined ? 0 : rows.filter(policy.learnedFrom).length;
  return {
    name: policy.name,
    quality: {
      ...ofQuality,
      dm: withoutBounds(ofQuality.dm),
      switchDr: left > MOST_FORECAST ? withoutBounds(ofQuality.switchDr) : ofQuality.switchDr,
    },
    qualityMinusLog: isLogging ? NONE : qualityMinusLog,
    qualityMinusLogAnytime: isLogging ? null : anytime(columns, taken),
    costUsd: estimates[names.length] ?? null,
    costMinusLogUsd: isLogging && money ? NONE : (estimates[names.length + 1] ?? null),
    diagnostics,
    flags: [...flagsOf(diagnostics, columns.deterministicShare), ...ownLog(learned, rows.length)],
  };
}

/** A policy's difference to itself: no estimate, and no chance in it. */
const NONE: Estimate = { value: 0, low: 0, high: 0 };

/** Sessions say how forecasts vary from row to row, not how far off all of them are. */
const withoutBounds = ({ value }: Estimate): Estimate => ({ value, low: null, high: null });

/** Share of the policy's mass on actions of a weight over τ, in [0, 1]. */
function leftToForecast(target: readonly Float64Array[], logging: readonly Float64Array[], maxWeight: number): number {
  let mass = 0;
  target.forEach((probabilities, i) => {
    probabilities.forEach((p, a) => {
      if (p > maxWeight * logging[i]![a]!) mass += p;
    });
  });
  return mass / target.length;
}

function ownLog(learned: number, rows: number): Flag[] {
  if (learned === 0) return [];
  const share = ((100 * learned) / rows).toFixed(0);
  return [{ code: 'own-log', message: `it has learned from ${share} % of these very rows, which flatters it` }];
}

function anytime({ quality, propensities, units }: Columns, fresh: Float64Array): { low: number; high: number } {
  const { low, high } = differenceSequence({
    rewards: quality.of,
    propensities,
    fresh,
    old: propensities,
    sessions: units.of,
  });
  return { low: low.at(-1)!, high: high.at(-1)! };
}

/** @throws `UNDEFINED_METRIC` where the policy gives no distribution over what could be drawn */
function probabilitiesOf(policy: LoggedPolicy, row: LoggedRow, models: readonly string[]): Float64Array {
  const given = policy.probabilities(row);
  const refuse = (what: string, todo: string): never => {
    throw new RoutingError('UNDEFINED_METRIC', `${policy.name}: on row ${row.id} ${what}; ${todo}`);
  };
  for (const [model, p] of Object.entries(given)) {
    if (!(p >= 0)) refuse(`it gives ${model} the probability ${p}`, 'probabilities are numbers from 0 to 1');
    if (p > 0 && !models.includes(model)) {
      refuse(`it takes ${model}, which could not be drawn there`, 'judge policies over the models that were eligible');
    }
  }
  const probabilities = Float64Array.from(models, (model) => (Object.hasOwn(given, model) ? given[model]! : 0));
  const sum = probabilities.reduce((a, b) => a + b, 0);
  if (!(Math.abs(sum - 1) <= SUM_ERROR))
    refuse(`its probabilities sum to ${sum}, not to 1`, 'make them a distribution');
  return probabilities;
}

function columnsOf(
  rows: readonly LoggedRow[],
  rewardModel: RewardModel,
  options: { folds: number; seed: number },
): Columns {
  const models = rows.map(({ distribution }) => Object.keys(distribution));
  const logging = rows.map(({ distribution }) => Float64Array.from(Object.values(distribution)));
  const sessions = rows.map(sessionOf);
  const quality = rewardsOf(
    rows,
    rows.map((row) => row.quality),
    [0, 1],
    { models, logging, sessions, model: rewardModel, ...options },
  );
  const choices = rows.filter(({ distribution }) => Object.keys(distribution).length > 1);
  const certain = choices.filter(({ propensity }) => propensity! >= CERTAIN).length;
  return {
    rows,
    models,
    logging,
    quality,
    units: unitsOf(sessions),
    propensities: Float64Array.from(rows, ({ propensity }) => propensity!),
    drawn: new Set(rows.map(({ sampled }) => sampled)),
    cost: costsOf(rows, { models, logging, sessions, ...options }),
    deterministicShare: choices.length === 0 ? 1 : certain / choices.length,
  };
}

interface RewardContext {
  readonly models: readonly (readonly string[])[];
  readonly logging: readonly Float64Array[];
  readonly sessions: readonly string[];
  readonly folds: number;
  readonly seed: number;
}

function rewardsOf(
  rows: readonly LoggedRow[],
  values: readonly number[],
  range: readonly [number, number],
  { models, logging, sessions, model, folds, seed }: RewardContext & { readonly model: RewardModel },
): Rewards {
  const of = Float64Array.from(values);
  const [least, most] = range;
  const predictor = crossFit(rows, of, sessions, { model, folds, seed });
  const forecasts = rows.map((row, i) =>
    Float64Array.from(models[i]!, (name) => Math.min(most, Math.max(least, predictor(i)(row, name)))),
  );
  return {
    of,
    range,
    forecasts,
    predicted: Float64Array.from(rows, ({ sampled }, i) => forecasts[i]![models[i]!.indexOf(sampled)]!),
    predictedLogging: directMethodRows(logging, forecasts),
  };
}

/**
 * Costs where nearly all are known. One that is not is taken to be its forecast, so that it corrects nothing.
 * @returns null where too few are known to say anything
 */
function costsOf(rows: readonly LoggedRow[], context: RewardContext): Rewards | null {
  const known = rows.flatMap(({ costUsd }, i) => (costUsd === undefined || costUsd === null ? [] : [i]));
  if (known.length < (1 - MOST_WITHOUT_COST) * rows.length) return null;
  const some = (list: readonly number[]) => list.map((i) => rows[i]!);
  const model = correctedForecast(({ costs }, name) => own(costs, name));
  const fallback = model.fit(
    some(known),
    Float64Array.from(known, (i) => rows[i]!.costUsd!),
  );
  const values = rows.map((row) => row.costUsd ?? Math.max(0, fallback(row, row.sampled)));
  const costs = rewardsOf(rows, values, [0, Number.POSITIVE_INFINITY], { ...context, model });
  rows.forEach((row, i) => {
    if (row.costUsd === undefined || row.costUsd === null) costs.of[i] = costs.predicted[i]!;
  });
  return costs;
}

function modelFor(rows: readonly LoggedRow[]): RewardModel {
  const forecast = ({ predictions }: LoggedRow, model: string) => own(predictions, model);
  if (rows.every((row) => Object.keys(row.distribution).every((m) => forecast(row, m) !== undefined))) {
    return correctedForecast(forecast);
  }
  const d = rows[0]?.embedding?.length;
  return d !== undefined && rows.every(({ embedding }) => embedding?.length === d)
    ? ridgeOverEmbeddings()
    : meanPerModel();
}

const own = (record: Readonly<Record<string, number>> | undefined, name: string): number | undefined =>
  record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;

function inTime(rows: readonly LoggedRow[]): readonly LoggedRow[] {
  if (rows.some(({ at }) => at === undefined)) return rows;
  const time = ({ at }: LoggedRow) => (typeof at === 'number' ? at : Date.parse(at!));
  return [...rows].sort((a, b) => time(a) - time(b));
}

function modelsOf(rows: readonly LoggedRow[]): LogJudgement['models'] {
  const counts = new Map<string, { drawn: number; eligible: number }>();
  for (const { distribution, sampled } of rows) {
    for (const model of Object.keys(distribution)) {
      const { drawn, eligible } = counts.get(model) ?? { drawn: 0, eligible: 0 };
      counts.set(model, { drawn: drawn + (model === sampled ? 1 : 0), eligible: eligible + 1 });
    }
  }
  return [...counts]
    .map(([model, count]) => ({ model, ...count }))
    .sort((a, b) => b.drawn - a.drawn || (a.model < b.model ? -1 : 1));
}
