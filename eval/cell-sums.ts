/**
 * Sums per resampling unit beside those of the curve: how far the forecasts of single answers can be believed, and
 * what was picked at the operating point. Each is a plain sum, so a resample is a weighting of it.
 */
import type { MeasuredPart } from './choices.ts';
import { binaryEntropy, crossEntropy } from './metrics/log-loss.ts';
import { bestPointAt, cheapestKeeping, OPERATING_SHARE, type SettingShare, settingShares } from './operating-point.ts';
import type { Part } from './part.ts';

export const CELL_SUMS = [
  // Tried cells with a forecast of quality.
  'cells',
  'squaredError',
  'logLoss',
  'entropy',
  // What was chosen, over all operating points: how often, forecast, outcome.
  'chosen',
  'chosenForecast',
  'chosenOutcome',
  // Tried cells with a forecast of cost (or tokens), both above 0: |ln forecast / outcome|.
  'costCells',
  'costForecast',
  'costOutcome',
  'costLogError',
  'tokenCells',
  'tokenLogError',
  // At the operating point, over prompts that some candidate got right: the cheapest right model was taken; quality;
  // and where the pick was right, what it cost and what the cheapest right one would have.
  'solvable',
  'optimalPicks',
  'solvableQuality',
  'rightCost',
  'rightOptimalCost',
  // Σ max (q − λ c) − (q − λ c) at the task's exchange rate, over prompts.
  'regret',
] as const;
export type CellSum = (typeof CELL_SUMS)[number];

export interface CellSumsInput {
  readonly measured: MeasuredPart;
  readonly part: Part;
  readonly unitOf: Int32Array;
  /** λ: quality that one USD is worth, chosen on the training part. */
  readonly qualityPerUsd: number;
}

/** Sums of one test part, added to `into`; a sum that the router has no say on stays out. */
export function addCellSums(
  { measured, part, unitOf, qualityPerUsd }: CellSumsInput,
  into: (name: CellSum) => Float64Array,
): void {
  const { frozen, measurement } = measured;
  const { table } = part;
  const m = table.modelIds.length;
  const unitOfCell = (at: number) => unitOf[Math.floor(at / m)]!;

  if (measurement.predicted) {
    const { predicted } = measurement;
    const [cells, squared, loss, entropy] = [into('cells'), into('squaredError'), into('logLoss'), into('entropy')];
    for (let at = 0; at < predicted.length; at++) {
      const y = table.quality[at]!;
      const p = predicted[at]!;
      if (Number.isNaN(y) || Number.isNaN(p)) continue;
      const u = unitOfCell(at);
      cells[u]! += 1;
      squared[u]! += (p - y) ** 2;
      loss[u]! += crossEntropy(p, y);
      entropy[u]! += binaryEntropy(y);
    }
    const choices = frozen.points.flatMap(({ a, b, weight }) => [
      { setting: a, share: (1 - weight) / frozen.points.length },
      { setting: b, share: weight / frozen.points.length },
    ]);
    if (choices.every(({ setting }) => measurement.outcomes.get(setting)!.choice)) {
      const [chosen, forecast, outcome] = [into('chosen'), into('chosenForecast'), into('chosenOutcome')];
      for (const { setting, share } of choices) {
        if (share === 0) continue;
        measurement.outcomes.get(setting)!.choice!.forEach((j, i) => {
          const p = predicted[i * m + j]!;
          if (Number.isNaN(p)) return;
          const u = unitOf[i]!;
          chosen[u]! += share;
          forecast[u]! += share * p;
          outcome[u]! += share * table.quality[i * m + j]!;
        });
      }
    }
  }
  if (measurement.expected) {
    const { costUsd, outputTokens } = measurement.expected;
    const [cells, forecast, outcome, error] = [
      into('costCells'),
      into('costForecast'),
      into('costOutcome'),
      into('costLogError'),
    ];
    for (let at = 0; at < costUsd.length; at++) {
      const c = part.costUsd[at]!;
      if (!(c > 0 && costUsd[at]! > 0)) continue;
      const u = unitOfCell(at);
      cells[u]! += 1;
      forecast[u]! += costUsd[at]!;
      outcome[u]! += c;
      error[u]! += Math.abs(Math.log(costUsd[at]! / c));
    }
    if (outputTokens) {
      const [tokens, tokenError] = [into('tokenCells'), into('tokenLogError')];
      for (let at = 0; at < outputTokens.length; at++) {
        const t = table.outputTokens[at]!;
        if (part.constantLength[Math.floor(at / m)] === 1 || !(t > 0 && outputTokens[at]! > 0)) continue;
        if (Number.isNaN(table.quality[at]!)) continue;
        tokens[unitOfCell(at)]! += 1;
        tokenError[unitOfCell(at)]! += Math.abs(Math.log(outputTokens[at]! / t));
      }
    }
  }

  addRegret(measured, part, unitOf, qualityPerUsd, into);
  const mix = cheapestKeeping(frozen, OPERATING_SHARE);
  const settings = mix && settingShares(frozen, mix);
  if (settings?.every(({ setting }) => measurement.outcomes.get(setting)!.choice)) {
    addPicks(measured, settings, part, unitOf, into);
  }
}

/** The sums behind RouterArena's figures, an answer being right at quality 1 (`metrics/router-arena.ts`). */
function addPicks(
  { measurement }: MeasuredPart,
  settings: readonly SettingShare[],
  { table, costUsd }: Part,
  unitOf: Int32Array,
  into: (name: CellSum) => Float64Array,
): void {
  const m = table.modelIds.length;
  const [solvable, picks, quality] = [into('solvable'), into('optimalPicks'), into('solvableQuality')];
  const [rightCost, optimalCost] = [into('rightCost'), into('rightOptimalCost')];
  for (let i = 0; i < unitOf.length; i++) {
    const u = unitOf[i]!;
    let least = Number.POSITIVE_INFINITY;
    for (let at = i * m; at < i * m + m; at++) if (table.quality[at] === 1) least = Math.min(least, costUsd[at]!);
    if (least === Number.POSITIVE_INFINITY) continue;
    solvable[u]! += 1;
    for (const { setting, share } of settings) {
      const at = i * m + measurement.outcomes.get(setting)!.choice![i]!;
      quality[u]! += share * table.quality[at]!;
      if (table.quality[at] !== 1) continue;
      if (costUsd[at]! <= least) picks[u]! += share;
      rightCost[u]! += share * costUsd[at]!;
      optimalCost[u]! += share * least;
    }
  }
}

function addRegret(
  { frozen, measurement }: MeasuredPart,
  { table, costUsd }: Part,
  unitOf: Int32Array,
  qualityPerUsd: number,
  into: (name: CellSum) => Float64Array,
): void {
  const m = table.modelIds.length;
  const { a, b, weight } = frozen.points[bestPointAt(frozen, qualityPerUsd)]!;
  const first = measurement.outcomes.get(a)!;
  const second = measurement.outcomes.get(b)!;
  const regret = into('regret');
  for (let i = 0; i < unitOf.length; i++) {
    let top = Number.NEGATIVE_INFINITY;
    for (let at = i * m; at < i * m + m; at++) {
      if (!Number.isNaN(table.quality[at]!)) top = Math.max(top, table.quality[at]! - qualityPerUsd * costUsd[at]!);
    }
    const utility =
      (1 - weight) * (first.quality[i]! - qualityPerUsd * first.costUsd[i]!) +
      weight * (second.quality[i]! - qualityPerUsd * second.costUsd[i]!);
    regret[unitOf[i]!]! += top - utility;
  }
}
