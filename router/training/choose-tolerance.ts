/** The shipped tolerance: as loose as still keeps the reference model's quality on prompts not trained on. */
import { CHARS_PER_TOKEN, type OutcomeTable, promptChars } from '../../datasets/index.ts';
import type { HeadPredictions } from '../heads/heads.ts';

const GRID = [0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25];
const KEEP = 0.98;

export interface ToleranceEvidence {
  /** Share of the best single model's quality that was to be kept. */
  readonly keep: number;
  readonly perSource: readonly {
    readonly source: string;
    readonly prompts: number;
    readonly reference: string;
    /** For each tolerance tried: quality over the reference's, cost over the reference's. */
    readonly grid: readonly { readonly tolerance: number; readonly quality: number; readonly cost: number }[];
  }[];
}

/**
 * On each source: pool = its priced models, reference = the best of them on the training part. The tolerance
 * chosen is the greatest on the grid for which, averaged over sources, routed quality is at least `keep` of
 * the reference's. It is an estimate without a bound: see the model card.
 */
export function chooseTolerance(
  calibration: OutcomeTable,
  predicted: HeadPredictions,
  training: OutcomeTable,
): { tolerance: number; evidence: ToleranceEvidence } {
  const m = calibration.modelIds.length;
  const perSource = [...new Set(calibration.prompts.map((p) => p.source))].sort().flatMap((source) => {
    const rows = calibration.prompts.flatMap((p, i) => (p.source === source ? [i] : []));
    const trainRows = training.prompts.flatMap((p, i) => (p.source === source ? [i] : []));
    // Models asked nearly everything, so that one prompt's choice is among the same ones as the next's.
    const pool = calibration.modelIds.flatMap((id, j) => {
      const priced =
        calibration.models[id]?.inputUsdPerMTok !== undefined && calibration.models[id]?.outputUsdPerMTok !== undefined;
      return priced && share(calibration, rows, j) > 0.9 && share(training, trainRows, j) > 0.9 ? [j] : [];
    });
    if (pool.length < 2 || rows.length < 20) return [];
    const reference = pool.reduce((a, b) => (mean(training, trainRows, b) > mean(training, trainRows, a) ? b : a));
    const cost = (i: number, j: number): number => {
      const info = calibration.models[calibration.modelIds[j]!]!;
      const input = promptChars(calibration.prompts[i]!) / CHARS_PER_TOKEN;
      return (input * info.inputUsdPerMTok! + predicted.outputTokens[i * m + j]! * info.outputUsdPerMTok!) / 1e6;
    };
    const grid = GRID.map((tolerance) => {
      let quality = 0;
      let spent = 0;
      let referenceQuality = 0;
      let referenceSpent = 0;
      for (const i of rows) {
        const here = pool.filter((j) => !Number.isNaN(calibration.quality[i * m + j]!));
        if (!here.includes(reference)) continue;
        const best = Math.max(...here.map((j) => predicted.quality[i * m + j]!));
        const adequate = here.filter((j) => predicted.quality[i * m + j]! >= best - tolerance);
        const pick = adequate.reduce((a, b) => (cost(i, b) < cost(i, a) ? b : a));
        quality += calibration.quality[i * m + pick]!;
        spent += cost(i, pick);
        referenceQuality += calibration.quality[i * m + reference]!;
        referenceSpent += cost(i, reference);
      }
      return { tolerance, quality: ratio(quality, referenceQuality), cost: ratio(spent, referenceSpent) };
    });
    return [{ source, prompts: rows.length, reference: calibration.modelIds[reference]!, grid }];
  });
  let tolerance = 0.02; // with nothing to measure on: nearly always the best
  if (perSource.length > 0) {
    tolerance = 0;
    for (const [g, value] of GRID.entries()) {
      const kept = perSource.reduce((s, p) => s + p.grid[g]!.quality, 0) / perSource.length;
      if (kept >= KEEP) tolerance = value;
    }
  }
  return { tolerance, evidence: { keep: KEEP, perSource } };
}

const ratio = (a: number, b: number): number => (b > 0 ? Number((a / b).toFixed(4)) : 1);

function share(table: OutcomeTable, rows: readonly number[], j: number): number {
  const m = table.modelIds.length;
  return rows.length === 0 ? 0 : rows.filter((i) => !Number.isNaN(table.quality[i * m + j]!)).length / rows.length;
}

function mean(table: OutcomeTable, rows: readonly number[], j: number): number {
  const m = table.modelIds.length;
  const values = rows.map((i) => table.quality[i * m + j]!).filter((q) => !Number.isNaN(q));
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b) / values.length;
}
