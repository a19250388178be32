/**
 * Which models compete on a source, written down once: a leader board whose pool, prices or prompts change from
 * run to run compares nothing. Shipped pools lie in `eval/pools/`; data that has none gets one by the same rule.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type Dataset, hasHiddenReasoning, isBaseModel, type Prompt, RoutingError } from '../../datasets/index.ts';
import { prepareTask, type Task } from '../task.ts';

/** A model asked less often than this would leave holes that the others' stand-ins fill. */
export const MIN_COVERAGE = 0.8;

export const Pool = z.strictObject({
  source: z.string().min(1),
  /** Why these models and no others. */
  rule: z.string().min(1),
  /** Where the prices are from, and of what day. */
  prices: z.string().min(1),
  prompts: z.number().int().positive(),
  groups: z.number().int().positive(),
  /** SHA-256 of the sorted group ids, one a line, contaminated prompts left out. */
  groupsSha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** USD per million tokens. */
  models: z.record(
    z.string().min(1),
    z.strictObject({ inputUsdPerMTok: z.number().nonnegative(), outputUsdPerMTok: z.number().nonnegative() }),
  ),
});
export type Pool = z.infer<typeof Pool>;

const RULE =
  'every model with a list price and outcomes on at least 80 % of the prompts; no base models; no reasoning models, whose hidden tokens the source did not count';

/** The pool that the rule gives for this data. @throws `EMPTY_TABLE` when it leaves fewer than two models */
export function derivePool(dataset: Dataset): Pool {
  const prompts = dataset.prompts.filter((p) => !p.contaminated);
  const kept = new Set(prompts.map((p) => p.id));
  const counts = new Map<string, number>();
  for (const o of dataset.outcomes) if (kept.has(o.promptId)) counts.set(o.modelId, (counts.get(o.modelId) ?? 0) + 1);
  const models: Record<string, Pool['models'][string]> = {};
  for (const [id, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const info = dataset.models[id];
    if (info?.inputUsdPerMTok === undefined || info.outputUsdPerMTok === undefined) continue;
    if (isBaseModel(id) || hasHiddenReasoning(id, info) || count < MIN_COVERAGE * prompts.length) continue;
    models[id] = { inputUsdPerMTok: info.inputUsdPerMTok, outputUsdPerMTok: info.outputUsdPerMTok };
  }
  if (Object.keys(models).length < 2) {
    throw new RoutingError(
      'EMPTY_TABLE',
      `${dataset.name}: ${Object.keys(models).length} models can compete and two are needed; the pool takes ${RULE}`,
    );
  }
  return {
    source: dataset.name,
    rule: RULE,
    prices: 'list prices in models.json of the data; each has its record in priceFrom',
    prompts: prompts.length,
    groups: new Set(prompts.map((p) => p.groupId)).size,
    groupsSha256: groupsSha256(prompts),
    models,
  };
}

/** Names the groups of these prompts, in whatever order. */
export const groupsSha256 = (prompts: readonly Prompt[]): string =>
  createHash('sha256')
    .update([...new Set(prompts.map((p) => p.groupId))].sort().join('\n'))
    .digest('hex');

/** Where the pool of a source lies, whether it is there or not. */
export const poolPath = (source: string): string =>
  fileURLToPath(new URL(`../pools/${encodeURIComponent(source)}.json`, import.meta.url));

/**
 * The shipped pool of this source; without one, what the rule gives.
 * @throws `INVALID_CONFIG` when the data is no longer what the pool was written for
 */
export function poolOf(dataset: Dataset, path = poolPath(dataset.name)): { pool: Pool; shipped: boolean } {
  if (!existsSync(path)) return { pool: derivePool(dataset), shipped: false };
  let pool: Pool;
  try {
    pool = Pool.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new RoutingError('INVALID_CONFIG', `${path}: not a pool (${(cause as Error).message})`, { cause });
  }
  checkPool(pool, dataset, path);
  return { pool, shipped: true };
}

function checkPool(pool: Pool, dataset: Dataset, path: string): void {
  const changed = (what: string) =>
    new RoutingError(
      'INVALID_CONFIG',
      `${dataset.name}: ${what} the pool in ${path} was written for, so its figures could not be compared; ` +
        'to rank methods on this data all the same, give its folder another name',
    );
  const prompts = dataset.prompts.filter((p) => !p.contaminated);
  if (groupsSha256(prompts) !== pool.groupsSha256 || prompts.length !== pool.prompts) {
    throw changed(`its ${prompts.length} prompts are not the ${pool.prompts} that`);
  }
  const known = new Set(dataset.outcomes.map((o) => o.modelId));
  for (const [id, price] of Object.entries(pool.models)) {
    const info = dataset.models[id];
    if (!known.has(id)) throw changed(`there is no outcome of ${id}, a model that`);
    if (info?.inputUsdPerMTok !== price.inputUsdPerMTok || info.outputUsdPerMTok !== price.outputUsdPerMTok) {
      throw changed(`the price of ${id} is not the one that`);
    }
  }
}

/** The pool's part of the data as a task, and what all its models together said of each prompt. */
export function poolTask(dataset: Dataset, pool: Pool): Task {
  return prepareTask({ ...dataset, outcomes: dataset.outcomes.filter((o) => Object.hasOwn(pool.models, o.modelId)) });
}
