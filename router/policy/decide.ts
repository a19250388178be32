/** Predictions + prices + knobs → one choice, its order of fall-backs and the exact distribution it was drawn from. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { costUsd as priceOf } from '../../datasets/catalog/price.ts';
import { RoutingError } from '../../datasets/index.ts';
import type { FilterReason, RankedCandidate, ReasonCode } from '../decision.ts';
import type { RequestFacts } from '../request.ts';
import { type Mix, mixOf } from './mix.ts';
import type { Policy } from './policy.ts';
import { NEW, type Odds, oddsOf, type Rule, UNTRIED } from './rule.ts';
import { type CacheUse, cacheUse, type Session } from './session.ts';

/** What is predicted for one candidate on one prompt. */
export interface CandidatePrediction {
  readonly candidate: Candidate;
  /** The artifact's model that predicted it. */
  readonly like: string;
  readonly quality: number;
  readonly qualitySd: number;
  /** Its expected quality on prompts of which nothing is known. */
  readonly meanQuality: number;
  readonly outputTokens: number;
  /** `new`: not much is known of it yet. `untried`: nothing but how models differ; it is never the best guess. */
  readonly novelty?: 'new' | 'untried' | undefined;
}

export interface Choice {
  readonly model: string;
  readonly reason: ReasonCode;
  readonly ranked: readonly RankedCandidate[];
  readonly distribution: readonly number[];
  readonly propensity: number;
  readonly explored: boolean;
  readonly explorable: boolean;
  readonly floor: number;
}

/**
 * Facts that rule a candidate out, or null.
 * @param facts what the request needs
 */
export function filterCandidate(candidate: Candidate, facts: RequestFacts): FilterReason | null {
  if (facts.inputTokens + (facts.maxOutputTokens ?? 0) > candidate.contextTokens) return 'context_too_small';
  if (
    facts.maxOutputTokens !== undefined &&
    facts.maxOutputTokens > (candidate.maxOutputTokens ?? Number.POSITIVE_INFINITY)
  ) {
    return 'output_too_small';
  }
  if (facts.images > 0 && !candidate.inputModalities.includes('image')) return 'no_image_input';
  if (facts.audio > 0 && !candidate.inputModalities.includes('audio')) return 'no_audio_input';
  if ((facts.files ?? 0) > 0 && !candidate.inputModalities.includes('pdf')) return 'no_file_input';
  if (facts.tools > 0 && !candidate.tools) return 'no_tools';
  if (facts.responseSchema && !candidate.structuredOutput) return 'no_structured_output';
  return null;
}

/**
 * Expected cost of a call, USD: input at the list price (beyond a model's long-prompt bound at its other prices), output as
 * predicted but no more than the client allows.
 * @param cache what is read from a prompt cache and written to it; default: nothing
 */
export function expectedCostUsd(
  candidate: Candidate,
  facts: RequestFacts,
  outputTokens: number,
  cache?: CacheUse,
): number {
  const { inputTokens, maxOutputTokens } = facts;
  const output = maxOutputTokens === undefined ? outputTokens : Math.min(outputTokens, maxOutputTokens);
  return priceOf(candidate, {
    inputTokens,
    outputTokens: output,
    cachedInputTokens: cache?.cachedInputTokens ?? 0,
    cacheWriteTokens: cache?.cacheWriteTokens ?? 0,
  });
}

/** How to decide beyond what the policy says. */
export interface DecideOptions {
  /** Tolerances to draw from, as solved for a target or budget; default: the policy's own. */
  readonly mix?: Mix;
  /** Nothing is left to chance: no exploration, the strictest of the mix, ties by id. */
  readonly critical?: boolean;
  /** The conversation that the request goes on with: nothing is explored in it, and its model is left only for what that costs. */
  readonly session?: Session | undefined;
  /** False: nothing is explored. Default true. */
  readonly explore?: boolean | undefined;
  /** What candidates that are new get together by exploration, in [0, 1), where anything is explored. Default 0. */
  readonly newcomerShare?: number | undefined;
}

/**
 * Draws a tolerance from the mix, then a candidate by the {@link oddsOf} it: the cheapest that is good enough, with
 * a little exploration. `distribution` is that of both draws together, so that `propensity` is exact.
 *
 * Beyond `maxOutOfDomain` the prompt is not believed: the default model wins or, without one, what the same
 * rule makes of each model's mean quality. That is the zero router's choice. A target then keeps its share of the
 * means; of a budget the solved tolerances stay in force.
 *
 * In a session its first draw is the one that was left to chance: later turns explore nothing. A lock leaves no choice.
 *
 * @param draw uniform in [0, 1): decides what is taken
 * @throws `NO_CANDIDATE` when nothing is given to choose from
 */
export function decide(
  predictions: readonly CandidatePrediction[],
  facts: RequestFacts,
  policy: Policy,
  outOfDomain: number,
  draw: number,
  { mix = mixOf(policy), critical = false, session, explore = true, newcomerShare = 0 }: DecideOptions = {},
): Choice {
  const m = predictions.length;
  if (m === 0) throw new RoutingError('NO_CANDIDATE', 'no candidate model to choose from');
  const abstains = outOfDomain > policy.maxOutOfDomain && m > 1;
  const quality = new Float64Array(m);
  const costUsd = new Float64Array(m);
  let defaultAt: number | undefined;
  let incumbentAt = -1;
  let novelty: Uint8Array | undefined;
  for (let j = 0; j < m; j++) {
    const prediction = predictions[j]!;
    const { candidate } = prediction;
    quality[j] = abstains ? prediction.meanQuality : prediction.quality;
    costUsd[j] = expectedCostUsd(candidate, facts, prediction.outputTokens, cacheUse(candidate, facts, session));
    if (prediction.novelty !== undefined) {
      novelty ??= new Uint8Array(m);
      novelty[j] = prediction.novelty === 'untried' ? UNTRIED : NEW;
    }
    if (abstains && candidate.id === policy.defaultModel && novelty?.[j] !== UNTRIED) defaultAt = j;
    if (candidate.id === session?.incumbent) incumbentAt = j;
  }

  const believed = abstains && policy.target !== null ? meanMix(predictions, policy.target) : mix;
  const settings = critical ? [{ ...believed[0]!, share: 1 }] : believed;
  const { minQuality, planMinQuality, qualityPerUsd } = policy;
  const rule = {
    minQuality: facts.step === 'plan' ? Math.max(minQuality, planMinQuality) : minQuality,
    qualityPerUsd,
    exploration: critical || session !== undefined || !explore ? 0 : policy.exploration,
  };
  const newcomers = novelty && { share: newcomerShare, novelty };
  const odds = settings.map(({ tolerance }) => oddsOf(quality, costUsd, { ...rule, tolerance }, defaultAt, newcomers));
  const { at, rest } = pickSetting(settings, draw);
  const { probabilities, greedy, floor } = odds[at]!;

  const { order, rank } = orderOf(predictions, quality, costUsd, { greedy, floor, qualityPerUsd, novelty });
  const isPinned = session !== undefined && session.locked !== null && incumbentAt >= 0;
  const chosen = isPinned ? incumbentAt : critical ? order[0]! : pick(order, probabilities, rest);
  const isCertain = critical || isPinned;
  const explored = !isPinned && rank[chosen] !== GREEDY;

  // Straight on, without closures: this runs for each candidate of each request.
  const ranked = new Array<RankedCandidate>(m);
  const distribution = new Array<number>(m);
  let next = 1;
  for (const j of order) {
    const { candidate, like, qualitySd, outputTokens } = predictions[j]!;
    const to = j === chosen ? 0 : next++;
    ranked[to] = {
      model: candidate.id,
      like,
      quality: quality[j]!,
      qualitySd,
      outputTokens,
      costUsd: costUsd[j]!,
      adequate: quality[j]! >= floor && novelty?.[j] !== UNTRIED,
    };
    let probability = isCertain && j === chosen ? 1 : 0;
    if (!isCertain) {
      for (let s = 0; s < settings.length; s++) probability += settings[s]!.share * odds[s]!.probabilities[j]!;
    }
    distribution[to] = probability;
  }

  let reason: ReasonCode = quality[chosen]! >= floor ? 'cheapest_adequate' : 'best_effort';
  if (isPinned) reason = 'pinned';
  else if (explored) reason = 'explored';
  else if (m === 1) reason = 'only_candidate';
  else if (
    chosen === incumbentAt &&
    session!.sticky &&
    session!.prefixTokens > 0 &&
    defaultAt === undefined &&
    !winsWithoutCache(predictions, facts, policy, quality, { ...rule, tolerance: settings[at]!.tolerance }, chosen)
  ) {
    reason = 'sticky';
  } else if (abstains) reason = 'abstained';
  return {
    model: ranked[0]!.model,
    reason,
    ranked,
    distribution,
    propensity: distribution[0]!,
    explored,
    explorable: rule.exploration > 0 && m > 1 && !isPinned,
    floor,
  };
}

/** Winners, good enough ones, the rest, and untried ones. */
const GREEDY = 3;
const ADEQUATE = 2;
const REST = 1;

/** Winners, then good enough ones by utility, then the rest by quality: the order in which a failed call moves on. */
function orderOf(
  predictions: readonly CandidatePrediction[],
  quality: Float64Array,
  costUsd: Float64Array,
  {
    greedy,
    floor,
    qualityPerUsd,
    novelty,
  }: Pick<Odds, 'greedy' | 'floor'> & Pick<Rule, 'qualityPerUsd'> & { novelty: Uint8Array | undefined },
): { order: number[]; rank: Uint8Array } {
  const m = quality.length;
  const rank = new Uint8Array(m);
  const utility = new Float64Array(m);
  const order = new Array<number>(m);
  for (let j = 0; j < m; j++) {
    order[j] = j;
    if (novelty?.[j] !== UNTRIED) rank[j] = quality[j]! >= floor ? ADEQUATE : REST;
    utility[j] = qualityPerUsd === null ? -costUsd[j]! : quality[j]! - qualityPerUsd * costUsd[j]!;
  }
  for (const j of greedy) rank[j] = GREEDY;
  order.sort(
    (a, b) =>
      rank[b]! - rank[a]! ||
      (rank[a] === ADEQUATE ? utility[b]! - utility[a]! : 0) ||
      quality[b]! - quality[a]! ||
      costUsd[a]! - costUsd[b]! ||
      (predictions[a]!.candidate.id < predictions[b]!.candidate.id ? -1 : 1),
  );
  return { order, rank };
}

/** Whether a candidate would have won, or shared, at list prices: with nothing read from a cache nor written to one. */
function winsWithoutCache(
  predictions: readonly CandidatePrediction[],
  facts: RequestFacts,
  policy: Policy,
  quality: Float64Array,
  rule: Rule,
  at: number,
): boolean {
  const listUsd = Float64Array.from(predictions, (p) => expectedCostUsd(p.candidate, facts, p.outputTokens));
  if (policy.maxCostUsd !== null && listUsd[at]! > policy.maxCostUsd) return false;
  return oddsOf(quality, listUsd, rule).greedy.includes(at);
}

/** A target's own tolerance among the models' means: the solved one is for forecasts that tell prompts apart. */
function meanMix(predictions: readonly CandidatePrediction[], { keep, reference }: NonNullable<Policy['target']>): Mix {
  const best = Math.max(...predictions.map((p) => (p.novelty === 'untried' ? 0 : p.meanQuality)));
  const compared = predictions.find((p) => p.candidate.id === reference)?.meanQuality ?? best;
  return [{ tolerance: Math.max(0, best - keep * compared), share: 1 }];
}

/** The setting at `draw`, and where in it the draw fell, in [0, 1). */
function pickSetting(mix: Mix, draw: number): { at: number; rest: number } {
  let from = 0;
  for (let at = 0; at < mix.length - 1; at++) {
    const { share } = mix[at]!;
    if (draw < from + share) return { at, rest: (draw - from) / share };
    from += share;
  }
  return { at: mix.length - 1, rest: (draw - from) / mix.at(-1)!.share };
}

/** The candidate at `draw` of the cumulative distribution; never one of probability 0. */
function pick(order: readonly number[], probabilities: Float64Array, draw: number): number {
  let sum = 0;
  let last = order[0]!;
  for (const j of order) {
    const p = probabilities[j]!;
    if (p <= 0) continue;
    sum += p;
    last = j;
    if (draw < sum) return j;
  }
  return last;
}
