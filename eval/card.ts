/**
 * What a dataset of outcomes holds, before anything is concluded from it: how much there is to gain, what it cost,
 * what looks wrong, and which differences are too small to be seen in so few prompts.
 */
import {
  type Clusters,
  type CrossGroupDuplicates,
  clustersOf,
  crossGroupDuplicates,
  type Dataset,
  type OutcomeTable,
  outcomeTable,
  summarise,
} from '../datasets/index.ts';
import { type CostBasis, isPriced, mainBasis, realisedCosts } from './costs.ts';
import { DASH, list, percent, usdPerThousand, whole } from './report/format.ts';
import { singleModels } from './single-models.ts';

export interface DatasetCard {
  readonly name: string;
  readonly prompts: number;
  readonly groups: number;
  readonly models: number;
  readonly outcomes: number;
  /** Share of the prompt × model cells that have an outcome, in (0, 1]. */
  readonly coverage: number;
  readonly benchmarks: readonly { readonly name: string; readonly prompts: number }[];
  /** Writing of the prompts with text, most frequent first. */
  readonly scripts: readonly { readonly name: string; readonly prompts: number }[];
  /** Mean cost of a prompt, adjusted for which prompts a model was asked; null without prices. */
  readonly cheapest: { readonly modelId: string; readonly costUsd: number } | null;
  readonly dearest: { readonly modelId: string; readonly costUsd: number } | null;
  /** Dearest / cheapest, ≥ 1; null with fewer than two priced models, or where the cheapest is free. */
  readonly priceFactor: number | null;
  readonly unpriced: readonly string[];
  /** What the costs rest on: shares of the tried cells, and the main one; null where no model has a price. */
  readonly costBasis: { readonly main: CostBasis; readonly shares: Readonly<Record<CostBasis, number>> } | null;
  /** The highest mean, adjusted for which prompts a model was asked, in [0, 1]. */
  readonly bestSingle: { readonly modelId: string; readonly quality: number };
  /** Mean of the best quality any model reached, over prompts with outcomes, in [0, 1]. */
  readonly oracle: number;
  /**
   * What a perfect router would gain in quality, ≥ 0: mean of oracle − best single over the prompts that the best single
   * model answered. With holes that is another set of prompts than `oracle`'s.
   */
  readonly headroom: number;
  /** Prompts that the best single model answered. */
  readonly headroomPrompts: number;
  /** Shares of the prompts with outcomes on which every model asked got 1, and 0. */
  readonly solvedByAll: number;
  readonly solvedByNone: number;
  /** Near-duplicates that a split by group can put on both sides. */
  readonly nearDuplicates: CrossGroupDuplicates;
  readonly power: Power;
  readonly warnings: readonly string[];
}

/**
 * What a comparison on the test part can show. With q₁, q₂ the qualities of the two best models on a prompt and n
 * test groups,
 *
 *     d = mean (q₁ − q₂)²,    SE ≈ √(d / n),    smallest difference ≈ (1.96 + 0.84) SE
 *
 * for 80 % power at 95 % confidence, two-sided. Of right and wrong answers d is the share of prompts on which the two
 * differ. A router that differs from its baseline on fewer prompts than these two can be told apart more finely.
 */
export interface Power {
  /** n, groups that are tested; where that is not known yet 30 % of the groups with outcomes, at least one. */
  readonly testGroups: number;
  /** d, in [0, 1]; null where no prompt has two models' outcomes. */
  readonly disagreement: number | null;
  /** SE of a difference in quality; null where d is unknown or 0. */
  readonly standardError: number | null;
  /** The smallest difference in quality that shows, in (0, 1]; null where SE is. */
  readonly detectable: number | null;
}

const TEST_SHARE = 0.3;
const Z_CONFIDENCE = 1.96;
const Z_POWER = 0.8416;
/** A model that costs hardly more than another leaves nothing to save. */
const PRICE_SPREAD = 1.05;
/** Rounding of 32-bit qualities. */
const EPSILON = 1e-6;

export interface CardOptions {
  /** Near-duplicate groups, where they are known already. */
  readonly clusters?: Clusters;
  /** The models that are compared; default: all. What the others did is left out. */
  readonly candidates?: readonly string[];
  /** Groups that are tested; default: 30 % of all. */
  readonly testGroups?: number;
}

/** @throws `EMPTY_TABLE` when there is no outcome of a model that is no base model */
export function datasetCard(all: Dataset, options: CardOptions = {}): DatasetCard {
  const { clusters = clustersOf(all.prompts), candidates } = options;
  const dataset = candidates ? { ...all, outcomes: all.outcomes.filter((o) => candidates.includes(o.modelId)) } : all;
  const summary = summarise(dataset);
  const table = outcomeTable(dataset);
  const costs = realisedCosts(table, dataset);
  const models = table.modelIds;
  const priced = models.map((_, j) => j).filter((j) => isPriced(table, j));
  const means = singleModels({ table, costUsd: costs.costUsd, constantLength: costs.constantLength });
  const best = means.byFallingQuality[0]!;
  const answered = summary.prompts - summary.promptsWithoutOutcomes;
  const oracle = summary.oracle!;
  const headroom = headroomOver(table, best);
  const byCost = priced
    .map((j) => ({ modelId: models[j]!, costUsd: means.costUsd[j]! }))
    .filter(({ costUsd }) => Number.isFinite(costUsd))
    .sort((a, b) => a.costUsd - b.costUsd || (a.modelId < b.modelId ? -1 : 1));
  const [cheapest = null] = byCost;
  const dearest = byCost.at(-1) ?? null;
  const known = {
    name: dataset.name,
    prompts: summary.prompts,
    groups: summary.groups,
    models: models.length,
    outcomes: summary.outcomes,
    coverage: 1 - summary.missing,
    benchmarks: summary.benchmarks,
    scripts: scriptsOf(dataset),
    cheapest,
    dearest,
    priceFactor: byCost.length < 2 || cheapest!.costUsd === 0 ? null : dearest!.costUsd / cheapest!.costUsd,
    unpriced: models.filter((_, j) => !priced.includes(j)),
    costBasis: priced.length === 0 ? null : { main: mainBasis(costs.shares), shares: costs.shares },
    bestSingle: { modelId: models[best]!, quality: means.quality[best]! },
    oracle,
    headroom: headroom.points < EPSILON ? 0 : headroom.points,
    headroomPrompts: headroom.prompts,
    solvedByAll: summary.solvedByAll / answered,
    solvedByNone: summary.solvedByNobody / answered,
    nearDuplicates: crossGroupDuplicates(dataset.prompts, clusters),
    power: powerOf(table, best, means.byFallingQuality[1], options.testGroups),
  };
  return { ...known, warnings: [...warningsOf(known, table, cheapest, dearest), ...summary.warnings] };
}

/** Mean of the best quality minus that of one model, over the prompts that it answered. */
function headroomOver({ quality, modelIds }: OutcomeTable, column: number): { points: number; prompts: number } {
  const m = modelIds.length;
  let [sum, count] = [0, 0];
  for (let from = 0; from < quality.length; from += m) {
    const own = quality[from + column]!;
    if (Number.isNaN(own)) continue;
    let top = own;
    for (let at = from; at < from + m; at++) if (quality[at]! > top) top = quality[at]!;
    sum += top - own;
    count++;
  }
  return { points: count === 0 ? 0 : sum / count, prompts: count };
}

function powerOf(table: OutcomeTable, first: number, second: number | undefined, tested: number | undefined): Power {
  const m = table.modelIds.length;
  const groups = new Set<string>();
  let sum = 0;
  let count = 0;
  table.prompts.forEach(({ groupId }, i) => {
    const row = table.quality.subarray(i * m, i * m + m);
    if (row.some((q) => !Number.isNaN(q))) groups.add(groupId);
    const difference = second === undefined ? Number.NaN : row[first]! - row[second]!;
    if (Number.isNaN(difference)) return;
    sum += difference * difference;
    count++;
  });
  const testGroups = tested ?? Math.max(1, Math.round(groups.size * TEST_SHARE));
  const disagreement = count === 0 ? null : sum / count;
  const standardError = disagreement === null || disagreement === 0 ? null : Math.sqrt(disagreement / testGroups);
  const detectable = standardError === null ? null : Math.min(1, (Z_CONFIDENCE + Z_POWER) * standardError);
  return { testGroups, disagreement, standardError, detectable };
}

type Known = Omit<DatasetCard, 'warnings'>;

function warningsOf(
  card: Known,
  table: OutcomeTable,
  cheapest: Known['cheapest'],
  dearest: Known['dearest'],
): string[] {
  const m = table.modelIds.length;
  const tried = table.quality.filter((q) => !Number.isNaN(q));
  const constant = tried.every((q) => q === tried[0]);
  const alike = m > 1 && allModelsAlike(table);
  const few = card.prompts < 50 ? 50 : 200;
  const n = card.prompts;
  const warn: [boolean, string][] = [
    [n === 1, 'one prompt only: nothing can be learned and tested from it'],
    [
      n > 1 && n < few,
      `${n} prompts are fewer than ${few}: ${few === 50 ? 'nothing but a gross difference shows' : 'read every figure with its interval'}`,
    ],
    [n > 1 && card.groups === 1, 'all prompts are in one group: it cannot be split into a training and a test part'],
    [m === 1, 'one model only: there is nothing to choose from'],
    [constant, `every outcome has quality ${tried[0]}: there is nothing to learn from`],
    [alike && !constant, 'on every prompt all models did equally well: the cheapest is as good as any router'],
    [
      m > 1 && !alike && card.headroom === 0,
      `no model is ever better than ${card.bestSingle.modelId}: a router can save money, not add quality`,
    ],
    [
      m > 1 &&
        cheapest !== null &&
        dearest !== null &&
        m > card.unpriced.length + 1 &&
        flat(card.priceFactor, dearest.costUsd),
      'all priced models cost the same: there is nothing to save',
    ],
    [card.cheapest === null, 'no price is known: costs and savings have no value; give models.json or costUsd'],
    [
      card.coverage < 0.5,
      `only ${percent(card.coverage, 0)} % of the prompt and model pairs have an outcome: comparisons lean on the others being alike`,
    ],
    [
      card.nearDuplicates.pairs > 0,
      `${whole(card.nearDuplicates.promptsInvolved)} prompts have a near-duplicate in another group, e.g. ` +
        `${card.nearDuplicates.examples[0]?.join(' and ')}: give them one groupId, or a router is tested on what it has read`,
    ],
  ];
  return warn.filter(([applies]) => applies).map(([, text]) => text);
}

const flat = (factor: number | null, dearestUsd: number): boolean =>
  factor === null ? dearestUsd === 0 : factor < PRICE_SPREAD;

/** True when no prompt tells two models apart. */
function allModelsAlike({ quality, modelIds }: OutcomeTable): boolean {
  const m = modelIds.length;
  for (let from = 0; from < quality.length; from += m) {
    const row = quality.subarray(from, from + m).filter((q) => !Number.isNaN(q));
    if (row.some((q) => q !== row[0])) return false;
  }
  return true;
}

const SCRIPTS = [
  ['Japanese', /[\p{Script=Hiragana}\p{Script=Katakana}]/u],
  ['Korean', /\p{Script=Hangul}/u],
  ['Chinese', /\p{Script=Han}/u],
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Arabic', /\p{Script=Arabic}/u],
  ['Devanagari', /\p{Script=Devanagari}/u],
  ['Greek', /\p{Script=Greek}/u],
  ['Hebrew', /\p{Script=Hebrew}/u],
  ['Thai', /\p{Script=Thai}/u],
  ['Latin', /\p{Script=Latin}/u],
] as const;
/** A text says what it is written in long before its end. */
const SCRIPT_CHARS = 300;

/** By the script of most letters at the start; `other` where there are none of these. */
function scriptsOf({ prompts }: Dataset): { name: string; prompts: number }[] {
  const counts = new Map<string, number>();
  for (const { text } of prompts) {
    if (text.trim() === '') continue;
    const name = scriptOf(text.slice(0, SCRIPT_CHARS));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .map(([name, count]) => ({ name, prompts: count }))
    .sort((a, b) => b.prompts - a.prompts || (a.name < b.name ? -1 : 1));
}

function scriptOf(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: most texts are ASCII, and need no closer look.
  if (/^[\x00-\x7f]*$/.test(text)) return /[A-Za-z]/.test(text) ? 'Latin' : 'other';
  const letters = new Map<string, number>();
  for (const c of text) {
    const name = SCRIPTS.find(([, script]) => script.test(c))?.[0];
    if (name !== undefined) letters.set(name, (letters.get(name) ?? 0) + 1);
  }
  // Japanese is written with Chinese characters too, and these may outnumber its own.
  if (letters.has('Japanese')) letters.set('Japanese', letters.get('Japanese')! + (letters.get('Chinese') ?? 0));
  return [...letters].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'other';
}

const BASIS: Readonly<Record<CostBasis, string>> = {
  recorded: 'recorded costs',
  tokens: 'list price × recorded tokens',
  characters: 'list price × characters / 4',
  constant: 'list price × 300 tokens for every answer',
};

/** The card for a terminal: a dozen plain lines, then what to beware of. */
export function cardText(card: DatasetCard): string {
  const { power, nearDuplicates: near, costBasis } = card;
  const counted = (items: DatasetCard['benchmarks']) =>
    items.length === 0 ? DASH : list(items.map((x) => `${x.name} ${whole(x.prompts)}`));
  const cost = (x: DatasetCard['cheapest']) => (x === null ? DASH : `${x.modelId} ${usdPerThousand(x.costUsd)}`);
  const times = (x: number) => (x < 10 ? x.toFixed(1) : whole(Math.round(x)));
  const factor = card.priceFactor === null ? '' : ` (${times(card.priceFactor)} ×)`;
  const basis =
    costBasis === null
      ? DASH
      : `${BASIS[costBasis.main]}, ${percent(costBasis.shares[costBasis.main], 0)} % of the answers`;
  const unchecked = near.unchecked === 0 ? '' : `; ${whole(near.unchecked)} prompts without text unchecked`;
  const lines: [string, string][] = [
    [
      'prompts',
      `${whole(card.prompts)} in ${whole(card.groups)} groups; ${whole(card.outcomes)} outcomes of ${card.models} models`,
    ],
    ['coverage', `${percent(card.coverage)} % of prompts × models`],
    ['benchmarks', counted(card.benchmarks)],
    ['writing', counted(card.scripts)],
    ['USD per 1 000', `cheapest ${cost(card.cheapest)}, dearest ${cost(card.dearest)}${factor}`],
    ['costs from', basis + (card.unpriced.length === 0 ? '' : `; no price: ${list(card.unpriced)}`)],
    ['best single', `${percent(card.bestSingle.quality)} %  ${card.bestSingle.modelId}`],
    ['oracle', `${percent(card.oracle)} %  headroom ${headroomText(card)}`],
    ['solved', `by all ${percent(card.solvedByAll)} %, by none ${percent(card.solvedByNone)} % of the prompts`],
    ['near-duplicates', `${whole(near.pairs)} pairs across groups, ${whole(near.promptsInvolved)} prompts${unchecked}`],
    ['can be shown', powerText(power)],
  ];
  const body = lines.map(([name, text]) => `  ${name.padEnd(16)}${text}`);
  return [card.name, ...body, ...card.warnings.map((text) => `  note: ${text}`)].join('\n');
}

/** With holes the best single model's own prompts may be harder or easier than all. */
function headroomText({ headroom, headroomPrompts, coverage, bestSingle }: DatasetCard): string {
  const where =
    coverage === 1 ? '' : ` over ${bestSingle.modelId} on the ${whole(headroomPrompts)} prompts that it answered`;
  return `${percent(headroom)} points${where}`;
}

function powerText({ testGroups, disagreement, detectable }: Power): string {
  const groups = `${whole(testGroups)} test ${testGroups === 1 ? 'group' : 'groups'}`;
  if (disagreement === null) return `nothing: no prompt has outcomes of two models; ${groups}`;
  if (detectable === null) return `nothing: the two best models never differ; ${groups}`;
  return (
    `differences from ${percent(detectable)} points on (80 % power, 95 % confidence): ${groups}, ` +
    `mean squared difference of the two best models ${percent(disagreement)} %`
  );
}
