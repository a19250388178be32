/** Decision calibration: was what a router chose as good as it said? Choosing the best forecast makes it an optimist. */
import { RoutingError } from '../../datasets/index.ts';
import { checkColumns, NOT_NEGATIVE, UNIT } from './columns.ts';

export interface DecisionCalibration {
  /** Decisions counted (sum of their weights). */
  readonly n: number;
  /** Mean p̂ of the chosen models, in [0, 1]. */
  readonly predicted: number;
  /** Mean quality of their answers, in [0, 1]. */
  readonly observed: number;
  /** predicted − observed, in [−1, 1]: above 0 more was promised than kept (winner's curse). */
  readonly optimism: number;
}

export interface TierCalibration extends DecisionCalibration {
  /** As given in `tier`. */
  readonly tier: number;
}

/**
 *     optimism = mean p̂(x, a) − mean q(x, a),   a = π(x) the chosen model; over all decisions and per price tier
 *
 * A model can be calibrated over all prompts and not over those it is chosen for: these are the ones that count.
 *
 * @param predicted p̂ of the chosen model, in [0, 1]; length n
 * @param observed  quality of its answer, in [0, 1]; length n
 * @param tier      price tier of the chosen model, see {@link priceTiers}; length n
 * @param weights   ≥ 0, length n; all 1 without
 * @returns `pooled` null without rows or weight; `byTier` by rising tier, tiers never chosen left out
 * @throws `UNDEFINED_METRIC` when lengths differ or a number is outside its range
 */
export function decisionCalibration(
  predicted: Float64Array,
  observed: Float64Array,
  tier?: Int32Array,
  weights?: ArrayLike<number>,
): { pooled: DecisionCalibration | null; byTier: TierCalibration[] } {
  const n = checkColumns('decisionCalibration', {
    predicted: { values: predicted, bounds: UNIT },
    observed: { values: observed, bounds: UNIT },
    tier: tier && { values: tier },
    weights: weights && { values: weights, bounds: NOT_NEGATIVE },
  });
  const pooled = { n: 0, p: 0, q: 0 };
  const tiers = new Map<number, typeof pooled>();
  for (let i = 0; i < n; i++) {
    const w = weights?.[i] ?? 1;
    const sums = [pooled];
    if (tier) {
      const own = tiers.get(tier[i]!) ?? { n: 0, p: 0, q: 0 };
      tiers.set(tier[i]!, own);
      sums.push(own);
    }
    for (const s of sums) {
      s.n += w;
      s.p += w * predicted[i]!;
      s.q += w * observed[i]!;
    }
  }
  const of = (s: typeof pooled): DecisionCalibration => ({
    n: s.n,
    predicted: s.p / s.n,
    observed: s.q / s.n,
    optimism: (s.p - s.q) / s.n,
  });
  return {
    pooled: pooled.n > 0 ? of(pooled) : null,
    byTier: [...tiers]
      .filter(([, s]) => s.n > 0)
      .sort(([a], [b]) => a - b)
      .map(([t, s]) => ({ tier: t, ...of(s) })),
  };
}

/**
 * Price tier of each model, 0 (cheapest) … tiers − 1, as many models in each as ties allow; equal prices share a tier.
 *
 * @param costUsd mean cost of a prompt per model, USD; length m
 * @throws `UNDEFINED_METRIC` when a cost is not a number ≥ 0, or `tiers` is not a whole number ≥ 1
 */
export function priceTiers(costUsd: ArrayLike<number>, tiers = 3): Int32Array {
  const m = checkColumns('priceTiers', { costUsd: { values: costUsd, bounds: NOT_NEGATIVE } });
  if (!Number.isInteger(tiers) || tiers < 1) {
    throw new RoutingError('UNDEFINED_METRIC', `priceTiers: tiers is ${tiers}, not a whole number ≥ 1`);
  }
  return Int32Array.from({ length: m }, (_, j) => {
    let cheaper = 0;
    for (let k = 0; k < m; k++) if (costUsd[k]! < costUsd[j]!) cheaper++;
    return Math.floor((cheaper * tiers) / m);
  });
}
