/** What learns quality (and answer length) from outcomes. */
import type { OutcomeTable, Prompt } from '../../datasets/index.ts';

/** Learns from outcomes. Hyper-parameters go to the factory, data to `fit`. */
export interface Estimator {
  readonly name: string;
  /** Same table and seed, same predictor. @throws `EMPTY_TABLE` */
  fit(table: OutcomeTable, seed: number): Promise<Predictor>;
}

/** A fitted estimator. Only this has `predict`, so "not fitted yet" cannot happen. */
export interface Predictor {
  /** Candidate models in column order, length m. */
  readonly modelIds: readonly string[];
  predict(prompts: readonly Prompt[]): Promise<Predictions>;
  /**
   * For the training table, rows in its order: predictions that never saw an outcome of the row's own group.
   * Absent where only refitting can tell them.
   */
  readonly outOfFold?: Predictions;
}

export interface Predictions {
  /** n × m expected quality, row-major, each in [0, 1]. */
  readonly quality: Float32Array;
  /** n × m expected tokens of the answer, each > 0; absent where the estimator does not forecast length. */
  readonly outputTokens?: Float32Array;
  /** n × m standard deviation of `quality`; absent where unknown. */
  readonly qualitySd?: Float32Array;
}
