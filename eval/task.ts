/** From a dataset to a task: which prompts and models are compared, what they cost, and what was left out and why. */
import {
  type Dataset,
  hasHiddenReasoning,
  isBaseModel,
  outcomeTable,
  RoutingError,
  selectModels,
  selectRows,
} from '../datasets/index.ts';
import { type Costs, isPriced, realisedCosts } from './costs.ts';
import { type Part, partOf } from './part.ts';

export interface TaskOptions {
  /** Only benchmarks whose name starts with this. */
  readonly benchmark?: string;
  /** Keep reasoning models whose hidden tokens are not in the recorded lengths. */
  readonly includeReasoning?: boolean;
}

/** What was left out, and why. Prompts and groups as counts, models by name. */
export interface TaskDropped {
  /** Prompts marked as near-copies of training data. */
  readonly contaminated: number;
  /** Prompts on which no candidate was tried. */
  readonly noOutcome: number;
  /** Their hidden tokens are unknown, so their cost is too. */
  readonly hiddenReasoningModels: readonly string[];
  readonly unpricedModels: readonly string[];
  readonly baseModels: readonly string[];
}

export interface Task {
  readonly name: string;
  readonly part: Part;
  readonly costShares: Costs['shares'];
  readonly dropped: TaskDropped;
  /** Kept on request although their hidden tokens, and so part of their costs, are unknown. */
  readonly hiddenReasoningIncluded: readonly string[];
  /** Share of (prompt, candidate) cells that were never tried. */
  readonly untriedShare: number;
}

/** @throws `EMPTY_TABLE` when fewer than two comparable models or no prompts are left */
export function prepareTask(dataset: Dataset, options: TaskOptions = {}): Task {
  const prefix = options.benchmark;
  const inScope =
    prefix === undefined ? dataset.prompts : dataset.prompts.filter((p) => p.benchmark.startsWith(prefix));
  if (inScope.length === 0) {
    const names = [...new Set(dataset.prompts.map((p) => p.benchmark))].sort();
    const some = names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '');
    throw new RoutingError('INVALID_CONFIG', `no benchmark of ${dataset.name} starts with "${prefix}"; it has ${some}`);
  }
  const clean = inScope.filter((p) => !p.contaminated);
  const ids = new Set(clean.map((p) => p.id));
  const kept: Dataset = {
    ...dataset,
    prompts: clean,
    outcomes: dataset.outcomes.filter((o) => ids.has(o.promptId)),
  };
  const all = outcomeTable(kept);
  const uncounted = all.modelIds.filter(
    (id) => hasHiddenReasoning(id, all.models[id]) && !fullyRecorded(all.costUsd, all.quality, all.modelIds, id),
  );
  const hidden = options.includeReasoning ? [] : uncounted;
  const unpriced = all.modelIds.filter((id, j) => !hidden.includes(id) && !isPriced(all, j));
  const modelIds = all.modelIds.filter((id) => !hidden.includes(id) && !unpriced.includes(id));
  if (modelIds.length < 2) {
    throw new RoutingError(
      'EMPTY_TABLE',
      `${dataset.name}: ${modelIds.length} of ${all.modelIds.length} models can be compared by cost, two are needed; ` +
        `without a price: ${unpriced.join(', ') || 'none'} (add prices to models.json or costUsd to the outcomes); ` +
        `hidden reasoning tokens: ${hidden.join(', ') || 'none'} (--include-reasoning keeps them)`,
    );
  }
  const pool = selectModels(all, modelIds);
  const m = modelIds.length;
  const rows = pool.prompts
    .map((_, i) => i)
    .filter((i) => pool.quality.subarray(i * m, i * m + m).some((q) => !Number.isNaN(q)));
  const table = selectRows(pool, rows);
  const costs = realisedCosts(table, kept);
  let untried = 0;
  for (const q of table.quality) if (Number.isNaN(q)) untried++;
  return {
    name: dataset.name,
    part: partOf(table, costs),
    costShares: costs.shares,
    untriedShare: untried / table.quality.length,
    hiddenReasoningIncluded: uncounted.filter((id) => modelIds.includes(id)),
    dropped: {
      contaminated: inScope.length - clean.length,
      noOutcome: clean.length - rows.length,
      hiddenReasoningModels: hidden,
      unpricedModels: unpriced,
      baseModels: [...new Set(kept.outcomes.map((o) => o.modelId))].filter(isBaseModel).sort(),
    },
  };
}

/** Recorded costs hold every token that was billed, hidden ones too. */
function fullyRecorded(costUsd: Float64Array, quality: Float32Array, modelIds: readonly string[], id: string): boolean {
  const m = modelIds.length;
  for (let at = modelIds.indexOf(id); at < quality.length; at += m) {
    if (!Number.isNaN(quality[at]!) && Number.isNaN(costUsd[at]!)) return false;
  }
  return true;
}
