/**
 * RouteLLM's released answers by RouteLLM's own definitions: APGR and CPT over decile thresholds, contaminated
 * prompts left out. Labels are drawn several times, and intervals hold for other draws and other prompts together.
 *
 * - `mmlu`: labels of 1 500 MMLU prompts drawn at random, tested on all others of MMLU;
 * - `unseen subjects`: the labels come from half of the subjects, tested on the other half; and the same with all
 *   labels of the half;
 * - `gsm8k`: five folds, each tested by a fit on the other four, read as one.
 *
 * @see Ong et al., "RouteLLM", 2024, and `routellm/evals/` at lm-sys/RouteLLM 0b64fda
 */
import { deriveSeed, groupFolds, type Prompt, sampleRows, seededRandom, shuffled } from '../../datasets/index.ts';
import { isUnfit } from '../contender.ts';
import type { FoldResult } from '../fold.ts';
import { combineDraws } from '../leaderboard/combine.ts';
import type { Entry } from '../leaderboard/entry.ts';
import { roleOf } from '../leaderboard/field.ts';
import { type RankOptions, runField } from '../leaderboard/in-domain.ts';
import { apgr, cpt, type DeferralPoint, decileThresholds } from '../metrics/apgr.ts';
import { forEachResample } from '../metrics/bootstrap.ts';
import type { Estimate } from '../result.ts';
import type { FoldRows } from '../split.ts';
import { weightedSums } from '../tally.ts';

/** As many gold labels as RouteLLM used of MMLU. */
export const GOLD_LABELS = 1500;
const GSM8K_FOLDS = 5;

export const PARTS = ['mmlu', 'unseen subjects', 'unseen subjects, all labels', 'gsm8k'] as const;
export type PartName = (typeof PARTS)[number];

/** Best published figures with the same labels; GSM8K's best was trained without its labels. */
export const PUBLISHED: Readonly<Partial<Record<PartName, { apgr: number; cpt50: number; cpt80: number }>>> = {
  mmlu: { apgr: 0.603, cpt50: 0.354, cpt80: 0.703 },
  gsm8k: { apgr: 0.622, cpt50: 0.3364, cpt80: 0.6326 },
};

export interface PairRow {
  readonly name: string;
  readonly apgr: Estimate;
  /** Share of calls to the strong model, in [0, 1]. */
  readonly cpt50: Estimate;
  readonly cpt80: Estimate;
}

export interface RouteLlmBoard {
  readonly parts: readonly {
    readonly part: PartName;
    readonly draws: number;
    readonly trainPrompts: number;
    readonly testPrompts: number;
    readonly rows: readonly PairRow[];
  }[];
}

interface PairMeasure {
  readonly apgr: number;
  readonly cpt50: number;
  readonly cpt80: number;
}
interface DrawMeasure {
  readonly trainPrompts: number;
  readonly testPrompts: number;
  readonly value: Readonly<Record<string, PairMeasure>>;
  readonly replicates: Readonly<Record<string, readonly PairMeasure[]>>;
}

/** True for a source of two models with prompts of MMLU by subject, or of GSM8K. */
export const followsRouteLlm = ({ task }: Entry): boolean =>
  task.part.table.modelIds.length === 2 && PARTS.some((part) => foldsOf(part, task.part.table.prompts, 0).length > 0);

/** @param entry one that {@link followsRouteLlm} */
export async function routeLlmBoard(
  entry: Entry,
  options: RankOptions & { readonly draws: number },
): Promise<RouteLlmBoard> {
  const { prompts } = entry.task.part.table;
  const parts: RouteLlmBoard['parts'][number][] = [];
  for (const part of PARTS) {
    // Half of MMLU is nine thousand labels: what they bring is shown for ours alone.
    const names =
      part === 'unseen subjects, all labels'
        ? options.names.filter((name) => name === options.ours || roleOf(name) === 'row')
        : options.names;
    const measures: DrawMeasure[] = [];
    for (let d = 0; d < options.draws; d++) {
      const seed = deriveSeed(options.seed, `${part} ${d}`);
      const folds = foldsOf(part, prompts, seed);
      if (folds.length === 0) continue;
      const key = [entry.pool.groupsSha256, 'routellm', part, options.replicates, seed, ...names].join('|');
      const known = options.store?.get(key) as DrawMeasure | undefined;
      const measure =
        known ??
        (await measureDraw(entry, folds, { ...options, names }, seed, `${entry.task.name}, ${part}, draw ${d + 1}`));
      if (known === undefined) options.store?.set(key, measure);
      measures.push(measure);
    }
    if (measures.length > 0) parts.push(boardPart(part, measures, { ...options, names }));
  }
  return { parts };
}

/** Rows of one draw; the folds of gsm8k are read as one test part. */
export function foldsOf(part: PartName, prompts: readonly Prompt[], seed: number): FoldRows[] {
  const rows = prompts.map((_, i) => i);
  const mmlu = rows.filter((i) => prompts[i]!.benchmark.startsWith('mmlu/'));
  const without = (test: readonly number[], train: readonly number[]) => {
    const groups = new Set(train.map((i) => prompts[i]!.groupId));
    return test.filter((i) => !groups.has(prompts[i]!.groupId));
  };
  const fold = (train: readonly number[], test: readonly number[]): FoldRows[] =>
    train.length === 0 || test.length === 0 ? [] : [{ name: part, train, test: without(test, train) }];
  switch (part) {
    case 'mmlu': {
      const train = sampleRows(prompts, mmlu, GOLD_LABELS, seed);
      return fold(train, mmlu);
    }
    case 'unseen subjects':
    case 'unseen subjects, all labels': {
      const subjects = shuffled([...new Set(mmlu.map((i) => prompts[i]!.benchmark))].sort(), seededRandom(seed));
      const known = new Set(subjects.slice(0, Math.floor(subjects.length / 2)));
      const half = mmlu.filter((i) => known.has(prompts[i]!.benchmark));
      const train = part === 'unseen subjects' ? sampleRows(prompts, half, GOLD_LABELS, seed) : half;
      return fold(
        train,
        mmlu.filter((i) => !known.has(prompts[i]!.benchmark)),
      );
    }
    case 'gsm8k': {
      const own = rows.filter((i) => prompts[i]!.benchmark === 'gsm8k');
      const folds = groupFolds(
        own.map((i) => prompts[i]!),
        GSM8K_FOLDS,
        seed,
      );
      if (own.length < GSM8K_FOLDS) return [];
      return Array.from({ length: GSM8K_FOLDS }, (_, f) => ({
        name: part,
        train: own.filter((_, k) => folds[k] !== f),
        test: own.filter((_, k) => folds[k] === f),
      }));
    }
  }
}

async function measureDraw(
  entry: Entry,
  folds: readonly FoldRows[],
  options: RankOptions,
  seed: number,
  place: string,
): Promise<DrawMeasure> {
  const results: FoldResult[] = [];
  for (const rows of folds) {
    const result = await runField(entry, options, options.names, rows, seed, place);
    if (result) results.push(result);
  }
  const groupIds = [...new Set(entry.task.part.table.prompts.map((p) => p.groupId))].sort();
  const groups = new Map(groupIds.map((g, k) => [g, k]));
  const value: Record<string, PairMeasure> = {};
  const replicates: Record<string, PairMeasure[]> = {};
  for (const name of options.names) {
    const scored = scoresOf(name, results, groups);
    if (scored === null) continue;
    const measured = underResamples(scored, groupIds.length, options);
    value[name] = measured.value;
    replicates[name] = measured.replicates;
  }
  return {
    trainPrompts: Math.round(results.reduce((sum, r) => sum + r.trainPrompts, 0) / results.length),
    testPrompts: results.reduce((sum, r) => sum + r.test.table.prompts.length, 0),
    value,
    replicates,
  };
}

interface Scored {
  /** Per prompt: its group, how much rather the strong model, and what both reached. */
  readonly group: number[];
  readonly score: number[];
  readonly weak: number[];
  readonly strong: number[];
}

function scoresOf(name: string, results: readonly FoldResult[], groups: ReadonlyMap<string, number>): Scored | null {
  const out: Scored = { group: [], score: [], weak: [], strong: [] };
  for (const { measured, singles, test } of results) {
    const one = measured.get(name);
    if (one === undefined || typeof one === 'string' || isUnfit(one)) return null;
    const { preference } = one.measurement;
    if (preference === undefined) return null;
    const [strong, weak] = singles.byFallingQuality;
    const scores = test.table.prompts.map((_, i) => preference[2 * i + strong!]! - preference[2 * i + weak!]!);
    // Scores of different fits are read as shares of their own fold: a fold's mean is high where its test part is low.
    const read = results.length > 1 ? quantiles(scores) : scores;
    test.table.prompts.forEach((p, i) => {
      out.group.push(groups.get(p.groupId)!);
      out.score.push(read[i]!);
      out.weak.push(test.table.quality[2 * i + weak!]!);
      out.strong.push(test.table.quality[2 * i + strong!]!);
    });
  }
  return out;
}

/** Share of the scores below each one, ties counting half. */
function quantiles(scores: readonly number[]): number[] {
  const sorted = Float64Array.from(scores).sort();
  return scores.map((x) => (sorted.indexOf(x) + sorted.lastIndexOf(x) + 1) / 2 / sorted.length);
}

const BLOCK = 64;

/** Thresholds are those of the test part as it is, as RouteLLM takes them; every resample shares them. */
function underResamples(
  { group, score, weak, strong }: Scored,
  units: number,
  { replicates, seed }: RankOptions,
): { value: PairMeasure; replicates: PairMeasure[] } {
  const thresholds = [
    ...decileThresholds(Float64Array.from(score)),
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  const own = [...new Set(group)].sort((a, b) => a - b);
  const place = new Map(own.map((g, k) => [g, k]));
  const columns = 1 + 2 * thresholds.length;
  const sums = Array.from({ length: columns }, () => new Float64Array(own.length));
  for (let i = 0; i < score.length; i++) {
    const k = place.get(group[i]!)!;
    sums[0]![k]! += 1;
    thresholds.forEach((threshold, t) => {
      const up = score[i]! >= threshold;
      if (up) sums[1 + 2 * t]![k]! += 1;
      sums[2 + 2 * t]![k]! += up ? strong[i]! : weak[i]!;
    });
  }
  const under = (weights: Float64Array, count: number): PairMeasure[] => {
    const all = weightedSums({ columns, sums }, weights, count);
    return Array.from({ length: count }, (_, r) => {
      const s = all.subarray(r * columns, (r + 1) * columns);
      const curve: DeferralPoint[] = thresholds
        .map((_, t) => ({ strongShare: s[1 + 2 * t]! / s[0]!, quality: s[2 + 2 * t]! / s[0]! }))
        .sort((a, b) => a.strongShare - b.strongShare);
      // A pair whose gap is not positive in a resample needs all calls to be strong.
      return { apgr: apgr(curve) ?? 0, cpt50: cpt(curve, 0.5) ?? 1, cpt80: cpt(curve, 0.8) ?? 1 };
    });
  };
  const out: PairMeasure[] = [];
  const block = new Float64Array(Math.min(BLOCK, replicates) * own.length);
  forEachResample(units, replicates, deriveSeed(seed, 'groups'), (drawn, r) => {
    const row = (r % BLOCK) * own.length;
    own.forEach((g, k) => {
      block[row + k] = drawn[g]!;
    });
    const filled = (r % BLOCK) + 1;
    if (filled === BLOCK || r + 1 === replicates) out.push(...under(block, filled));
  });
  return { value: under(new Float64Array(own.length).fill(1), 1)[0]!, replicates: out };
}

function boardPart(
  part: PartName,
  draws: readonly DrawMeasure[],
  { names, replicates, seed }: RankOptions,
): RouteLlmBoard['parts'][number] {
  const measured = names.filter((name) => draws.every((d) => d.value[name] !== undefined));
  const figure = (name: string, of: keyof PairMeasure) =>
    combineDraws(
      draws.map((d) => ({ value: d.value[name]![of], replicates: d.replicates[name]!.map((r) => r[of]) })),
      replicates,
      seed,
    );
  const mean = (of: (d: DrawMeasure) => number) => Math.round(draws.reduce((sum, d) => sum + of(d), 0) / draws.length);
  return {
    part,
    draws: draws.length,
    trainPrompts: mean((d) => d.trainPrompts),
    testPrompts: mean((d) => d.testPrompts),
    rows: measured.map((name) => ({
      name,
      apgr: figure(name, 'apgr'),
      cpt50: figure(name, 'cpt50'),
      cpt80: figure(name, 'cpt80'),
    })),
  };
}
