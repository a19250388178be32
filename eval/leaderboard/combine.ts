/**
 * Splits → one board. The figure is the mean over splits. Its interval holds for other prompts and for other
 * splits: each replicate draws groups (the same draw in every split a group is tested in) and, from the splits,
 * as many with replacement; then the mean over the drawn splits is worked out anew.
 */
import { deriveSeed, seededRandom } from '../../datasets/index.ts';
import { percentileInterval } from '../metrics/bootstrap.ts';
import type { Estimate } from '../result.ts';
import type { ContenderMeasure, SplitMeasure } from './measure.ts';

export interface Standing {
  readonly name: string;
  readonly aiq: Estimate;
  readonly minusZero: Estimate;
  /** (AIQ − zero) / (oracle − zero), each a mean over splits first. */
  readonly gap: Estimate;
  /** AIQ minus that of the best of `rivals`, pair by pair; the best one's own is 0. */
  readonly behindBest: Estimate;
  /** Standard deviation of AIQ − zero over splits; null with one split. */
  readonly sdOverSplits: number | null;
  readonly differsFromZero: number | null;
  readonly calibration: CalibrationStanding | null;
}

export interface CalibrationStanding {
  /** Root of the debiased squared error, mean over splits first: mean and worst over models. */
  readonly meanError: number;
  readonly worstError: Estimate;
  readonly worstModel: string;
  readonly brier: number;
  /** Brier score minus mean-quality's; below 0 is better. */
  readonly brierMinusMean: Estimate;
  readonly excessLogLoss: number;
  readonly chosenPredicted: number | null;
  readonly chosenObserved: number | null;
}

export interface CombineOptions {
  readonly seed: number;
  /** Names that `behindBest` looks for the best among. */
  readonly rivals: readonly string[];
  /** Whose Brier score the others' is compared with. */
  readonly reference: string;
}

/** Standings of everybody who took part in every split, in the order of the first split. */
export function combineSplits(splits: readonly SplitMeasure[], options: CombineOptions): Standing[] {
  const names = Object.keys(splits[0]!.contenders).filter((name) => splits.every((s) => s.contenders[name]));
  const replicates = splits[0]!.contenders[names[0]!]!.replicates.length;
  const draws = splitDraws(splits.length, replicates, options.seed);
  const of = (name: string): readonly ContenderMeasure[] => splits.map((s) => s.contenders[name]!);
  const valueFor = (name: string) => mean(of(name).map((c) => c.aiq ?? Number.NaN));
  const replicatesOf = (name: string): Float64Array => {
    const all = of(name);
    return Float64Array.from(draws, (drawn, r) => mean(drawn.map((s) => all[s]!.replicates[r]!)));
  };
  const values = new Map(names.map((name) => [name, valueFor(name)]));
  const drawn = new Map(names.map((name) => [name, replicatesOf(name)]));
  const zero = { value: values.get('zero')!, drawn: drawn.get('zero')! };
  const oracle = { value: values.get('oracle')!, drawn: drawn.get('oracle')! };
  const best = options.rivals
    .filter((name) => values.has(name))
    .reduce<string | null>((a, b) => (a === null || values.get(b)! > values.get(a)! ? b : a), null);

  return names.map((name): Standing => {
    const value = values.get(name)!;
    const own = drawn.get(name)!;
    const minus = (other: { value: number; drawn: Float64Array }) =>
      estimate(
        value - other.value,
        own.map((x, r) => x - other.drawn[r]!),
      );
    const overSplits = splits.map((s) => (s.contenders[name]!.aiq ?? Number.NaN) - s.contenders.zero!.aiq!);
    const differs = of(name).map((c) => c.differsFromZero);
    return {
      name,
      aiq: estimate(value, own),
      minusZero: minus(zero),
      gap: estimate(
        (value - zero.value) / (oracle.value - zero.value),
        own.map((x, r) => (x - zero.drawn[r]!) / (oracle.drawn[r]! - zero.drawn[r]!)),
      ),
      behindBest:
        best === null ? estimate(Number.NaN, own) : minus({ value: values.get(best)!, drawn: drawn.get(best)! }),
      sdOverSplits: splits.length > 1 ? deviation(overSplits) : null,
      differsFromZero: differs.includes(null) ? null : mean(differs as number[]),
      calibration: calibrationStanding(
        of(name),
        splits.map((s) => s.contenders[options.reference]),
        draws,
      ),
    };
  });
}

/** One figure over several draws or splits: their mean, with an interval for other prompts and other draws together. */
export function combineDraws(
  draws: readonly { readonly value: number; readonly replicates: readonly number[] }[],
  replicates: number,
  seed: number,
): Estimate {
  const taken = splitDraws(draws.length, replicates, seed);
  return estimate(
    mean(draws.map((d) => d.value)),
    Float64Array.from(taken, (drawn, r) => mean(drawn.map((s) => draws[s]!.replicates[r]!))),
  );
}

/** Which splits each replicate takes. */
export function splitDraws(splits: number, replicates: number, seed: number): number[][] {
  const random = seededRandom(deriveSeed(seed, 'draw-splits'));
  return Array.from({ length: replicates }, () => Array.from({ length: splits }, () => Math.floor(random() * splits)));
}

/** The intervals are over splits alone. */
function calibrationStanding(
  own: readonly ContenderMeasure[],
  reference: readonly (ContenderMeasure | undefined)[],
  draws: readonly (readonly number[])[],
): CalibrationStanding | null {
  const measures = own.map((c) => c.calibration);
  if (measures.some((c) => c === null)) return null;
  const all = measures as NonNullable<(typeof measures)[number]>[];
  const ids = Object.keys(all[0]!.squaredErrorByModel).filter((id) => all.every((c) => id in c.squaredErrorByModel));
  if (ids.length === 0) return null;
  const errorOf = (id: string, of: readonly number[]) =>
    Math.sqrt(Math.max(0, mean(of.map((s) => all[s]!.squaredErrorByModel[id]!))));
  const every = all.map((_, s) => s);
  const errors = ids.map((id) => errorOf(id, every));
  const worst = errors.indexOf(Math.max(...errors));
  const brierGap = all.map((c, s) => c.brier - (reference[s]?.calibration?.brier ?? Number.NaN));
  const chosen = all.every((c) => c.chosen !== null);
  return {
    meanError: mean(errors),
    worstError: estimate(
      errors[worst]!,
      Float64Array.from(draws, (drawn) => errorOf(ids[worst]!, drawn)),
    ),
    worstModel: ids[worst]!,
    brier: mean(all.map((c) => c.brier)),
    brierMinusMean: estimate(
      mean(brierGap),
      Float64Array.from(draws, (drawn) => mean(drawn.map((s) => brierGap[s]!))),
    ),
    excessLogLoss: mean(all.map((c) => c.excessLogLoss)),
    chosenPredicted: chosen ? mean(all.map((c) => c.chosen!.predicted)) : null,
    chosenObserved: chosen ? mean(all.map((c) => c.chosen!.observed)) : null,
  };
}

function estimate(value: number, replicates: Float64Array): Estimate {
  if (!Number.isFinite(value)) return { value: null, low: null, high: null };
  return { value, ...percentileInterval(replicates.filter((x) => !Number.isNaN(x))) };
}

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;

function deviation(xs: readonly number[]): number {
  const centre = mean(xs);
  return Math.sqrt(xs.reduce((sum, x) => sum + (x - centre) ** 2, 0) / (xs.length - 1));
}
