/** The estimated tolerance: as loose as still keeps the reference model's quality on prompts not trained on. */
import { CHARS_PER_TOKEN, hasHiddenReasoning, type OutcomeTable, promptChars } from '../../datasets/index.ts';
import type { HeadPredictions } from '../heads/heads.ts';
import { oddsOf, type Rule } from '../policy/rule.ts';

/** Tolerances tried, from the strictest up; declared here, before any data is seen. */
export const GRID = [0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25];
export const KEEP = 0.98;

/** Fewer prompts of a source than this are not measured on. */
const MIN_PROMPTS = 20;

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

/** A source as a router would meet it. */
export interface Pool {
  readonly source: string;
  /** Rows of the part measured on. */
  readonly rows: readonly number[];
  /** Columns of the candidates. */
  readonly columns: readonly number[];
  /** Column of the best of them on the training part. */
  readonly reference: number;
}

/**
 * Per source its candidates: models with prices and without hidden reasoning, asked nearly everything, so that
 * one prompt's choice is among the same ones as the next's. Outcomes of `part` are not looked at, only whether there are any.
 */
export function poolsOf(part: OutcomeTable, training: OutcomeTable): Pool[] {
  return [...new Set(part.prompts.map((p) => p.source))].sort().flatMap((source) => {
    const rows = part.prompts.flatMap((p, i) => (p.source === source ? [i] : []));
    const trainRows = training.prompts.flatMap((p, i) => (p.source === source ? [i] : []));
    const columns = part.modelIds.flatMap((id, j) => {
      const info = part.models[id];
      const priced = info?.inputUsdPerMTok !== undefined && info.outputUsdPerMTok !== undefined;
      const usable = priced && !hasHiddenReasoning(id, info);
      return usable && share(part, rows, j) > 0.9 && share(training, trainRows, j) > 0.9 ? [j] : [];
    });
    if (columns.length < 2 || rows.length < MIN_PROMPTS) return [];
    const reference = columns.reduce((a, b) => (mean(training, trainRows, b) > mean(training, trainRows, a) ? b : a));
    return [{ source, rows, columns, reference }];
  });
}

/** One prompt routed by the rule, in expectation over the rule's own draws, beside the reference model on the same. */
export interface Routed {
  readonly quality: number;
  readonly predicted: number;
  readonly costUsd: number;
  readonly reference: Omit<Routed, 'reference'>;
}

/**
 * @param predicted of all prompts of `part`
 * @param i         row of `part`
 * @returns null where the reference model was not asked
 */
export function routeRow(
  part: OutcomeTable,
  predicted: HeadPredictions,
  pool: Pool,
  i: number,
  rule: Rule,
): Routed | null {
  const m = part.modelIds.length;
  const here = pool.columns.filter((j) => !Number.isNaN(part.quality[i * m + j]!));
  const at = here.indexOf(pool.reference);
  if (at < 0) return null;
  const inputTokens = promptChars(part.prompts[i]!) / CHARS_PER_TOKEN;
  const options = here.map((j) => {
    const info = part.models[part.modelIds[j]!]!;
    const outputTokens = predicted.outputTokens[i * m + j]!;
    return {
      quality: part.quality[i * m + j]!,
      predicted: predicted.quality[i * m + j]!,
      costUsd: (inputTokens * info.inputUsdPerMTok! + outputTokens * info.outputUsdPerMTok!) / 1e6,
    };
  });
  const { probabilities } = oddsOf(
    options.map((o) => o.predicted),
    options.map((o) => o.costUsd),
    rule,
  );
  const expected = (key: 'quality' | 'predicted' | 'costUsd'): number =>
    options.reduce((sum, option, k) => sum + probabilities[k]! * option[key], 0);
  return {
    quality: expected('quality'),
    predicted: expected('predicted'),
    costUsd: expected('costUsd'),
    reference: options[at]!,
  };
}

/** The rule with nothing but a tolerance. */
export const plainRule = (tolerance: number, exploration = 0): Rule => ({
  tolerance,
  exploration,
  minQuality: 0,
  qualityPerUsd: null,
});

/**
 * The greatest tolerance of the grid for which, averaged over sources, routed quality is at least `KEEP` of the
 * reference's. It is an estimate without a bound: `certificate.ts` proves one where it can.
 */
export function chooseTolerance(
  calibration: OutcomeTable,
  predicted: HeadPredictions,
  training: OutcomeTable,
): { tolerance: number; evidence: ToleranceEvidence } {
  const perSource = poolsOf(calibration, training).map((pool) => {
    const grid = GRID.map((tolerance) => {
      const routed = pool.rows.flatMap((i) => routeRow(calibration, predicted, pool, i, plainRule(tolerance)) ?? []);
      const sum = (of: (row: Routed) => number): number => routed.reduce((s, row) => s + of(row), 0);
      return {
        tolerance,
        quality: ratio(
          sum((r) => r.quality),
          sum((r) => r.reference.quality),
        ),
        cost: ratio(
          sum((r) => r.costUsd),
          sum((r) => r.reference.costUsd),
        ),
      };
    });
    return { source: pool.source, prompts: pool.rows.length, reference: calibration.modelIds[pool.reference]!, grid };
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
