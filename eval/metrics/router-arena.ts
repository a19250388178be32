/** RouterArena's figures: arena score, optimality, robustness, latency. */
import { RoutingError } from '../../datasets/index.ts';
import { checkColumns, NOT_NEGATIVE, UNIT } from './columns.ts';

/** Ends of their cost axis, USD per 1 000 queries, and the weight of cost against accuracy. */
export const ROUTER_ARENA = { maxUsdPer1000: 200, minUsdPer1000: 0.0044, beta: 0.1 } as const;

/**
 * Cheapness on a logarithmic scale:
 *
 *     C = (log₂ c_max − log₂ c) / (log₂ c_max − log₂ c_min),   c_max = 200, c_min = 0.0044
 *
 * @param usdPer1000 cost of 1 000 queries, USD (1 000 × the mean cost of a prompt)
 * @returns 1 at c_min, 0 at c_max; not clipped, so above 1 below c_min. Null at cost 0 or above c_max: a harmonic
 *          mean with a negative term means nothing
 */
export function arenaCheapness(usdPer1000: number): number | null {
  const { maxUsdPer1000, minUsdPer1000 } = ROUTER_ARENA;
  if (!(usdPer1000 > 0 && usdPer1000 <= maxUsdPer1000)) return null;
  return Math.log2(maxUsdPer1000 / usdPer1000) / Math.log2(maxUsdPer1000 / minUsdPer1000);
}

/**
 * Arena score, a weighted harmonic mean of accuracy and cheapness:
 *
 *     S = (1 + β) A C / (β A + C),   β = 0.1
 *
 * Accuracy dominates: near A = 0.75 halving the cost is worth less than one point of accuracy.
 *
 * @param accuracy   A, mean quality, in [0, 1]
 * @param usdPer1000 USD per 1 000 queries
 * @returns 0 to about 1 (they print it × 100); null where the cost is off their scale
 * @see Lu et al., "RouterArena", 2025, and RouteWorks/RouterArena `llm_evaluation/run.py`
 */
export function arenaScore(accuracy: number, usdPer1000: number): number | null {
  const { beta } = ROUTER_ARENA;
  const cheapness = arenaCheapness(usdPer1000);
  if (cheapness === null || !(accuracy >= 0 && accuracy <= 1)) return null;
  const sum = beta * accuracy + cheapness;
  return sum === 0 ? null : ((1 + beta) * accuracy * cheapness) / sum;
}

/** What every model of the router's own pool did on every query. */
export interface PoolOutcomes {
  /** n × m, row-major, in [0, 1]; NaN where a model has no outcome. */
  readonly quality: Float64Array;
  /** n × m, USD, ≥ 0; NaN as above. */
  readonly costUsd: Float64Array;
  readonly modelCount: number;
}

export interface ArenaOptimality {
  /** OptSel: share of solvable queries on which the pick is right and no right model is cheaper. In [0, 1]. */
  readonly optSel: number | null;
  /** OptCost: Σ c_optimal / Σ c_pick over the solvable queries that the pick gets right. In [0, 1], 1 is best. */
  readonly optCost: number | null;
  /** The mean of c_optimal / c_pick over the same queries: expensive ones do not dominate it. In [0, 1]. */
  readonly optCostMeanOfRatios: number | null;
  /** OptAcc: Σ quality of the pick / Σ quality of the cheapest right model over the solvable queries. In [0, 1]. */
  readonly optAcc: number | null;
  /** Queries that some model of the pool gets right. */
  readonly solvable: number;
}

/**
 * Optimality against the cheapest right model of the pool, a model being right at quality 1.
 *
 * Only *solvable* queries count, and OptCost only those the pick gets right, so that cheap and wrong picks do not
 * count as thrift. With right-or-wrong outcomes OptSel ≤ OptAcc; a published row above it (RouteLLM: 99.72 against
 * 68.76) must stem from another version of their code. All three are relative to the router's own pool: a pool of one
 * model scores 1 whatever it can do, so they say nothing without the accuracy.
 * Differences: a tie in cost counts as optimal here, where theirs keeps the first model; an outcome that is missing
 * is NaN here and (quality 0, cost 0) there, and leaves the query out in both when it is the pick's.
 *
 * @param chosen column of the pick, length n
 * @returns null where there is no query to count, or its costs are 0
 * @throws `UNDEFINED_METRIC` when shapes do not fit
 * @see RouteWorks/RouterArena `llm_evaluation/run.py`
 */
export function arenaOptimality({ quality, costUsd, modelCount }: PoolOutcomes, chosen: Int32Array): ArenaOptimality {
  const m = modelCount;
  if (!(m >= 1) || quality.length !== chosen.length * m || costUsd.length !== quality.length) {
    throw new RoutingError(
      'UNDEFINED_METRIC',
      `arenaOptimality: ${chosen.length} picks × ${m} models need as many outcomes, not ${quality.length} qualities and ${costUsd.length} costs`,
    );
  }
  let solvable = 0;
  let optimal = 0;
  let right = 0;
  let pickQuality = 0;
  let optimalQuality = 0;
  let optimalCost = 0;
  let pickCost = 0;
  let ratios = 0;
  for (let i = 0; i < chosen.length; i++) {
    const pick = chosen[i]!;
    if (!(pick >= 0 && pick < m)) {
      throw new RoutingError('UNDEFINED_METRIC', `arenaOptimality: chosen[${i}] is ${pick}, not a column below ${m}`);
    }
    const q = quality[i * m + pick]!;
    const c = costUsd[i * m + pick]!;
    if (Number.isNaN(q) || Number.isNaN(c)) continue;
    let cheapest = Number.POSITIVE_INFINITY;
    for (let j = 0; j < m; j++) {
      if (quality[i * m + j]! >= 1 && costUsd[i * m + j]! < cheapest) cheapest = costUsd[i * m + j]!;
    }
    if (cheapest === Number.POSITIVE_INFINITY) continue;
    solvable++;
    pickQuality += q;
    optimalQuality += 1;
    if (q < 1) continue;
    right++;
    if (c === cheapest) optimal++;
    optimalCost += cheapest;
    pickCost += c;
    ratios += c === 0 ? 1 : cheapest / c;
  }
  return {
    optSel: solvable > 0 ? optimal / solvable : null,
    optCost: pickCost > 0 ? optimalCost / pickCost : null,
    optCostMeanOfRatios: right > 0 ? ratios / right : null,
    optAcc: solvable > 0 ? pickQuality / optimalQuality : null,
    solvable,
  };
}

/**
 * Robustness: share of perturbed prompts (paraphrase, grammar, synonyms, typos) for which the pick stays the same.
 *
 * @param original  pick for the prompt as it was, one entry per perturbed variant
 * @param perturbed pick for the variant
 * @returns in [0, 1]; 1 also for a router that always picks the same model. Null without variants
 */
export function arenaRobustness(original: ArrayLike<number>, perturbed: ArrayLike<number>): number | null {
  const n = checkColumns('arenaRobustness', { original: { values: original }, perturbed: { values: perturbed } });
  let same = 0;
  for (let i = 0; i < n; i++) if (original[i] === perturbed[i]) same++;
  return n > 0 ? same / n : null;
}

/**
 * Latency score: 1 / (L − 10), L the router's own latency in ms, 10 ms being free.
 *
 * @returns above 0, 1 at 11 ms and unbounded towards 10; null at 10 ms or less, where their formula breaks down
 */
export const arenaLatencyScore = (latencyMs: number): number | null => (latencyMs > 10 ? 1 / (latencyMs - 10) : null);

/** Mean accuracy and USD per 1 000 queries of what was picked; the two inputs of {@link arenaScore}. Null without queries. */
export function arenaInputs(
  quality: Float64Array,
  costUsd: Float64Array,
): { accuracy: number; usdPer1000: number } | null {
  const n = checkColumns('arenaInputs', {
    quality: { values: quality, bounds: UNIT },
    costUsd: { values: costUsd, bounds: NOT_NEGATIVE },
  });
  if (n === 0) return null;
  let q = 0;
  let c = 0;
  for (let i = 0; i < n; i++) {
    q += quality[i]!;
    c += costUsd[i]!;
  }
  return { accuracy: q / n, usdPer1000: (1000 * c) / n };
}
