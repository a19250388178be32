/** Predictions + prices + knobs → one choice, its order of fall-backs and the exact distribution it was drawn from. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../datasets/index.ts';
import type { FilterReason, RankedCandidate, ReasonCode } from '../decision.ts';
import type { RequestFacts } from '../request.ts';
import { type Mix, mixOf } from './mix.ts';
import type { Policy } from './policy.ts';
import { oddsOf } from './rule.ts';

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
}

export interface Choice {
  readonly model: string;
  readonly reason: ReasonCode;
  readonly ranked: readonly RankedCandidate[];
  readonly distribution: readonly number[];
  readonly propensity: number;
  readonly explored: boolean;
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
  if (facts.tools > 0 && !candidate.tools) return 'no_tools';
  if (facts.responseSchema && !candidate.structuredOutput) return 'no_structured_output';
  return null;
}

/** Expected cost of a call, USD: input at the list price, output as predicted but no more than the client allows. */
export function expectedCostUsd(candidate: Candidate, facts: RequestFacts, outputTokens: number): number {
  const output = Math.min(outputTokens, facts.maxOutputTokens ?? Number.POSITIVE_INFINITY);
  return (facts.inputTokens * candidate.inputUsdPerMTok + output * candidate.outputUsdPerMTok) / 1e6;
}

/** How to decide beyond what the policy says. */
export interface DecideOptions {
  /** Tolerances to draw from, as solved for a target or budget; default: the policy's own. */
  readonly mix?: Mix;
  /** Nothing is left to chance: no exploration, the strictest of the mix, ties by id. */
  readonly critical?: boolean;
}

/**
 * Draws a tolerance from the mix, then a candidate by the {@link oddsOf} it: the cheapest that is good enough, with
 * a little exploration. `distribution` is that of both draws together, so that `propensity` is exact.
 *
 * Beyond `maxOutOfDomain` the prompt is not believed: the default model wins or, without one, what the same
 * rule makes of each model's mean quality. That is the zero router's choice. A target then keeps its share of the
 * means; of a budget the solved tolerances stay in force.
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
  { mix = mixOf(policy), critical = false }: DecideOptions = {},
): Choice {
  if (predictions.length === 0) throw new RoutingError('NO_CANDIDATE', 'no candidate model to choose from');
  const abstains = outOfDomain > policy.maxOutOfDomain && predictions.length > 1;
  const ids = predictions.map((p) => p.candidate.id);
  const quality = predictions.map((p) => (abstains ? p.meanQuality : p.quality));
  const costUsd = predictions.map((p) => expectedCostUsd(p.candidate, facts, p.outputTokens));
  const defaultAt = abstains && policy.defaultModel !== null ? ids.indexOf(policy.defaultModel) : -1;

  const believed = abstains && policy.target !== null ? meanMix(predictions, policy.target) : mix;
  const settings = critical ? [{ ...believed[0]!, share: 1 }] : believed;
  const exploration = critical ? 0 : policy.exploration;
  const odds = settings.map(({ tolerance }) =>
    oddsOf(quality, costUsd, { ...policy, tolerance, exploration }, defaultAt >= 0 ? defaultAt : undefined),
  );
  const { at, rest } = pickSetting(settings, draw);
  const { probabilities, greedy, floor } = odds[at]!;

  const utility = (j: number): number =>
    policy.qualityPerUsd === null ? -costUsd[j]! : quality[j]! - policy.qualityPerUsd * costUsd[j]!;
  // Winners, then good enough ones by utility, then the rest by quality: the order in which a failed call moves on.
  const rank = quality.map((q, j) => (greedy.includes(j) ? 2 : q >= floor ? 1 : 0));
  const order = ids
    .map((_, j) => j)
    .sort(
      (a, b) =>
        rank[b]! - rank[a]! ||
        (rank[a] === 1 ? utility(b) - utility(a) : 0) ||
        quality[b]! - quality[a]! ||
        costUsd[a]! - costUsd[b]! ||
        (ids[a]! < ids[b]! ? -1 : 1),
    );
  const chosen = critical ? order[0]! : pick(order, probabilities, rest);
  const probability = (j: number): number => {
    if (critical) return j === chosen ? 1 : 0;
    return settings.reduce((sum, { share }, s) => sum + share * odds[s]!.probabilities[j]!, 0);
  };
  const explored = rank[chosen] !== 2;
  const reason = (): ReasonCode => {
    if (explored) return 'explored';
    if (ids.length === 1) return 'only_candidate';
    if (abstains) return 'abstained';
    return quality[chosen]! >= floor ? 'cheapest_adequate' : 'best_effort';
  };
  const ranked = [chosen, ...order.filter((j) => j !== chosen)];
  const distribution = ranked.map(probability);
  return {
    model: ids[chosen]!,
    reason: reason(),
    ranked: ranked.map((j) => ({
      model: ids[j]!,
      like: predictions[j]!.like,
      quality: quality[j]!,
      qualitySd: predictions[j]!.qualitySd,
      outputTokens: predictions[j]!.outputTokens,
      costUsd: costUsd[j]!,
      adequate: quality[j]! >= floor,
    })),
    distribution,
    propensity: distribution[0]!,
    explored,
    floor,
  };
}

/** A target's own tolerance among the models' means: the solved one is for forecasts that tell prompts apart. */
function meanMix(predictions: readonly CandidatePrediction[], { keep, reference }: NonNullable<Policy['target']>): Mix {
  const best = Math.max(...predictions.map((p) => p.meanQuality));
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
