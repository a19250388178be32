/** What more labels bring: the same splits with 100 training prompts to all, for the shipped method and model means. */
import type { Estimate } from '../result.ts';
import { combineSplits } from './combine.ts';
import type { Entry } from './entry.ts';
import { measureSplits, type RankOptions } from './in-domain.ts';

export const CURVE_LABELS: readonly number[] = [100, 200, 400, 700, 1000];

export interface LearningCurve {
  readonly source: string;
  readonly splits: number;
  readonly points: readonly {
    /** Mean over splits. */
    readonly trainPrompts: number;
    readonly methods: readonly { readonly name: string; readonly minusZero: Estimate; readonly gap: Estimate }[];
  }[];
}

/** @param options `labels` is not used: the curve runs over {@link CURVE_LABELS}, then all of the training part */
export async function learningCurve(entry: Entry, options: RankOptions): Promise<LearningCurve> {
  const { prompts } = entry.task.part.table;
  const points: LearningCurve['points'][number][] = [];
  for (const labels of [...CURVE_LABELS.filter((count) => count < 0.7 * prompts.length), undefined]) {
    const { labels: _, ...rest } = options;
    const splits = await measureSplits(entry, { ...rest, ...(labels !== undefined && { labels }) });
    const standings = combineSplits(splits, { seed: options.seed, rivals: [], reference: 'mean-quality' });
    points.push({
      trainPrompts: Math.round(splits.reduce((sum, s) => sum + s.trainPrompts, 0) / splits.length),
      // In the order asked for: measures that were kept have an order of their own.
      methods: options.names.flatMap((asked) =>
        standings.filter(({ name }) => name === asked).map(({ name, minusZero, gap }) => ({ name, minusZero, gap })),
      ),
    });
  }
  return { source: entry.task.name, splits: options.splits, points };
}
