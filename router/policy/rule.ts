/** The decision rule on plain numbers: what is predicted and paid for each candidate → how likely each one is chosen. */
import type { Policy } from './policy.ts';

/** The knobs that the rule itself reads. */
export type Rule = Pick<Policy, 'tolerance' | 'minQuality' | 'qualityPerUsd' | 'exploration'>;

export interface Odds {
  /** Probability of each candidate; sums to 1. */
  readonly probabilities: Float64Array;
  /** Candidates that share what is not explored: one, or several that nothing tells apart. */
  readonly greedy: readonly number[];
  /** Quality a candidate has to reach, in [0, 1]. */
  readonly floor: number;
}

/** Nearer than this, two qualities or two costs in USD are the same. */
const SAME = 1e-12;

/** Part of the exploration that reaches every candidate, however poor it looks: no forecast stays unchecked for ever. */
const EVERYWHERE = 0.1;

/**
 * Good enough is a quality of at least `floor = max(minQuality, best − tolerance)`. Of these the greatest utility
 * wins: −cost, or with `qualityPerUsd` set quality − qualityPerUsd · cost; among equals the better one, then
 * the cheaper one. Where nobody reaches `minQuality`, the best one wins. Candidates that are still equal share.
 *
 * A share ε of `exploration` is taken from the winners: nine tenths of it go evenly to candidates within twice
 * the tolerance of the best, one tenth evenly to all m. So each has at least ε / 10 m.
 *
 * A higher tolerance never wins more quality nor, without `qualityPerUsd`, pays more: what it adds to the good
 * enough lies below all that was there.
 *
 * @param quality m predicted probabilities of success, in [0, 1]
 * @param costUsd m expected costs of the call
 * @param forced  the only winner, whatever its quality
 */
export function oddsOf(quality: ArrayLike<number>, costUsd: ArrayLike<number>, rule: Rule, forced?: number): Odds {
  const m = quality.length;
  let best = 0;
  for (let j = 0; j < m; j++) best = Math.max(best, quality[j]!);
  const floor = Math.max(rule.minQuality, best - rule.tolerance);
  const greedy = forced === undefined ? winners(quality, costUsd, rule, floor) : [forced];
  const probabilities = new Float64Array(m);
  const near = best - 2 * rule.tolerance;
  let count = 0;
  for (let j = 0; j < m; j++) if (quality[j]! >= near || greedy.includes(j)) count++;
  const { exploration } = rule;
  for (let j = 0; j < m; j++) {
    const isGreedy = greedy.includes(j);
    let p = (EVERYWHERE * exploration) / m;
    if (isGreedy || quality[j]! >= near) p += ((1 - EVERYWHERE) * exploration) / count;
    if (isGreedy) p += (1 - exploration) / greedy.length;
    probabilities[j] = p;
  }
  if (m === 1) probabilities[0] = 1;
  return { probabilities, greedy, floor };
}

function winners(quality: ArrayLike<number>, costUsd: ArrayLike<number>, rule: Rule, floor: number): number[] {
  let left: number[] = [];
  for (let j = 0; j < quality.length; j++) if (quality[j]! >= floor) left.push(j);
  if (left.length === 0) left = Array.from(quality, (_, j) => j);
  else {
    const { qualityPerUsd } = rule;
    left = greatest(left, (j) => (qualityPerUsd === null ? -costUsd[j]! : quality[j]! - qualityPerUsd * costUsd[j]!));
  }
  return greatest(
    greatest(left, (j) => quality[j]!),
    (j) => -costUsd[j]!,
  );
}

function greatest(items: readonly number[], value: (item: number) => number): number[] {
  if (items.length === 1) return [...items];
  const values = items.map(value);
  const top = Math.max(...values);
  return items.filter((_, k) => values[k]! >= top - SAME);
}
