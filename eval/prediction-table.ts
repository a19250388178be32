/** Predictions that were made elsewhere, by prompt and model: three numbers a cell, so that a million take little memory. */
import type { Prompt } from '../datasets/index.ts';
import type { Forecast } from './contender.ts';

export interface Prediction {
  /** In [0, 1]. */
  readonly quality: number;
  /** Expected cost, USD. */
  readonly costUsd?: number | undefined;
  readonly outputTokens?: number | undefined;
}

const FIELDS = ['quality', 'costUsd', 'outputTokens'] as const;
type Field = (typeof FIELDS)[number];
type Column = Record<Field, Float64Array>;

export class PredictionTable {
  readonly #rows = new Map<string, number>();
  readonly #columns = new Map<string, Column>();

  get modelIds(): string[] {
    return [...this.#columns.keys()];
  }

  get promptIds(): IterableIterator<string> {
    return this.#rows.keys();
  }

  /** @returns false, and changes nothing, when the pair has a prediction already */
  add(promptId: string, modelId: string, prediction: Prediction): boolean {
    let row = this.#rows.get(promptId);
    if (row === undefined) {
      row = this.#rows.size;
      this.#rows.set(promptId, row);
    }
    let column = this.#columns.get(modelId);
    if (!column) {
      column = { quality: NOTHING, costUsd: NOTHING, outputTokens: NOTHING };
      this.#columns.set(modelId, column);
    }
    if (!Number.isNaN(column.quality[row] ?? Number.NaN)) return false;
    for (const field of FIELDS) {
      const value = prediction[field];
      if (value === undefined) continue;
      if (row >= column[field].length) column[field] = longer(column[field], row + 1);
      column[field][row] = value;
    }
    return true;
  }

  /** True when one of these models has a prediction for the prompt. */
  covers(promptId: string, modelIds: readonly string[]): boolean {
    const row = this.#rows.get(promptId);
    return row !== undefined && modelIds.some((id) => !Number.isNaN(this.#columns.get(id)?.quality[row] ?? Number.NaN));
  }

  /**
   * n × m over these prompts and models, NaN where there is no prediction.
   * @param nameHere what a model is called in this table; null for one it does not have
   */
  forecast(
    prompts: readonly Prompt[],
    modelIds: readonly string[],
    nameHere: (modelId: string) => string | null = (id) => id,
  ): Forecast & { readonly costUsd: Float64Array } {
    const m = modelIds.length;
    const columns = modelIds.map((id) => this.#columns.get(nameHere(id) ?? '') ?? null);
    const out = (): Float64Array => new Float64Array(prompts.length * m).fill(Number.NaN);
    const forecast = { quality: out(), costUsd: out(), outputTokens: out() };
    prompts.forEach(({ id }, i) => {
      const row = this.#rows.get(id);
      if (row === undefined) return;
      columns.forEach((column, j) => {
        if (!column) return;
        for (const field of FIELDS) forecast[field][i * m + j] = column[field][row] ?? Number.NaN;
      });
    });
    return forecast;
  }
}

const NOTHING = new Float64Array(0);

function longer(values: Float64Array, least: number): Float64Array {
  const out = new Float64Array(Math.max(64, least, 2 * values.length)).fill(Number.NaN);
  out.set(values);
  return out;
}
