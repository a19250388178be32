/** `pointsman eval`: replays recorded outcomes, prints a leader board with intervals and writes an HTML report. */
import { Command, Option } from 'commander';
import { artifactSource } from '../../eval/artifact-source.ts';
import { matching, readEvaluationData } from '../../eval/data.ts';
import { DEFAULT_REPLICATES, evaluate } from '../../eval/evaluate.ts';
import { htmlReport } from '../../eval/report/html.ts';
import { jsonReport } from '../../eval/report/json.ts';
import { textReport } from '../../eval/report/text.ts';
import { DEFAULT_ROUTERS } from '../../eval/routers.ts';
import { SPLITS, type SplitName } from '../../eval/split.ts';
import { natural, positive } from './numbers.ts';
import { reportFolder } from './report-folder.ts';

const HELP = `
Routers
  default         the shipped artifact as it is, on the models it knows
  default+fit     its encoder frozen, heads fitted on the training part
  PATH, PATH+fit  the same for an artifact folder
  knn, cluster, ridge, matrix-factors, mlp, irt, item-response, mean-quality
                  published methods (item-response: ours) over the shipped
                  encoder, fitted on the training part
  length-only     knows the length of the prompt and nothing else
  cascade         cheapest first, escalating when a judge says no; the judge is
                  wrong on 1 answer in 10
  always shown    cheapest, best-single, zero (the best random mix of single
                  models), random, benchmark-mean, oracle

DIR holds prompts.jsonl[.gz], outcomes.jsonl[.gz] and models.json with prices;
look at it first with "pointsman datasets check DIR". Prompts that are nearly
the same must share a groupId. 30 % of the groups are tested, and none that an
artifact was fitted on: on its own training data all others are, about 10 %,
whatever the seed.

Examples
  pointsman eval                              the shipped sample
  pointsman eval --data DIR --out reports/mine
  pointsman eval --data DIR --split benchmark every benchmark unseen in turn
  pointsman eval --data DIR --router default+fit --train-prompts 300
  pointsman eval --data DIR --baseline openai/gpt-4o-2024-08-06 --json`;

interface Options {
  data: string[];
  router: string[];
  split: SplitName;
  benchmark?: string;
  trainPrompts?: number;
  seed: number;
  baseline?: string;
  includeReasoning?: boolean;
  replicates: number;
  out: string;
  json?: boolean;
}

export function evalCommand(): Command {
  return new Command('eval')
    .description('Replays recorded outcomes and compares routers, with intervals, in a table and an HTML report.')
    .option('--data <dir...>', 'folders of outcomes; without it the shipped sample is replayed', collect, [])
    .option('--router <name...>', `routers to show (default: ${DEFAULT_ROUTERS.join(', ')})`, collect, [])
    .addOption(
      new Option('--split <how>', 'test on 30 % of the groups (see below), or on each benchmark left out in turn')
        .choices(SPLITS)
        .default('group'),
    )
    .option('--benchmark <prefix>', 'only benchmarks whose name starts with this')
    .option('--train-prompts <count>', 'train on at most this many prompts', positive)
    .option('--seed <number>', 'fixes the split and every draw', natural, 0)
    .option('--baseline <model>', 'what savings are measured against (default: the best single model in training)')
    .option(
      '--include-reasoning',
      'keep reasoning models although their hidden tokens, and so their costs, are unknown',
    )
    .option('--replicates <count>', 'bootstrap resamples', positive, DEFAULT_REPLICATES)
    .option('--out <dir>', 'folder for report.html', 'reports')
    .option('--json', 'print only JSON, and write a report only with --out')
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => run(options, command.getOptionValueSource('out') === 'cli'));
}

async function run(options: Options, outAsked: boolean): Promise<void> {
  const { dataset, encoderId } = await readEvaluationData(options.data);
  const folder = options.json && !outAsked ? null : reportFolder(options.out, 'report.html');
  const progress = progressLine();
  const evaluation = await evaluate(dataset, {
    routers: options.router,
    split: options.split,
    seed: options.seed,
    replicates: options.replicates,
    ...(options.benchmark !== undefined && { benchmark: options.benchmark }),
    ...(options.trainPrompts !== undefined && { trainPrompts: options.trainPrompts }),
    ...(options.baseline !== undefined && { baseline: options.baseline }),
    ...(options.includeReasoning && { includeReasoning: true }),
    load: matching(artifactSource, encoderId),
    onProgress: progress.say,
  })
    .catch((error: unknown) => {
      folder?.abandon();
      throw error;
    })
    .finally(progress.clear);
  const path = folder?.write(htmlReport(evaluation));
  if (options.json) process.stdout.write(jsonReport(evaluation));
  else process.stdout.write(`${textReport(evaluation)}\nreport with the curves: ${path}\n`);
}

/** On a terminal one line that is overwritten; in a log a line for each step. Never on standard output. */
function progressLine(): { say: (message: string) => void; clear: () => void } {
  const { stderr } = process;
  const wipe = stderr.isTTY ? '\r\x1b[2K' : '';
  return {
    say: (message) =>
      stderr.write(stderr.isTTY ? `${wipe}${message.slice(0, (stderr.columns ?? 80) - 2)} …` : `${message}\n`),
    clear: () => {
      if (wipe) stderr.write(wipe);
    },
  };
}

const collect = (value: string, previous: string[]): string[] => [...previous, value];
