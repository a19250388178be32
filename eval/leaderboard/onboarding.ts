/**
 * A model that the router was not fitted on: its outcomes are taken out of the training part but for 30 to 1 000
 * labelled prompts, and it gets its row of the heads from those. How much of what the model brings to the pool with
 * full data is there already?
 */
import { deriveSeed, type OutcomeTable, sampleRows, selectModels } from '../../datasets/index.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { type Estimator, embed, itemResponse } from '../../router/estimators/index.ts';
import { predictHeads } from '../../router/heads/heads.ts';
import { onboardModel } from '../../router/training/onboard.ts';
import type { Contender } from '../contender.ts';
import { runFold } from '../fold.ts';
import { fittedOn } from '../learned.ts';
import type { Part } from '../part.ts';
import type { Estimate } from '../result.ts';
import { singleModels } from '../single-models.ts';
import { foldRows } from '../split.ts';
import { combineDraws } from './combine.ts';
import { type Entry, withPrompts } from './entry.ts';
import { contenderOf } from './field.ts';
import { kept, type RankOptions } from './in-domain.ts';
import { measureSplit, type SplitMeasure } from './measure.ts';

export const ONBOARD_LABELS: readonly number[] = [30, 100, 300, 1000];
/** Models that are new in turn. */
const HELD_OUT = 6;

/** Two others are needed to tell how models differ, and neither end of the cost axis is held out. */
const MIN_MODELS = 4;
/** Training prompts of a split, all labelled by the other models. */
const TRAIN_PROMPTS = 1500;

export interface OnboardingBoard {
  readonly source: string;
  readonly splits: number;
  readonly trainPrompts: number;
  /** AIQ − zero with full data on all models. */
  readonly leadFull: Estimate;
  readonly models: readonly {
    readonly modelId: string;
    /** AIQ with the model on full data minus AIQ without the model: what it brings. */
    readonly brings: Estimate;
    readonly labels: readonly {
      readonly count: number;
      /** AIQ from this many labels minus AIQ without the model. */
      readonly brings: Estimate;
      /** AIQ from this many labels minus AIQ on full data. */
      readonly behindFull: Estimate;
      /** Of what full data brings, how much is there; null where that is not above 0 beyond its interval. */
      readonly share: number | null;
    }[];
  }[];
}

const FULL = 'full data';
const WITHOUT = 'without';
const COUNTS: readonly string[] = ONBOARD_LABELS.map((count) => `${count} labels of`);

/** Models spread evenly over the pool by mean quality; neither end of the cost axis, which must not move. */
export function heldOutModels({ table, ...part }: Part): string[] {
  const { byFallingQuality, byRisingCost } = singleModels({ table, ...part });
  const ends = new Set([byRisingCost[0], byRisingCost.at(-1)]);
  const open = byFallingQuality.filter((j) => !ends.has(j));
  const count = Math.min(HELD_OUT, open.length);
  return Array.from({ length: count }, (_, k) => table.modelIds[open[Math.floor(((k + 0.5) / count) * open.length)]!]!);
}

export async function onboardingBoard(entry: Entry, options: RankOptions): Promise<OnboardingBoard | null> {
  const { part, name: source } = entry.task;
  const { prompts } = part.table;
  if (part.table.modelIds.length < MIN_MODELS) return null;
  const held = heldOutModels(part);
  const groupIds = [...new Set(prompts.map((p) => p.groupId))].sort();
  const groups = new Map(groupIds.map((g, k) => [g, k]));
  const names = [
    'zero',
    'cheapest',
    'dearest',
    FULL,
    ...held.flatMap((id) => [WITHOUT, ...COUNTS].map((c) => `${c} ${id}`)),
  ];
  const measures: SplitMeasure[] = [];
  for (let s = 0; s < options.splits; s++) {
    const seed = deriveSeed(options.seed, `split ${s}`);
    const measure = await kept(entry, { ...options, names }, ['onboarding', seed], async () => {
      const [rows] = foldRows(prompts, { split: 'group', seed, seen: () => false, trainPrompts: TRAIN_PROMPTS });
      const { encoder, prompts: encoded } = await entry.encoding.embedder(prompts, rows!.train);
      const fold = await runFold(withPrompts(part, encoded), rows!, contendersOf(held, encoder, options, entry), {
        seed,
        onProgress: (message) =>
          options.onProgress(`${source}, onboarding, split ${s + 1} of ${options.splits}: ${message}`),
      });
      const unitOf = fold?.test.table.prompts.map((p) => groups.get(p.groupId)!);
      return (
        fold &&
        measureSplit([fold], [Int32Array.from(unitOf!)], {
          units: groupIds.length,
          replicates: options.replicates,
          seed: deriveSeed(options.seed, 'groups'),
        })
      );
    });
    if (measure) measures.push(measure);
  }
  return measures.length === 0 ? null : board(source, held, measures, options);
}

function contendersOf(held: readonly string[], encoder: Encoder, options: RankOptions, { ease }: Entry): Contender[] {
  const learned = (name: string, estimator: Estimator) => fittedOn(name, { fitted: () => false }, estimator);
  return [
    ...['zero', 'cheapest', 'dearest', 'oracle'].map((name) =>
      contenderOf(name, options.methods, options.ours, encoder, ease),
    ),
    learned(FULL, itemResponse({ encoder })),
    ...held.flatMap((modelId) => {
      const others = othersOf(modelId, encoder);
      return [
        learned(`${WITHOUT} ${modelId}`, { name: WITHOUT, fit: others }),
        ...COUNTS.map((count, c) =>
          masked(modelId, ONBOARD_LABELS[c]!, learned(`${count} ${modelId}`, onboarded(modelId, encoder, others))),
        ),
      ];
    }),
  ];
}

type FitOthers = (table: OutcomeTable, seed: number) => ReturnType<ReturnType<typeof itemResponse>['fit']>;

/** Heads of all models but one; fits on the same prompts are made once, however many labels the one has there. */
function othersOf(modelId: string, encoder: Encoder): FitOthers {
  const done = new Map<string, ReturnType<FitOthers>>();
  return (table, seed) => {
    const key = `${seed}\n${table.prompts.map((p) => p.id).join('\n')}`;
    const known = done.get(key);
    if (known) return known;
    const rest = selectModels(
      table,
      table.modelIds.filter((id) => id !== modelId),
    );
    const fit = itemResponse({ encoder }).fit(rest, seed);
    done.set(key, fit);
    return fit;
  };
}

/** The others as they are, and the new model's row from the labels that it has. */
const onboarded = (modelId: string, encoder: Encoder, others: FitOthers): Estimator => ({
  name: 'onboarded',
  async fit(table, seed) {
    const m = table.modelIds.length;
    const j = table.modelIds.indexOf(modelId);
    const rows = table.prompts.flatMap((_, i) => (Number.isNaN(table.quality[i * m + j]!) ? [] : [i]));
    const { heads } = (await others(table, seed)).fit;
    const withNew = onboardModel(heads, {
      modelId,
      z: await embed(
        encoder,
        rows.map((i) => table.prompts[i]!),
      ),
      quality: rows.map((i) => table.quality[i * m + j]!),
      outputTokens: rows.map((i) => table.outputTokens[i * m + j]!),
    });
    return {
      modelIds: withNew.modelIds,
      predict: async (prompts) => predictHeads(withNew, await embed(encoder, prompts), prompts.length),
    };
  },
});

/** The contender on a training part in which a model was asked `count` prompts and no more, settings included. */
const masked = (modelId: string, count: number, contender: Contender): Contender => ({
  ...contender,
  prepare(training) {
    const { table } = training.part;
    const m = table.modelIds.length;
    const j = table.modelIds.indexOf(modelId);
    const all = table.prompts.map((_, i) => i);
    const labelled = new Set(sampleRows(table.prompts, all, count, deriveSeed(training.seed, `onboard ${modelId}`)));
    const hide = <T extends Float32Array | Float64Array>(cells: T): T => {
      const out = cells.slice() as T;
      for (const i of all) if (!labelled.has(i)) out[i * m + j] = Number.NaN;
      return out;
    };
    const part: Part = {
      ...training.part,
      costUsd: hide(training.part.costUsd),
      table: {
        ...table,
        quality: hide(table.quality),
        outputTokens: hide(table.outputTokens),
        costUsd: hide(table.costUsd),
      },
    };
    return contender.prepare({ ...training, part, singles: singleModels(part) });
  },
});

function board(
  source: string,
  held: readonly string[],
  splits: readonly SplitMeasure[],
  { replicates, seed }: RankOptions,
): OnboardingBoard {
  /** Mean over splits of Σ sign · AIQ, pair by pair. */
  const difference = (plus: string, minus: string): Estimate =>
    combineDraws(
      splits.map(({ contenders: c }) => ({
        value: c[plus]!.aiq! - c[minus]!.aiq!,
        replicates: c[plus]!.replicates.map((x, r) => x - c[minus]!.replicates[r]!),
      })),
      replicates,
      seed,
    );
  return {
    source,
    splits: splits.length,
    trainPrompts: Math.round(splits.reduce((sum, s) => sum + s.trainPrompts, 0) / splits.length),
    leadFull: difference(FULL, 'zero'),
    models: held.map((modelId) => {
      const brings = difference(FULL, `${WITHOUT} ${modelId}`);
      return {
        modelId,
        brings,
        labels: ONBOARD_LABELS.flatMap((count, c) => {
          if (splits.some((s) => s.trainPrompts <= count)) return [];
          const fromLabels = difference(`${COUNTS[c]} ${modelId}`, `${WITHOUT} ${modelId}`);
          return [
            {
              count,
              brings: fromLabels,
              behindFull: difference(`${COUNTS[c]} ${modelId}`, FULL),
              share: brings.low !== null && brings.low > 0 ? fromLabels.value! / brings.value! : null,
            },
          ];
        }),
      };
    }),
  };
}
