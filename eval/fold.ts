/** One fold of an evaluation: every contender is prepared on the training part and measured on the test part. */
import type { Prompt } from '../datasets/index.ts';
import type { MeasuredPart } from './choices.ts';
import { type Contender, isUnfit } from './contender.ts';
import { GRID_POINTS } from './curve.ts';
import { type Part, selectPartModels, selectPartRows } from './part.ts';
import { type SingleModels, singleModels } from './single-models.ts';
import type { FoldRows } from './split.ts';

export interface FoldOptions {
  readonly seed: number;
  readonly baseline?: string;
  /** Operating points of a curve; default {@link GRID_POINTS}. */
  readonly gridPoints?: number;
  readonly onProgress: (message: string) => void;
}

export interface FoldResult {
  readonly name: string;
  readonly trainPrompts: number;
  readonly train: Part;
  readonly test: Part;
  readonly singles: SingleModels;
  /** By contender's name; a text says why it has no say. */
  readonly measured: ReadonlyMap<string, MeasuredPart | string>;
}

/** @returns null when no test prompt has a candidate that was tried in training */
export async function runFold(
  whole: Part,
  rows: FoldRows,
  contenders: readonly Contender[],
  options: FoldOptions,
): Promise<FoldResult | null> {
  // A model without a training outcome cannot be chosen by anybody, the oracle included.
  const trainAll = selectPartRows(whole, rows.train);
  const pool = trainAll.table.modelIds.filter((_, j) => isTried(trainAll, j));
  const train = triedRows(selectPartModels(trainAll, pool));
  const test = triedRows(selectPartModels(selectPartRows(whole, rows.test), pool));
  if (train.table.prompts.length === 0 || test.table.prompts.length === 0) return null;
  return runParts({ name: rows.name, train, test }, contenders, options);
}

/** The same for parts in hand: every model of them has an outcome in training, every prompt one of them. */
export async function runParts(
  { name, train, test }: { readonly name: string; readonly train: Part; readonly test: Part },
  contenders: readonly Contender[],
  options: FoldOptions,
): Promise<FoldResult> {
  const pool = train.table.modelIds;
  const singles = singleModels(train);
  const named = options.baseline === undefined ? -1 : pool.indexOf(options.baseline);
  const baseline = singles.byFallingQuality.filter((j) => j !== named);
  if (named >= 0) baseline.unshift(named);
  const training = {
    part: train,
    singles,
    baseline,
    gridPoints: options.gridPoints ?? GRID_POINTS,
    seed: options.seed,
  };
  const measured = new Map<string, MeasuredPart | string>();
  for (const contender of contenders) {
    if (contender.kind === 'learned') {
      const size = `${counted(train.table.prompts.length, 'training prompt')} × ${counted(pool.length, 'model')}`;
      options.onProgress(`${contender.name} on ${size}`);
    }
    const frozen = await contender.prepare(training);
    if (isUnfit(frozen)) options.onProgress(`${contender.name} is left out: ${frozen.unfit}`);
    measured.set(contender.name, isUnfit(frozen) ? frozen.unfit : { frozen, measurement: await frozen.measure(test) });
  }
  return { name, trainPrompts: train.table.prompts.length, train, test, singles, measured };
}

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

const isTried = ({ table }: Part, column: number): boolean => {
  for (let at = column; at < table.quality.length; at += table.modelIds.length) {
    if (!Number.isNaN(table.quality[at]!)) return true;
  }
  return false;
};

/** Without the prompts that no model of the part was tried on. */
export function triedRows(part: Part): Part {
  const m = part.table.modelIds.length;
  const rows: number[] = [];
  part.table.prompts.forEach((_: Prompt, i: number) => {
    for (let at = i * m; at < i * m + m; at++) {
      if (!Number.isNaN(part.table.quality[at]!)) {
        rows.push(i);
        return;
      }
    }
  });
  return rows.length === part.table.prompts.length ? part : selectPartRows(part, rows);
}
