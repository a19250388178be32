/** `pointsman route`: the decision for one prompt, readable, without calling a model. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import { REASONS } from '../../router/decision.ts';
import type { Router } from '../../router/router.ts';
import { Routing, routeOptionsOf } from '../api/knobs.ts';
import { explain } from '../api/route.ts';
import { type GatewayConfig, readConfig } from '../config/index.ts';
import { lockOwner } from '../db/lock.ts';
import { openStore } from '../db/store.ts';
import { encoderFolder } from '../encoder-folder.ts';
import { baselineOf, routable, usableModels } from '../models.ts';
import { providersFrom } from '../providers/index.ts';
import { filled, shortened } from '../terminal.ts';
import { number } from './numbers.ts';

type Explained = ReturnType<typeof explain>;

export function routeCommand(): Command {
  return new Command('route')
    .description('decide for one prompt and show why, without calling a model')
    .argument('[prompt]', 'the prompt; without it, or as -, it is read from standard input')
    .option('--json', 'print the whole decision as JSON')
    .option('--all', 'show every candidate, not only the first ten')
    .option('--dial <n>', '0 cheapest … 10 best; 5 is the tolerance in force', number)
    .option('--min-quality <p>', 'least predicted probability of success, 0 to 1', number)
    .option('--max-cost <usd>', 'most that the call may be expected to cost', number)
    .option('--keep <share>', 'share of the best model’s quality to keep on average, e.g. 0.98', number)
    .option('--budget <usd>', 'USD per 1 000 requests to spend on average', number)
    .option('--critical', 'leave nothing to chance: no exploration')
    .option('--config <file>', 'options file (default: pointsman.yaml, if there)')
    .option('--data-dir <dir>', 'where a promoted router lies (default: .pointsman)')
    .option('--catalog <file>', 'candidate models, JSON or YAML (default: the shipped catalog)')
    .option('--artifact <dir>', 'router artifact (default: the promoted one, else the shipped one)')
    .addHelpText(
      'after',
      `
Candidates are the models of the providers whose keys are set; without any key,
all models of the catalog. A gateway that runs on the data folder is asked itself.

  pointsman route "What is 12 x 12?"
  pointsman route --dial 8 "Prove that there are infinitely many primes."
  cat question.txt | pointsman route --json`,
    )
    .action(async (given: string | undefined, { config: file, json, all, ...options }) => {
      const { dial, minQuality, maxCost, keep, budget, critical, ...overrides } = options;
      const target = keep === undefined ? undefined : { keep };
      const routing = readRouting({ dial, minQuality, maxCostUsd: maxCost, target, budget, critical });
      const text = given === undefined || given === '-' ? await readStdin() : given;
      if (text.trim() === '') {
        throw new RoutingError('INVALID_REQUEST', 'no prompt: give one in quotes, or pipe one in');
      }
      const decision = await decide(text, routing, readConfig({ file, env: process.env, overrides }));
      console.log(json ? JSON.stringify(decision, null, 2) : readable(decision, all === true));
    });
}

async function readStdin(): Promise<string> {
  if (process.stdin.isTTY) return '';
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}

/** @throws `INVALID_CONFIG` naming the knob that is out of range */
function readRouting(knobs: { readonly [K in keyof Routing]: unknown }): Routing {
  const parsed = Routing.safeParse(Object.fromEntries(Object.entries(knobs).filter(([, v]) => v !== undefined)), PLAIN);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const option = { target: 'keep', minQuality: 'min-quality', maxCostUsd: 'max-cost' }[String(path[0])] ?? path[0];
  throw new RoutingError('INVALID_CONFIG', `--${String(option)}: ${message}`);
}

async function decide(text: string, routing: Routing, config: GatewayConfig): Promise<Explained> {
  const request = { messages: [{ role: 'user', content: text }] };
  const running = config.databaseUrl === undefined ? lockOwner(config.dataDir)?.url : undefined;
  // An option for this one run is not what the running gateway was started with.
  if (running && config.artifact === undefined && config.catalog === undefined) {
    const response = await fetch(`${running}/v1/route`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...request, routing }),
    });
    const body = (await response.json()) as Explained & { error?: { message: string } };
    if (!response.ok)
      throw new RoutingError('INVALID_REQUEST', body.error?.message ?? `the gateway at ${running} failed`);
    return body;
  }
  const catalog = await readCatalog(config.catalog);
  const { on } = providersFrom(config, process.env);
  const candidates = routable(usableModels(catalog, on, config.models), config);
  const { Router } = await import('../../router/index.ts');
  const artifact = config.artifact ?? (await promotedArtifact(config));
  const encoderDir = config.encoder === undefined ? undefined : await encoderFolder(config.encoder, config);
  const { policy } = config;
  const router: Router = await Router.load({ candidates, policy, encoderDir, ...(artifact && { artifact }) });
  const decision = await router.route(request, routeOptionsOf(routing));
  await Promise.all([router, ...on.values()].map((part) => part.close()));
  return explain(decision, baselineOf(config.baseline, catalog, candidates));
}

/** Folder of the promoted artifact, if anything was ever promoted here. */
async function promotedArtifact(config: GatewayConfig): Promise<string | null> {
  const { activeArtifactDir, artifactsFolder } = await import('../learning/artifacts.ts');
  // Opening the embedded database takes about a second: only where there is something to find.
  if (config.databaseUrl === undefined && !existsSync(artifactsFolder(config.dataDir))) return null;
  const store = await openStore(config);
  try {
    return await activeArtifactDir(store, config.dataDir);
  } finally {
    await store.close();
  }
}

/** @param room characters of a line; ids of models that are too long for it lose their middle; undefined: any number */
export function readable(decision: Explained, all: boolean, room: number | undefined = process.stdout.columns): string {
  const { ranked, baseline, certificate, mix } = decision;
  const shown = all ? ranked : ranked.slice(0, MOST_SHOWN);
  const longest = Math.max(...shown.map(({ model }) => model.length));
  const width = room === undefined ? longest : Math.min(longest, Math.max(LEAST_WIDTH, room - BESIDE));
  const saving = decision.baselineCostUsd === 0 ? 0 : decision.estimatedSavingUsd / decision.baselineCostUsd;
  const fact = (name: string, text: string) => filled(`  ${name.padEnd(15)} `, text, room);
  const lines = [
    decision.model,
    ...filled('  ', REASONS[decision.reason] ?? decision.reason, room),
    '',
    ...fact(
      'expected cost',
      `${perThousand(decision.costUsd)} USD for 1,000 requests like this; ${baseline} would cost ${perThousand(decision.baselineCostUsd)} (${percent(saving)} saved)`,
    ),
    ...fact(
      'quality',
      `${percent(ranked[0]?.quality ?? 0)} predicted; ${percent(decision.floor)} is good enough (tolerance ${tolerances(mix)})`,
    ),
    ...beaten(ranked).flatMap((text, i) => fact(i === 0 ? 'against' : '', text)),
    ...fact('certificate', `${certificate.holds ? '' : 'none that holds: '}${certificate.reason}`),
    ...fact(
      'prompt',
      `difficulty ${decision.difficulty.toFixed(2)} logits (0 is middling); unlike the training data: ${percent(decision.outOfDomain)}`,
    ),
    ...fact('router', decision.artifact.slice(0, 12)),
    '',
    `  ${'candidate'.padEnd(width)}  quality      ±   USD/1,000   chance`,
    ...shown.map(
      ({ model, quality, qualitySd, costUsd, adequate, probability }) =>
        `  ${shortened(model, width).padEnd(width)} ${percent(quality).padStart(8)}${percent(qualitySd).padStart(7)}${perThousand(costUsd).padStart(12)}` +
        `${percent(probability ?? 0).padStart(9)}${adequate ? '' : '  too low'}`,
    ),
  ];
  if (shown.length < ranked.length) lines.push(`  … and ${ranked.length - shown.length} more (--all)`);
  for (const { model, reason } of decision.filtered)
    lines.push(`  left out: ${model} (${reason.replaceAll('_', ' ')})`);
  return lines.join('\n');
}

const MOST_SHOWN = 10;
/** Of the column of models. */
const LEAST_WIDTH = 24;
/** Characters beside it: the other columns and what may be said at their end. */
const BESIDE = 48;

/** What else would have been good enough, and what the best would have cost. */
function beaten(ranked: Explained['ranked']): string[] {
  const [chosen, ...others] = ranked;
  if (chosen === undefined || others.length === 0) return [];
  const times = (costUsd: number) =>
    chosen.costUsd > 0
      ? `${Number((costUsd / chosen.costUsd).toPrecision(2))} times as much`
      : `${perThousand(costUsd)} USD for 1,000`;
  const dearer = others.filter(({ adequate, costUsd }) => adequate && costUsd > chosen.costUsd);
  const next = dearer.toSorted((a, b) => a.costUsd - b.costUsd)[0];
  const best = others.reduce((a, b) => (b.quality > a.quality ? b : a));
  return [
    ...(next === undefined
      ? []
      : [`${next.model}, the next dearer one that is good enough, costs ${times(next.costUsd)}`]),
    best.quality > chosen.quality
      ? `${best.model}, predicted the best, is ${(100 * (best.quality - chosen.quality)).toFixed(1)} points better and costs ${times(best.costUsd)}`
      : 'no other is predicted to be better',
  ];
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const tolerances = (mix: Explained['mix']): string =>
  mix
    .map(({ tolerance, share }) => `${tolerance.toFixed(3)}${share < 1 ? ` in ${(share * 100).toFixed(0)} %` : ''}`)
    .join(', ');

const perThousand = (amountUsd: number): string => {
  const amount = 1000 * amountUsd;
  return Math.abs(amount) >= 0.1 ? amount.toFixed(2) : amount.toPrecision(2);
};
