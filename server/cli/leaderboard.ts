/** `pointsman leaderboard`: fits and ranks every method of the zoo on folders of outcomes. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Dataset, readDataset } from '../../datasets/index.ts';
import type { MeasureStore } from '../../eval/leaderboard/in-domain.ts';
import { leaderBoardPage } from '../../eval/leaderboard/page.ts';
import { leaderBoard, TASKS, type TaskName } from '../../eval/leaderboard/rank.ts';
import { leaderBoardText } from '../../eval/leaderboard/text.ts';
import { isZooName, OURS, ZOO, type ZooName } from '../../router/estimators/index.ts';
import { type ReportFolder, reportFolder } from './report-folder.ts';

const HELP = `
DIR holds prompts.jsonl[.gz], outcomes.jsonl[.gz] and models.json with prices.
Give several: each source's encoder is then learned from the texts of the others,
so that no method profits from having read the source it is tested on.

Tasks (--only)
  in-domain       30 % of the groups tested, the others train; --splits times

Beside the methods every board shows cheapest, best-single, zero (the best random
mix of single models), random, benchmark-mean, length-only, cascade, the true
shared difficulty and the oracle, and three negative controls whose place is
known beforehand.

The models that compete are written down in eval/pools/NAME.json, by folder name;
changed data is refused. Data without a pool gets one by the same rule.

What is measured is kept in OUT/measured, so a run that was broken off goes on
where it stopped; a change of the code or the data measures anew.

A method of your own: one file in router/estimators/, one line in its index.ts.

Examples
  npm run leaderboard -- --data ../shared/data/outcomes/*/ --out reports/board
  npm run leaderboard -- --data A B --only in-domain --method item-response knn
  npm run leaderboard -- --data A --quick`;

interface Options {
  data: string[];
  out: string;
  only: TaskName[];
  method: ZooName[];
  splits?: number;
  labels: number;
  seed: number;
  replicates?: number;
  quick?: boolean;
}

export function leaderboardCommand(): Command {
  return new Command('leaderboard')
    .description('Fits and ranks every routing method on every source given, with intervals and negative controls.')
    .requiredOption('--data <dir...>', 'folders of outcomes')
    .option('--out <dir>', 'folder for leaderboard.html, .json and .txt', 'reports/leaderboard')
    .addOption(new Option('--only <task...>', 'only these tasks').choices(TASKS).default([...TASKS], 'all'))
    .option('--method <name...>', `only these methods (of ${Object.keys(ZOO).join(', ')})`, method, [])
    .option('--splits <count>', 'group splits (default: 20)', positive)
    .option('--labels <count>', 'training prompts of a split; 60 % of the prompts where fewer', positive, 1000)
    .option('--seed <number>', 'fixes the splits and every draw', natural, 1)
    .option('--replicates <count>', 'bootstrap resamples (default: 500)', positive)
    .option('--quick', 'a look in minutes: 3 splits, 100 resamples; nothing to quote')
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const page = reportFolder(options.out, 'leaderboard.html');
  const files = [page, reportFolder(options.out, 'leaderboard.json'), reportFolder(options.out, 'leaderboard.txt')];
  const started = performance.now();
  const say = (message: string) => {
    process.stderr.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${message}\n`);
  };
  try {
    const datasets: Dataset[] = [];
    for (const dir of options.data) {
      say(`reading ${dir}`);
      datasets.push(await readDataset(dir));
    }
    const chosen = options.method.length === 0 ? (Object.keys(ZOO) as ZooName[]) : [...new Set(options.method)];
    const board = await leaderBoard(datasets, {
      // The baseline's Brier score and the controls need these two, whoever else runs.
      methods: Object.fromEntries([...new Set([OURS, 'mean-quality' as const, ...chosen])].map((n) => [n, ZOO[n]])),
      ours: OURS,
      tasks: options.only,
      splits: options.splits ?? (options.quick ? 3 : 20),
      labels: options.labels,
      seed: options.seed,
      replicates: options.replicates ?? (options.quick ? 100 : 500),
      onProgress: say,
      store: folderStore(join(options.out, 'measured')),
    });
    write(files, [leaderBoardPage(board), `${JSON.stringify(board, null, 1)}\n`, leaderBoardText(board)]);
    process.stdout.write(leaderBoardText(board));
    process.stderr.write(`\npage, JSON and text are in ${options.out}\n`);
  } catch (error) {
    for (const file of files) file.abandon();
    throw error;
  }
}

function write(files: readonly ReportFolder[], contents: readonly string[]): void {
  files.forEach((file, k) => {
    file.write(contents[k]!);
  });
}

/** Measures as files, named by what they depend on and by the code that made them. */
function folderStore(dir: string): MeasureStore {
  const code = codeHash();
  const path = (key: string) =>
    join(dir, `${createHash('sha256').update(`${code}|${key}`).digest('hex').slice(0, 24)}.json`);
  return {
    get: (key) => (existsSync(path(key)) ? JSON.parse(readFileSync(path(key), 'utf8')) : undefined),
    set: (key, measure) => {
      mkdirSync(dir, { recursive: true });
      // Whole or not at all: a run may be broken off at any moment.
      writeFileSync(`${path(key)}.part`, JSON.stringify(measure));
      renameSync(`${path(key)}.part`, path(key));
    },
  };
}

/** Of everything a measure is worked out by: what another version measured does not count. */
function codeHash(): string {
  const hash = createHash('sha256');
  const root = fileURLToPath(new URL('../../', import.meta.url));
  for (const folder of ['datasets', 'router', 'eval']) {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => /\.[jt]s$/.test(name)).sort()) {
      hash.update(file).update(readFileSync(join(root, folder, file)));
    }
  }
  return hash.digest('hex');
}

function method(value: string, previous: ZooName[]): ZooName[] {
  if (!isZooName(value)) throw new InvalidArgumentError(`the methods are ${Object.keys(ZOO).join(', ')}.`);
  return [...previous, value];
}

function natural(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError('give a whole number of 0 or more.');
  }
  return value;
}

function positive(text: string): number {
  const value = natural(text);
  if (value === 0) throw new InvalidArgumentError('give a whole number of 1 or more.');
  return value;
}
