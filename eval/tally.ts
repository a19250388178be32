/**
 * Sums per resampling unit: everything a figure needs, small enough to be recomputed a thousand times.
 * A unit is a group of near-duplicate prompts inside one test part; all routers share the units.
 */
import { addCellSums, type CellSum } from './cell-sums.ts';
import type { MeasuredPart } from './choices.ts';
import type { ContenderKind, Frozen, Measurement } from './contender.ts';
import { decileThresholds } from './metrics/apgr.ts';
import { type AucOrder, aucFrom, aucOrder } from './metrics/auc.ts';
import { equalMassBins } from './metrics/calibration-error.ts';
import { cheapestKeeping, KEEP_SHARES, OPERATING_SHARE } from './operating-point.ts';
import type { Part } from './part.ts';

const BINS = 15;

/** The units of all test parts together. */
export interface Units {
  readonly count: number;
  /** Prompts in each unit. */
  readonly prompts: Float64Array;
  /** Which test part (left-out benchmark) a unit is from. */
  readonly part: Int32Array;
}

/** One test part and, per prompt, its unit. */
export interface TestPart {
  readonly part: Part;
  readonly unitOf: Int32Array;
  /** Quality that one USD is worth: where the cheapest and the best single model are equally good a choice in training. */
  readonly qualityPerUsd: number;
  /** Columns of the weak and the strong model by the training part; only for two-model data. */
  readonly pair?: { readonly weak: number; readonly strong: number };
}

/** A router as measured on every test part. */
export interface MeasuredRouter {
  readonly name: string;
  readonly kind: ContenderKind;
  /** One entry per test part. */
  readonly parts: readonly MeasuredPart[];
}

/** Columns: cost and quality of each point, then of each promise; calibration; the deferral curve; sums of cells. */
export interface Tally {
  readonly name: string;
  readonly kind: ContenderKind;
  readonly points: number;
  /** It keeps {@link OPERATING_SHARE} of the baseline's quality somewhere on every training part. */
  readonly reached: boolean;
  readonly calibrationBins: number;
  readonly thresholds: number;
  readonly columns: number;
  /** Columns of the sums that go by name; absent where the router has no say on one. */
  readonly named: ReadonlyMap<CellSum, number>;
  /** Forecasts in the order in which an AUC reads them; null where there are none. */
  readonly ranking: Ranking | null;
  /** One array per column, length units. Points that are the same setting share their arrays. */
  readonly sums: Float64Array[];
}

/** Tried cells with a forecast, compared only with cells of the same benchmark and model. */
export interface Ranking {
  readonly order: AucOrder;
  /** The AUC where a model gets one forecast for a whole benchmark, so that no draw changes it: 0.5, or null. */
  readonly constant?: number | null;
  readonly observed: Float64Array;
  /** Unit of each cell. */
  readonly unit: Int32Array;
  /** Room for the weights of the cells in a resample. */
  readonly weights: Float64Array;
}

export const costColumn = (k: number): number => 2 * k;
export const qualityColumn = (k: number): number => 2 * k + 1;
/**
 * Cost and quality of the promise to keep share k: the cheapest frozen mix that keeps it on the training part,
 * and the baseline itself where none does. What it costs and keeps on the test part is another matter.
 */
export const promiseColumn = (t: { readonly points: number }, k: number): number => 2 * (t.points + k);
/** First the cell count, then Σ (outcome − prediction) of each bin. */
export const calibrationColumn = (t: Tally): number => 2 * (t.points + KEEP_SHARES.length);
/** First the prompt count, then strong calls and quality at each threshold. */
export const deferralColumn = (t: Tally): number =>
  calibrationColumn(t) + (t.calibrationBins > 0 ? 1 + t.calibrationBins : 0);

/** @param baseline the baseline as measured on the same test parts */
export function tally(
  router: MeasuredRouter,
  baseline: MeasuredRouter,
  tests: readonly TestPart[],
  units: Units,
): Tally {
  const points = Math.max(0, ...router.parts.map((p) => p.frozen.points.length));
  const cells = calibrationCells(router, tests);
  const order = preferences(router, tests);
  const thresholds = order && [...decileThresholds(order.scores), Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const shape = {
    name: router.name,
    kind: router.kind,
    points,
    reached: router.parts.every(({ frozen }) => cheapestKeeping(frozen, OPERATING_SHARE) !== null),
    calibrationBins: cells ? BINS : 0,
    thresholds: thresholds?.length ?? 0,
  };
  const columns =
    2 * (points + KEEP_SHARES.length) + (cells ? 1 + BINS : 0) + (thresholds ? 1 + 2 * thresholds.length : 0);
  const named = new Map<CellSum, number>();
  const sums: Float64Array[] = Array.from({ length: columns }, () => new Float64Array(units.count));
  router.parts.forEach((measured, f) => {
    addCellSums({ measured, ...tests[f]! }, (name) => {
      if (!named.has(name)) named.set(name, sums.push(new Float64Array(units.count)) - 1);
      return sums[named.get(name)!]!;
    });
  });
  const byForecast = cells && aucOrder(cells.predicted, cells.kind);
  const ranking = cells && {
    order: byForecast!,
    ...(!byForecast!.begins.includes(1) && { constant: aucFrom(byForecast!, cells.observed, undefined, 'rows') }),
    observed: cells.observed,
    unit: cells.unit,
    weights: new Float64Array(cells.unit.length),
  };
  const out: Tally = { ...shape, columns: sums.length, named, sums, ranking };
  router.parts.forEach((entry, f) => {
    addPoints(out, entry.frozen, entry.measurement, tests[f]!.unitOf);
    addPromises(out, entry.frozen, baseline.parts[f]!.measurement, tests[f]!.unitOf);
  });
  shareEqualPoints(out, router);
  if (cells) {
    const first = calibrationColumn(out);
    const bin = equalMassBins(cells.predicted, BINS);
    for (let c = 0; c < bin.length; c++) {
      const u = cells.unit[c]!;
      out.sums[first]![u]! += 1;
      out.sums[first + 1 + bin[c]!]![u]! += cells.observed[c]! - cells.predicted[c]!;
    }
  }
  if (order && thresholds) {
    const first = deferralColumn(out);
    for (let i = 0; i < order.scores.length; i++) {
      const u = order.unit[i]!;
      out.sums[first]![u]! += 1;
      thresholds.forEach((threshold, t) => {
        const strong = order.scores[i]! >= threshold;
        if (strong) out.sums[first + 1 + 2 * t]![u]! += 1;
        out.sums[first + 2 + 2 * t]![u]! += strong ? order.strong[i]! : order.weak[i]!;
      });
    }
  }
  return out;
}

/** Adds cost and quality of each frozen point to the sums of the units. */
export function addPoints(
  out: Pick<Tally, 'sums'>,
  frozen: Frozen,
  { outcomes }: Measurement,
  unitOf: Int32Array,
): void {
  frozen.points.forEach(({ a, b, weight }, k) => {
    const first = outcomes.get(a)!;
    const second = outcomes.get(b)!;
    const cost = out.sums[costColumn(k)]!;
    const quality = out.sums[qualityColumn(k)]!;
    for (let i = 0; i < unitOf.length; i++) {
      const u = unitOf[i]!;
      cost[u]! += (1 - weight) * first.costUsd[i]! + weight * second.costUsd[i]!;
      quality[u]! += (1 - weight) * first.quality[i]! + weight * second.quality[i]!;
    }
  });
}

/** Targets beyond a router's reach all freeze at its last setting: keep one copy. */
export function shareEqualPoints(out: Pick<Tally, 'points' | 'sums'>, router: Pick<MeasuredRouter, 'parts'>): void {
  for (let k = 1; k < out.points; k++) {
    const same = router.parts.every(({ frozen: { points } }) => {
      const [p, q] = [points[k - 1]!, points[k]!];
      return p.a === q.a && p.b === q.b && p.weight === q.weight;
    });
    if (!same) continue;
    out.sums[costColumn(k)] = out.sums[costColumn(k - 1)]!;
    out.sums[qualityColumn(k)] = out.sums[qualityColumn(k - 1)]!;
  }
}

function addPromises(out: Tally, frozen: Frozen, baseline: Measurement, unitOf: Int32Array): void {
  const own = [...new Set(unitOf)];
  const fixed = baseline.outcomes.get(0)!;
  KEEP_SHARES.forEach((share, s) => {
    const to = promiseColumn(out, s);
    const mix = cheapestKeeping(frozen, share);
    if (!mix) {
      for (let i = 0; i < unitOf.length; i++) {
        out.sums[to]![unitOf[i]!]! += fixed.costUsd[i]!;
        out.sums[to + 1]![unitOf[i]!]! += fixed.quality[i]!;
      }
      return;
    }
    const { a, b, weight } = mix;
    for (const c of [0, 1]) {
      const low = out.sums[costColumn(a) + c]!;
      const high = out.sums[costColumn(b) + c]!;
      for (const u of own) out.sums[to + c]![u] = (1 - weight) * low[u]! + weight * high[u]!;
    }
  });
}

interface Cells {
  readonly unit: Int32Array;
  /** Number of the (benchmark, model) pair. */
  readonly kind: Int32Array;
  readonly predicted: Float64Array;
  readonly observed: Float64Array;
}

/** Every tried cell of the test parts that the router predicted. */
function calibrationCells(router: MeasuredRouter, tests: readonly TestPart[]): Cells | null {
  const unit: number[] = [];
  const kind: number[] = [];
  const kinds = new Map<string, number>();
  const predicted: number[] = [];
  const observed: number[] = [];
  router.parts.forEach((entry, f) => {
    const forecast = entry.measurement.predicted;
    if (!forecast) return;
    const { part, unitOf } = tests[f]!;
    const m = part.table.modelIds.length;
    for (let at = 0; at < forecast.length; at++) {
      const y = part.table.quality[at]!;
      if (Number.isNaN(y) || Number.isNaN(forecast[at]!)) continue;
      const row = Math.floor(at / m);
      unit.push(unitOf[row]!);
      const name = `${part.table.prompts[row]!.benchmark}\0${part.table.modelIds[at % m]!}`;
      let number = kinds.get(name);
      if (number === undefined) {
        number = kinds.size;
        kinds.set(name, number);
      }
      kind.push(number);
      predicted.push(forecast[at]!);
      observed.push(y);
    }
  });
  if (unit.length === 0) return null;
  return {
    unit: Int32Array.from(unit),
    kind: Int32Array.from(kind),
    predicted: Float64Array.from(predicted),
    observed: Float64Array.from(observed),
  };
}

/** Strong-or-weak scores of the prompts on which both models were tried; null unless the data has two models. */
function preferences(router: MeasuredRouter, tests: readonly TestPart[]) {
  const unit: number[] = [];
  const scores: number[] = [];
  const weakQuality: number[] = [];
  const strongQuality: number[] = [];
  for (let f = 0; f < tests.length; f++) {
    const preference = router.parts[f]!.measurement.preference;
    const { part, unitOf, pair } = tests[f]!;
    if (!pair || !preference) return null;
    for (let i = 0; i < unitOf.length; i++) {
      const score = preference[2 * i + pair.strong]! - preference[2 * i + pair.weak]!;
      const weak = part.table.quality[2 * i + pair.weak]!;
      const strong = part.table.quality[2 * i + pair.strong]!;
      if (Number.isNaN(score) || Number.isNaN(weak) || Number.isNaN(strong)) continue;
      unit.push(unitOf[i]!);
      scores.push(score);
      weakQuality.push(weak);
      strongQuality.push(strong);
    }
  }
  if (unit.length === 0) return null;
  return { unit, scores: Float64Array.from(scores), weak: weakQuality, strong: strongQuality };
}

/**
 * Sums of every column under several weightings of the units at once. This is where a thousand resamples spend their
 * time: four columns and two weightings are worked on together, so that their eight sums stay in registers. Each sum
 * adds its terms in the order of the units.
 *
 * @param weights replicates × units, row-major
 * @returns replicates × columns, row-major
 */
export function weightedSums(
  t: Pick<Tally, 'columns' | 'sums'>,
  weights: Float64Array,
  replicates: number,
): Float64Array {
  const { columns, sums } = t;
  const units = sums[0]?.length ?? 0;
  const out = new Float64Array(replicates * columns);
  // Points that are the same setting share their array, and an empty bin needs no work.
  const first = new Map<Float64Array, number>();
  const distinct: number[] = [];
  for (let c = 0; c < columns; c++) {
    if (first.has(sums[c]!)) continue;
    first.set(sums[c]!, c);
    if (sums[c]!.some((x) => x !== 0)) distinct.push(c);
  }
  for (let k = 0; k < distinct.length; k += 4) {
    // A last group of fewer than four repeats its last column.
    const [a, b, c, d] = [0, 1, 2, 3].map((o) => distinct[Math.min(k + o, distinct.length - 1)]!) as [
      number,
      number,
      number,
      number,
    ];
    const [w, x, y, z] = [sums[a]!, sums[b]!, sums[c]!, sums[d]!];
    for (let r = 0; r < replicates; r += 2) {
      const p = r * units;
      const q = Math.min(r + 1, replicates - 1) * units;
      let [w0, x0, y0, z0, w1, x1, y1, z1] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let u = 0; u < units; u++) {
        const v0 = weights[p + u]!;
        const v1 = weights[q + u]!;
        const wu = w[u]!;
        const xu = x[u]!;
        const yu = y[u]!;
        const zu = z[u]!;
        w0 += v0 * wu;
        x0 += v0 * xu;
        y0 += v0 * yu;
        z0 += v0 * zu;
        w1 += v1 * wu;
        x1 += v1 * xu;
        y1 += v1 * yu;
        z1 += v1 * zu;
      }
      const at0 = r * columns;
      const at1 = (q / Math.max(1, units)) * columns;
      out[at0 + a] = w0;
      out[at0 + b] = x0;
      out[at0 + c] = y0;
      out[at0 + d] = z0;
      out[at1 + a] = w1;
      out[at1 + b] = x1;
      out[at1 + c] = y1;
      out[at1 + d] = z1;
    }
  }
  for (let c = 0; c < columns; c++) {
    const same = first.get(sums[c]!)!;
    if (same !== c) for (let r = 0; r < replicates; r++) out[r * columns + c] = out[r * columns + same]!;
  }
  return out;
}
