/** `pointsman simulate`: the promises of the loop, counted in worlds made of recorded outcomes, where the truth is known. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { type Dataset, RoutingError, readDataset } from '../../datasets/index.ts';
import { resolveForTraining } from '../../datasets/sources/index.ts';
import { simulationText } from '../../eval/simulate/text.ts';
import { natural, positive } from './numbers.ts';
import { progressLine } from './progress.ts';
import { SIMULATIONS, type SimulationName, simulate } from './simulate/run.ts';

const HELP = `
DIR is a folder of outcomes (prompts.jsonl[.gz], outcomes.jsonl[.gz],
models.json with prices) or a folder that holds several. Give several sources:
encoder and prior are learned from the others, without any group of the one that
is simulated on. Every prompt of it then has the outcome of every model, so that
the truth about a router is known, and a log is that with all outcomes hidden but
those of the models drawn.

Simulations (--only)
${Object.entries(SIMULATIONS)
  .map(([name, what]) => `  ${name.padEnd(10)}${what}`)
  .join('\n')}

For each target: what was found, its 95 % interval over runs, what was wanted.
“met” and “MISSED” go by the estimate; with “(sure)” the whole interval agrees.
An interval over runs knows the luck of logs and splits, not that of the source.

Examples
  pointsman simulate --data DIR
  pointsman simulate --data DIR --only change missing     a minute
  pointsman simulate --data DIR --seeds 1 --runs 20       a first look
  pointsman simulate --data DIR --source zeroeval --json found.json`;

/** The largest source with many models and known lengths of answers, and another one of other tasks and models. */
const SOURCES = ['mmlu-pro', 'zeroeval'];

interface Options {
  data: string[];
  source?: string[];
  only: SimulationName[];
  seeds: number;
  runs: number;
  seed: number;
  json?: string;
}

export function simulateCommand(): Command {
  return new Command('simulate')
    .description('Counts the promises of the learning loop on simulated logs of recorded outcomes.')
    .requiredOption('--data <dir...>', 'folders of outcomes, or folders that hold some')
    .option(
      '--source <name...>',
      `simulate on these; after the first one only bandit (default: ${SOURCES.join(', ')}, where they are there)`,
    )
    .addOption(
      new Option('--only <name...>', 'only these simulations')
        .choices(Object.keys(SIMULATIONS))
        .default(Object.keys(SIMULATIONS), 'all'),
    )
    .option('--seeds <count>', 'runs of what refits heads: bandit, newcomer, flipped', positive, 3)
    .option('--runs <count>', 'runs of what does not; half as many of the gate, for each kind of log', positive, 200)
    .option('--seed <number>', 'the first seed', natural, 1)
    .option('--json <file>', 'write what was found there, too')
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const dirs = resolveForTraining(options.data.flatMap(foldersIn));
  const progress = progressLine();
  const started = Date.now();
  const say = (step: string) => progress.say(`${((Date.now() - started) / 1000).toFixed(0).padStart(5)} s  ${step}`);
  try {
    const datasets: Dataset[] = [];
    for (const dir of dirs) {
      say(`reading ${dir}`);
      datasets.push(await readDataset(dir));
    }
    const sources = options.source ?? defaultSources(datasets.map(({ name }) => name));
    const targets = await simulate(datasets, { ...options, sources, onProgress: say });
    progress.clear();
    if (options.json !== undefined) {
      const { seeds, runs, seed, only } = options;
      writeJson(options.json, { sources, only, seeds, runs, seed, targets });
    }
    process.stdout.write(simulationText(targets));
  } finally {
    progress.clear();
  }
}

/** @throws `MISSING_FILE` where there is no such folder, or nothing in it */
function foldersIn(dir: string): string[] {
  // A name instead of a folder is a dataset that was fetched.
  if (!existsSync(dir) || holdsOutcomes(dir)) return [dir];
  const inside = readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && holdsOutcomes(join(dir, entry.name)))
    .map(({ name }) => join(dir, name))
    .sort();
  if (inside.length > 0) return inside;
  throw new RoutingError(
    'MISSING_FILE',
    `${dir}: neither it nor a folder in it holds prompts.jsonl[.gz]; give a folder of outcomes, or one that holds some`,
  );
}

const holdsOutcomes = (dir: string): boolean =>
  ['prompts.jsonl', 'prompts.jsonl.gz'].some((file) => existsSync(join(dir, file)));

function defaultSources(names: readonly string[]): string[] {
  const known = SOURCES.filter((name) => names.includes(name));
  return known.length > 0 ? known : [names[0]!];
}

/** @throws `MISSING_FILE` where the file cannot be written */
function writeJson(path: string, found: unknown): void {
  try {
    writeFileSync(path, `${JSON.stringify(found, null, 1)}\n`);
  } catch (cause) {
    throw new RoutingError('MISSING_FILE', `--json ${path}: cannot be written (${(cause as Error).message})`, {
      cause,
    });
  }
}
