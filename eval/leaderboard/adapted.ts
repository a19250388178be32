/**
 * Calibration where the router is new and has seen a little: heads fitted on the other benchmarks are refitted on
 * 200 labels of the left-out one, as `retrain` does, and their probabilities are checked on the rest of it.
 */
import {
  deriveSeed,
  type OutcomeTable,
  type Prompt,
  sampleRows,
  seededRandom,
  selectRows,
} from '../../datasets/index.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { embed, itemResponse, meanQuality } from '../../router/estimators/index.ts';
import { predictHeads } from '../../router/heads/heads.ts';
import { refitHeads } from '../../router/training/refit-heads.ts';
import { percentileInterval } from '../metrics/bootstrap.ts';
import type { Estimate } from '../result.ts';
import { type CalibrationMeasure, cellCalibration } from './calibration.ts';
import type { Entry } from './entry.ts';
import type { RankOptions } from './in-domain.ts';
import { unseenFolds } from './unseen.ts';

export const ADAPT_LABELS = 200;
/** Fewer prompts to test on than this and the error is mostly noise. */
const MIN_TEST = 200;

/** What is known when the benchmark is met: nothing of it, 200 labels in place of a fit, or a refit on them. */
export const ADAPTATIONS = ['before labels', 'means of the labels', 'refitted on the labels'] as const;
export type Adaptation = (typeof ADAPTATIONS)[number];

export interface AdaptedBenchmark {
  readonly source: string;
  readonly name: string;
  readonly testPrompts: number;
  readonly calibration: Readonly<Record<Adaptation, CalibrationMeasure>>;
}

export interface AdaptedSummary {
  readonly adaptation: Adaptation;
  /** Root of the mean debiased squared error over (benchmark, model); interval over benchmarks. */
  readonly error: Estimate;
  /** Brier score minus that of the means of the labels. */
  readonly brierMinusMeans: Estimate;
}

export async function measureAdapted(
  entry: Entry,
  { seed, onProgress, store }: Pick<RankOptions, 'seed' | 'onProgress' | 'store'>,
): Promise<AdaptedBenchmark[]> {
  const key = [entry.task.name, entry.pool.groupsSha256, seed, 'adapted'].join('|');
  const known = store?.get(key) as AdaptedBenchmark[] | undefined;
  if (known) return known;
  const { table } = entry.task.part;
  const out: AdaptedBenchmark[] = [];
  for (const rows of unseenFolds(table.prompts, seed)) {
    const labelled = sampleRows(table.prompts, rows.test, ADAPT_LABELS, deriveSeed(seed, `labels of ${rows.name}`));
    const groups = new Set(labelled.map((i) => table.prompts[i]!.groupId));
    const rest = rows.test.filter((i) => !groups.has(table.prompts[i]!.groupId));
    if (labelled.length < ADAPT_LABELS || rest.length < MIN_TEST) continue;
    onProgress(`${entry.task.name}: ${ADAPT_LABELS} labels of ${rows.name}, which was left out`);
    const { encoder, prompts } = await entry.encoding.embedder(table.prompts, rows.train);
    const of = (wanted: readonly number[]) => selectRows({ ...table, prompts }, wanted);
    out.push({
      source: entry.task.name,
      name: rows.name,
      testPrompts: rest.length,
      calibration: await adapt(of(rows.train), of(labelled), of(rest), encoder, seed),
    });
  }
  store?.set(key, out);
  return out;
}

async function adapt(
  others: OutcomeTable,
  labelled: OutcomeTable,
  rest: OutcomeTable,
  encoder: Encoder,
  seed: number,
): Promise<AdaptedBenchmark['calibration']> {
  const before = await itemResponse({ encoder }).fit(others, seed);
  const means = await meanQuality().fit(labelled, seed);
  const z = (prompts: readonly Prompt[]) => embed(encoder, prompts);
  const refitted = refitHeads(before.fit.heads, labelled, await z(labelled.prompts), {
    seed,
    likeOf: (id) => id,
  });
  const check = (quality: Float32Array) => cellCalibration(rest, quality)!;
  return {
    'before labels': check((await before.predict(rest.prompts)).quality),
    'means of the labels': check((await means.predict(rest.prompts)).quality),
    'refitted on the labels': check(predictHeads(refitted, await z(rest.prompts), rest.prompts.length).quality),
  };
}

export function adaptedSummary(
  benchmarks: readonly AdaptedBenchmark[],
  replicates: number,
  seed: number,
): AdaptedSummary[] {
  if (benchmarks.length === 0) return [];
  const random = seededRandom(deriveSeed(seed, 'adapted'));
  const draws = Array.from({ length: replicates }, () =>
    benchmarks.map(() => benchmarks[Math.floor(random() * benchmarks.length)]!),
  );
  const estimate = (figure: (of: readonly AdaptedBenchmark[]) => number): Estimate => ({
    value: figure(benchmarks),
    ...percentileInterval(Float64Array.from(draws, figure)),
  });
  return ADAPTATIONS.map((adaptation) => ({
    adaptation,
    error: estimate((of) => {
      const errors = of.flatMap((b) => Object.values(b.calibration[adaptation].squaredErrorByModel));
      return Math.sqrt(Math.max(0, mean(errors)));
    }),
    brierMinusMeans: estimate((of) =>
      mean(of.map((b) => b.calibration[adaptation].brier - b.calibration['means of the labels'].brier)),
    ),
  }));
}

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
