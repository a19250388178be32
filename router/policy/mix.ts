/**
 * Targets and budgets → one or two tolerances and how often each. Between two settings of which one spends too
 * little and the other too much, a draw with the right odds meets the wish in expectation, as the randomised
 * tie-break γ of Dekoninck et al., "A Unified Approach to Routing and Cascading for LLMs", ICML 2025, does.
 */
import type { Policy } from './policy.ts';
import { dialTolerance } from './policy.ts';
import { oddsOf, type Rule } from './rule.ts';

/** One or two settings, the stricter first; shares are above 0 and sum to 1. */
export type Mix = readonly { readonly tolerance: number; readonly share: number }[];

/** Where the policy alone says what tolerance holds. */
export const mixOf = (policy: Pick<Policy, 'dial' | 'tolerance'>): Mix => [
  { tolerance: dialTolerance(policy), share: 1 },
];

/** What a tolerance brings on average over prompts. */
export interface Point {
  readonly tolerance: number;
  readonly quality: number;
  /** Of one call. */
  readonly costUsd: number;
}

/** A prompt as the rule sees it: each candidate's predicted quality and cost. */
export interface PromptOptions {
  readonly quality: ArrayLike<number>;
  readonly costUsd: ArrayLike<number>;
}

/** Means over prompts of what the rule, exploration included, gets and pays at each tolerance. */
export function pointsOf(
  prompts: readonly PromptOptions[],
  rule: Omit<Rule, 'tolerance'>,
  tolerances: readonly number[],
): Point[] {
  return tolerances.map((tolerance) => {
    let quality = 0;
    let costUsd = 0;
    for (const prompt of prompts) {
      oddsOf(prompt.quality, prompt.costUsd, { ...rule, tolerance }).probabilities.forEach((p, j) => {
        quality += p * prompt.quality[j]!;
        costUsd += p * prompt.costUsd[j]!;
      });
    }
    return { tolerance, quality: quality / prompts.length, costUsd: costUsd / prompts.length };
  });
}

/** The most quality for this much a call. Below what the cheapest setting costs, that setting; above, the best one. */
export const mixForCost = (points: readonly Point[], costUsd: number): Mix =>
  mixAt(upperHull(points), ({ costUsd: c }) => c, costUsd);

/** The least cost for this much quality. Where no setting reaches it, the best one. */
export const mixForQuality = (points: readonly Point[], quality: number): Mix =>
  mixAt(upperHull(points), ({ quality: q }) => q, quality);

/** @param hull ascending in both cost and quality */
function mixAt(hull: readonly Point[], axis: (point: Point) => number, wanted: number): Mix {
  const above = hull.findIndex((point) => axis(point) >= wanted);
  const only = above < 0 ? hull.at(-1)! : above === 0 || axis(hull[above]!) === wanted ? hull[above]! : undefined;
  if (only !== undefined) return [{ tolerance: only.tolerance, share: 1 }];
  const low = hull[above - 1]!;
  const high = hull[above]!;
  const share = (wanted - axis(low)) / (axis(high) - axis(low));
  const mix = [
    { tolerance: high.tolerance, share },
    { tolerance: low.tolerance, share: 1 - share },
  ];
  return mix.filter((s) => s.share > 0).sort((a, b) => a.tolerance - b.tolerance);
}

/** Points that no mix of others beats, by rising cost and quality. */
function upperHull(points: readonly Point[]): Point[] {
  const hull: Point[] = [];
  for (const point of [...points].sort((a, b) => a.costUsd - b.costUsd || b.quality - a.quality)) {
    if (hull.length > 0 && point.quality <= hull.at(-1)!.quality) continue;
    while (hull.length > 1 && isBelow(hull.at(-1)!, hull.at(-2)!, point)) hull.pop();
    hull.push(point);
  }
  return hull;
}

const isBelow = (middle: Point, left: Point, right: Point): boolean =>
  (middle.quality - left.quality) * (right.costUsd - left.costUsd) <=
  (right.quality - left.quality) * (middle.costUsd - left.costUsd);
