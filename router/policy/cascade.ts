/**
 * What it costs to let one model answer first and to go up when a check rejects its answer, and what that brings:
 * so that a cheaper first try is made only where the way up is counted in.
 */

/** One candidate of a ranked list. */
export interface Step {
  /** Predicted probability p that its answer is good, in [0, 1]. */
  readonly quality: number;
  /** Expected cost c of one call, USD. */
  readonly costUsd: number;
}

/** How often a check errs. A check that tells nothing accepts everything: a = 1, r = 0. */
export interface CheckErrors {
  /** a: share of bad answers that it accepts, in [0, 1]. */
  readonly falseAccept: number;
  /** r: share of good answers that it rejects, in [0, 1]. */
  readonly falseReject: number;
}

export interface CascadeValue {
  /** Expected cost of all calls, USD. */
  readonly costUsd: number;
  /** Probability that the answer given in the end is good, in [0, 1]. */
  readonly quality: number;
  /** Expected calls, in [1, length of the path]. */
  readonly calls: number;
}

/**
 * Expected cost and quality of calling the models of a path in turn until the check accepts an answer. The last
 * answer is given whatever the check says of it.
 *
 *     ρ_k = (1 − a)(1 − p_k) + r p_k        the check rejects answer k
 *     s_k = Π_{i<k} ρ_i                      call k is made
 *     C   = Σ_k s_k c_k
 *     Q   = Σ_{k<K} s_k (1 − r) p_k + s_K p_K
 *
 * Answers are taken to be independent given their predictions. What makes a prompt hard for one model often makes it
 * hard for the next, so Q is a little too good where the predictions miss that.
 *
 * @param path first to call first; at least one
 * @see Chen, Zaharia & Zou, "FrugalGPT", TMLR 2024 (cascades); Dekoninck, Baader & Vechev, "A Unified Approach to
 *      Routing and Cascading for LLMs", ICML 2025, arXiv 2410.10347 (a cascade's step as a routing decision)
 */
export function cascadeValue(path: readonly Step[], { falseAccept, falseReject }: CheckErrors): CascadeValue {
  let reached = 1;
  let costUsd = 0;
  let quality = 0;
  let calls = 0;
  for (let k = 0; k < path.length; k++) {
    const { quality: p, costUsd: c } = path[k]!;
    costUsd += reached * c;
    calls += reached;
    quality += reached * p * (k === path.length - 1 ? 1 : 1 - falseReject);
    reached *= (1 - falseAccept) * (1 - p) + falseReject * p;
  }
  return { costUsd, quality, calls };
}

/**
 * The way up from one candidate: back to the first of the list where that is better, then down the list past
 * everything that is not predicted better than the last one called.
 *
 * @param ranked the candidates in the order to try them, the one decided for first
 * @param start  index of the first to call
 * @returns indices into `ranked`, `start` first, of rising quality; `maxCalls` at most
 */
export function wayUp(ranked: readonly Pick<Step, 'quality'>[], start: number, maxCalls: number): number[] {
  const path = [start];
  let last = ranked[start]!.quality;
  for (let j = 0; j < ranked.length && path.length < maxCalls; j++) {
    const { quality } = ranked[j]!;
    if (quality <= last) continue;
    path.push(j);
    last = quality;
  }
  return path;
}

export interface CascadeOptions extends CheckErrors {
  /** Quality wanted of the answer given in the end, in [0, 1]. */
  readonly floor: number;
  /** Most calls, the first one included; at least 1. */
  readonly maxCalls: number;
}

export interface CascadeStart extends CascadeValue {
  /** Who answers first: an index into the ranked list. */
  readonly start: number;
  /** {@link wayUp} from there. */
  readonly path: readonly number[];
}

/**
 * Who should answer first: the candidate decided for, or a cheaper one with the one decided for behind it. Of those whose
 * expected quality reaches the floor, or that of the decision itself where even that does not, the cheapest, with what
 * going up is expected to cost; ties go to the decision, then to the earlier one.
 *
 * A function of the ranked list alone: whoever drew its first candidate knows the propensity of what is done.
 *
 * @param ranked the candidates in the order to try them, the one decided for first; at least one
 */
export function cascadeStart(ranked: readonly Step[], { floor, maxCalls, ...errors }: CascadeOptions): CascadeStart {
  const from = (start: number): CascadeStart => {
    const path = wayUp(ranked, start, maxCalls);
    return {
      start,
      path,
      ...cascadeValue(
        path.map((j) => ranked[j]!),
        errors,
      ),
    };
  };
  let best = from(0);
  const wanted = Math.min(floor, best.quality);
  for (let j = 1; j < ranked.length; j++) {
    const { costUsd } = ranked[j]!;
    // One that costs as much alone as the best way known cannot make a cheaper one.
    if (costUsd >= ranked[0]!.costUsd || costUsd >= best.costUsd) continue;
    const other = from(j);
    if (other.quality >= wanted && other.costUsd < best.costUsd) best = other;
  }
  return best;
}
