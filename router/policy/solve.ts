/** A policy's target or budget → the tolerances to mix, solved on the artifact's sample of traffic for these candidates and prices. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../datasets/index.ts';
import { type HeadPredictions, type Heads, predictHeads } from '../heads/heads.ts';
import type { RequestFacts } from '../request.ts';
import { expectedCostUsd } from './decide.ts';
import { type Mix, mixForCost, mixForQuality, mixOf, type Point, type PromptOptions, pointsOf } from './mix.ts';
import type { Policy, Target } from './policy.ts';
import { trafficEmbeddings } from './traffic.ts';

/** A candidate and the artifact's model whose head predicts it. */
export interface Placed {
  readonly candidate: Candidate;
  readonly like: string;
}

/**
 * The candidates that the heads can predict: a row of a candidate's own, learned from logs, beats the row of the
 * model it was first likened to.
 */
export function place(heads: Heads, candidates: readonly Candidate[]): Placed[] {
  const known = new Set(heads.modelIds);
  return candidates.flatMap((candidate) => {
    const like = [candidate.id, candidate.like].find((id) => id !== undefined && known.has(id));
    return like === undefined ? [] : [{ candidate, like }];
  });
}

/** m expected qualities where nothing is known of the prompt: what the heads fall back to far from their training data. */
export function meanQualities(heads: Heads): Float64Array {
  const w = heads.factors.count + 1;
  return Float64Array.from(heads.modelIds, (_, j) => 1 / (1 + Math.exp(-heads.rows[j * w]!)));
}

/** n × m qualities as the decision rule takes them: beyond `maxOutOfDomain` each model's mean. */
export function believedQuality(heads: Heads, predicted: HeadPredictions, maxOutOfDomain: number): Float32Array {
  const means = meanQualities(heads);
  const m = means.length;
  return predicted.quality.map((q, at) =>
    predicted.outOfDomain[Math.floor(at / m)]! > maxOutOfDomain ? means[at % m]! : q,
  );
}

/** What the sample of traffic says of the candidates. */
interface Frontier {
  readonly points: readonly Point[];
  /** Mean predicted quality by candidate id. */
  readonly qualityOf: ReadonlyMap<string, number>;
}

/**
 * Solves for one router. Its own policy's other knobs are reckoned with; those of a single request are not: its
 * floor or limit comes on top, and so do the filters that leave it fewer candidates.
 * @returns policy → mix. It throws `INVALID_CONFIG` where the artifact has no traffic to solve on, or the reference is no candidate
 */
export function solver(heads: Heads, placed: readonly Placed[], policy: Policy): (knobs: Policy) => Mix {
  let frontier: Frontier | undefined;
  return (knobs) => {
    const { target, budget } = knobs;
    if (target === null && budget === null) return mixOf(knobs);
    frontier ??= frontierOf(heads, placed, policy);
    if (budget !== null) return mixForCost(frontier.points, budget / 1000);
    return mixForQuality(frontier.points, target!.keep * referenceQuality(frontier, target!));
  };
}

function referenceQuality({ qualityOf }: Frontier, { reference }: Target): number {
  if (reference === undefined) return Math.max(...qualityOf.values());
  const quality = qualityOf.get(reference);
  if (quality !== undefined) return quality;
  throw new RoutingError(
    'INVALID_CONFIG',
    `policy.target.reference: ${reference} is none of the candidates; name one of them, or leave it out for the best`,
  );
}

function frontierOf(heads: Heads, placed: readonly Placed[], policy: Policy): Frontier {
  const { traffic } = policy;
  if (traffic === null || traffic.dimension !== heads.dimension || placed.length === 0) {
    const why = placed.length === 0 ? 'there are no candidates' : 'the artifact holds no sample of traffic';
    throw new RoutingError(
      'INVALID_CONFIG',
      `policy: a target or budget cannot be solved, ${why}; use dial or tolerance, or train an artifact anew`,
    );
  }
  const n = traffic.inputTokens.length;
  const m = heads.modelIds.length;
  const predicted = predictHeads(heads, trafficEmbeddings(traffic), n);
  const believed = believedQuality(heads, predicted, policy.maxOutOfDomain);
  const columns = placed.map(({ like }) => heads.modelIds.indexOf(like));
  const totals = new Float64Array(placed.length);
  const prompts: PromptOptions[] = [];
  for (let i = 0; i < n; i++) {
    const facts = factsOf(traffic.inputTokens[i]!);
    const quality = columns.map((j) => believed[i * m + j]!);
    const costUsd = columns.map((j, k) =>
      expectedCostUsd(placed[k]!.candidate, facts, predicted.outputTokens[i * m + j]!),
    );
    quality.forEach((q, k) => {
      totals[k]! += q / n;
    });
    const allowed = [...columns.keys()].filter((k) => costUsd[k]! <= (policy.maxCostUsd ?? Number.POSITIVE_INFINITY));
    if (allowed.length > 0) {
      prompts.push({ quality: allowed.map((k) => quality[k]!), costUsd: allowed.map((k) => costUsd[k]!) });
    }
  }
  if (prompts.length === 0) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `policy.maxCostUsd: no candidate is that cheap (${policy.maxCostUsd} USD a call)`,
    );
  }
  const tolerances = traffic.settings.map((s) => s.tolerance);
  return {
    points: pointsOf(prompts, policy, tolerances).map((point, s) => ({
      ...point,
      quality: point.quality - traffic.settings[s]!.optimism,
    })),
    qualityOf: new Map(placed.map(({ candidate }, k) => [candidate.id, totals[k]!])),
  };
}

/** A plain question of this length. */
const factsOf = (inputTokens: number): RequestFacts => ({
  inputTokens,
  images: 0,
  audio: 0,
  tools: 0,
  responseSchema: false,
  turns: 1,
  chars: 4 * inputTokens,
});
