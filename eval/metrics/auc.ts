/** AUC: does a higher prediction go with a better outcome? Over all rows, or only between rows of one benchmark. */
import { checkColumns, NOT_NEGATIVE, UNIT } from './columns.ts';

/** Rows in the order in which an AUC reads them: found once, read at every bootstrap replicate. */
export interface AucOrder {
  /** Row numbers by benchmark, then by rising prediction; length n. */
  readonly rows: Uint32Array;
  /** Of each position: 1 where a run of equal predictions begins, 2 where also a benchmark does, else 0; length n. */
  readonly begins: Uint8Array;
}

/**
 * @param predicted any score, finite; length n
 * @param benchmark of each row, any whole number; all one without
 * @throws `UNDEFINED_METRIC` when lengths differ or a score is not finite
 */
export function aucOrder(predicted: Float64Array, benchmark?: Int32Array): AucOrder {
  const n = checkColumns('auc', {
    predicted: { values: predicted },
    benchmark: benchmark && { values: benchmark },
  });
  const of = (i: number): number => benchmark?.[i] ?? 0;
  const rows = Uint32Array.from({ length: n }, (_, i) => i);
  rows.sort((a, b) => of(a) - of(b) || predicted[a]! - predicted[b]!);
  const begins = new Uint8Array(n);
  for (let k = 0; k < n; k++) {
    const before = k === 0 ? null : rows[k - 1]!;
    if (before === null || of(before) !== of(rows[k]!)) begins[k] = 2;
    else if (predicted[before] !== predicted[rows[k]!]) begins[k] = 1;
  }
  return { rows, begins };
}

/** How benchmarks are averaged: by their pairs of a success and a failure, or by their rows. */
export type AucAverage = 'pairs' | 'rows';

/**
 * AUC from presorted rows, in O(n):
 *
 *     AUC = Σ_{i≠j} aᵢ bⱼ [p̂ᵢ > p̂ⱼ] + ½ [p̂ᵢ = p̂ⱼ]  /  Σ_{i≠j} aᵢ bⱼ,    aᵢ = wᵢ yᵢ,  bⱼ = wⱼ (1 − yⱼ)
 *
 * Rows of different benchmarks are never compared. With `pairs` all benchmarks' sums are added up; with `rows` each
 * benchmark's AUC is averaged by its Σ w, those without a pair left out.
 *
 * A *graded* outcome y is a success with weight y and a failure with weight 1 − y: the AUC expected if each row's
 * success were drawn with chance y. A row is not compared with itself. So a perfect ranking of graded outcomes stays
 * below 1; outcomes of 0 and 1 give the usual AUC.
 *
 * @param observed y, in [0, 1]; length n
 * @param weights  per row, ≥ 0, such as how often a resample drew it; all 1 without
 * @returns in [0, 1], 0.5 when predictions say nothing, ties counting half; null without a pair (all right or all wrong)
 */
export function aucFrom(
  order: AucOrder,
  observed: Float64Array,
  weights?: ArrayLike<number>,
  average: AucAverage = 'pairs',
): number | null {
  const { rows, begins } = order;
  const n = rows.length;
  let top = 0;
  let bottom = 0;
  // Sums of the benchmark so far: pairs won, failures, successes, row weight, pairs of a row with itself.
  let [won, failures, successes, mass, self] = [0, 0, 0, 0, 0];
  // Sums of the run of equal predictions, and its pairs of a row with itself.
  let [runSuccess, runFailure, runSelf] = [0, 0, 0];
  const endRun = () => {
    won += runSuccess * failures + (runSuccess * runFailure - runSelf) / 2;
    successes += runSuccess;
    failures += runFailure;
    self += runSelf;
    runSuccess = runFailure = runSelf = 0;
  };
  const endBenchmark = () => {
    endRun();
    const pairs = successes * failures - self;
    // Rounding leaves a trace of pairs where a single graded row is all there is.
    if (pairs > 1e-12 * mass * mass) {
      top += average === 'pairs' ? won : (mass * won) / pairs;
      bottom += average === 'pairs' ? pairs : mass;
    }
    won = failures = successes = mass = self = 0;
  };
  for (let k = 0; k < n; k++) {
    if (begins[k] === 2) endBenchmark();
    else if (begins[k] === 1) endRun();
    const i = rows[k]!;
    const w = weights ? weights[i]! : 1;
    if (w === 0) continue;
    const a = w * observed[i]!;
    const b = w - a;
    runSuccess += a;
    runFailure += b;
    runSelf += a * b;
    mass += w;
  }
  endBenchmark();
  return bottom > 0 ? Math.min(1, Math.max(0, top / bottom)) : null;
}

/**
 * AUC over all rows. Rows of easy and hard benchmarks are compared too, so telling benchmarks apart is rewarded:
 * {@link withinBenchmarkAuc} is the honest figure for prompts.
 *
 * @throws `UNDEFINED_METRIC` when lengths differ or a number is outside its range
 */
export function auc(predicted: Float64Array, observed: Float64Array, weights?: ArrayLike<number>): number | null {
  check(predicted, observed, weights);
  return aucFrom(aucOrder(predicted), observed, weights);
}

/**
 * AUC between rows of the same benchmark alone, averaged over benchmarks by pairs or by rows.
 *
 * @throws `UNDEFINED_METRIC` when lengths differ or a number is outside its range
 */
export function withinBenchmarkAuc(
  predicted: Float64Array,
  observed: Float64Array,
  benchmark: Int32Array,
  average: AucAverage = 'pairs',
  weights?: ArrayLike<number>,
): number | null {
  check(predicted, observed, weights);
  return aucFrom(aucOrder(predicted, benchmark), observed, weights, average);
}

const check = (predicted: Float64Array, observed: Float64Array, weights: ArrayLike<number> | undefined): number =>
  checkColumns('auc', {
    predicted: { values: predicted },
    observed: { values: observed, bounds: UNIT },
    weights: weights && { values: weights, bounds: NOT_NEGATIVE },
  });
