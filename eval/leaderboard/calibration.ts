/** Do a contender's probabilities mean what they say, model by model, and where it chose? */
import type { OutcomeTable } from '../../datasets/index.ts';
import { chosenSums, type MeasuredPart } from '../choices.ts';
import { debiasedSquaredCalibrationError } from '../metrics/calibration-error.ts';
import type { Part } from '../part.ts';

export interface CalibrationMeasure {
  /** Per model: debiased squared calibration error, which may be below 0; models with too few outcomes are absent. */
  readonly squaredErrorByModel: Readonly<Record<string, number>>;
  /** Mean over tried cells of (p̂ − quality)². */
  readonly brier: number;
  /** Mean over tried cells of the log loss above that of a forecast equal to the outcome itself, in nats. */
  readonly excessLogLoss: number;
  /** Mean over operating points and prompts of what was chosen. */
  readonly chosen: { readonly predicted: number; readonly observed: number } | null;
}

/** Forecasts of 0 and 1 would make a single surprise infinitely costly. */
const NEAREST = 1e-3;

/** @returns null for a contender that predicts no quality */
export function measureCalibration(parts: readonly MeasuredPart[], tests: readonly Part[]): CalibrationMeasure | null {
  if (parts.some((part) => part.measurement.predicted === undefined)) return null;
  const cells = new Map<string, Cells>();
  parts.forEach((part, f) => {
    collect(cells, tests[f]!.table, part.measurement.predicted!);
  });
  return summary(cells, chosen(parts, tests));
}

/** The same for forecasts of a table, n × m, of which nothing was chosen. */
export function cellCalibration(
  table: OutcomeTable,
  predicted: Float32Array | Float64Array,
): CalibrationMeasure | null {
  const cells = new Map<string, Cells>();
  collect(cells, table, predicted);
  return summary(cells, null);
}

interface Cells {
  readonly predicted: number[];
  readonly observed: number[];
}

function collect(byModel: Map<string, Cells>, table: OutcomeTable, predicted: Float32Array | Float64Array): void {
  const m = table.modelIds.length;
  predicted.forEach((p, at) => {
    const y = table.quality[at]!;
    if (Number.isNaN(y) || Number.isNaN(p)) return;
    const id = table.modelIds[at % m]!;
    const cells = byModel.get(id) ?? { predicted: [], observed: [] };
    byModel.set(id, cells);
    cells.predicted.push(p);
    cells.observed.push(y);
  });
}

function summary(byModel: ReadonlyMap<string, Cells>, chosen: CalibrationMeasure['chosen']): CalibrationMeasure | null {
  let n = 0;
  let brier = 0;
  let loss = 0;
  const squaredErrorByModel: Record<string, number> = {};
  for (const [id, { predicted, observed }] of byModel) {
    const error = debiasedSquaredCalibrationError(Float64Array.from(predicted), Float64Array.from(observed));
    if (error !== null) squaredErrorByModel[id] = error;
    n += predicted.length;
    predicted.forEach((p, i) => {
      brier += (p - observed[i]!) ** 2;
      loss += excessLogLoss(p, observed[i]!);
    });
  }
  return n === 0 ? null : { squaredErrorByModel, brier: brier / n, excessLogLoss: loss / n, chosen };
}

/** KL divergence of the forecast from the outcome, both as chances of success: 0 for p = y, also where y is graded. */
export function excessLogLoss(predicted: number, y: number): number {
  const p = Math.min(1 - NEAREST, Math.max(NEAREST, predicted));
  const term = (a: number, b: number) => (a === 0 ? 0 : a * Math.log(a / b));
  return term(y, p) + term(1 - y, 1 - p);
}

function chosen(parts: readonly MeasuredPart[], tests: readonly Part[]): CalibrationMeasure['chosen'] {
  let predicted = 0;
  let observed = 0;
  let n = 0;
  for (const [f, part] of parts.entries()) {
    const sums = chosenSums(part, tests[f]!);
    if (!sums) return null;
    predicted += sums.predicted;
    observed += sums.observed;
    n += tests[f]!.table.prompts.length;
  }
  return { predicted: predicted / n, observed: observed / n };
}
