/**
 * One split measured: every contender's AIQ on the test part, once as it is and once under each shared resample
 * of the units, so that contenders, splits and sources can be compared pair by pair afterwards.
 */
import { differenceSum, type MeasuredPart } from '../choices.ts';
import type { FoldResult } from '../fold.ts';
import { aiq } from '../metrics/aiq.ts';
import { forEachResample } from '../metrics/bootstrap.ts';
import { addPoints, costColumn, qualityColumn, shareEqualPoints, weightedSums } from '../tally.ts';
import { type CalibrationMeasure, measureCalibration } from './calibration.ts';

/** The draws that everything on a source shares. */
export interface Resamples {
  /** Groups of the source; or groups inside a left-out benchmark. */
  readonly units: number;
  readonly replicates: number;
  readonly seed: number;
  /** Of each unit the left-out benchmark it is from: then benchmarks are drawn first. */
  readonly strata?: Int32Array;
}

export interface ContenderMeasure {
  /** Mean quality over ln cost; null where it is not defined, e.g. where all models cost the same. */
  readonly aiq: number | null;
  /** The same under each resample; NaN where not defined. */
  readonly replicates: readonly number[];
  /** Share of the prompts on which the choice differs from the zero router's; null where there is one point only. */
  readonly differsFromZero: number | null;
  readonly calibration: CalibrationMeasure | null;
}

/** A lead over the zero router under another analysis. */
export interface OtherLead {
  readonly value: number;
  /** The same under each resample. */
  readonly replicates: readonly number[];
}

export interface SplitMeasure {
  readonly trainPrompts: number;
  readonly testPrompts: number;
  readonly contenders: Readonly<Record<string, ContenderMeasure>>;
  /** Who has no say here, and why. */
  readonly unfit: Readonly<Record<string, string>>;
  /** Our lead, by analysis (`sensitivity.ts`); absent where it was not asked for. */
  readonly sensitivity?: Readonly<Record<string, OtherLead>>;
}

/** Resamples worked on at once. */
const BLOCK = 64;

/**
 * @param folds  test parts that are read as one: the only one of a split by group, or each left-out benchmark
 * @param unitOf per fold and test prompt: its unit among `resamples.units`
 */
export function measureSplit(
  folds: readonly FoldResult[],
  unitOf: readonly Int32Array[],
  resamples: Resamples,
): SplitMeasure {
  const names = [...folds[0]!.measured.keys()];
  const unfit: Record<string, string> = {};
  const parts = new Map<string, MeasuredPart[]>();
  for (const name of names) {
    const all = folds.map((fold) => fold.measured.get(name)!);
    const reason = all.find((part) => typeof part === 'string');
    if (reason !== undefined) unfit[name] = reason;
    else parts.set(name, all as MeasuredPart[]);
  }
  const curves = aiqUnderResamples(parts, unitOf, resamples);
  const zero = parts.get('zero');
  const testPrompts = unitOf.reduce((sum, units) => sum + units.length, 0);
  const contenders: Record<string, ContenderMeasure> = {};
  for (const [name, measured] of parts) {
    const differs = measured.map((part, f) => (zero ? differenceSum(part, zero[f]!) : null));
    contenders[name] = {
      ...curves.get(name)!,
      differsFromZero: differs.includes(null) ? null : (differs as number[]).reduce((a, b) => a + b, 0) / testPrompts,
      calibration: measureCalibration(
        measured,
        folds.map((fold) => fold.test),
      ),
    };
  }
  return {
    trainPrompts: Math.round(folds.reduce((sum, fold) => sum + fold.trainPrompts, 0) / folds.length),
    testPrompts,
    contenders,
    unfit,
  };
}

/** Curves are summed per unit, weighted, and AIQ is worked out anew for each resample, ends of the cost axis included. */
function aiqUnderResamples(
  parts: ReadonlyMap<string, readonly MeasuredPart[]>,
  unitOf: readonly Int32Array[],
  { units, replicates, seed, strata }: Resamples,
): Map<string, Pick<ContenderMeasure, 'aiq' | 'replicates'>> {
  // Only the units of the test parts are kept: sums over the others are 0.
  const own = [...new Set(unitOf.flatMap((of) => [...of]))].sort((a, b) => a - b);
  const place = new Map(own.map((unit, k) => [unit, k]));
  const local = unitOf.map((of) => of.map((unit) => place.get(unit)!));
  const prompts = new Float64Array(own.length);
  for (const of of local) for (const k of of) prompts[k]! += 1;
  const curves = new Map([...parts].map(([name, measured]) => [name, sumsOf(measured, local, own.length)]));

  const under = (weights: Float64Array, count: number): Map<string, (number | null)[]> => {
    const sums = new Map([...curves].map(([name, curve]) => [name, weightedSums(curve, weights, count)]));
    const out = new Map<string, (number | null)[]>([...curves.keys()].map((name) => [name, []]));
    for (let r = 0; r < count; r++) {
      let n = 0;
      for (let k = 0; k < own.length; k++) n += weights[r * own.length + k]! * prompts[k]!;
      const pointsOf = (name: string) => {
        const curve = curves.get(name)!;
        const s = sums.get(name)!.subarray(r * curve.columns, (r + 1) * curve.columns);
        return Array.from({ length: curve.points }, (_, k) => ({
          costUsd: s[costColumn(k)]! / n,
          quality: s[qualityColumn(k)]! / n,
        }));
      };
      const cheapest = pointsOf('cheapest')[0]!;
      const range = {
        lowUsd: cheapest.costUsd,
        highUsd: pointsOf('dearest')[0]!.costUsd,
        lowQuality: cheapest.quality,
      };
      for (const name of curves.keys()) out.get(name)!.push(aiq(pointsOf(name), range));
    }
    return out;
  };

  const value = under(new Float64Array(own.length).fill(1), 1);
  const replicated = new Map<string, number[]>([...curves.keys()].map((name) => [name, []]));
  const block = new Float64Array(Math.min(BLOCK, replicates) * own.length);
  forEachResample(
    units,
    replicates,
    seed,
    (drawn, r) => {
      const row = (r % BLOCK) * own.length;
      own.forEach((unit, k) => {
        block[row + k] = drawn[unit]!;
      });
      const filled = (r % BLOCK) + 1;
      if (filled < BLOCK && r + 1 < replicates) return;
      for (const [name, values] of under(block, filled)) {
        replicated.get(name)!.push(...values.map((v) => v ?? Number.NaN));
      }
    },
    strata,
  );
  return new Map(
    [...curves.keys()].map((name) => [name, { aiq: value.get(name)![0]!, replicates: replicated.get(name)! }]),
  );
}

interface CurveSums {
  readonly points: number;
  readonly columns: number;
  readonly sums: Float64Array[];
}

function sumsOf(parts: readonly MeasuredPart[], unitOf: readonly Int32Array[], units: number): CurveSums {
  const points = Math.max(...parts.map((part) => part.frozen.points.length));
  const out: CurveSums = {
    points,
    columns: 2 * points,
    sums: Array.from({ length: 2 * points }, () => new Float64Array(units)),
  };
  parts.forEach((part, f) => {
    addPoints(out, part.frozen, part.measurement, unitOf[f]!);
  });
  shareEqualPoints(out, { parts });
  return out;
}
