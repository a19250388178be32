/**
 * Does the router choose by the task alone? Decides real prompts and their perturbed twins, and counts how often
 * the pick is the same, at a setting where picks differ between prompts: a router that always picks one model
 * would pass any such test.
 */
import {
  type Candidate,
  type Dataset,
  deriveSeed,
  type Prompt,
  RoutingError,
  sampleRows,
  seededRandom,
} from '../datasets/index.ts';
import type { Artifact } from '../router/artifact/artifact.ts';
import { trainedOn } from '../router/artifact/trained-on.ts';
import { createRouter, type Decision, type Router } from '../router/index.ts';
import { forEachResample, percentileInterval } from './metrics/bootstrap.ts';
import { FOLLOW_UP_ALONE, FOLLOW_UPS, HARMLESS, type Perturbation, ROUTER_TALK, type Turn } from './perturbations.ts';
import type { Estimate } from './result.ts';
import { groupsWith } from './split.ts';
import { prepareTask } from './task.ts';

/** No model may have more of the picks than this, or a steady pick says little. */
export const MOST_PICKS = 0.7;
/** Settings tried, where the artifact's own is too one-sided: the nearest by ratio that is not. */
const TOLERANCES = [0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3];
/** Fewer prompts make intervals wider than ten points. */
const FEWEST_PROMPTS = 50;

export type RobustnessKind = 'harmless' | 'talk' | 'follow-up' | 'reference';

export interface RobustnessRow {
  readonly kind: RobustnessKind;
  readonly name: string;
  /** Prompts that it applies to. */
  readonly prompts: number;
  /** Share of them with the same pick. */
  readonly same: Estimate;
  /** Shares whose pick is predicted worse, and better, than the old one on the prompt as it was. */
  readonly worse: number;
  readonly better: number;
  /** Over the prompts with another pick, by the predictions for the prompt as it was: mean difference in quality, and ratio of costs. Null without any. */
  readonly qualityChange: number | null;
  readonly costRatio: number | null;
}

export interface Robustness {
  readonly pool: string;
  readonly artifact: string;
  readonly models: number;
  readonly prompts: number;
  readonly tolerance: number;
  /** True when the artifact's own tolerance was too one-sided. */
  readonly toleranceMoved: boolean;
  /** Share of the picks of each model picked, the largest first. At most {@link MOST_PICKS} if any setting reaches that. */
  readonly picks: readonly { readonly model: string; readonly share: number }[];
  readonly rows: readonly RobustnessRow[];
}

/** Whom to choose from, and prompts that the artifact was not fitted on. */
export interface RobustnessPool {
  readonly name: string;
  readonly candidates: readonly Candidate[];
  readonly prompts: readonly Prompt[];
}

/** Long enough for every prompt: sources do not tell, and here it is not the question. */
const CONTEXT_TOKENS = 1_000_000;

/**
 * The priced models of a dataset that the artifact knows, without reasoning and base models; its prompts with a text
 * that the artifact has not seen, at most `count` of them.
 * @throws `EMPTY_TABLE` when fewer than two models or too few prompts are left
 */
export function poolOf(dataset: Dataset, artifact: Artifact, count: number, seed: number): RobustnessPool {
  const { table } = prepareTask(dataset).part;
  const known = table.modelIds.filter((id) => artifact.heads.modelIds.includes(id));
  const closed = groupsWith(table.prompts, trainedOn(artifact.manifest).seen);
  const rows = table.prompts.flatMap((p, i) => (p.text.trim() !== '' && !closed.has(p.groupId) ? [i] : []));
  if (known.length < 2 || rows.length < FEWEST_PROMPTS) {
    throw new RoutingError(
      'EMPTY_TABLE',
      `${dataset.name}: the router knows ${known.length} of its models (two are needed) and has not seen ${rows.length} ` +
        `of its prompts with a text (${FEWEST_PROMPTS} are needed); give other data with --data or another router with --artifact`,
    );
  }
  return {
    name: dataset.name,
    prompts: sampleRows(table.prompts, rows, count, deriveSeed(seed, 'robustness')).map((i) => table.prompts[i]!),
    candidates: known.map((id) => ({
      id,
      inputUsdPerMTok: table.models[id]!.inputUsdPerMTok!,
      outputUsdPerMTok: table.models[id]!.outputUsdPerMTok!,
      contextTokens: CONTEXT_TOKENS,
      inputModalities: ['text'],
      tools: true,
      structuredOutput: true,
      reasoning: false,
    })),
  };
}

export interface RobustnessOptions {
  readonly seed: number;
  /** Bootstrap resamples, by group. */
  readonly replicates: number;
  readonly onProgress?: (step: string) => void;
}

/** Exploration is off: what is drawn differs from call to call, and is not what is asked. */
export async function robustness(
  artifact: Artifact,
  pool: RobustnessPool,
  options: RobustnessOptions,
): Promise<Robustness> {
  const router = createRouter(artifact, pool.candidates, { ...artifact.policy, exploration: 0 });
  const progress = options.onProgress ?? (() => {});
  progress(`${pool.name}: choosing a setting`);
  const { tolerance, plain, picks } = await evenSetting(router, artifact.policy.tolerance, pool.prompts);
  const kinds: readonly [RobustnessKind, readonly Perturbation[]][] = [
    ['harmless', HARMLESS],
    ['talk', ROUTER_TALK],
    ['follow-up', FOLLOW_UPS],
    ['reference', [FOLLOW_UP_ALONE]],
  ];
  const rows: RobustnessRow[] = [];
  for (const [kind, perturbations] of kinds) {
    for (const perturbation of perturbations) {
      progress(`${pool.name}: ${perturbation.name}`);
      const pairs: Pair[] = [];
      for (const [i, prompt] of pool.prompts.entries()) {
        const random = seededRandom(deriveSeed(options.seed, `${perturbation.name} ${prompt.id}`));
        const changed = perturbation.apply(prompt.text, random);
        if (changed === null) continue;
        const { model } = await decideFor(router, changed, tolerance);
        pairs.push({ groupId: prompt.groupId, plain: plain[i]!, model });
      }
      rows.push({ kind, name: perturbation.name, ...rowOf(pairs, options) });
    }
  }
  return {
    pool: pool.name,
    artifact: artifact.hash,
    models: pool.candidates.length,
    prompts: pool.prompts.length,
    tolerance,
    toleranceMoved: tolerance !== artifact.policy.tolerance,
    picks,
    rows,
  };
}

interface Pair {
  readonly groupId: string;
  readonly plain: Decision;
  /** Picked for the perturbed prompt. */
  readonly model: string;
}

function rowOf(pairs: readonly Pair[], options: RobustnessOptions): Omit<RobustnessRow, 'kind' | 'name'> {
  const flips = pairs.filter(({ plain, model }) => plain.model !== model);
  const changes = flips.map(({ plain, model }) => {
    const [old, other] = [plain.model, model].map((id) => plain.ranked.find((c) => c.model === id)!);
    return { quality: other!.quality - old!.quality, logCost: Math.log(other!.costUsd / old!.costUsd) };
  });
  const share = (count: number): number => count / pairs.length;
  return {
    prompts: pairs.length,
    same: sameShare(pairs, options),
    worse: share(changes.filter((c) => c.quality < 0).length),
    better: share(changes.filter((c) => c.quality > 0).length),
    qualityChange: flips.length === 0 ? null : mean(changes.map((c) => c.quality)),
    costRatio: flips.length === 0 ? null : Math.exp(mean(changes.map((c) => c.logCost))),
  };
}

function sameShare(pairs: readonly Pair[], { replicates, seed }: RobustnessOptions): Estimate {
  const groups = [...new Set(pairs.map((p) => p.groupId))];
  const index = new Map(groups.map((id, g) => [id, g]));
  const same = new Float64Array(groups.length);
  const all = new Float64Array(groups.length);
  for (const { groupId, plain, model } of pairs) {
    all[index.get(groupId)!]!++;
    if (plain.model === model) same[index.get(groupId)!]!++;
  }
  const ratio = (weight: (g: number) => number): number => {
    let [top, bottom] = [0, 0];
    for (let g = 0; g < groups.length; g++) {
      top += weight(g) * same[g]!;
      bottom += weight(g) * all[g]!;
    }
    return top / bottom;
  };
  if (groups.length === 0) return { value: null, low: null, high: null };
  const values = new Float64Array(replicates);
  forEachResample(groups.length, replicates, seed, (weights, r) => {
    values[r] = ratio((g) => weights[g]!);
  });
  return { value: ratio(() => 1), ...percentileInterval(values) };
}

/** The artifact's own tolerance if picks are spread at it, else the nearest at which they are, else the most even one. */
async function evenSetting(router: Router, own: number, prompts: readonly Prompt[]) {
  const distance = (t: number): number => Math.abs(Math.log((t + 1e-4) / (own + 1e-4)));
  const settings = [...new Set([own, ...TOLERANCES])].sort((a, b) => distance(a) - distance(b));
  let best: { tolerance: number; plain: Decision[]; picks: Robustness['picks'] } | undefined;
  for (const tolerance of settings) {
    const plain: Decision[] = [];
    for (const { text } of prompts) plain.push(await decideFor(router, text, tolerance));
    const picks = shares(plain);
    if (best === undefined || picks[0]!.share < best.picks[0]!.share) best = { tolerance, plain, picks };
    if (picks[0]!.share <= MOST_PICKS) return { tolerance, plain, picks };
  }
  return best!;
}

function shares(decisions: readonly Decision[]): Robustness['picks'] {
  const counts = new Map<string, number>();
  for (const { model } of decisions) counts.set(model, (counts.get(model) ?? 0) + 1);
  return [...counts]
    .map(([model, count]) => ({ model, share: count / decisions.length }))
    .sort((a, b) => b.share - a.share);
}

const decideFor = (router: Router, prompt: string | readonly Turn[], tolerance: number): Promise<Decision> => {
  const messages =
    typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt.map((turn) => ({ ...turn }));
  return router.route({ messages }, { policy: { tolerance }, draw: 0.5 });
};

const mean = (xs: readonly number[]): number => xs.reduce((s, x) => s + x, 0) / xs.length;
