/** What was compared, what was left out and why, in sentences: the same in the terminal and in the HTML report. */
import { JUDGE_ERROR } from '../baselines/cascade.ts';
import { COST_BASES } from '../costs.ts';
import type { Evaluation, Flag } from '../result.ts';
import { testsAllUnseen } from '../split.ts';
import { list, percent, usdPerThousand, whole } from './format.ts';

/** One line on the test part. */
export const testLine = (e: Evaluation): string =>
  e.split === 'group'
    ? `split by group: ${whole(e.trainPrompts)} training ${e.trainPrompts === 1 ? 'prompt' : 'prompts'}; tested on ${whole(e.prompts)} prompts × ${e.models} models: ${testedGroups(e)}`
    : `each of ${e.byBenchmark.length} benchmarks left out in turn: about ${whole(e.trainPrompts)} training prompts; tested on ${whole(e.prompts)} prompts in ${whole(e.groups)} groups × ${e.models} models`;

function testedGroups(e: Evaluation): string {
  const unseen = e.groupsInData - e.dropped.trainedGroups;
  const share = `${percent(e.groups / e.groupsInData, 0)} % of ${whole(e.groupsInData)}`;
  return e.dropped.trainedGroups > 0 && testsAllUnseen(e.groupsInData, unseen)
    ? `all ${whole(e.groups)} groups that no artifact was fitted on (${share}), whatever the seed`
    : `${whole(e.groups)} groups (${share}), drawn by the seed`;
}

export function costLine(e: Evaluation): string {
  const shares = COST_BASES.filter((b) => e.costBasisShares[b] > 0);
  const bases = shares.map((b) => (shares.length === 1 ? b : `${b} ${percent(e.costBasisShares[b], 0)} %`));
  const meaning = {
    recorded: 'as billed',
    tokens: 'list price × recorded tokens',
    characters: 'list price × characters / 4',
    constant: 'list price × 300 output tokens for every model: answer lengths are not known',
  };
  return `cost basis: ${bases.join(', ')} (${shares.map((b) => meaning[b]).join('; ')})`;
}

export const baselineLine = (e: Evaluation): string =>
  `baseline: ${marked(e, e.baseline.model)}, quality ${percent(e.baseline.quality)} %, ${usdPerThousand(e.baseline.costUsd)} per 1 000 prompts`;

export const rangeLine = (e: Evaluation): string =>
  `cost axis: from ${marked(e, e.costRange.cheapest)} (${usdPerThousand(e.costRange.lowUsd)} per 1 000 prompts) to ${marked(e, e.costRange.dearest)} (${usdPerThousand(e.costRange.highUsd)})`;

/** A model's name, with a mark where its cost is a lower bound only. */
export const marked = (e: Evaluation, model: string): string =>
  e.hiddenReasoningIncluded.includes(model) ? `${model} [hidden tokens not counted]` : model;

/** What a reader must not miss, the red ones first. */
export const flagLines = (e: Evaluation): Flag[] =>
  [...e.flags].sort((a, b) => Number(b.severity === 'red') - Number(a.severity === 'red'));

/** What was left out, one sentence each. */
export function droppedLines(e: Evaluation): string[] {
  const { dropped } = e;
  const lines: string[] = [];
  if (dropped.trainedGroups > 0) {
    lines.push(`${whole(dropped.trainedGroups)} groups that an artifact was fitted on are kept out of the test part`);
  }
  if (dropped.contaminated > 0) lines.push(`${whole(dropped.contaminated)} contaminated prompts`);
  if (dropped.noOutcome > 0) lines.push(`${whole(dropped.noOutcome)} prompts without an outcome of any candidate`);
  if (dropped.hiddenReasoningModels.length > 0) {
    lines.push(
      `${count(dropped.hiddenReasoningModels, 'reasoning model')}, hidden tokens and so the cost not known: ` +
        `${list(dropped.hiddenReasoningModels)} (--include-reasoning keeps them)`,
    );
  }
  if (dropped.unpricedModels.length > 0) {
    lines.push(`${count(dropped.unpricedModels, 'model')} without a price: ${list(dropped.unpricedModels)}`);
  }
  if (dropped.baseModels.length > 0) {
    lines.push(`${count(dropped.baseModels, 'base model')}, no candidates: ${list(dropped.baseModels)}`);
  }
  for (const { name, reason } of dropped.routers) lines.push(`router ${name}: ${reason}`);
  return lines;
}

const count = (names: readonly string[], what: string): string =>
  `${names.length} ${what}${names.length === 1 ? '' : 's'}`;

/** The hole rule, where there are holes. */
export const untriedLine = (e: Evaluation): string | null =>
  e.untriedShare > 0
    ? `${percent(e.untriedShare)} % of (prompt, model) pairs have no outcome; there no router, the oracle included, may choose that model`
    : null;

/** How to read the table. */
export const readingLines = (e: Evaluation): string[] => [
  'AIQ is the mean quality over all budgets from the cheapest to the dearest single model (in %, log cost): higher is better. "− zero" is the ' +
    'lead over the best random mix of single models, a router that does not read the prompt; gap is the share of the way from there to the oracle.',
  'An interval that includes 0 means: not shown to be better. Savings compare with the baseline at 95, 98 or 100 % of its quality; a dash means ' +
    'never reached. All settings were fixed on the training part before the test part was read.',
  ...(e.routers.some((r) => r.name === 'cascade')
    ? [
        `cascade calls a cheap model first and a dearer one where a judge says no. Its judge is simulated: it sees the true outcome and errs on ${percent(JUDGE_ERROR, 0)} % of the answers. Every call is charged, the judge itself is not. A real judge is seldom this good, and costs something.`,
      ]
    : []),
];
