/**
 * Replay as it would have been: a router lives through recorded outcomes in order, decides by what it has learned so
 * far, sees only the answer of the model it chose, and learns anew every so many decisions. Beside it, on the same
 * prompts with the same events: always one model, the best of them in hindsight, a cascade, the oracle.
 *
 * What all are measured by is utility, u = quality − λ · USD. For a utility that is linear in both no mix of models
 * beats the best single one, so the zero router in hindsight is that one model; `minusBlindMix` compares with the mix
 * that costs the same, whatever λ is.
 */
import { type Dataset, deriveSeed, type Prompt, RoutingError } from '../../datasets/index.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { isZooName, ZOO } from '../../router/estimators/index.ts';
import type { Heads } from '../../router/heads/heads.ts';
import { type Part, selectPartRows } from '../part.ts';
import { type SingleModels, singleModels } from '../single-models.ts';
import { groupsWith } from '../split.ts';
import { prepareTask } from '../task.ts';
import { type Lives, livesOf, type Seat, summarise } from './accounts.ts';
import { type ReplayEvent, resolveEvents } from './events.ts';
import { playCascade, playFixed, playOracle } from './fixed-lives.ts';
import { artifactLearner, coldLearner, encodeNarrow, type Learner, meansLearner, zooLearner } from './learner.ts';
import { checkOptions, MIN_DECISIONS, type ReplayOptions } from './options.ts';
import { orderRows, type ReplayOrder } from './order.ts';
import { playRouter, type RouterOptions, STICKINESS } from './play.ts';
import type { ReplayResult } from './result.ts';
import { streamOf } from './stream.ts';

/** What a replay needs of an artifact. */
export interface ReplaySource {
  readonly hash: string;
  readonly encoder: Encoder;
  readonly heads: Heads;
  /** True when anything in it was fitted or chosen on this prompt. */
  seen(prompt: Prompt): boolean;
}

/** Rows of the table of windows, where nobody says how long one is. */
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
  const closed = groupsWith(all, (p) => source.seen(p));
  const open = all.map((_, i) => i).filter((i) => options.includeSeen || !closed.has(all[i]!.groupId));
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
      seenKept: prompts.filter((p) => closed.has(p.groupId)).length,
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
