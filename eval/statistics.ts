/** Figures of every router on one set of units, each with an interval from one paired bootstrap. */
import { aiq, aiqLinear, type CostRange, curveFrom } from './metrics/aiq.ts';
import { apgr, cpt, type DeferralPoint } from './metrics/apgr.ts';
import { forEachResample, type Interval, percentileInterval } from './metrics/bootstrap.ts';
import type { CurvePoint } from './metrics/curve-point.ts';
import { qualityNeutralCost } from './metrics/quality-neutral-cost.ts';
import { savingAt } from './metrics/savings.ts';
import {
  calibrationColumn,
  costColumn,
  deferralColumn,
  promiseColumn,
  qualityColumn,
  type Tally,
  type Units,
  weightedSums,
} from './tally.ts';

/** Every figure of one router; null where it is not defined. */
export interface Figures {
  readonly aiq: number | null;
  readonly aiqMinusZero: number | null;
  readonly aiqLinear: number | null;
  readonly gapRecovered: number | null;
  readonly apgr: number | null;
  readonly cpt50: number | null;
  readonly cpt80: number | null;
  readonly qualityNeutralCost: number | null;
  readonly saving95: number | null;
  readonly saving98: number | null;
  readonly saving100: number | null;
  readonly ece: number | null;
  /** Asked on the training part to keep 95 % of the baseline's quality: what it saved and kept on the test part. */
  readonly promisedSaving95: number | null;
  readonly promisedSaving98: number | null;
  readonly promisedSaving100: number | null;
  readonly keptQuality95: number | null;
  readonly keptQuality98: number | null;
  readonly keptQuality100: number | null;
}

export type FigureName = keyof Figures;
export const FIGURES: readonly FigureName[] = [
  'aiq',
  'aiqMinusZero',
  'aiqLinear',
  'gapRecovered',
  'apgr',
  'cpt50',
  'cpt80',
  'qualityNeutralCost',
  'saving95',
  'saving98',
  'saving100',
  'ece',
  'promisedSaving95',
  'promisedSaving98',
  'promisedSaving100',
  'keptQuality95',
  'keptQuality98',
  'keptQuality100',
];

/** Where an undefined replicate counts: a router that does not reach the baseline costs more than any that does. */
const UNDEFINED_AT: Readonly<Partial<Record<FigureName, number>>> = {
  qualityNeutralCost: Number.POSITIVE_INFINITY,
  saving95: Number.NEGATIVE_INFINITY,
  saving98: Number.NEGATIVE_INFINITY,
  saving100: Number.NEGATIVE_INFINITY,
  cpt50: Number.POSITIVE_INFINITY,
  cpt80: Number.POSITIVE_INFINITY,
};

/** What all routers are measured against; each a tally of its own. */
export interface References {
  readonly cheapest: Tally;
  readonly dearest: Tally;
  readonly baseline: Tally;
  readonly zero: Tally;
  readonly oracle: Tally;
}

/** Sums in another order differ by less than this. */
const ROUNDING = 1e-9;

/** Resamples worked on at once. */
const BLOCK = 64;

export interface RouterStatistics {
  readonly name: string;
  readonly points: readonly CurvePoint[];
  readonly figures: Figures;
  readonly intervals: Readonly<Record<FigureName, Interval>>;
}

export interface Statistics {
  readonly routers: readonly RouterStatistics[];
  readonly range: CostRange;
  readonly baseline: CurvePoint;
}

export function statistics(
  tallies: readonly Tally[],
  references: References,
  units: Units,
  options: { replicates: number; seed: number; hierarchical?: boolean; keep?: (unit: number) => boolean },
): Statistics {
  const { replicates } = options;
  const all = Int32Array.from(units.prompts, (_, u) => u);
  const kept = options.keep ? all.filter(options.keep) : all;
  const one = new Float64Array(units.count);
  for (const u of kept) one[u] = 1;
  const value = evaluateAll(tallies, references, units, one, 1)[0]!;

  const replicated = tallies.map(
    () => Object.fromEntries(FIGURES.map((f) => [f, new Float64Array(replicates)])) as Record<FigureName, Float64Array>,
  );
  const block = new Float64Array(Math.min(BLOCK, replicates) * units.count);
  forEachResample(
    kept.length,
    replicates,
    options.seed,
    (drawn, r) => {
      const row = (r % BLOCK) * units.count;
      for (let k = 0; k < kept.length; k++) block[row + kept[k]!] = drawn[k]!;
      const filled = (r % BLOCK) + 1;
      if (filled < BLOCK && r + 1 < replicates) return;
      evaluateAll(tallies, references, units, block, filled).forEach(({ routers }, b) => {
        routers.forEach((router, t) => {
          for (const f of FIGURES) {
            replicated[t]![f][r + 1 - filled + b] = router.figures[f] ?? UNDEFINED_AT[f] ?? Number.NaN;
          }
        });
      });
    },
    options.hierarchical ? Int32Array.from(kept, (u) => units.part[u]!) : undefined,
  );

  const none: Interval = { low: null, high: null };
  return {
    range: value.range,
    baseline: value.baseline,
    routers: value.routers.map((router, t) => ({
      ...router,
      intervals: Object.fromEntries(
        FIGURES.map((f) => [f, router.figures[f] === null ? none : percentileInterval(replicated[t]![f])]),
      ) as Record<FigureName, Interval>,
    })),
  };
}

/** Figures under several weightings of the units: `weights` is replicates × units. */
function evaluateAll(
  tallies: readonly Tally[],
  references: References,
  units: Units,
  weights: Float64Array,
  replicates: number,
) {
  const sums = new Map<Tally, Float64Array>();
  for (const t of new Set([...tallies, ...Object.values(references)]))
    sums.set(t, weightedSums(t, weights, replicates));
  return Array.from({ length: replicates }, (_, r) => {
    let prompts = 0;
    for (let u = 0; u < units.count; u++) prompts += weights[r * units.count + u]! * units.prompts[u]!;
    return figuresOf(tallies, references, prompts, (t) => sums.get(t)!.subarray(r * t.columns, (r + 1) * t.columns));
  });
}

function figuresOf(
  tallies: readonly Tally[],
  references: References,
  prompts: number,
  sumsOf: (t: Tally) => Float64Array,
) {
  const pointsOf = (t: Tally): CurvePoint[] => {
    const s = sumsOf(t);
    return Array.from({ length: t.points }, (_, k) => ({
      costUsd: s[costColumn(k)]! / prompts,
      quality: s[qualityColumn(k)]! / prompts,
    }));
  };
  const cheapest = pointsOf(references.cheapest)[0]!;
  const range: CostRange = {
    lowUsd: cheapest.costUsd,
    highUsd: pointsOf(references.dearest)[0]!.costUsd,
    lowQuality: cheapest.quality,
  };
  const baseline = pointsOf(references.baseline)[0]!;
  const zero = aiq(pointsOf(references.zero), range);
  const oracle = aiq(pointsOf(references.oracle), range);
  const routers = tallies.map((t) => {
    const points = pointsOf(t);
    const curve = curveFrom(points, range);
    const own = aiq(points, range);
    const gain = own === null || zero === null ? null : own - zero;
    const deferral = deferralOf(t, sumsOf(t));
    const figures: Figures = {
      aiq: own,
      aiqMinusZero: gain,
      aiqLinear: aiqLinear(points, range),
      gapRecovered: gapRecovered(own, zero, oracle),
      apgr: deferral && apgr(deferral),
      cpt50: deferral && cpt(deferral, 0.5),
      cpt80: deferral && cpt(deferral, 0.8),
      qualityNeutralCost: qualityNeutralCost(curve, baseline),
      saving95: savingAt(curve, baseline, 0.95),
      saving98: savingAt(curve, baseline, 0.98),
      saving100: savingAt(curve, baseline, 1),
      ece: eceOf(t, sumsOf(t)),
      promisedSaving95: complement(ratio(sumsOf(t)[promiseColumn(t, 0)]! / prompts, baseline.costUsd)),
      promisedSaving98: complement(ratio(sumsOf(t)[promiseColumn(t, 1)]! / prompts, baseline.costUsd)),
      promisedSaving100: complement(ratio(sumsOf(t)[promiseColumn(t, 2)]! / prompts, baseline.costUsd)),
      keptQuality95: ratio(sumsOf(t)[promiseColumn(t, 0) + 1]! / prompts, baseline.quality),
      keptQuality98: ratio(sumsOf(t)[promiseColumn(t, 1) + 1]! / prompts, baseline.quality),
      keptQuality100: ratio(sumsOf(t)[promiseColumn(t, 2) + 1]! / prompts, baseline.quality),
    };
    return { name: t.name, points, figures };
  });
  return { routers, range, baseline };
}

const ratio = (x: number, to: number): number | null => (to > 0 ? x / to : null);
/** Settings frozen on a handful of prompts can leave even the oracle no better than zero: then there is no gap. */
function gapRecovered(own: number | null, zero: number | null, oracle: number | null): number | null {
  if (own === null || zero === null || oracle === null || oracle - zero <= ROUNDING) return null;
  return (own - zero) / (oracle - zero);
}

const complement = (x: number | null): number | null => (x === null ? null : 1 - x);

function eceOf(t: Tally, sums: Float64Array): number | null {
  if (t.calibrationBins === 0) return null;
  const first = calibrationColumn(t);
  let error = 0;
  for (let b = 1; b <= t.calibrationBins; b++) error += Math.abs(sums[first + b]!);
  return sums[first]! > 0 ? error / sums[first]! : null;
}

function deferralOf(t: Tally, sums: Float64Array): DeferralPoint[] | null {
  if (t.thresholds === 0) return null;
  const first = deferralColumn(t);
  const n = sums[first]!;
  if (n === 0) return null;
  return Array.from({ length: t.thresholds }, (_, k) => ({
    strongShare: sums[first + 1 + 2 * k]! / n,
    quality: sums[first + 2 + 2 * k]! / n,
  })).sort((a, b) => a.strongShare - b.strongShare);
}
