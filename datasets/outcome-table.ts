/** The matrix that estimators learn from: n prompts × m models, missing cells allowed. */
import { RoutingError } from './errors.ts';
import { type Dataset, isBaseModel, type ModelInfos, type Prompt } from './schema.ts';

export interface OutcomeTable {
  /** Names of the sources, for people. */
  readonly name: string;
  /** Length n. */
  readonly prompts: readonly Prompt[];
  /** Length m, sorted. */
  readonly modelIds: readonly string[];
  readonly models: ModelInfos;
  /** n × m, row-major, in [0, 1]; NaN where the model was never tried. */
  readonly quality: Float32Array;
  /** n × m, tokens of the answer: as recorded, else characters / 4; NaN where unknown. */
  readonly outputTokens: Float32Array;
  /** n × m, USD as recorded; NaN where the source has none. */
  readonly costUsd: Float64Array;
  /** True where `outputTokens` holds recorded tokens rather than characters / 4. */
  readonly tokensRecorded: boolean;
}

/** Characters per token when a source has no token counts: English text is near 4. */
export const CHARS_PER_TOKEN = 4;

/**
 * Rows → matrix. Base models are left out unless asked for.
 * @throws `EMPTY_TABLE` when no outcome is left
 */
export function outcomeTable(dataset: Dataset, options: { baseModels?: boolean } = {}): OutcomeTable {
  const ids = new Set<string>();
  for (const { modelId } of dataset.outcomes) if (options.baseModels || !isBaseModel(modelId)) ids.add(modelId);
  const modelIds = [...ids].sort();
  const column = new Map(modelIds.map((id, j) => [id, j]));
  const row = new Map(dataset.prompts.map((p, i) => [p.id, i]));
  const n = dataset.prompts.length;
  const m = modelIds.length;
  if (n === 0 || m === 0) throw new RoutingError('EMPTY_TABLE', `${dataset.name}: no outcomes to build a table from`);
  const quality = new Float32Array(n * m).fill(Number.NaN);
  const outputTokens = new Float32Array(n * m).fill(Number.NaN);
  const costUsd = new Float64Array(n * m).fill(Number.NaN);
  let tokensRecorded = false;
  for (const o of dataset.outcomes) {
    const j = column.get(o.modelId);
    const i = row.get(o.promptId);
    if (j === undefined || i === undefined) continue;
    const at = i * m + j;
    quality[at] = o.quality;
    if (o.outputTokens !== undefined) {
      outputTokens[at] = o.outputTokens;
      tokensRecorded = true;
    } else if (o.outputChars !== undefined) outputTokens[at] = o.outputChars / CHARS_PER_TOKEN;
    if (o.costUsd !== undefined) costUsd[at] = o.costUsd;
  }
  return {
    name: dataset.name,
    prompts: dataset.prompts,
    modelIds,
    models: dataset.models,
    quality,
    outputTokens,
    costUsd,
    tokensRecorded,
  };
}

/** The same table with only these rows (indices into `prompts`, in the order given). */
export function selectRows(table: OutcomeTable, rows: readonly number[]): OutcomeTable {
  const m = table.modelIds.length;
  const pick = <T extends Float32Array | Float64Array>(from: T, to: T): T => {
    rows.forEach((r, i) => {
      to.set(from.subarray(r * m, r * m + m), i * m);
    });
    return to;
  };
  return {
    ...table,
    prompts: rows.map((r) => table.prompts[r]!),
    quality: pick(table.quality, new Float32Array(rows.length * m)),
    outputTokens: pick(table.outputTokens, new Float32Array(rows.length * m)),
    costUsd: pick(table.costUsd, new Float64Array(rows.length * m)),
  };
}

/** The same table with only these models; ids it does not have become empty columns. */
export function selectModels(table: OutcomeTable, modelIds: readonly string[]): OutcomeTable {
  const n = table.prompts.length;
  const m = table.modelIds.length;
  const k = modelIds.length;
  const columns = modelIds.map((id) => table.modelIds.indexOf(id));
  const pick = <T extends Float32Array | Float64Array>(from: T, to: T): T => {
    to.fill(Number.NaN);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < k; j++) if (columns[j]! >= 0) to[i * k + j] = from[i * m + columns[j]!]!;
    }
    return to;
  };
  return {
    ...table,
    modelIds: [...modelIds],
    quality: pick(table.quality, new Float32Array(n * k)),
    outputTokens: pick(table.outputTokens, new Float32Array(n * k)),
    costUsd: pick(table.costUsd, new Float64Array(n * k)),
  };
}

/** Characters of a prompt, whether its text is kept or not. */
export const promptChars = (prompt: Prompt): number => prompt.chars ?? prompt.text.length;
