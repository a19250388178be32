/**
 * Would another analyst have come to the same end? The lead over the zero router once more, on the same answers and
 * forecasts, with each of the analysis' own choices made another way. Nothing is fitted again.
 */
import type { Contender } from './contender.ts';
import { GRID_POINTS } from './curve.ts';
import { type FoldResult, runParts, triedRows } from './fold.ts';
import { type Part, selectPartRows } from './part.ts';
import { singleModels } from './single-models.ts';

interface Variant {
  readonly analysis: string;
  readonly gridPoints?: number;
  /** The parts as this analysis sees them; default: as they are. */
  readonly change?: (part: Part, train: Part) => Part;
}

/** @param hidden candidates whose hidden tokens were not counted */
export function variantsOf(folds: readonly FoldResult[], hidden: readonly string[]): Variant[] {
  const holes = folds.some(({ test }) => test.table.quality.some(Number.isNaN));
  return [
    {
      analysis: `${(GRID_POINTS - 1) / 2 + 1} operating points instead of ${GRID_POINTS}`,
      gridPoints: (GRID_POINTS - 1) / 2 + 1,
    },
    { analysis: `${2 * GRID_POINTS - 1} operating points`, gridPoints: 2 * GRID_POINTS - 1 },
    { analysis: 'one price a call for each model, whatever its length', change: flatPrices },
    ...(holes ? [{ analysis: 'only test prompts that every model answered', change: completeRows }] : []),
    ...(hidden.length > 0
      ? [3, 10].map((factor) => ({
          analysis: `reasoning models at ${factor} × their counted tokens`,
          change: (part: Part) => moreTokens(part, hidden, factor),
        }))
      : []),
  ];
}

/** The folds measured again as a variant sees them; null where it leaves nothing to measure. */
export async function measureVariant(
  { gridPoints, change }: Variant,
  folds: readonly FoldResult[],
  contenders: readonly Contender[],
  options: { readonly seed: number; readonly baseline?: string },
): Promise<FoldResult[] | null> {
  const out: FoldResult[] = [];
  for (const { name, train, test } of folds) {
    const parts = change ? { name, train: change(train, train), test: change(test, train) } : { name, train, test };
    if (parts.train.table.prompts.length === 0 || parts.test.table.prompts.length === 0) return null;
    out.push(
      await runParts(parts, contenders, { ...options, ...(gridPoints && { gridPoints }), onProgress: () => {} }),
    );
  }
  return out;
}

function flatPrices(part: Part, train: Part): Part {
  const { costUsd } = singleModels(train);
  const m = costUsd.length;
  return {
    ...part,
    costUsd: part.costUsd.map((c, at) => (Number.isNaN(c) ? Number.NaN : costUsd[at % m]!)),
  };
}

/** Of the test part alone: another training part would be another router. */
function completeRows(part: Part, train: Part): Part {
  if (part === train) return part;
  const m = part.table.modelIds.length;
  const rows = part.table.prompts
    .map((_, i) => i)
    .filter((i) => !part.table.quality.subarray(i * m, i * m + m).some(Number.isNaN));
  return triedRows(selectPartRows(part, rows));
}

function moreTokens(part: Part, models: readonly string[], factor: number): Part {
  const { table } = part;
  const m = table.modelIds.length;
  const extra = table.modelIds.map((id) =>
    models.includes(id) ? ((factor - 1) * (table.models[id]?.outputUsdPerMTok ?? 0)) / 1e6 : 0,
  );
  return {
    ...part,
    costUsd: part.costUsd.map((c, at) => {
      const tokens = table.outputTokens[at]!;
      return extra[at % m] === 0 || Number.isNaN(tokens) ? c : c + extra[at % m]! * tokens;
    }),
  };
}
