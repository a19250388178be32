/**
 * How much each judged answer counts when heads are fitted: a product of reasons, each a function of its own. What
 * none of them says anything against counts 1.
 */
import { influenceWeights } from '../feedback/influence.ts';
import type { Sample } from './log.ts';

export interface WeightOptions {
  /** Days after which an answer counts half; null: never less. */
  readonly halfLifeDays: number | null;
  /** Learn from hints, too. They only ever say that something went wrong, so everything looks worse than it is. Default false. */
  readonly hints?: boolean | undefined;
  /** Most of all weight that one of several teams, or keys, may have, in (0, 1]. */
  readonly maxTeamShare: number;
  readonly maxKeyShare: number;
  /** What to multiply each sample by for what its team says against all others (feedback/agreement.ts). Default: 1. */
  readonly agreement?: ArrayLike<number> | undefined;
  /** Models that behave otherwise since a moment. Default: none. */
  readonly changes?: readonly ModelChange[] | undefined;
  /** P(somebody judges), of each sample in order, in (0, 1] (observation.ts). Default: not known, so that it counts for nothing. */
  readonly observed?: ArrayLike<number> | undefined;
}

export interface ModelChange {
  readonly model: string;
  /** Milliseconds since 1970: answers from before say little of the model as it is. */
  readonly changedAt: number;
}

const DAY_MS = 86_400_000;
/** Not 0: the new behaviour is a descendant of the old one, and at first there is hardly anything else. */
const BEFORE_CHANGE = 0.1;
/** An answer never stands for more than this many of those that are likely to be judged. */
const MOST_INVERSE = 5;

/**
 * Weight of each sample, in [0, ∞):
 *
 *     wᵢ = verdict × agreement × 2^(−age / half-life) × change × observed × influence,   then scaled so that Σ wᵢ ≤ n
 *
 * Explored answers count like others: see README.md, where it was measured.
 * @param now milliseconds since 1970, from which ages count. The newest answer's time rather than the clock's gives
 *            the same log the same weights.
 */
export function fitWeights(samples: readonly Sample[], options: WeightOptions, now: number): Float64Array {
  const { halfLifeDays, maxTeamShare, maxKeyShare, changes = [], observed, agreement, hints = false } = options;
  const inverse = observed === undefined ? null : inverseObservation(samples, observed);
  const changedAt = lastChanges(changes);
  const weights = Float64Array.from(
    samples,
    (sample, i) =>
      (sample.kind === 'hint' && !hints ? 0 : sample.weight) *
      (agreement?.[i] ?? 1) *
      timeDecay(now - sample.createdAt, halfLifeDays) *
      sinceChange(sample, changedAt) *
      (inverse?.[i] ?? 1),
  );
  const influence = influenceWeights(samples, { maxTeamShare, maxKeyShare }, weights);
  return atMostOneEach(weights.map((w, i) => w * influence[i]!));
}

/** 2^(−age / half-life), in (0, 1]; what lies ahead of `now` counts 1. */
export function timeDecay(ageMs: number, halfLifeDays: number | null): number {
  return halfLifeDays === null ? 1 : 2 ** (-Math.max(0, ageMs) / DAY_MS / halfLifeDays);
}

/** The last change of each model. */
export function lastChanges(changes: readonly ModelChange[]): ReadonlyMap<string, number> {
  const last = new Map<string, number>();
  for (const { model, changedAt } of changes) last.set(model, Math.max(changedAt, last.get(model) ?? changedAt));
  return last;
}

/** 0.1 for an answer that the model gave before it changed, else 1. */
export function sinceChange(
  { executed, createdAt }: Pick<Sample, 'executed' | 'createdAt'>,
  changedAt: ReadonlyMap<string, number>,
): number {
  const at = changedAt.get(executed);
  return at !== undefined && createdAt < at ? BEFORE_CHANGE : 1;
}

/**
 * Inverse probability that an answer is judged, so that kinds of requests which are seldom judged count as often as
 * they come:
 *
 *     vᵢ = min(5, p̄ / pᵢ),   scaled to mean 1 over verdicts
 *
 * with p̄ the harmonic mean of pᵢ: were the clip not there, the mean would be 1 already. Hints count 1: what makes
 * one is not somebody who judges.
 */
export function inverseObservation(
  samples: readonly Pick<Sample, 'kind'>[],
  observed: ArrayLike<number>,
): Float64Array {
  const inverse = new Float64Array(samples.length).fill(1);
  let sum = 0;
  let count = 0;
  samples.forEach(({ kind }, i) => {
    if (kind !== 'verdict') return;
    sum += 1 / observed[i]!;
    count++;
  });
  if (count === 0) return inverse;
  const typical = count / sum;
  let total = 0;
  samples.forEach(({ kind }, i) => {
    if (kind !== 'verdict') return;
    inverse[i] = Math.min(MOST_INVERSE, typical / observed[i]!);
    total += inverse[i]!;
  });
  return inverse.map((v, i) => (samples[i]!.kind === 'verdict' ? (v * count) / total : v));
}

/** Scaled down so that weights sum to no more than their number: they may say that a log is worth less than its length, never more. */
export function atMostOneEach(weights: Float64Array): Float64Array {
  const total = weights.reduce((a, b) => a + b, 0);
  return total > weights.length ? weights.map((w) => (w * weights.length) / total) : weights;
}
