/**
 * A frozen task: what was compared, at which prices, on which split, read at which points, against what. Two results
 * may be compared only under the same hash. The data itself stands in it as hashes, not as rows.
 */
import { createHash, type Hash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { RoutingError } from '../datasets/index.ts';
import { PLAIN } from '../datasets/plain-issues.ts';
import { ALWAYS_SHOWN } from './baselines/index.ts';
import { COST_BASES } from './costs.ts';
import { GRID_POINTS } from './curve.ts';
import { groupsSha256 } from './leaderboard/pool.ts';
import { KEEP_SHARES } from './operating-point.ts';
import type { Part } from './part.ts';
import { type FoldRows, SPLITS, type SplitName, TEST_SHARE } from './split.ts';
import type { Task } from './task.ts';

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex');
const Count = z.number().int().nonnegative();
/** USD per million tokens; null for a model whose costs are recorded and whose list price is not known. */
const Price = z.number().nonnegative().nullable();

export const TaskFile = z.strictObject({
  format: z.literal(1),
  /** For people; outside the hash. */
  name: z.string().min(1),
  dataset: z.strictObject({
    /** Folder names, for people; outside the hash: the same rows in another folder are the same task. */
    names: z.array(z.string().min(1)).min(1),
    /** Only benchmarks whose name starts with this. */
    benchmark: z.string().nullable(),
    prompts: Count,
    groups: Count,
    /** SHA-256 of the sorted group ids, one a line. */
    groupsSha256: Sha256,
    /** SHA-256 of (id, group, benchmark) of every prompt, by id. */
    promptsSha256: Sha256,
    /** SHA-256 of (prompt, model, quality, realised cost to 12 significant digits) of every tried cell, by prompt and model. */
    outcomesSha256: Sha256,
  }),
  pool: z.strictObject({
    /** Sorted. */
    modelIds: z.array(z.string().min(1)).min(2),
    prices: z.record(z.string().min(1), z.strictObject({ inputUsdPerMTok: Price, outputUsdPerMTok: Price })),
    /** Of most cells. */
    costBasis: z.enum(COST_BASES),
    /** Models kept although their hidden tokens, and so part of their costs, are unknown. */
    hiddenReasoning: z.array(z.string().min(1)),
  }),
  split: z.strictObject({
    how: z.enum(SPLITS),
    seed: Count,
    /** Share of the groups; null with left-out benchmarks. */
    testShare: z.number().positive().max(1).nullable(),
    /** At most this many training prompts; null for all. */
    trainPrompts: z.number().int().positive().nullable(),
    folds: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          trainGroupsSha256: Sha256,
          testGroupsSha256: Sha256,
          trainPrompts: Count,
          testPrompts: Count,
        }),
      )
      .min(1),
  }),
  operatingPoints: z.strictObject({
    gridPoints: z.number().int().positive(),
    /** Shares of the baseline's quality that are asked for. */
    keepShares: z.array(z.number().positive()),
  }),
  /** What savings are measured against; null: the best single model on each training part. */
  baseline: z.string().min(1).nullable(),
  /** Always shown, sorted. */
  baselines: z.array(z.string().min(1)),
  bootstrap: z.strictObject({ replicates: Count, unit: z.enum(['group', 'benchmark, then group']) }),
  /** For people; outside the hash. */
  notes: z.string().optional(),
  /** {@link taskHash} of the rest. */
  hash: Sha256,
});
export type TaskFile = z.infer<typeof TaskFile>;

/** What a task file is made from: the prepared task, its folds and the options of the run. */
export interface TaskParts {
  readonly task: Task;
  readonly folds: readonly FoldRows[];
  readonly split: SplitName;
  readonly seed: number;
  readonly replicates: number;
  readonly trainPrompts?: number | undefined;
  readonly benchmark?: string | null | undefined;
  readonly baseline?: string | undefined;
  /** Default {@link GRID_POINTS}. */
  readonly gridPoints?: number;
  /** Default {@link KEEP_SHARES}. */
  readonly keepShares?: readonly number[];
  /** Default {@link ALWAYS_SHOWN}. */
  readonly baselines?: readonly string[];
  /** Default: the dataset's. */
  readonly name?: string;
  readonly notes?: string;
}

/** The task of a run. The same data and options give the same hash on every machine, whatever the order of the rows. */
export function taskFileOf(parts: TaskParts): TaskFile {
  const { task, folds, split } = parts;
  const { table } = task.part;
  const shares = task.costShares;
  const groupsOf = (rows: readonly number[]) => groupsSha256(rows.map((i) => table.prompts[i]!));
  const content: Omit<TaskFile, 'hash'> = {
    format: 1,
    name: parts.name ?? task.name,
    dataset: {
      names: task.name.split('+'),
      benchmark: parts.benchmark ?? null,
      prompts: table.prompts.length,
      groups: new Set(table.prompts.map((p) => p.groupId)).size,
      groupsSha256: groupsSha256(table.prompts),
      ...rowHashes(task.part),
    },
    pool: {
      modelIds: [...table.modelIds],
      prices: Object.fromEntries(
        table.modelIds.map((id) => {
          const { inputUsdPerMTok = null, outputUsdPerMTok = null } = table.models[id] ?? {};
          return [id, { inputUsdPerMTok, outputUsdPerMTok }];
        }),
      ),
      costBasis: COST_BASES.reduce((a, b) => (shares[b] > shares[a] ? b : a)),
      hiddenReasoning: [...task.hiddenReasoningIncluded].sort(),
    },
    split: {
      how: split,
      seed: parts.seed,
      testShare: split === 'group' ? TEST_SHARE : null,
      trainPrompts: parts.trainPrompts ?? null,
      folds: folds.map(({ name, train, test }) => ({
        name,
        trainGroupsSha256: groupsOf(train),
        testGroupsSha256: groupsOf(test),
        trainPrompts: train.length,
        testPrompts: test.length,
      })),
    },
    operatingPoints: {
      gridPoints: parts.gridPoints ?? GRID_POINTS,
      keepShares: [...(parts.keepShares ?? KEEP_SHARES)],
    },
    baseline: parts.baseline ?? null,
    baselines: [...(parts.baselines ?? ALWAYS_SHOWN)].sort(),
    bootstrap: { replicates: parts.replicates, unit: folds.length > 1 ? 'benchmark, then group' : 'group' },
    ...(parts.notes !== undefined && { notes: parts.notes }),
  };
  return { ...content, hash: taskHash(content) };
}

/** SHA-256 of the canonical JSON (keys sorted, no spaces) of all but `hash`, `name`, `notes` and `dataset.names`. */
export function taskHash(file: Omit<TaskFile, 'hash'>): string {
  const { hash: _, name: __, notes: ___, dataset, ...rest } = file as TaskFile;
  const { names: ____, ...data } = dataset;
  return createHash('sha256')
    .update(canonicalJson({ ...rest, dataset: data }))
    .digest('hex');
}

/**
 * Reads a frozen task.
 * @throws `MISSING_FILE`, `MALFORMED_JSON`, `WRONG_FORMAT` naming the field, `ARTIFACT_DAMAGED` where the content is
 *         not what the hash was taken of
 */
export function readTaskFile(path: string): TaskFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const hint = 'write one with --freeze';
    throw new RoutingError('MISSING_FILE', `${path}: no task file can be read there; ${hint}`, { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${path}: not JSON (${(cause as Error).message})`, { cause });
  }
  const parsed = TaskFile.safeParse(value, PLAIN);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new RoutingError(
      'WRONG_FORMAT',
      `${path}: not a task file of format 1: field ${issue.path.join('.') || '(file)'}: ${issue.message}`,
      { cause: parsed.error },
    );
  }
  const hash = taskHash(parsed.data);
  if (hash !== parsed.data.hash) {
    throw new RoutingError(
      'ARTIFACT_DAMAGED',
      `${path}: its hash is ${brief(parsed.data.hash)}, but its content has ${brief(hash)}: it was edited after it was ` +
        'frozen. Take the file as it was published, or freeze the changed task anew with --freeze',
    );
  }
  return parsed.data;
}

/**
 * Writes a frozen task, whole or not at all. A file that holds the same task is left as it is.
 * @throws `INVALID_CONFIG` when another task is frozen there, or the place cannot be written
 */
export function writeTaskFile(path: string, file: TaskFile): void {
  if (existsSync(path)) {
    const differences = sameTask(readTaskFile(path), file);
    if (differences.length === 0) return;
    throw new RoutingError(
      'INVALID_CONFIG',
      `${path} holds another task (${shortened(differences)}); give another file name, or delete it if nothing is to be compared with it`,
    );
  }
  const half = `${path}.${process.pid}.half`;
  try {
    writeFileSync(half, `${JSON.stringify(file, null, 2)}\n`, { flag: 'wx' });
    renameSync(half, path);
  } catch (cause) {
    rmSync(half, { force: true });
    throw new RoutingError('INVALID_CONFIG', `${path} cannot be written (${(cause as Error).message})`, { cause });
  }
}

/** @throws `INVALID_CONFIG` when what is run now is not the frozen task; the message names the differences */
export function checkSameTask(frozen: TaskFile, now: TaskFile): void {
  const differences = sameTask(frozen, now);
  if (differences.length === 0) return;
  throw new RoutingError(
    'INVALID_CONFIG',
    `this is not the frozen task "${frozen.name}" (${brief(frozen.hash)}), so its results could not be compared: ${shortened(differences)}`,
  );
}

/**
 * How the task that is run now differs from a frozen one, in words; empty exactly when their hashes are equal.
 * Each says first what is now: "prices of x: 1/2 instead of 2/4".
 */
export function sameTask(frozen: TaskFile, now: TaskFile): string[] {
  return [
    ...dataDifferences(frozen.dataset, now.dataset),
    ...poolDifferences(frozen.pool, now.pool),
    ...splitDifferences(frozen.split, now.split),
    ...changed('operating points', frozen.operatingPoints, now.operatingPoints),
    ...(frozen.baseline === now.baseline
      ? []
      : [`baseline: ${shown(now.baseline ?? BEST)} instead of ${shown(frozen.baseline ?? BEST)}`]),
    ...listDifferences('rows always shown', frozen.baselines, now.baselines),
    ...changed('bootstrap', frozen.bootstrap, now.bootstrap),
  ];
}

/** The options that a run needs to be this task, in the names of `EvaluateOptions`. */
export function taskOptions({ dataset, pool, split, baseline, bootstrap }: TaskFile): {
  readonly split: SplitName;
  readonly seed: number;
  readonly replicates: number;
  readonly benchmark?: string;
  readonly trainPrompts?: number;
  readonly baseline?: string;
  readonly includeReasoning?: true;
} {
  return {
    split: split.how,
    seed: split.seed,
    replicates: bootstrap.replicates,
    ...(dataset.benchmark !== null && { benchmark: dataset.benchmark }),
    ...(split.trainPrompts !== null && { trainPrompts: split.trainPrompts }),
    ...(baseline !== null && { baseline }),
    ...(pool.hiddenReasoning.length > 0 && { includeReasoning: true as const }),
  };
}

const BEST = 'the best single model in training';

function dataDifferences(frozen: TaskFile['dataset'], now: TaskFile['dataset']): string[] {
  const { names: _, groupsSha256: groups, promptsSha256: prompts, outcomesSha256: outcomes, ...counts } = frozen;
  const {
    names: __,
    groupsSha256: nowGroups,
    promptsSha256: nowPrompts,
    outcomesSha256: nowOutcomes,
    ...nowCounts
  } = now;
  return [
    ...changed('data', counts, nowCounts),
    ...(groups === nowGroups ? [] : ['data: other groups of prompts']),
    ...(prompts === nowPrompts ? [] : ['data: other prompts, or others of their groups and benchmarks']),
    ...(outcomes === nowOutcomes ? [] : ['outcomes: other qualities or realised costs']),
  ];
}

function poolDifferences(frozen: TaskFile['pool'], now: TaskFile['pool']): string[] {
  const price = ({ inputUsdPerMTok, outputUsdPerMTok }: TaskFile['pool']['prices'][string]) =>
    `${inputUsdPerMTok ?? 'none'}/${outputUsdPerMTok ?? 'none'}`;
  const of = (pool: TaskFile['pool'], id: string) =>
    Object.hasOwn(pool.prices, id) ? price(pool.prices[id]!) : 'none';
  const priced = [...new Set([...Object.keys(frozen.prices), ...Object.keys(now.prices)])].sort();
  return [
    ...listDifferences('models', frozen.modelIds, now.modelIds),
    ...priced
      .filter((id) => of(frozen, id) !== of(now, id))
      .map((id) => `prices of ${id}: ${of(now, id)} instead of ${of(frozen, id)} USD per million tokens in/out`),
    ...(frozen.costBasis === now.costBasis ? [] : [`cost basis: ${now.costBasis} instead of ${frozen.costBasis}`]),
    ...listDifferences('models with hidden reasoning', frozen.hiddenReasoning, now.hiddenReasoning),
  ];
}

function splitDifferences(frozen: TaskFile['split'], now: TaskFile['split']): string[] {
  const { folds, ...how } = frozen;
  const { folds: nowFolds, ...nowHow } = now;
  const names = (list: TaskFile['split']['folds']) => list.map(({ name }) => name);
  const out = [
    ...changed('split', how, nowHow),
    ...listDifferences('split: test parts', names(folds), names(nowFolds)),
  ];
  for (const fold of folds) {
    const other = nowFolds.find(({ name }) => name === fold.name);
    if (!other) continue;
    const place = folds.length > 1 ? ` without ${fold.name}` : '';
    const count = (what: string, was: number, is: number) => (was === is ? '' : ` (${is} ${what} instead of ${was})`);
    const part = (what: 'train' | 'test', words: string) => {
      const [sha, prompts] = [`${what}GroupsSha256`, `${what}Prompts`] as const;
      if (fold[sha] === other[sha] && fold[prompts] === other[prompts]) return;
      out.push(`split${place}: other ${words} groups${count('prompts', fold[prompts], other[prompts])}`);
    };
    part('train', 'training');
    part('test', 'test');
  }
  return out;
}

/** The fields of two flat objects that are not the same. */
function changed<T extends object>(what: string, frozen: T, now: T): string[] {
  return (Object.keys(now) as (keyof T & string)[])
    .filter((key) => canonicalJson(frozen[key]) !== canonicalJson(now[key]))
    .map((key) => `${what}: ${key} ${shown(now[key])} instead of ${shown(frozen[key])}`);
}

function listDifferences(what: string, frozen: readonly string[], now: readonly string[]): string[] {
  if (canonicalJson(frozen) === canonicalJson(now)) return [];
  const added = now.filter((x) => !frozen.includes(x));
  const gone = frozen.filter((x) => !now.includes(x));
  if (added.length === 0 && gone.length === 0) return [`${what}: in another order, or twice`];
  const some = (word: string, list: string[]) => (list.length === 0 ? [] : [`${word} ${shortened(list, ', ')}`]);
  return [`${what}: ${[...some('with', added), ...some('without', gone)].join('; ')}`];
}

const shown = (value: unknown): string =>
  value === null ? 'none' : Array.isArray(value) ? value.join(', ') || 'none' : String(value);

const SHOWN = 5;
const shortened = (list: readonly string[], by = '; '): string =>
  list.slice(0, SHOWN).join(by) + (list.length > SHOWN ? `${by}and ${list.length - SHOWN} more` : '');

/** Enough of a hash to tell two apart. */
const brief = (hash: string): string => `${hash.slice(0, 12)}…`;

/** Rows by prompt id, then by model, so that the order of the data does not matter. */
function rowHashes({ table, costUsd }: Part): Pick<TaskFile['dataset'], 'promptsSha256' | 'outcomesSha256'> {
  const m = table.modelIds.length;
  const models = table.modelIds.map((id) => JSON.stringify(id));
  const order = table.prompts.map((_, i) => i);
  order.sort((a, b) => compare(table.prompts[a]!.id, table.prompts[b]!.id));
  const prompts: Hash = createHash('sha256');
  const outcomes: Hash = createHash('sha256');
  for (const i of order) {
    const { id, groupId, benchmark } = table.prompts[i]!;
    prompts.update(`${JSON.stringify([id, groupId, benchmark])}\n`);
    const prompt = JSON.stringify(id);
    let rows = '';
    for (let j = 0; j < m; j++) {
      const quality = table.quality[i * m + j]!;
      if (Number.isNaN(quality)) continue;
      rows += `[${prompt},${models[j]},${digits(quality)},${digits(costUsd[i * m + j]!)}]\n`;
    }
    outcomes.update(rows);
  }
  return { promptsSha256: prompts.digest('hex'), outcomesSha256: outcomes.digest('hex') };
}

/** 12 significant digits: more than any figure shows, fewer than the last bits of a sum. */
const digits = (x: number): string => String(Number(x.toPrecision(12)));

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .sort(([a], [b]) => compare(a, b))
    .map(([key, v]) => `${JSON.stringify(key)}:${canonicalJson(v)}`);
  return `{${members.join(',')}}`;
}
