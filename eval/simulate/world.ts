/**
 * A world to simulate in: prompts with the outcome of every model known, so that the truth about any router is known,
 * and an encoder with a prior that never read any of it.
 */
import {
  type Dataset,
  deriveSeed,
  mergeDatasets,
  outcomeTable,
  RoutingError,
  sampleRows,
} from '../../datasets/index.ts';
import type { Encoder } from '../../router/encoder/encoder.ts';
import { embed } from '../../router/estimators/index.ts';
import type { Heads } from '../../router/heads/heads.ts';
import { fitHeads } from '../../router/training/fit-heads.ts';
import { embedderWithout } from '../leaderboard/encoded.ts';
import { poolOf, poolTask } from '../leaderboard/pool.ts';
import { type Part, selectPartModels, selectPartRows } from '../part.ts';
import { singleModels } from '../single-models.ts';

export interface World {
  readonly name: string;
  /** Every prompt and every model; no holes. */
  readonly part: Part;
  /** n × d. */
  readonly z: Float32Array;
  readonly dimension: number;
  /** Heads of models on other prompts; null where there is nothing else to learn from. */
  readonly prior: Heads | null;
  /** Quality that one USD buys between the cheapest and the best single model: the operator's trade-off, λ. */
  readonly qualityPerUsd: number;
  /** For the reader: what was left out, what the encoder was fitted on. */
  readonly notes: readonly string[];
}

/** Prompts of other sources that a prior is fitted on: no fewer than the one, at most the other. */
const MIN_FOR_PRIOR = 500;
const PRIOR_PROMPTS = 3000;

/**
 * @param datasets all at hand: the others teach encoder and prior, without any group of the source
 * @throws `EMPTY_TABLE` when fewer than two models can compete; what `poolOf` throws
 */
export async function worldOf(datasets: readonly Dataset[], source: Dataset, seed: number): Promise<World> {
  const { pool } = poolOf(source);
  const task = poolTask(source, pool);
  const modelIds = oneOfEachPrice(task.part);
  const part = withoutHoles(selectPartModels(task.part, modelIds));
  const choice = embedderWithout(datasets, source, seed);
  const { encoder, prompts } = await choice.embedder(part.table.prompts, []);
  const d = encoder.dimension;
  return {
    name: source.name,
    part,
    z: await embed(encoder, prompts),
    dimension: d,
    prior: await priorOf(datasets, source, modelIds, encoder, seed),
    qualityPerUsd: exchangeRate(part),
    notes: [
      `${modelIds.length} of the pool's ${task.part.table.modelIds.length} models: of several at one list price the best`,
      `encoder fitted on ${choice.fittedOn}`,
    ],
  };
}

/** What other sources say of these models; null where they hold too few answers of two of them. */
async function priorOf(
  datasets: readonly Dataset[],
  source: Dataset,
  modelIds: readonly string[],
  encoder: Encoder,
  seed: number,
): Promise<Heads | null> {
  const own = new Set(source.prompts.map((p) => p.groupId));
  const others = datasets.filter((other) => other !== source);
  const asked = new Set<string>();
  const outcomes = others.map(({ outcomes }) =>
    outcomes.filter(({ modelId, promptId }) => {
      if (!modelIds.includes(modelId)) return false;
      asked.add(promptId);
      return true;
    }),
  );
  const prompts = others.flatMap((other) =>
    other.prompts.filter((p) => !own.has(p.groupId) && !p.contaminated && asked.has(p.id)),
  );
  const rows = sampleRows(prompts, [...prompts.keys()], PRIOR_PROMPTS, deriveSeed(seed, 'prior'));
  if (rows.length < MIN_FOR_PRIOR) return null;
  const table = outcomeTable({
    ...mergeDatasets(others.map((other, k) => ({ ...other, outcomes: outcomes[k]! }))),
    prompts: rows.map((i) => prompts[i]!),
  });
  if (table.modelIds.length < 2) return null;
  return fitHeads(table, await embed(encoder, table.prompts), seed, encoder).heads;
}

/** Of models at one list price the best one: nobody offers two at one price of which one is worse. */
function oneOfEachPrice(part: Part): string[] {
  const { modelIds, models } = part.table;
  const { byFallingQuality } = singleModels(part);
  const prices = new Set<string>();
  const kept = byFallingQuality.filter((j) => {
    const info = models[modelIds[j]!];
    const price = `${info?.inputUsdPerMTok} ${info?.outputUsdPerMTok}`;
    if (prices.has(price)) return false;
    prices.add(price);
    return true;
  });
  if (kept.length < 2) {
    throw new RoutingError(
      'EMPTY_TABLE',
      `${part.table.name}: two models of different prices are needed to choose from`,
    );
  }
  return kept.map((j) => modelIds[j]!).sort();
}

/** Only the prompts that every model answered: there the truth about any choice is known. */
function withoutHoles(part: Part): Part {
  const m = part.table.modelIds.length;
  const rows = part.table.prompts.flatMap((_, i) =>
    part.table.quality.subarray(i * m, i * m + m).some(Number.isNaN) ? [] : [i],
  );
  if (rows.length === 0) {
    throw new RoutingError('EMPTY_TABLE', `${part.table.name}: no prompt was answered by every model`);
  }
  return selectPartRows(part, rows);
}

/** λ at which the cheapest and the best single model are worth the same: there a choice between them matters most. */
export function exchangeRate(part: Part): number {
  const { quality, costUsd, byRisingCost, byFallingQuality } = singleModels(part);
  const [cheap, best] = [byRisingCost[0]!, byFallingQuality[0]!];
  const usd = costUsd[best]! - costUsd[cheap]!;
  return usd > 0 ? (quality[best]! - quality[cheap]!) / usd : 0;
}
