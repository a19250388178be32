/**
 * The gate on logs of a world whose truth is known, so that its promises can be counted: how often it lets a better
 * router through, how often a worse one, and how often its interval holds the truth. Pure: no database, no files.
 *
 *     simulateGate(world, { rows, seed }) → GateTrial
 */
import { deriveSeed, RoutingError, seededRandom } from '../../datasets/index.ts';
import { crossFit } from '../../eval/ope/cross-fit.ts';
import type { LoggedRow } from '../../eval/ope/logged-row.ts';
import type { PairedUnits } from '../../eval/ope/paired-policies.ts';
import { DEFAULT_GATE, type Estimate, type GateOptions, LIMITS, type VerdictKind, verdictOf } from './gate.ts';
import { choicesCheck, hasOverlap } from './gate-checks.ts';
import { judgedValue } from './judged-value.ts';

/** n prompts × m models, all row-major; prompts are drawn with replacement. */
export interface TrialWorld {
  readonly modelIds: readonly string[];
  /** n × m: what the model's answer to the prompt is worth on average, in [0, 1]; an answer is right with this chance. */
  readonly quality: Float64Array;
  /** n × m, USD; default: every answer costs the same. */
  readonly costUsd?: Float64Array;
  /** n × m: quality as a router forecast it before any of the answers; default: each model's mean, cross-fitted. */
  readonly forecasts?: Float64Array;
  /** n × m each, rows summing to 1: the policy that logs (its propensities), the router in force, the refitted one. */
  readonly logging: Float64Array;
  readonly incumbent: Float64Array;
  readonly candidate: Float64Array;
}

export interface TrialOptions {
  /** Decisions logged, each a session of its own and judged. */
  readonly rows: number;
  readonly seed: number;
  /** λ: quality that a USD is worth; default: money is not counted. */
  readonly qualityPerUsd?: number;
  readonly gate?: Partial<GateOptions>;
  /** Resamples of the interval; default 400. */
  readonly replicates?: number;
}

export interface GateTrial {
  /** What the gate makes of the choices alone: `promote`, `refuse` or `insufficient`. */
  readonly kind: VerdictKind;
  readonly reasons: readonly string[];
  /** candidate − incumbent in the world itself: utility where λ is given, else quality. */
  readonly truth: number;
  /** The same as the log tells it. */
  readonly estimate: Estimate;
  /** Whether the interval holds the truth. */
  readonly covered: boolean;
  /** Whether the overlap checks pass; where they do not, the gate gives no verdict on the interval. */
  readonly overlap: boolean;
  /** Of the gate, to let a candidate through that is truly better by `gate.effect`; known before any answer. */
  readonly power: number;
  readonly unitsNeeded: number;
}

const REPLICATES = 400;
const FOLDS = 5;

/**
 * Logs `rows` decisions of the world, all answers but the drawn one hidden, and asks the gate about the choices.
 * @throws `UNDEFINED_METRIC` for a world that is none: columns of another length, probabilities that are no distribution
 */
export function simulateGate(world: TrialWorld, options: TrialOptions): GateTrial {
  checkWorld(world);
  const { modelIds, quality, costUsd, logging, incumbent, candidate } = world;
  const { rows, seed, qualityPerUsd } = options;
  const m = modelIds.length;
  const n = quality.length / m;
  const gate: GateOptions = { ...DEFAULT_GATE, ...options.gate };
  const limits = { ...LIMITS, ...gate.limits };
  const random = seededRandom(deriveSeed(seed, 'gate trial'));
  const prompts = Int32Array.from({ length: rows }, () => Math.floor(random() * n));
  const rowsOf = (values: Float64Array) => Array.from(prompts, (i) => values.subarray(i * m, (i + 1) * m));
  const sampled = Int32Array.from(prompts, (i) => drawn(logging.subarray(i * m, (i + 1) * m), random()));
  const at = (values: Float64Array) => Float64Array.from(prompts, (i, r) => values[i * m + sampled[r]!]!);
  const rewards = at(quality).map((q) => (random() < q ? 1 : 0));
  const units: PairedUnits = {
    models: Array.from({ length: rows }, () => modelIds),
    logging: rowsOf(logging),
    sampled,
    propensities: at(logging),
    old: rowsOf(incumbent),
    fresh: rowsOf(candidate),
    quality: { of: rewards, forecasts: forecastsOf(world, prompts, sampled, rewards, seed) },
    cost: costUsd === undefined ? null : { of: at(costUsd), forecasts: rowsOf(costUsd) },
  };
  const costs = {
    costOldUsd: costUsd === undefined ? 0 : meanUnder(incumbent, costUsd, m),
    costNewUsd: costUsd === undefined ? 0 : meanUnder(candidate, costUsd, m),
  };
  const perUsd = costUsd === undefined ? null : (qualityPerUsd ?? null);
  const { value, judged } = judgedValue(units, {
    replicates: options.replicates ?? REPLICATES,
    seed,
    qualityPerUsd: perUsd,
  });
  const { check, power } = choicesCheck({ ...value, ...costs }, gate, limits);
  const estimate = judged.utility ?? judged.quality;
  const gained = meanUnder(candidate, quality, m) - meanUnder(incumbent, quality, m);
  const truth = gained - (perUsd ?? 0) * (costs.costNewUsd - costs.costOldUsd);
  return {
    ...verdictOf([check]),
    truth,
    estimate,
    covered: estimate.low !== null && estimate.high !== null && estimate.low <= truth && truth <= estimate.high,
    overlap: hasOverlap(value, limits),
    power: power!.power,
    unitsNeeded: power!.unitsNeeded,
  };
}

/** Mean over prompts of Σₐ π(a) v(a). */
function meanUnder(policy: Float64Array, values: Float64Array, m: number): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += policy[at]! * values[at]!;
  return (sum * m) / values.length;
}

function forecastsOf(
  { modelIds, forecasts }: TrialWorld,
  prompts: Int32Array,
  sampled: Int32Array,
  rewards: Float64Array,
  seed: number,
): Float64Array[] {
  const m = modelIds.length;
  if (forecasts !== undefined) return Array.from(prompts, (i) => forecasts.subarray(i * m, (i + 1) * m));
  const log = Array.from(prompts, (_, r): LoggedRow => {
    const model = modelIds[sampled[r]!]!;
    return { id: String(r), sampled: model, distribution: {}, quality: rewards[r]! };
  });
  const predictor = crossFit(
    log,
    rewards,
    log.map(({ id }) => id),
    { folds: FOLDS, seed },
  );
  return log.map((row, r) => Float64Array.from(modelIds, (model) => predictor(r)(row, model)));
}

function drawn(probabilities: Float64Array, u: number): number {
  let last = 0;
  let sum = 0;
  for (let a = 0; a < probabilities.length; a++) {
    if (probabilities[a]! <= 0) continue;
    last = a;
    sum += probabilities[a]!;
    if (u < sum) return a;
  }
  return last;
}

function checkWorld({ modelIds, quality, costUsd, forecasts, logging, incumbent, candidate }: TrialWorld): void {
  const m = modelIds.length;
  const refuse = (what: string): never => {
    throw new RoutingError('UNDEFINED_METRIC', `gate trial: ${what}`);
  };
  if (m === 0 || quality.length === 0 || quality.length % m !== 0) refuse('quality is not n × m');
  for (const [name, values] of Object.entries({ costUsd, forecasts, logging, incumbent, candidate })) {
    if (values !== undefined && values.length !== quality.length) refuse(`${name} is not n × m, as quality is`);
  }
  for (const [name, policy] of Object.entries({ logging, incumbent, candidate })) {
    for (let at = 0; at < policy.length; at += m) {
      let sum = 0;
      for (let a = 0; a < m; a++) sum += policy[at + a]! >= 0 ? policy[at + a]! : Number.NaN;
      if (!(Math.abs(sum - 1) <= 1e-6)) refuse(`${name} is no distribution for prompt ${at / m}`);
    }
  }
}
