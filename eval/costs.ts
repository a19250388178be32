/**
 * What every (prompt, model) cell cost, and how far that figure can be trusted.
 *
 * Recorded cost where the outcome has one. Else list price × tokens: input from characters / 4, output from
 * recorded tokens, else characters / 4, else {@link CONSTANT_TOKENS} for every model. A prompt on which any
 * candidate's answer length is unknown takes the constant for all of them: a guessed length beside a
 * measured one would make one model look cheap.
 */
import { CHARS_PER_TOKEN, type Dataset, type OutcomeTable, promptChars } from '../datasets/index.ts';

/** From the most to the least trustworthy. */
export const COST_BASES = ['recorded', 'tokens', 'characters', 'constant'] as const;
export type CostBasis = (typeof COST_BASES)[number];

/** Tokens of an answer where nothing is known of its length. */
export const CONSTANT_TOKENS = 300;

export interface Costs {
  /** n × m, USD; NaN where the model was not tried. */
  readonly costUsd: Float64Array;
  /** Per prompt: 1 where the answer length is the constant, so that there is no length to predict. */
  readonly constantLength: Uint8Array;
  /** Share of tried cells on each basis; sums to 1. */
  readonly shares: Readonly<Record<CostBasis, number>>;
}

/** True when a model's cost can be worked out for this table: list prices, or a recorded cost in every outcome. */
export function isPriced(table: OutcomeTable, column: number): boolean {
  const info = table.models[table.modelIds[column]!];
  if (info?.inputUsdPerMTok !== undefined && info.outputUsdPerMTok !== undefined) return true;
  const m = table.modelIds.length;
  let tried = false;
  for (let at = column; at < table.quality.length; at += m) {
    if (Number.isNaN(table.quality[at]!)) continue;
    if (Number.isNaN(table.costUsd[at]!)) return false;
    tried = true;
  }
  return tried;
}

/** USD of one call at list prices. */
export const listCostUsd = (table: OutcomeTable, column: number, chars: number, outputTokens: number): number => {
  const info = table.models[table.modelIds[column]!];
  const input = info?.inputUsdPerMTok ?? Number.NaN;
  const output = info?.outputUsdPerMTok ?? Number.NaN;
  return ((chars / CHARS_PER_TOKEN) * input + outputTokens * output) / 1e6;
};

/**
 * Costs of a table's tried cells. `dataset` is what the table was built from: the table does not keep
 * whether a length was recorded in tokens or in characters.
 */
export function realisedCosts(table: OutcomeTable, dataset: Dataset): Costs {
  const n = table.prompts.length;
  const m = table.modelIds.length;
  const inTokens = new Set<string>();
  for (const o of dataset.outcomes) if (o.outputTokens !== undefined) inTokens.add(`${o.promptId}\0${o.modelId}`);
  const costUsd = new Float64Array(n * m).fill(Number.NaN);
  const constantLength = new Uint8Array(n);
  const counts: Record<CostBasis, number> = { recorded: 0, tokens: 0, characters: 0, constant: 0 };
  for (let i = 0; i < n; i++) {
    const chars = promptChars(table.prompts[i]!);
    let unknown = false;
    for (let at = i * m; at < i * m + m; at++) {
      if (!Number.isNaN(table.quality[at]!) && Number.isNaN(table.costUsd[at]!)) {
        unknown ||= Number.isNaN(table.outputTokens[at]!);
      }
    }
    constantLength[i] = unknown ? 1 : 0;
    for (let j = 0; j < m; j++) {
      const at = i * m + j;
      if (Number.isNaN(table.quality[at]!)) continue;
      if (!Number.isNaN(table.costUsd[at]!)) {
        costUsd[at] = table.costUsd[at]!;
        counts.recorded++;
      } else {
        costUsd[at] = listCostUsd(table, j, chars, unknown ? CONSTANT_TOKENS : table.outputTokens[at]!);
        if (unknown) counts.constant++;
        else counts[inTokens.has(`${table.prompts[i]!.id}\0${table.modelIds[j]}`) ? 'tokens' : 'characters']++;
      }
    }
  }
  const total = Math.max(
    1,
    COST_BASES.reduce((sum, b) => sum + counts[b], 0),
  );
  const shares = Object.fromEntries(COST_BASES.map((b) => [b, counts[b] / total])) as Record<CostBasis, number>;
  return { costUsd, constantLength, shares };
}

/** The basis of most cells; of equals the less trustworthy one. */
export const mainBasis = (shares: Costs['shares']): CostBasis =>
  COST_BASES.reduce((best, b) => (shares[b] >= shares[best] ? b : best));
