/** `pointsman onboard MODEL`: a row of the heads for one more model, from a few labelled prompts, and what it changes. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import ora from 'ora';
import {
  Candidate,
  CHARS_PER_TOKEN,
  type Dataset,
  modelKey,
  type Prompt,
  RoutingError,
  readCatalog,
  readDataset,
  readScores,
  refuseForTraining,
  scoredModel,
} from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import { resolveDataset } from '../../datasets/sources/index.ts';
import {
  type Artifact,
  loadArtifact,
  readEncoder,
  refuseToReplace,
  saveArtifact,
} from '../../router/artifact/artifact.ts';
import { hashGroup, textHashes, trainedOn } from '../../router/artifact/trained-on.ts';
import { embed } from '../../router/estimators/index.ts';
import type { Heads } from '../../router/heads/heads.ts';
import { createRouter, type Router } from '../../router/router.ts';
import { type Onboarding, onboardModel } from '../../router/training/onboard.ts';
import { heldOutOnboarding } from '../../router/training/onboard-check.ts';
import { rowOf } from '../../router/training/onboard-row.ts';
import { priorRows } from '../../router/training/prior-scores.ts';
import { type Labels, type Picks, qualityOf, type Report, standing, textOf } from './onboard-report.ts';

interface Options {
  data: string;
  out: string;
  artifact?: string;
  catalog?: string;
  like?: string;
  inputUsd?: number;
  outputUsd?: number;
  replace?: boolean;
  json?: boolean;
}

/** Fewer labels than this say too little to be worth a new artifact. */
const LEAST = 30;
/** Prompts that are decided before and after, to see what changes. */
const DECIDED = 300;

const HELP = `
DIR holds prompts.jsonl and outcomes.jsonl (pointsman datasets check --help). Only MODEL's
outcomes are learned from: 30 labelled prompts at least, 100 to 300 are better, beyond
1000 little is gained. Which to label first: pointsman anchors --data DIR

The row starts from what is known without labels: the model's own row where there is one,
else published scores, price and date, else how models differ; --like names a predecessor
to start from instead. Encoder and all other rows stay as they are.

"before" foretells each prompt with no label, "after" with those of other groups only
(five folds). Qualities are 0 to 1.

Examples
  pointsman onboard openai/gpt-6-luna --data labels --out my-router
  pointsman onboard local/my-tune --like meta-llama/llama-3.1-8b-instruct \\
    --input-usd 0.05 --output-usd 0.05 --data labels --out my-router
  pointsman start --artifact my-router`;

export function onboardCommand(): Command {
  return new Command('onboard')
    .description('Add a model to a router from a few labelled prompts, without training the rest again.')
    .argument('<model>', 'its id as provider/model, the same as in outcomes.jsonl')
    .requiredOption('--data <dir>', 'folder with labelled prompts of the model')
    .requiredOption('--out <dir>', 'where to write the new artifact')
    .option('--artifact <dir>', 'artifact to add to (default: the shipped one)')
    .option('--like <id>', 'a model of the artifact that this one is close to')
    .option('--input-usd <price>', 'USD per million tokens read (default: models.json of DIR, else catalog)', price)
    .option('--output-usd <price>', 'USD per million tokens written', price)
    .option(
      '--catalog <file>',
      'candidates that it competes with where DIR prices no other model that the artifact knows (default: the shipped catalog)',
    )
    .option('--replace', 'write over a router that lies in --out')
    .option('--json', 'print only JSON')
    .addHelpText('after', HELP)
    .action(run);
}

async function run(modelId: string, options: Options): Promise<void> {
  const out = resolve(options.out);
  refuseToReplace(out);
  if (!options.replace && existsSync(join(out, 'manifest.json'))) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `${options.out}: holds a router already; give a new folder, or --replace to put the new one in its place`,
    );
  }
  const spinner = options.json ? null : ora({ text: 'reading labels', stream: process.stderr }).start();
  try {
    const dir = resolveDataset(options.data);
    refuseForTraining(dir);
    const dataset = await readDataset(dir);
    const labels = labelsOf(dataset, modelId, options.data);
    const catalog = (await readCatalog(options.catalog)).models;
    const candidate = candidateOf(modelId, dataset, catalog, options);
    const artifact = await loadArtifact(options.artifact);
    try {
      if (spinner) spinner.text = `encoding ${labels.prompts.length} prompts`;
      const start = await startOf(artifact.heads, modelId, candidate, options.like);
      const { prompts, quality, outputTokens } = labels;
      const z = await embed(artifact.encoder, prompts);
      const given: Onboarding = { modelId, z, quality, outputTokens, ...(start.like && { like: start.like }) };
      if (spinner) spinner.text = 'fitting the row, with and without each fold';
      const heldOut = heldOutOnboarding(start.heads, given, prompts);
      const hash = save(out, artifact, onboardModel(start.heads, given), modelId, labels, dataset);
      if (spinner) spinner.text = 'deciding before and after';
      const picks = candidate && (await picksOf(artifact, out, poolOf(candidate, dataset, catalog, artifact), prompts));
      spinner?.stop();
      const seen = prompts.filter(trainedOn(artifact.manifest).seen).length;
      const report: Report = {
        model: modelId,
        labels: prompts.length,
        groups: new Set(prompts.map((p) => p.groupId)).size,
        quality: qualityOf(labels),
        startedFrom: start.from,
        before: standing(heldOut.before, labels),
        after: standing(heldOut.after, labels),
        picks: picks ?? null,
        seenInTraining: seen,
        artifact: { hash, parent: artifact.hash, dir: options.out },
        /** What the catalog lacks of it; null: it stands there. */
        catalogEntry: catalog.some((c) => c.id === modelId) ? null : entryOf(modelId, candidate),
      };
      process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
    } finally {
      await artifact.encoder.close?.();
    }
  } catch (error) {
    spinner?.stop();
    throw error;
  }
}

/** @throws `UNKNOWN_MODEL` where the folder has no outcome of it, `EMPTY_TABLE` where it has too few */
function labelsOf(dataset: Dataset, modelId: string, dir: string): Labels {
  const usable = new Map(dataset.prompts.filter((p) => !p.contaminated).map((p) => [p.id, p]));
  const outcomes = [...dataset.outcomes.filter((o) => o.modelId === modelId && usable.has(o.promptId))];
  if (outcomes.length === 0) {
    const others = [...new Set(dataset.outcomes.map((o) => o.modelId))].sort();
    throw new RoutingError(
      'UNKNOWN_MODEL',
      `${dir}: no outcome of ${modelId} there; it has those of ${others.slice(0, 5).join(', ') || 'no model'}` +
        `${others.length > 5 ? ` and ${others.length - 5} more` : ''}`,
    );
  }
  if (outcomes.length < LEAST) {
    throw new RoutingError(
      'EMPTY_TABLE',
      `${dir}: ${outcomes.length} labelled prompts of ${modelId} are too few; give ${LEAST} at least, better 100 to 300. ` +
        `Which to label next: pointsman anchors --data ${dir}`,
    );
  }
  return {
    prompts: outcomes.map((o) => usable.get(o.promptId)!),
    quality: outcomes.map((o) => o.quality),
    outputTokens: outcomes.map(
      (o) => o.outputTokens ?? (o.outputChars === undefined ? Number.NaN : o.outputChars / CHARS_PER_TOKEN),
    ),
  };
}

/** The model with its prices: as typed, else of the folder, else of the catalog; undefined where nobody knows them. */
function candidateOf(
  modelId: string,
  dataset: Dataset,
  catalog: readonly Candidate[],
  { inputUsd, outputUsd }: Options,
): Candidate | undefined {
  if ((inputUsd === undefined) !== (outputUsd === undefined)) {
    throw new RoutingError('INVALID_CONFIG', '--input-usd and --output-usd: give both or neither');
  }
  const listed = catalog.find((c) => c.id === modelId);
  const info = dataset.models[modelId];
  const prices = {
    inputUsdPerMTok: inputUsd ?? info?.inputUsdPerMTok ?? listed?.inputUsdPerMTok,
    outputUsdPerMTok: outputUsd ?? info?.outputUsdPerMTok ?? listed?.outputUsdPerMTok,
  };
  if (prices.inputUsdPerMTok === undefined || prices.outputUsdPerMTok === undefined) return undefined;
  const parsed = Candidate.safeParse({ contextTokens: 128_000, ...listed, id: modelId, ...prices }, PLAIN);
  if (parsed.success) return parsed.data;
  throw new RoutingError('INVALID_CONFIG', `${modelId}: ${parsed.error.issues[0]!.message}`);
}

interface Start {
  readonly heads: Heads;
  readonly like?: string;
  /** For people: what the row starts from. */
  readonly from: string;
}

async function startOf(heads: Heads, modelId: string, candidate: Candidate | undefined, like?: string): Promise<Start> {
  if (like !== undefined) return { heads, like, from: like };
  const own = rowOf(heads, modelId);
  if (own !== undefined && own.evidence > 0) {
    return { heads, like: modelId, from: `its own row, which rests on ${own.evidence} labels` };
  }
  if (own !== undefined) return { heads, from: 'its published scores, price and date' };
  const same = heads.modelIds.find((id) => modelKey(id) === modelKey(modelId) && rowOf(heads, id)!.evidence > 0);
  if (same !== undefined) return { heads, like: same, from: `${same}, the same model by another name` };
  const unpriced = { id: modelId, inputUsdPerMTok: 0, outputUsdPerMTok: 0, contextTokens: 128_000 };
  const scores = await readScores();
  const known = scoredModel(scores, modelId) !== undefined;
  return {
    heads: priorRows(heads, [candidate ?? Candidate.parse(unpriced)], scores),
    from: known ? 'its published scores, price and date' : 'how models of its price and family differ',
  };
}

/** Encoder, policy and all other rows as they were. @returns the new hash */
function save(
  out: string,
  artifact: Artifact,
  heads: Heads,
  modelId: string,
  labels: Labels,
  dataset: Dataset,
): string {
  const { training, metrics, notes } = artifact.manifest;
  const groups = [...new Set(labels.prompts.map((p) => p.groupId))];
  const count = { prompts: labels.prompts.length, groups: groups.length, outcomes: labels.prompts.length };
  return saveArtifact(out, {
    encoder: readEncoder(artifact),
    heads,
    policy: artifact.policy,
    training: {
      ...training,
      data: [...training.data, { name: `${dataset.name}: ${modelId}`, ...count }],
      trainedGroupHashes: merged(training.trainedGroupHashes, groups.map(hashGroup)),
      trainedTextHashes: merged(training.trainedTextHashes ?? [], textHashes(labels.prompts, dataset.prompts)),
    },
    metrics,
    notes: [...notes, `${modelId} was added from ${labels.prompts.length} labelled prompts.`],
    parent: artifact.hash,
    created: new Date(),
  }).hash;
}

const merged = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])].sort();

/** What it competes with: the priced models of the folder that the artifact knows, else the catalog. */
function poolOf(
  candidate: Candidate,
  dataset: Dataset,
  catalog: readonly Candidate[],
  { heads }: Artifact,
): Candidate[] {
  const local = Object.entries(dataset.models).flatMap(([id, info]) => {
    const parsed = Candidate.safeParse({ id, contextTokens: 128_000, ...pricesOf(info) }, PLAIN);
    return parsed.success && heads.modelIds.includes(id) ? [parsed.data] : [];
  });
  const others = local.some((c) => c.id !== candidate.id) ? local : catalog;
  return [candidate, ...others.filter((c) => c.id !== candidate.id)];
}

const pricesOf = ({ inputUsdPerMTok, outputUsdPerMTok }: Dataset['models'][string]) => ({
  inputUsdPerMTok,
  outputUsdPerMTok,
});

/** How many prompts go to the model, by the old artifact and by the new; null where no prompt has a text. */
async function picksOf(
  old: Artifact,
  out: string,
  pool: readonly Candidate[],
  prompts: readonly Prompt[],
): Promise<Picks | null> {
  const texts = prompts.flatMap((p) => (p.text.trim() === '' ? [] : [p.text])).slice(0, DECIDED);
  if (texts.length === 0) return null;
  const fresh = await loadArtifact(out);
  try {
    const [before, after] = [old, fresh].map((a) => createRouter(a, pool, a.policy)) as [Router, Router];
    const counts = { candidates: pool.length, prompts: texts.length, before: 0, after: 0, changed: 0 };
    const wanted = pool[0]!.id;
    const known = old.heads.modelIds.includes(wanted) || pool.length > 1;
    for (const content of texts) {
      const request = { messages: [{ role: 'user', content }] };
      const was = known ? (await before.route(request, { critical: true })).model : undefined;
      const is = (await after.route(request, { critical: true })).model;
      if (was === wanted) counts.before++;
      if (is === wanted) counts.after++;
      if (was !== is) counts.changed++;
    }
    return counts;
  } finally {
    await fresh.encoder.close?.();
  }
}

/** What to add to a catalog of one's own. */
const entryOf = (id: string, candidate: Candidate | undefined): string =>
  JSON.stringify({
    id,
    inputUsdPerMTok: candidate?.inputUsdPerMTok ?? '…',
    outputUsdPerMTok: candidate?.outputUsdPerMTok ?? '…',
    contextTokens: '…',
  });

function price(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('give US dollars per million tokens, 0 or more.');
  }
  return value;
}
