/** Predictions + prices + knobs → one choice, its order of fall-backs and the exact distribution it was drawn from. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../datasets/index.ts';
import type { FilterReason, RankedCandidate, ReasonCode } from '../decision.ts';
import type { RequestFacts } from '../request.ts';
import type { Policy } from './policy.ts';

/** What is predicted for one candidate on one prompt. */
export interface CandidatePrediction {
  readonly candidate: Candidate;
  /** The artifact's model that predicted it. */
  readonly like: string;
  readonly quality: number;
  readonly qualitySd: number;
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

/**
 * The cheapest candidate that is good enough, with a little exploration if the policy says so.
 *
 * Good enough is a predicted quality of at least `floor = max(minQuality, best − tolerance)`.
 * Among these the cheapest wins or, with `qualityPerUsd` set, the one of greatest
 * quality − qualityPerUsd · cost. Exploration draws evenly from those within twice the tolerance.
 *
 * @param draw uniform in [0, 1): decides what is taken from the distribution
 * @throws `NO_CANDIDATE` when nothing is given to choose from
 */
export function decide(
  predictions: readonly CandidatePrediction[],
  facts: RequestFacts,
  policy: Policy,
  outOfDomain: number,
  draw: number,
): Choice {
  if (predictions.length === 0) throw new RoutingError('NO_CANDIDATE', 'no candidate model to choose from');
  const best = Math.max(...predictions.map((p) => p.quality));
  const floor = Math.max(policy.minQuality, best - policy.tolerance);
  const all = predictions.map((p) => ({
    model: p.candidate.id,
    like: p.like,
    quality: p.quality,
    qualitySd: p.qualitySd,
    outputTokens: p.outputTokens,
    costUsd: expectedCostUsd(p.candidate, facts, p.outputTokens),
    adequate: p.quality >= floor,
  }));
  const utility = (c: RankedCandidate): number =>
    policy.qualityPerUsd === null ? -c.costUsd : c.quality - policy.qualityPerUsd * c.costUsd;
  // Adequate ones by utility, then the rest by quality: the order in which a failed call moves on.
  const order = [...all].sort(
    (a, b) =>
      Number(b.adequate) - Number(a.adequate) ||
      (a.adequate ? utility(b) - utility(a) : b.quality - a.quality) ||
      b.quality - a.quality ||
      a.costUsd - b.costUsd ||
      (a.model < b.model ? -1 : 1),
  );

  let greedy = order[0]!;
  let reason: ReasonCode = 'cheapest_adequate';
  if (all.length === 1) reason = 'only_candidate';
  else if (outOfDomain > policy.maxOutOfDomain) {
    reason = 'abstained';
    const fallback = [...order].sort((a, b) => b.quality - a.quality || a.costUsd - b.costUsd)[0]!;
    greedy = order.find((c) => c.model === policy.defaultModel) ?? fallback;
  } else if (!greedy.adequate) reason = 'best_effort';

  const near = new Set(order.filter((c) => c.quality >= best - 2 * policy.tolerance || c === greedy));
  const share = policy.exploration / near.size;
  const probability = (c: RankedCandidate): number =>
    (c === greedy ? 1 - policy.exploration : 0) + (near.has(c) ? share : 0);

  const chosen = pick(order, probability, draw);
  const ranked = [chosen, ...order.filter((c) => c !== chosen)];
  return {
    model: chosen.model,
    reason: chosen === greedy ? reason : 'explored',
    ranked,
    distribution: ranked.map(probability),
    propensity: probability(chosen),
    explored: chosen !== greedy,
    floor,
  };
}

/** The candidate at `draw` of the cumulative distribution; never one of probability 0. */
function pick(
  items: readonly RankedCandidate[],
  probability: (item: RankedCandidate) => number,
  draw: number,
): RankedCandidate {
  let sum = 0;
  let last = items[0]!;
  for (const item of items) {
    const p = probability(item);
    if (p <= 0) continue;
    sum += p;
    last = item;
    if (draw < sum) return item;
  }
  return last;
}
