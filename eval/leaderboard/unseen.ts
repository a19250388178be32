/**
 * Benchmarks that nobody has seen: each of a source's in turn is left out of training, groups and all. The encoder
 * has not read the source at all, so neither text nor outcomes of the benchmark are known to anybody.
 */
import { deriveSeed, type Prompt, sampleRows, splitsByBenchmark } from '../../datasets/index.ts';
import type { FoldRows } from '../split.ts';
import { combineSplits, type Standing } from './combine.ts';
import type { Entry } from './entry.ts';
import { kept, type RankOptions, runField } from './in-domain.ts';
import { measureSplit, type SplitMeasure } from './measure.ts';

/** More benchmarks than this are taken by the part of their name before the slash. */
const MAX_BENCHMARKS = 16;
/** Labels of the other benchmarks, at most: beyond them all methods slow down and little is gained. */
export const UNSEEN_LABELS = 2000;

export interface UnseenBenchmark {
  readonly source: string;
  readonly name: string;
  readonly measure: SplitMeasure;
}

export interface UnseenBoard {
  readonly benchmarks: readonly {
    readonly source: string;
    readonly name: string;
    readonly trainPrompts: number;
    readonly testPrompts: number;
    readonly standings: readonly Standing[];
  }[];
  /** Mean over the benchmarks of each source, and over all of them, each benchmark with the same weight. */
  readonly pooled: readonly { readonly source: string | null; readonly standings: readonly Standing[] }[];
}

/** @returns rows of each left-out benchmark; none where there is only one */
export function unseenFolds(prompts: readonly Prompt[], seed: number): FoldRows[] {
  const by = (of: readonly Prompt[]) => splitsByBenchmark(of);
  const full = by(prompts);
  const splits =
    full.length <= MAX_BENCHMARKS ? full : by(prompts.map((p) => ({ ...p, benchmark: p.benchmark.split('/')[0]! })));
  if (splits.length < 2) return [];
  return splits
    .filter(({ split }) => split.train.length > 0)
    .map(({ benchmark, split }) => ({
      name: benchmark,
      test: split.test,
      train: sampleRows(prompts, split.train, UNSEEN_LABELS, deriveSeed(seed, `unseen ${benchmark}`)),
    }));
}

export async function measureUnseen(entry: Entry, options: RankOptions): Promise<UnseenBenchmark[]> {
  const { prompts } = entry.task.part.table;
  const folds = unseenFolds(prompts, options.seed);
  const out: UnseenBenchmark[] = [];
  for (const [f, rows] of folds.entries()) {
    const measure = await kept(entry, options, ['unseen', rows.name], async (names) => {
      const place = `${entry.task.name} without ${rows.name}, ${f + 1} of ${folds.length}`;
      const fold = await runField(entry, options, names, rows, options.seed, place);
      if (fold === null) return null;
      const groups = new Map([...new Set(fold.test.table.prompts.map((p) => p.groupId))].map((g, k) => [g, k]));
      return measureSplit([fold], [Int32Array.from(fold.test.table.prompts, (p) => groups.get(p.groupId)!)], {
        units: groups.size,
        replicates: options.replicates,
        seed: deriveSeed(options.seed, rows.name),
      });
    });
    if (measure) out.push({ source: entry.task.name, name: rows.name, measure });
  }
  return out;
}

/** Benchmarks are drawn, then the groups inside each. @param rivals names that the best is looked for among */
export function unseenBoard(
  measured: readonly UnseenBenchmark[],
  rivals: readonly string[],
  seed: number,
): UnseenBoard {
  const standings = (of: readonly UnseenBenchmark[]) =>
    combineSplits(
      of.map(({ measure }) => measure),
      { seed, rivals, reference: 'mean-quality' },
    );
  const sources = [...new Set(measured.map(({ source }) => source))];
  return {
    benchmarks: measured.map((one) => ({
      source: one.source,
      name: one.name,
      trainPrompts: one.measure.trainPrompts,
      testPrompts: one.measure.testPrompts,
      standings: standings([one]),
    })),
    pooled: [
      ...sources.map((source) => ({ source, standings: standings(measured.filter((one) => one.source === source)) })),
      ...(sources.length > 1 ? [{ source: null, standings: standings(measured) }] : []),
    ],
  };
}
