/** `pointsman leaderboard`: fits and ranks every method of the zoo on folders of outcomes. */
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { resolveForTraining } from '../../datasets/sources/index.ts';
import { leaderBoardPage } from '../../eval/leaderboard/page.ts';
import { TASKS, type TaskName } from '../../eval/leaderboard/rank.ts';
import { leaderBoardText } from '../../eval/leaderboard/text.ts';
import { isZooName, OURS, ZOO, type ZooName } from '../../router/estimators/index.ts';
import { checkTextFiles } from '../../router/training/read-texts.ts';
import { type BoardJob, codeHash, measureInThreads, runBoard } from './leaderboard-run.ts';
import { natural, positive } from './numbers.ts';
import { type ReportFolder, reportFolder } from './report-folder.ts';

const HELP = `
DIR holds prompts.jsonl[.gz], outcomes.jsonl[.gz] and models.json with prices.
Give several: each source's encoder is then learned from the texts of the
others, so that no method profits from having read what it is tested on. The
shipped word vectors may have read it, without outcomes; with --text each
source gets vectors of its own, from texts that do not quote its prompts.

Tasks (--only)
${Object.entries(TASKS)
  .map(([name, what]) => `  ${name.padEnd(16)}${what}`)
  .join('\n')}

Beside the methods every board shows cheapest, best-single, zero (the best
random mix of single models), random, benchmark-mean, length-only, cascade, the
true shared difficulty and the oracle, and three negative controls whose place
is known beforehand.

The models that compete are written down in eval/pools/NAME.json, by folder;
changed data is refused. Data without a pool gets one by the same rule.

What is measured is kept in OUT/measured, so a run that was broken off goes on
where it stopped; a change of the code or the data measures anew.

A method of your own: one file in router/estimators/, one line in its index.ts.

Examples
  pointsman leaderboard --data DIR/*/ --out reports/board
  pointsman leaderboard --data A B --only in-domain --method item-response knn
  pointsman leaderboard --data A B C --source A   rank on A only
  pointsman leaderboard --data A --quick`;

/** The plainest rival beside ours. */
const QUICK: readonly ZooName[] = [OURS, 'knn'];

interface Options {
  data: string[];
  text: string[];
  out: string;
  only: TaskName[];
  method?: ZooName[];
  splits?: number;
  labels: number;
  seed: number;
  replicates?: number;
  source?: string[];
  jobs: number;
  quick?: boolean;
}

export function leaderboardCommand(): Command {
  return new Command('leaderboard')
    .description('Fits and ranks every routing method on every source given, with intervals and negative controls.')
    .requiredOption('--data <dir...>', 'folders of outcomes')
    .option(
      '--text <file...>',
      'plain texts to learn word vectors from, for each source without its own prompts; default: the shipped vectors',
      [],
    )
    .option('--out <dir>', 'folder for leaderboard.html, .json and .txt', 'reports/leaderboard')
    .addOption(
      new Option('--only <task...>', 'only these tasks').choices(Object.keys(TASKS)).default(Object.keys(TASKS), 'all'),
    )
    .option('--method <name...>', `only these methods (of ${Object.keys(ZOO).join(', ')})`, method)
    .option('--source <name...>', 'rank on these folders only; the others teach encoders', collect)
    .option('--splits <count>', 'group splits (default: 20)', positive)
    .option('--labels <count>', 'training prompts of a split; 60 % of the prompts where fewer', positive, 1000)
    .option('--seed <number>', 'fixes the splits and every draw', natural, 1)
    .option('--replicates <count>', 'bootstrap resamples (default: 500)', positive)
    .option('--jobs <count>', 'sources measured side by side', positive, Math.min(2, availableParallelism()))
    .option('--quick', `a look in minutes: 3 splits, 100 resamples, ${QUICK.join(' and ')}; nothing to quote`)
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const dirs = resolveForTraining(options.data);
  checkTextFiles(options.text);
  const page = reportFolder(options.out, 'leaderboard.html');
  const files = [page, reportFolder(options.out, 'leaderboard.json'), reportFolder(options.out, 'leaderboard.txt')];
  const quick = options.quick ?? false;
  const chosen = options.method ?? (quick ? QUICK : (Object.keys(ZOO) as ZooName[]));
  const splits = options.splits ?? (quick ? 3 : 20);
  const job: BoardJob = {
    dirs,
    texts: options.text,
    out: options.out,
    // The baseline of the Brier score and of the learning curve, and ours, are always there.
    methods: [...new Set([...chosen, 'mean-quality' as const, OURS])],
    tasks: options.only,
    sources: options.source ?? [],
    splits,
    fewSplits: Math.min(splits, quick ? 1 : 4),
    draws: quick ? 2 : 10,
    labels: options.labels,
    seed: options.seed,
    replicates: options.replicates ?? (quick ? 100 : 500),
    code: codeHash(options.text),
    started: Date.now(),
  };
  try {
    if (options.jobs > 1) await measureInThreads(job, options.jobs);
    const board = await runBoard(job);
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

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

function method(value: string, previous: ZooName[] = []): ZooName[] {
  if (!isZooName(value)) throw new InvalidArgumentError(`the methods are ${Object.keys(ZOO).join(', ')}.`);
  return [...previous, value];
}
