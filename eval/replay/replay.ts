/**
 * Replay as it would have been: a router lives through recorded outcomes in order, decides by what it has learned so
 * far, sees only the answer of the model it chose, and learns anew every so many decisions. Beside it, on the same
 * prompts with the same events: always one model, the best of them in hindsight, a cascade, the oracle.
 *
 * What all are measured by is utility, u = quality − λ · USD. For a utility that is linear in both no mix of models
 * beats the best single one, so the zero router in hindsight is that one model; `minusBlindMix` compares with the mix
 * that costs the same, whatever λ is.
 */
import { type Dataset, deriveSeed, RoutingError } from '../../datasets/index.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { isZooName, ZOO } from '../../router/estimators/index.ts';
import type { Heads } from '../../router/heads/heads.ts';
import type { Part } from '../part.ts';
import { selectPartRows } from '../part.ts';
import { type SingleModels, singleModels } from '../single-models.ts';
import { prepareTask } from '../task.ts';
import { type Lives, livesOf, type Seat, summarise } from './accounts.ts';
import { type ReplayEvent, resolveEvents, type WrittenEvent } from './events.ts';
import { artifactLearner, coldLearner, encodeNarrow, type Learner, meansLearner, zooLearner } from './learner.ts';
import { orderRows, type ReplayOrder } from './order.ts';
import {
  playCascade,
  playFixed,
  playOracle,
  playRouter,
  type RouterOptions,
  STICKINESS,
  type Stickiness,
} from './play.ts';
import type { ReplayResult } from './result.ts';
import { streamOf } from './stream.ts';

/** What a replay needs of an artifact. */
export interface ReplaySource {
  readonly hash: string;
  readonly encoder: Encoder;
  readonly heads: Heads;
  /** True when anything in it was fitted or chosen on this group. */
  seen(groupId: string): boolean;
}

export interface ReplayOptions {
  readonly seeds: number;
  readonly seed: number;
  readonly order?: ReplayOrder | undefined;
  /** Prompt id → milliseconds since 1970. */
  readonly times?: ReadonlyMap<string, number> | undefined;
  readonly benchmark?: string | undefined;
  readonly includeReasoning?: boolean | undefined;
  /** Keep prompts that the artifact has learned from. */
  readonly includeSeen?: boolean | undefined;
  /** At most this many decisions. */
  readonly limit?: number | undefined;
  /** `cold`, `artifact`, or a method of the zoo. */
  readonly start: string;
  readonly warm: number;
  readonly retrainEvery: number;
  readonly feedback: 'bandit' | 'full' | number;
  readonly exploration: number;
  readonly tolerance: number;
  readonly qualityPerUsd?: number | undefined;
  readonly window?: number | undefined;
  readonly events: readonly WrittenEvent[];
  readonly sessions?: number | undefined;
  readonly stickiness: Stickiness;
  readonly cachedShare: number;
  /** Cached price / input price by model id, where known. */
  readonly cachedShares: Readonly<Record<string, number>>;
  readonly cascade?: readonly string[] | undefined;
  readonly judgeError: number;
  readonly judgeUsd: number;
  readonly routerUsd: number;
  readonly auditShare: number;
  readonly auditModel?: string | undefined;
  readonly attemptMs: number;
  readonly replicates: number;
  readonly onProgress?: (step: string) => void;
}

export const REPLAY_DEFAULTS = {
  seeds: 5,
  seed: 0,
  start: 'cold',
  warm: 0,
  retrainEvery: 100,
  feedback: 'bandit',
  exploration: 0.1,
  tolerance: 1,
  events: [],
  stickiness: 'priced',
  cachedShare: 0.25,
  cachedShares: {},
  judgeError: 0.1,
  judgeUsd: 0,
  routerUsd: 0,
  auditShare: 0,
  attemptMs: 2000,
  replicates: 500,
} as const satisfies Partial<ReplayOptions>;

/** Fewest decisions that a life is worth looking at. */
const MIN_DECISIONS = 10;
const WINDOWS = 10;

/**
 * @throws `INVALID_CONFIG` for an option that does not fit the data, `UNKNOWN_MODEL` for one that the data does not have,
 *         `EMPTY_TABLE` where too little is left to replay, `UNDEFINED_METRIC` where all models are the same
 */
export async function replay(dataset: Dataset, source: ReplaySource, options: ReplayOptions): Promise<ReplayResult> {
  const say = options.onProgress ?? (() => {});
  checkOptions(options);
  const task = prepareTask(dataset, {
    ...(options.benchmark !== undefined && { benchmark: options.benchmark }),
    ...(options.includeReasoning && { includeReasoning: true }),
  });
  const all = task.part.table.prompts;
  const open = all.map((_, i) => i).filter((i) => options.includeSeen || !source.seen(all[i]!.groupId));
  const part = selectPartRows(task.part, open);
  const { prompts, modelIds } = part.table;
  refuseTooFew(dataset.name, prompts.length, all.length, options);
  refuseAllEqual(part);
  const singles = singleModels(part);
  const { qualityPerUsd, from: qualityPerUsdFrom } = tradeOff(singles, modelIds, options.qualityPerUsd);
  const columnOf = (name: string, id: string): number => {
    const j = modelIds.indexOf(id);
    if (j >= 0) return j;
    throw new RoutingError('UNKNOWN_MODEL', `${name}: ${id} is none of the models replayed: ${modelIds.join(', ')}`);
  };
  const chain = options.cascade?.map((id) => columnOf('--cascade', id));
  if (chain !== undefined && (chain.length < 2 || new Set(chain).size < chain.length)) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `--cascade ${options.cascade!.join(',')}: name two or more different models`,
    );
  }
  const auditColumn =
    options.auditModel === undefined ? singles.byFallingQuality[0]! : columnOf('--audit-model', options.auditModel);

  say(`encoding ${prompts.length} prompts`);
  const learner = await learnerOf(options.start, source, part);
  const seats = seatsOf(part, singles, qualityPerUsd, modelIds);
  const lives: Lives[] = [];
  let events: readonly ReplayEvent[] = [];
  let order: ReplayOrder = 'shuffle';
  const seeds = Array.from({ length: options.seeds }, (_, k) => options.seed + k);
  for (const seed of seeds) {
    const met = orderRows(prompts, options.times ?? new Map(), options.order, seed);
    order = met.order;
    const warm = met.rows.slice(0, options.warm);
    const rows = met.rows.slice(options.warm, options.limit === undefined ? undefined : options.warm + options.limit);
    const times = met.times?.slice(options.warm, options.warm + rows.length) ?? null;
    events = resolveEvents(options.events, modelIds, rows.length, times);
    const sessions =
      options.sessions === undefined
        ? null
        : { turns: options.sessions, cachedShares: options.cachedShares, cachedShare: options.cachedShare };
    const stream = streamOf(part, rows, events, sessions, seed);
    const router: RouterOptions = {
      rule: { tolerance: options.tolerance, minQuality: 0, qualityPerUsd, exploration: options.exploration },
      retrainEvery: options.retrainEvery,
      feedback: options.feedback === 'bandit' ? 1 : options.feedback,
      stickiness: options.stickiness,
      routerUsd: options.routerUsd,
      audit: { share: options.auditShare, column: auditColumn, judgeUsd: options.judgeUsd },
      seed: deriveSeed(seed, 'replay-life'),
    };
    const live = (who: Learner, more: Partial<RouterOptions> = {}) =>
      playRouter(stream, part, who, warm, singles.costUsd, { ...router, ...more });
    say(`life ${lives.length + 1} of ${seeds.length}: ${rows.length} decisions`);
    const own = await live(learner);
    const byStickiness = new Map([[options.stickiness, own]]);
    if (sessions !== null) {
      for (const stickiness of STICKINESS) {
        if (!byStickiness.has(stickiness)) byStickiness.set(stickiness, await live(learner, { stickiness }));
      }
    }
    const fixed = modelIds.map((_, j) => playFixed(stream, seats.fallback(j)));
    const idOf = (t: number) => prompts[rows[t]!]!.id;
    const cascade =
      chain === undefined
        ? null
        : playCascade(
            stream,
            { chain, judgeError: options.judgeError, judgeUsd: options.judgeUsd },
            seats.fallback(chain[0]!),
            idOf,
            seed,
          );
    const means = await live(meansLearner(modelIds));
    lives.push(
      livesOf({
        stream,
        part,
        warm,
        own,
        means,
        fixed,
        cascade,
        byStickiness,
        oracle: playOracle(stream, qualityPerUsd),
      }),
    );
  }
  say('bootstrap');
  const decisions = lives[0]!.stream.rows.length;
  return summarise(lives, {
    seats,
    qualityPerUsd,
    window: options.window ?? Math.max(1, Math.ceil(decisions / WINDOWS)),
    attemptMs: options.attemptMs,
    replicates: options.replicates,
    seed: options.seed,
    facts: {
      dataset: task.name,
      order,
      seeds,
      decisions,
      modelIds,
      seenLeftOut: all.length - prompts.length,
      seenKept: prompts.filter((p) => source.seen(p.groupId)).length,
      untriedShare: task.untriedShare,
      unpricedModels: task.dropped.unpricedModels,
      hiddenReasoningModels: task.dropped.hiddenReasoningModels,
      contaminated: task.dropped.contaminated,
      costBasisShares: task.costShares,
      artifact: source.hash,
      start: options.start,
      qualityPerUsd,
      qualityPerUsdFrom,
      tolerance: options.tolerance,
      explorationShare: options.exploration,
      feedback: options.feedback,
      retrainEvery: options.retrainEvery,
      events,
      attemptMs: options.attemptMs,
    },
    overhead: {
      routerUsd: options.routerUsd,
      auditShare: options.auditShare,
      auditModel: options.auditShare > 0 ? modelIds[auditColumn]! : null,
      judgeUsd: options.judgeUsd,
    },
    cascade:
      options.cascade === undefined
        ? null
        : { chain: options.cascade, judgeError: options.judgeError, judgeUsd: options.judgeUsd },
    sessions:
      options.sessions === undefined
        ? null
        : {
            turns: options.sessions,
            cachedShare: options.cachedShare,
            cachedPriceKnown: modelIds.filter((id) => options.cachedShares[id] !== undefined),
            stickiness: options.stickiness,
          },
  });
}

async function learnerOf(start: string, source: ReplaySource, part: Part): Promise<Learner> {
  const { table } = part;
  if (start === 'cold') {
    return coldLearner(table.modelIds, await encodeNarrow(source.encoder, table, source.heads.domain.centres));
  }
  if (start === 'artifact') {
    return artifactLearner(source.heads, table.modelIds, await encodeNarrow(source.encoder, table));
  }
  if (isZooName(start)) return zooLearner(start, ZOO[start]({ encoder: source.encoder }), table);
  throw new RoutingError(
    'INVALID_CONFIG',
    `--start ${start}: there are cold, artifact, ${Object.keys(ZOO).join(', ')}`,
  );
}

/** Who is cheapest, who best, and who stands in for whom. */
function seatsOf(part: Part, singles: SingleModels, lambda: number, modelIds: readonly string[]): Seat {
  const utility = (j: number) => singles.quality[j]! - lambda * (singles.costUsd[j]! || 0);
  const byUtility = modelIds.map((_, j) => j).sort((a, b) => utility(b) - utility(a) || a - b);
  return {
    groupIds: part.table.prompts.map((p) => p.groupId),
    cheapest: singles.byRisingCost[0]!,
    best: singles.byFallingQuality[0]!,
    fallback: (j) => [j, ...byUtility.filter((k) => k !== j)],
  };
}

/** λ at which the cheapest and the best single model are worth the same: where a choice between them matters most. */
function tradeOff(
  { quality, costUsd, byRisingCost, byFallingQuality }: SingleModels,
  modelIds: readonly string[],
  given: number | undefined,
): { qualityPerUsd: number; from: string } {
  if (given !== undefined) return { qualityPerUsd: given, from: 'as given' };
  const cheap = byRisingCost[0]!;
  const best = byFallingQuality[0]!;
  const dear = byRisingCost.at(-1)!;
  if (costUsd[best]! > costUsd[cheap]! && quality[best]! > quality[cheap]!) {
    return {
      qualityPerUsd: (quality[best]! - quality[cheap]!) / (costUsd[best]! - costUsd[cheap]!),
      from: `where ${modelIds[cheap]} (cheapest) and ${modelIds[best]} (best) are worth the same`,
    };
  }
  if (costUsd[dear]! > 0) {
    return {
      qualityPerUsd: quality[best]! / costUsd[dear]!,
      from: `${modelIds[best]} is cheapest and best; where a call of ${modelIds[dear]} (dearest) has to bring all there is`,
    };
  }
  return { qualityPerUsd: 0, from: 'nothing here costs anything' };
}

function checkOptions(o: ReplayOptions): void {
  const wrong = (what: string) => new RoutingError('INVALID_CONFIG', what);
  const share = (name: string, x: number) => {
    if (!(x >= 0 && x <= 1)) throw wrong(`${name} ${x}: a share in [0, 1] is wanted`);
  };
  const amount = (name: string, x: number | undefined) => {
    if (x !== undefined && !(x >= 0 && Number.isFinite(x)))
      throw wrong(`${name} ${x}: a number of 0 or more is wanted`);
  };
  const count = (name: string, x: number | undefined, least: number) => {
    if (x !== undefined && !(Number.isSafeInteger(x) && x >= least)) {
      throw wrong(`${name} ${x}: a whole number of ${least} or more is wanted`);
    }
  };
  count('--seeds', o.seeds, 1);
  count('--warm', o.warm, 0);
  count('--retrain-every', o.retrainEvery, 1);
  count('--window', o.window, 1);
  count('--limit', o.limit, MIN_DECISIONS);
  share('--exploration', o.exploration);
  share('--tolerance', o.tolerance);
  share('--judge-error', o.judgeError);
  share('--audit', o.auditShare);
  share('--cached-price', o.cachedShare);
  if (typeof o.feedback === 'number') share('--feedback', o.feedback);
  amount('--judge-cost', o.judgeUsd);
  amount('--router-cost', o.routerUsd);
  amount('--lambda', o.qualityPerUsd);
  amount('--attempt-ms', o.attemptMs);
  if (o.sessions !== undefined && !(o.sessions > 1 && Number.isFinite(o.sessions))) {
    throw wrong(`--sessions ${o.sessions}: conversations of more than one turn on average are wanted, e.g. 5`);
  }
}

function refuseTooFew(name: string, left: number, all: number, { warm }: ReplayOptions): void {
  if (left - warm >= MIN_DECISIONS) return;
  const seen = all - left;
  const hints = [
    seen > 0 && `${seen} of ${all} are left out because the artifact has learned from them (--include-seen keeps them)`,
    warm > 0 && `${warm} go to the warm-up (--warm)`,
  ].filter((hint) => hint !== false);
  throw new RoutingError(
    'EMPTY_TABLE',
    `${name}: ${Math.max(0, left - warm)} prompts are left to replay, ${MIN_DECISIONS} at least are needed` +
      `${hints.length > 0 ? `; ${hints.join('; ')}` : '; bring more prompts'}`,
  );
}

/** @throws `UNDEFINED_METRIC` where it does not matter on any prompt who answers it */
function refuseAllEqual({ table, costUsd }: Part): void {
  const m = table.modelIds.length;
  for (let i = 0; i < table.prompts.length; i++) {
    let first = -1;
    for (let at = i * m; at < i * m + m; at++) {
      if (Number.isNaN(table.quality[at]!)) continue;
      if (first < 0) first = at;
      else if (table.quality[at] !== table.quality[first] || costUsd[at] !== costUsd[first]) return;
    }
  }
  throw new RoutingError(
    'UNDEFINED_METRIC',
    `all ${m} models have the same quality at the same cost on every prompt, so there is nothing to decide; ` +
      'check that the outcomes were not copied from one model to the others',
  );
}
