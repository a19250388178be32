/** A source that methods are ranked on: its frozen pool, its task, and an encoder that has not read it. */
import type { Dataset } from '../../datasets/index.ts';
import type { Part } from '../part.ts';
import type { Task } from '../task.ts';
import { type EmbedderChoice, embedderWithout, type VectorsChoice } from './encoded.ts';
import { type Pool, poolOf, poolTask } from './pool.ts';
import { type EaseOf, trueEase } from './true-difficulty.ts';

export interface Entry {
  readonly dataset: Dataset;
  readonly pool: Pool;
  /** False where the pool is only what the rule gives for this data, and no file holds it fast. */
  readonly poolShipped: boolean;
  readonly task: Task;
  readonly ease: EaseOf | null;
  readonly encoding: EmbedderChoice;
}

/**
 * @param datasets all that was given; each is an entry, and the others teach its encoder
 * @param vectorsOf word vectors for the board on a source; default: the shipped ones
 * @throws `INVALID_CONFIG` when a source is not what its pool was written for; `EMPTY_TABLE` when nothing can compete
 */
export function entriesOf(
  datasets: readonly Dataset[],
  seed: number,
  vectorsOf?: (source: Dataset) => VectorsChoice,
): Entry[] {
  return datasets.map((dataset) => {
    const { pool, shipped } = poolOf(dataset);
    return {
      dataset,
      pool,
      poolShipped: shipped,
      task: poolTask(dataset, pool),
      ease: trueEase(dataset, Object.keys(pool.models)),
      encoding: embedderWithout(datasets, dataset, seed, vectorsOf?.(dataset)),
    };
  });
}

/** The same part with other prompt objects, e.g. those that carry embeddings. */
export const withPrompts = (part: Part, prompts: Part['table']['prompts']): Part => ({
  ...part,
  table: { ...part.table, prompts },
});
