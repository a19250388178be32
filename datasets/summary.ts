/** What is inside a dataset, in numbers: who was asked what, how often, how well, and what looks wrong. */
import { outcomeTable } from './outcome-table.ts';
import { type Dataset, hasHiddenReasoning, isBaseModel } from './schema.ts';

export interface ModelSummary {
  readonly modelId: string;
  /** Base models answer few users: no candidates. */
  readonly base: boolean;
  readonly outcomes: number;
  /** Share of the prompts it answered, in [0, 1]. */
  readonly coverage: number;
  /** Mean over what it answered, in [0, 1]. Comparable only between models of like coverage. */
  readonly quality: number;
  readonly inputUsdPerMTok: number | null;
  readonly outputUsdPerMTok: number | null;
  /** True when it thinks in tokens that the source did not count. */
  readonly hiddenReasoning: boolean;
}

export interface DatasetSummary {
  readonly name: string;
  readonly prompts: number;
  readonly groups: number;
  readonly contaminated: number;
  readonly outcomes: number;
  /** Outcomes that have each optional field. */
  readonly withTokens: number;
  readonly withChars: number;
  readonly withCost: number;
  readonly benchmarks: readonly { readonly name: string; readonly prompts: number }[];
  /** Best first. */
  readonly models: readonly ModelSummary[];
  // From here on without base models.
  readonly candidates: number;
  /** Share of the prompt × candidate cells that have no outcome, in [0, 1]. */
  readonly missing: number;
  readonly promptsWithoutOutcomes: number;
  /** Prompts on which every candidate asked got 0, and on which every one got 1. */
  readonly solvedByNobody: number;
  readonly solvedByAll: number;
  /** Mean of the best quality any candidate reached, over prompts with outcomes; null without any. */
  readonly oracle: number | null;
  /** The best mean among candidates asked nearly everything; null when there is none. */
  readonly bestSingle: { readonly modelId: string; readonly quality: number } | null;
  readonly warnings: readonly string[];
}

/** Means over different prompts rank models by the ease of what they were asked: compare from this coverage on. */
const COMPARABLE_COVERAGE = 0.9;
/** With fewer outcomes a model's mean is known to ±0.18 at best. */
const FEW_OUTCOMES = 30;

/** @throws `EMPTY_TABLE` when there is no outcome of a model that is no base model */
export function summarise(dataset: Dataset): DatasetSummary {
  const { prompts, outcomes } = dataset;
  const models = summariseModels(dataset);
  const table = outcomeTable(dataset);
  const n = prompts.length;
  const m = table.modelIds.length;
  let filled = 0;
  let answered = 0;
  let nobody = 0;
  let all = 0;
  let best = 0;
  for (let i = 0; i < n; i++) {
    const row = table.quality.subarray(i * m, i * m + m).filter((q) => !Number.isNaN(q));
    if (row.length === 0) continue;
    filled += row.length;
    answered++;
    const top = Math.max(...row);
    best += top;
    if (top === 0) nobody++;
    if (Math.min(...row) === 1) all++;
  }
  const comparable = models.filter((x) => !x.base && x.coverage >= COMPARABLE_COVERAGE);
  const single = comparable[0];
  const summary = {
    name: dataset.name,
    prompts: n,
    groups: new Set(prompts.map((p) => p.groupId)).size,
    contaminated: prompts.filter((p) => p.contaminated).length,
    outcomes: outcomes.length,
    withTokens: outcomes.filter((o) => o.outputTokens !== undefined).length,
    withChars: outcomes.filter((o) => o.outputChars !== undefined).length,
    withCost: outcomes.filter((o) => o.costUsd !== undefined).length,
    benchmarks: countBy(prompts.map((p) => p.benchmark)),
    models,
    candidates: m,
    missing: 1 - filled / (n * m),
    promptsWithoutOutcomes: n - answered,
    solvedByNobody: nobody,
    solvedByAll: all,
    oracle: answered === 0 ? null : best / answered,
    bestSingle: single === undefined ? null : { modelId: single.modelId, quality: single.quality },
  };
  return { ...summary, warnings: warningsOf(dataset, summary) };
}

function summariseModels({ prompts, outcomes, models }: Dataset): ModelSummary[] {
  const sums = new Map<string, { count: number; quality: number }>();
  for (const { modelId, quality } of outcomes) {
    const sum = sums.get(modelId) ?? { count: 0, quality: 0 };
    sum.count++;
    sum.quality += quality;
    sums.set(modelId, sum);
  }
  return [...sums]
    .map(([modelId, { count, quality }]) => {
      const info = models[modelId];
      return {
        modelId,
        base: isBaseModel(modelId),
        outcomes: count,
        coverage: count / prompts.length,
        quality: quality / count,
        inputUsdPerMTok: info?.inputUsdPerMTok ?? null,
        outputUsdPerMTok: info?.outputUsdPerMTok ?? null,
        hiddenReasoning: hasHiddenReasoning(modelId, info),
      };
    })
    .sort((a, b) => b.quality - a.quality || (a.modelId < b.modelId ? -1 : 1));
}

function warningsOf(dataset: Dataset, summary: Omit<DatasetSummary, 'warnings'>): string[] {
  const { models } = summary;
  const named = (list: readonly ModelSummary[]) => list.map((x) => x.modelId).join(', ');
  const warn: [boolean | number, string][] = [];
  const few = models.filter((x) => x.outcomes < FEW_OUTCOMES);
  warn.push([few.length, `fewer than ${FEW_OUTCOMES} outcomes, too few to learn from: ${named(few)}`]);
  warn.push([
    summary.promptsWithoutOutcomes,
    `${summary.promptsWithoutOutcomes} prompts have no outcome of any candidate: they train and test nothing`,
  ]);
  const base = models.filter((x) => x.base);
  warn.push([base.length, `base models, never candidates, left out of training and evaluation: ${named(base)}`]);
  const unpriced = models.filter((x) => !x.base && (x.inputUsdPerMTok === null || x.outputUsdPerMTok === null));
  const costs = summary.withCost === summary.outcomes;
  warn.push([
    unpriced.length > 0 && !costs,
    `no price in models.json, so left out wherever cost counts: ${named(unpriced)}`,
  ]);
  const hidden = models.filter((x) => x.hiddenReasoning);
  warn.push([
    hidden.length > 0 && !costs,
    `reasoning whose hidden tokens were not counted, so their cost is not known: ${named(hidden)}`,
  ]);
  const split = sameTextInTwoGroups(dataset);
  warn.push([
    split,
    `${split} texts stand in more than one group, so a split by group can put them on both sides: give them one groupId`,
  ]);
  warn.push([
    summary.contaminated,
    `${summary.contaminated} prompts are marked contaminated: evaluation leaves them out`,
  ]);
  return warn.filter(([applies]) => applies).map(([, text]) => text);
}

function sameTextInTwoGroups({ prompts }: Dataset): number {
  const groups = new Map<string, string>();
  const split = new Set<string>();
  for (const { text, groupId } of prompts) {
    const key = text.trim();
    if (key === '') continue;
    const other = groups.get(key);
    if (other === undefined) groups.set(key, groupId);
    else if (other !== groupId) split.add(key);
  }
  return split.size;
}

function countBy(names: readonly string[]): { name: string; prompts: number }[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .map(([name, count]) => ({ name, prompts: count }))
    .sort((a, b) => b.prompts - a.prompts || (a.name < b.name ? -1 : 1));
}
