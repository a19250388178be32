/** Figures of every router on one set of units, each with an interval from one paired bootstrap. */
import type { CellSum } from './cell-sums.ts';
import { FIGURE_INFO, FIGURES, type FigureName, type Figures } from './figures.ts';
import { aiq, aiqLinear, type CostRange, curveFrom } from './metrics/aiq.ts';
import { apgr, cpt, type DeferralPoint } from './metrics/apgr.ts';
import { aucFrom } from './metrics/auc.ts';
import { centredInterval, forEachResample, type Interval, percentileInterval } from './metrics/bootstrap.ts';
import { costSave } from './metrics/cost-save.ts';
import type { CurvePoint } from './metrics/curve-point.ts';
import { deferralArea } from './metrics/deferral-area.ts';
import { gain, gapAtOracle } from './metrics/gains.ts';
import { hypervolumeRatio, type PoolBox } from './metrics/hypervolume.ts';
import { rowWeights } from './metrics/paired-bootstrap.ts';
import { paretoDist, paretoFrontier } from './metrics/pareto.ts';
import { perfGain } from './metrics/perf-gain.ts';
import { costApgr, costCpt } from './metrics/pgr.ts';
import { qualityNeutralCost } from './metrics/quality-neutral-cost.ts';
import { arenaScore } from './metrics/router-arena.ts';
import { routerBenchAiq } from './metrics/routerbench-aiq.ts';
import { savingAt } from './metrics/savings.ts';
import { KEEP_SHARES, OPERATING_SHARE } from './operating-point.ts';
import {
  calibrationColumn,
  costColumn,
  deferralColumn,
  promiseColumn,
  qualityColumn,
  type Ranking,
  type Tally,
  type Units,
  weightedSums,
} from './tally.ts';

/** What all routers are measured against; each a tally of its own. */
export interface References {
  readonly cheapest: Tally;
  readonly dearest: Tally;
  readonly worst: Tally;
  readonly best: Tally;
  readonly random: Tally;
  readonly baseline: Tally;
  readonly zero: Tally;
  readonly oracle: Tally;
}

/** Sums in another order differ by less than this. */
const ROUNDING = 1e-9;

/** Fewer resamples or units than these give no interval. */
const LEAST_REPLICATES = 20;
const LEAST_UNITS = 5;

/** Resamples worked on at once. */
const BLOCK = 64;

/** Intervals of one operating point. */
export interface PointInterval {
  readonly costUsd: Interval;
  readonly quality: Interval;
}

export interface RouterStatistics {
  readonly name: string;
  readonly points: readonly CurvePoint[];
  readonly pointIntervals: readonly PointInterval[];
  readonly figures: Figures;
  readonly intervals: Readonly<Record<FigureName, Interval>>;
  /** Each figure on each resample; ±∞ or NaN where it is not defined. */
  readonly replicates: Readonly<Record<FigureName, Float64Array>>;
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
  const replicatedPoints = tallies.map((t) =>
    Array.from({ length: t.points }, () => ({
      costUsd: new Float64Array(replicates),
      quality: new Float64Array(replicates),
    })),
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
          const at = r + 1 - filled + b;
          for (const f of FIGURES) {
            replicated[t]![f][at] = router.figures[f] ?? FIGURE_INFO[f].undefinedAt ?? Number.NaN;
          }
          router.points.forEach(({ costUsd, quality }, k) => {
            replicatedPoints[t]![k]!.costUsd[at] = costUsd;
            replicatedPoints[t]![k]!.quality[at] = quality;
          });
        });
      });
    },
    options.hierarchical ? Int32Array.from(kept, (u) => units.part[u]!) : undefined,
  );

  const none: Interval = { low: null, high: null };
  // A handful of draws, or draws of a handful, say nothing of what other prompts would have shown.
  const known = replicates >= LEAST_REPLICATES && kept.length >= LEAST_UNITS;
  const intervalOf = (figure: FigureName, value: number | null, draws: Float64Array): Interval => {
    if (!known || value === null) return none;
    return FIGURE_INFO[figure].biased ? centredInterval(value, draws) : percentileInterval(draws);
  };
  return {
    range: value.range,
    baseline: value.baseline,
    routers: value.routers.map((router, t) => ({
      ...router,
      pointIntervals: replicatedPoints[t]!.map(({ costUsd, quality }) => ({
        costUsd: known ? percentileInterval(costUsd) : none,
        quality: known ? percentileInterval(quality) : none,
      })),
      intervals: Object.fromEntries(
        FIGURES.map((f) => [f, intervalOf(f, router.figures[f], replicated[t]![f])]),
      ) as Record<FigureName, Interval>,
      replicates: replicated[t]!,
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
    const own = weights.subarray(r * units.count, (r + 1) * units.count);
    return figuresOf(
      tallies,
      references,
      prompts,
      (t) => sums.get(t)!.subarray(r * t.columns, (r + 1) * t.columns),
      ({ unit, weights: into }) => rowWeights(own, unit, into),
    );
  });
}

function figuresOf(
  tallies: readonly Tally[],
  references: References,
  prompts: number,
  sumsOf: (t: Tally) => Float64Array,
  weightsOf: (ranking: Ranking) => Float64Array,
) {
  const pointsOf = (t: Tally): CurvePoint[] => {
    const s = sumsOf(t);
    return Array.from({ length: t.points }, (_, k) => ({
      costUsd: s[costColumn(k)]! / prompts,
      quality: s[qualityColumn(k)]! / prompts,
    }));
  };
  const one = (t: Tally) => pointsOf(t)[0]!;
  const cheapest = one(references.cheapest);
  const range: CostRange = {
    lowUsd: cheapest.costUsd,
    highUsd: one(references.dearest).costUsd,
    lowQuality: cheapest.quality,
  };
  const baseline = one(references.baseline);
  const oraclePoints = pointsOf(references.oracle);
  const curves = tallies.map(pointsOf);
  const pool: Pool = {
    range,
    baseline,
    best: one(references.best),
    random: one(references.random),
    box: { ...range, lowQuality: one(references.worst).quality, highQuality: one(references.best).quality },
    zeroAiq: aiq(pointsOf(references.zero), range),
    zeroAiqLinear: aiqLinear(pointsOf(references.zero), range),
    oracleAiq: aiq(oraclePoints, range),
    oraclePoints,
    routerBench: routerBenchAiq(curves.map((points, t) => (tallies[t]!.kind === 'hindsight' ? [] : points))),
    frontier: frontierOf(tallies.flatMap((t, k) => (t.kind === 'hindsight' ? [] : curves[k]!))),
  };
  const routers = tallies.map((t, k) => {
    const points = curves[k]!;
    const sums = sumsOf(t);
    const figures: Figures = {
      ...curveFigures(points, pool, pool.routerBench[k] ?? null),
      ...promiseFigures(t, sums, prompts, pool),
      ...pairFigures(deferralOf(t, sums)),
      ...cellFigures(t, sums, prompts),
      ece: eceOf(t, sums),
      withinAuc: t.ranking && aucOf(t.ranking, weightsOf),
    };
    return { name: t.name, points, figures };
  });
  return { routers, range, baseline };
}

/** What a curve is read against, on the same resample. */
interface Pool {
  readonly range: CostRange;
  readonly baseline: CurvePoint;
  readonly best: CurvePoint;
  readonly random: CurvePoint;
  readonly box: PoolBox;
  readonly zeroAiq: number | null;
  readonly zeroAiqLinear: number | null;
  readonly oracleAiq: number | null;
  readonly oraclePoints: readonly CurvePoint[];
  /** RouterBench's AIQ of each router: it depends on the others. */
  readonly routerBench: readonly (number | null)[];
  /** Pareto frontier of all routers that do not see the outcomes. */
  readonly frontier: readonly CurvePoint[];
}

const frontierOf = (points: readonly CurvePoint[]): CurvePoint[] => paretoFrontier(points).map((k) => points[k]!);

function curveFigures(points: readonly CurvePoint[], pool: Pool, routerBench: number | null) {
  const { range, baseline, best, box } = pool;
  const curve = curveFrom(points, range);
  const own = aiq(points, range);
  const linear = aiqLinear(points, range);
  const top = points.at(-1)!;
  const gap = { ...range, highQuality: best.quality };
  const only = (x: number) => Float64Array.of(x);
  return {
    aiq: own,
    aiqMinusZero: own === null || pool.zeroAiq === null ? null : own - pool.zeroAiq,
    aiqLinear: linear,
    aiqLinearMinusZero: linear === null || pool.zeroAiqLinear === null ? null : linear - pool.zeroAiqLinear,
    gapRecovered: gapRecovered(own, pool.zeroAiq, pool.oracleAiq),
    qualityNeutralCost: qualityNeutralCost(curve, baseline),
    saving95: savingAt(curve, baseline, 0.95),
    saving98: savingAt(curve, baseline, 0.98),
    saving100: savingAt(curve, baseline, 1),
    costApgr: costApgr(points, gap),
    costCpt50: costCpt(points, gap, 0.5),
    costCpt80: costCpt(points, gap, 0.8),
    routerBenchAiq: routerBench,
    deferralArea: deferralArea(curve, range.highUsd),
    deferralAreaHalf: deferralArea(curve, range.highUsd, 0.5),
    hypervolume: hypervolumeRatio(curve, pool.oraclePoints, box),
    hypervolumeLog: hypervolumeRatio(curve, pool.oraclePoints, box, 'log'),
    gainAtRandom: gain(only(top.quality), only(pool.random.quality)).ratioOfMeans,
    gainAtBest: gain(only(top.quality), only(best.quality)).ratioOfMeans,
    gapAtOracle: gapAtOracle(only(top.quality), only(pool.oraclePoints.at(-1)!.quality)).ratioOfMeans,
    perfGain: perfGain(points, best),
    costSave: costSave(points, best),
    paretoDist: paretoDist(points, pool.frontier, box),
  };
}

function promiseFigures(t: Tally, sums: Float64Array, prompts: number, { baseline }: Pool) {
  const cost = (k: number) => sums[promiseColumn(t, k)]! / prompts;
  const quality = (k: number) => sums[promiseColumn(t, k) + 1]! / prompts;
  const operating = KEEP_SHARES.indexOf(OPERATING_SHARE);
  return {
    promisedSaving95: complement(ratio(cost(0), baseline.costUsd)),
    promisedSaving98: complement(ratio(cost(1), baseline.costUsd)),
    promisedSaving100: complement(ratio(cost(2), baseline.costUsd)),
    keptQuality95: ratio(quality(0), baseline.quality),
    keptQuality98: ratio(quality(1), baseline.quality),
    keptQuality100: ratio(quality(2), baseline.quality),
    arenaScore: t.reached ? arenaScore(quality(operating), 1000 * cost(operating)) : null,
  };
}

const aucOf = (ranking: Ranking, weightsOf: (ranking: Ranking) => Float64Array): number | null =>
  ranking.constant !== undefined
    ? ranking.constant
    : aucFrom(ranking.order, ranking.observed, weightsOf(ranking), 'rows');

const pairFigures = (deferral: DeferralPoint[] | null) => ({
  apgr: deferral && apgr(deferral),
  cpt50: deferral && cpt(deferral, 0.5),
  cpt80: deferral && cpt(deferral, 0.8),
});

function cellFigures(t: Tally, sums: Float64Array, prompts: number) {
  const of = (name: CellSum): number | null => {
    const column = t.named.get(name);
    return column === undefined ? null : sums[column]!;
  };
  const mean = (name: CellSum, count: CellSum): number | null => {
    const [x, n] = [of(name), of(count)];
    return x === null || n === null ? null : ratio(x, n);
  };
  const difference = (a: number | null, b: number | null) => (a === null || b === null ? null : a - b);
  const regret = of('regret');
  const costs = mean('costForecast', 'costOutcome');
  return {
    optSel: mean('optimalPicks', 'solvable'),
    optCost: mean('rightOptimalCost', 'rightCost'),
    optAcc: mean('solvableQuality', 'solvable'),
    regret: regret === null ? null : regret / prompts,
    brier: mean('squaredError', 'cells'),
    logLoss: mean('logLoss', 'cells'),
    excessLogLoss: difference(mean('logLoss', 'cells'), mean('entropy', 'cells')),
    decisionBias: difference(mean('chosenForecast', 'chosen'), mean('chosenOutcome', 'chosen')),
    costBias: costs === null ? null : costs - 1,
    costError: mean('costLogError', 'costCells'),
    tokenError: mean('tokenLogError', 'tokenCells'),
  };
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
