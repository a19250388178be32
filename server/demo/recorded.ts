/**
 * Recorded outcomes of real models as something to route: which prompts are practised on and which stay fresh, the
 * catalog with the prices of the data, and local upstreams that answer as the recorded model did. Nothing is generated:
 * a reply is a placeholder of the recorded length, and what it is worth was recorded, too.
 */
import { createHash } from 'node:crypto';
import {
  type Candidate,
  CHARS_PER_TOKEN,
  type Dataset,
  deriveSeed,
  type Prompt,
  providerOf,
  RoutingError,
  seededRandom,
  shuffled,
  upstreamModelOf,
} from '../../datasets/index.ts';
import { CONSTANT_TOKENS } from '../../eval/costs.ts';
import { upperHull } from '../../eval/metrics/upper-hull.ts';
import { type Part, selectPartModels, selectPartRows } from '../../eval/part.ts';
import { singleModels } from '../../eval/single-models.ts';
import { groupsWith } from '../../eval/split.ts';
import { prepareTask } from '../../eval/task.ts';
import type { Asked, Checker } from './client.ts';
import { lastQuestion, startAnswerers, type Upstreams } from './upstreams.ts';

/** One prompt of the data and what each of the models made of it. */
export interface RecordedTask extends Asked {
  readonly id: string;
  readonly benchmark: string;
  /** By column of {@link Recorded.candidates}. */
  readonly quality: readonly number[];
  readonly outputTokens: readonly number[];
}

export interface Recorded {
  readonly name: string;
  /** Cheapest first, by what the practice prompts cost. */
  readonly candidates: readonly Candidate[];
  readonly practice: readonly RecordedTask[];
  readonly fresh: readonly RecordedTask[];
  /** Column of the best model on the practice prompts. */
  readonly best: number;
  /** Model id of the data → the artifact's model whose predictions stand in for it at first; only where they differ. */
  readonly likened: Readonly<Record<string, string>>;
  /** Prompts that could not be fresh because the artifact has learned from their groups. */
  readonly seen: number;
  /** True where the length of most answers is not known, so that costs are by a constant. */
  readonly constantLengths: boolean;
}

export interface RecordedOptions {
  readonly practice: number;
  readonly fresh: number;
  /** Models to route between, at most. */
  readonly models: number;
  readonly seed: number;
}

/** What is asked of the router that the gateway starts with. */
export interface StartingRouter {
  /** True when anything in it was fitted or chosen on this prompt. */
  seen(prompt: Prompt): boolean;
  readonly modelIds: readonly string[];
  /** Known models with a price, to liken others to. */
  readonly priced: readonly { readonly like: string; readonly outputUsdPerMTok: number }[];
}

/** The one provider that everything recorded is behind; the models' own names stand after the slash. */
const PROVIDER = 'recorded';
/** A model that was tried on less than this share of the prompts would leave few that all models were tried on. */
const MIN_COVERAGE = 0.5;
const LEAST = { practice: 60, fresh: 20 };

/**
 * @throws `EMPTY_TABLE` where too few prompts with text, outcomes of all models and, for the fresh ones, unseen
 *         groups are left; `INVALID_ROW` for prompts without text
 */
export function recordedWorld(dataset: Dataset, router: StartingRouter, options: RecordedOptions): Recorded {
  if (dataset.prompts.some((p) => p.text.trim() === '')) {
    throw new RoutingError(
      'INVALID_ROW',
      `${dataset.name}: some prompts have an embedding in place of their text, and a gateway is asked with text; give data with texts`,
    );
  }
  const task = prepareTask(dataset);
  const listed = task.part.table.modelIds.filter((id) => {
    const info = task.part.table.models[id];
    return info?.inputUsdPerMTok !== undefined && info.outputUsdPerMTok !== undefined;
  });
  const part = selectPartModels(task.part, wellTried(task.part, listed));
  const split = splitGroups(part, router, options);
  const pool = chooseModels(selectPartRows(part, split.practice), options.models);
  const chosen = selectPartModels(part, pool);
  const practice = completeTasks(chosen, split.practice).slice(0, options.practice);
  const fresh = completeTasks(chosen, split.fresh).slice(0, options.fresh);
  for (const [what, list] of Object.entries({ practice, fresh })) {
    const least = LEAST[what as keyof typeof LEAST];
    if (list.length >= least) continue;
    throw new RoutingError(
      'EMPTY_TABLE',
      `${dataset.name}: ${list.length} ${what} prompts on which all of ${pool.length} models were tried, ${least} are needed` +
        `${what === 'fresh' && split.seen > 0 ? ` (${split.seen} belong to groups that the router has learned from)` : ''}; bring more data, or ask for fewer --models`,
    );
  }
  const likened: Record<string, string> = {};
  const candidates = pool.map((id): Candidate => {
    const info = chosen.table.models[id]!;
    const like = router.modelIds.includes(id) ? id : nearestPrice(router, info.outputUsdPerMTok!);
    if (like !== undefined && like !== id) likened[id] = like;
    return {
      id: `${PROVIDER}/${id}`,
      ...(like !== undefined && { like }),
      inputUsdPerMTok: info.inputUsdPerMTok!,
      outputUsdPerMTok: info.outputUsdPerMTok!,
      // The data does not tell; every recorded prompt was answered.
      contextTokens: 2_000_000,
      inputModalities: ['text'],
      tools: false,
      structuredOutput: false,
      reasoning: false,
      source: `recorded outcomes of ${dataset.name}`,
    };
  });
  const best = pool.reduce((top, _, j) => (meanOf(practice, j) > meanOf(practice, top) ? j : top), 0);
  const constant = chosen.constantLength.reduce((sum, c) => sum + c, 0) / Math.max(1, chosen.constantLength.length);
  return {
    name: dataset.name,
    candidates,
    practice,
    fresh,
    best,
    likened,
    seen: split.seen,
    constantLengths: constant > 0.5,
  };
}

const meanOf = (tasks: readonly RecordedTask[], j: number): number =>
  tasks.reduce((sum, t) => sum + t.quality[j]!, 0) / tasks.length;

/** USD of one call at the prices of the candidate, by the usage that the upstream reports. */
export const recordedCostUsd = (candidate: Candidate, task: RecordedTask, column: number): number =>
  (promptTokens(task.prompt) * candidate.inputUsdPerMTok + task.outputTokens[column]! * candidate.outputUsdPerMTok) /
  1e6;

const promptTokens = (text: string): number => Math.ceil(text.length / CHARS_PER_TOKEN);

/** What the answer of a model was worth, as recorded. */
export const recordedChecker = ({ candidates }: Recorded): Checker<RecordedTask> => {
  const column = new Map(candidates.map(({ id }, j) => [id, j]));
  return {
    source: 'recorded',
    score(task, _reply, model) {
      const j = column.get(model);
      if (j !== undefined) return task.quality[j]!;
      throw new RoutingError('INTERNAL', `the gateway says that ${model} answered, which was not asked`);
    },
  };
};

/** A server that knows the recorded prompts by the hash of their text, and answers as each model did. */
export function startRecorded({ candidates, practice, fresh }: Recorded): Promise<Upstreams> {
  const byHash = new Map([...practice, ...fresh].map((task) => [hashOf(task.prompt), task]));
  const column = new Map(candidates.map(({ id }, j) => [upstreamModelOf(id), j]));
  return startAnswerers({
    [providerOf(candidates[0]!.id)]: (model, messages) => {
      const task = byHash.get(hashOf(lastQuestion(messages)));
      const j = column.get(model);
      if (task === undefined || j === undefined) return null;
      const completionTokens = task.outputTokens[j]!;
      return {
        content: `[Recorded answer of ${model} to ${task.id}: ${completionTokens} tokens. Its text is not in the data.]`,
        promptTokens: promptTokens(task.prompt),
        completionTokens,
      };
    },
  });
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function wellTried({ table }: Part, listed: readonly string[]): string[] {
  const m = table.modelIds.length;
  const n = table.prompts.length;
  const models = listed.filter((id) => {
    const j = table.modelIds.indexOf(id);
    let tried = 0;
    for (let at = j; at < table.quality.length; at += m) if (!Number.isNaN(table.quality[at]!)) tried++;
    return tried >= MIN_COVERAGE * n;
  });
  if (models.length >= 2) return models;
  throw new RoutingError(
    'EMPTY_TABLE',
    `${table.name}: ${models.length} models have list prices in models.json and outcomes on half of the prompts, two are needed`,
  );
}

/** Groups in random order: unseen ones are fresh until there are enough, all others are practice. A text counts once. */
function splitGroups(
  { table }: Part,
  { seen }: StartingRouter,
  { fresh: wanted, seed }: RecordedOptions,
): { practice: number[]; fresh: number[]; seen: number } {
  const texts = new Set<string>();
  const members = new Map<string, number[]>();
  table.prompts.forEach((p, i) => {
    if (texts.has(p.text)) return;
    texts.add(p.text);
    members.set(p.groupId, [...(members.get(p.groupId) ?? []), i]);
  });
  const groups = shuffled([...members.keys()].sort(), seededRandom(deriveSeed(seed, 'demo-recorded')));
  const closed = groupsWith(table.prompts, seen);
  const open = groups.filter((g) => !closed.has(g));
  // Where nearly all groups are unseen, some have to be left to practise on; where holes are many, more are needed.
  const most = Math.min(3 * wanted, Math.floor(texts.size / 2));
  const fresh: number[] = [];
  const freshGroups = new Set<string>();
  for (const g of open) {
    if (fresh.length >= most) break;
    fresh.push(...members.get(g)!);
    freshGroups.add(g);
  }
  const practice = groups.filter((g) => !freshGroups.has(g)).flatMap((g) => members.get(g)!);
  return { practice, fresh, seen: groups.filter((g) => closed.has(g)).flatMap((g) => members.get(g)!).length };
}

/**
 * The models worth routing between, by the practice prompts alone: those on the hull of cost and quality, thinned
 * evenly where they are too many and filled up with the best of the others where they are too few; cheapest first.
 */
function chooseModels(practice: Part, most: number): string[] {
  const { quality, costUsd, byFallingQuality } = singleModels(practice);
  const hull = upperHull(Array.from(quality, (q, j) => ({ quality: q, costUsd: costUsd[j]! })));
  const count = Math.min(most, quality.length);
  const kept = new Set(
    hull.length <= count
      ? hull
      : Array.from({ length: count }, (_, k) => hull[Math.round((k * (hull.length - 1)) / (count - 1))]!),
  );
  for (const j of byFallingQuality) if (kept.size < count) kept.add(j);
  return [...kept].sort((a, b) => costUsd[a]! - costUsd[b]! || a - b).map((j) => practice.table.modelIds[j]!);
}

/** Prompts on which every model was tried, in the order given. */
function completeTasks({ table, constantLength }: Part, rows: readonly number[]): RecordedTask[] {
  const m = table.modelIds.length;
  return rows.flatMap((r): RecordedTask[] => {
    const quality = Array.from(table.quality.subarray(r * m, r * m + m));
    if (quality.some(Number.isNaN)) return [];
    const tokens = Array.from(table.outputTokens.subarray(r * m, r * m + m), (t) =>
      constantLength[r] === 1 || Number.isNaN(t) ? CONSTANT_TOKENS : Math.max(1, Math.round(t)),
    );
    const { id, benchmark, text } = table.prompts[r]!;
    return [{ id, benchmark, prompt: text, quality, outputTokens: tokens }];
  });
}

/** The known model whose price is nearest, by ratio; undefined where none is known. */
function nearestPrice({ priced }: StartingRouter, outputUsdPerMTok: number): string | undefined {
  const distance = (p: number) => Math.abs(Math.log((p + 1e-3) / (outputUsdPerMTok + 1e-3)));
  const [first] = [...priced].sort(
    (a, b) => distance(a.outputUsdPerMTok) - distance(b.outputUsdPerMTok) || (a.like < b.like ? -1 : 1),
  );
  return first?.like;
}
