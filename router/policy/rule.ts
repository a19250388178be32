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

/** What is known of a candidate: enough; little, for it is new; nothing but how models differ, so that it is no best guess. */
export const KNOWN = 0;
export const NEW = 1;
export const UNTRIED = 2;

/** New candidates are tried for a share of their own, which takes the place of the exploration that others get. */
export interface Newcomers {
  /** What all of them together get by exploration, in [0, 1). */
  readonly share: number;
  /** m times {@link KNOWN}, {@link NEW} or {@link UNTRIED}; not all of them untried. */
  readonly novelty: Uint8Array;
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
 * With k new candidates and a share ν for them, where anything is explored, each of these has ν / k; what is said above
 * holds for the others and is scaled by 1 − ν. One that wins has a winner's part as well, unless it is untried.
 *
 * What is expected to be given up by it is no more than ε (0.9 · 2 tolerance + 0.1 · best) + ν · best in quality.
 *
 * A higher tolerance never wins more quality nor, without `qualityPerUsd`, pays more: what it adds to the good
 * enough lies below all that was there.
 *
 * @param quality m predicted probabilities of success, in [0, 1]
 * @param costUsd m expected costs of the call
 * @param forced  the only winner, whatever its quality
 * @param newcomers default: all are known
 */
export function oddsOf(
  quality: ArrayLike<number>,
  costUsd: ArrayLike<number>,
  rule: Rule,
  forced?: number,
  newcomers?: Newcomers,
): Odds {
  const m = quality.length;
  const novelty = newcomers?.novelty;
  let best = 0;
  for (let j = 0; j < m; j++) if (novelty?.[j] !== UNTRIED) best = Math.max(best, quality[j]!);
  const floor = Math.max(rule.minQuality, best - rule.tolerance);
  const greedy = forced === undefined ? winners(quality, costUsd, rule, floor, novelty) : [forced];
  const probabilities = new Float64Array(m);
  const near = best - 2 * rule.tolerance;
  let known = 0;
  let count = 0;
  for (let j = 0; j < m; j++) {
    const isKnown = !novelty?.[j];
    if (isKnown) known++;
    if ((isKnown && quality[j]! >= near) || greedy.includes(j)) count++;
  }
  const { exploration } = rule;
  const share = newcomers !== undefined && known < m && exploration > 0 ? newcomers.share : 0;
  // Where all are new, what would go everywhere goes to the winners.
  const everywhere = known > 0 ? EVERYWHERE : 0;
  for (let j = 0; j < m; j++) {
    const isKnown = !novelty?.[j];
    const isGreedy = greedy.includes(j);
    let p = isKnown ? (everywhere * exploration) / known : 0;
    if (isGreedy || (isKnown && quality[j]! >= near)) p += ((1 - everywhere) * exploration) / count;
    if (isGreedy) p += (1 - exploration) / greedy.length;
    if (share > 0) p = (1 - share) * p + (isKnown ? 0 : share / (m - known));
    probabilities[j] = p;
  }
  if (m === 1) probabilities[0] = 1;
  return { probabilities, greedy, floor };
}

function winners(
  quality: ArrayLike<number>,
  costUsd: ArrayLike<number>,
  rule: Rule,
  floor: number,
  novelty: Uint8Array | undefined,
): number[] {
  const isUntried = (j: number) => novelty?.[j] === UNTRIED;
  let left: number[] = [];
  for (let j = 0; j < quality.length; j++) if (quality[j]! >= floor && !isUntried(j)) left.push(j);
  if (left.length === 0) left = Array.from(quality, (_, j) => j).filter((j) => !isUntried(j));
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
