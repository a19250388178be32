/** `pointsman eval`: replays recorded outcomes, prints a leader board with intervals and writes an HTML report. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { clustersOf, type ImportOptions, parseMap, parseScale, RoutingError } from '../../datasets/index.ts';
import { artifactSource } from '../../eval/artifact-source.ts';
import { type CardOptions, cardText, datasetCard } from '../../eval/card.ts';
import { checkComparable, compareResults, readResult } from '../../eval/compare-results.ts';
import { matching, readEvaluationData } from '../../eval/data.ts';
import { DEFAULT_REPLICATES, type EvaluateOptions, evaluate } from '../../eval/evaluate.ts';
import { comparisonText } from '../../eval/report/comparison.ts';
import { htmlReport } from '../../eval/report/html.ts';
import { jsonReport } from '../../eval/report/json.ts';
import { markdownReport } from '../../eval/report/markdown.ts';
import { textReport } from '../../eval/report/text.ts';
import { checkRequirements, parseRequirement, type Requirement } from '../../eval/requirements.ts';
import type { Evaluation } from '../../eval/result.ts';
import { evaluationJsonSchema } from '../../eval/result-schema.ts';
import { DEFAULT_ROUTERS, routerName } from '../../eval/routers.ts';
import { SPLITS, type SplitName } from '../../eval/split.ts';
import { readTaskFile, type TaskFile, taskOptions, writeTaskFile } from '../../eval/task-file.ts';
import { isZooName } from '../../router/estimators/index.ts';
import type { CheckErrors } from '../../router/policy/cascade.ts';
import { natural, positive } from './numbers.ts';
import { progressLine } from './progress.ts';
import { type ReportFolder, reportFolder } from './report-folder.ts';

const HELP = `
Data
  a folder with prompts.jsonl[.gz], outcomes.jsonl[.gz], models.json (prices);
  a JSONL or CSV file with a row for each answer or for each prompt;
  results of promptfoo (JSON) or logs of Inspect (.eval, .json), one or several;
  a name of "pointsman datasets list" that was fetched.
  What your data can show, and what it cannot, is printed first. 30 % of the
  groups are tested, and none that an artifact was fitted on. Prompts that are
  nearly the same must share a groupId; files without groupIds get them.

Routers
  default         the shipped artifact as it is, on the models it knows
  default+fit     its encoder frozen, heads fitted on the training part
  PATH, PATH+fit  the same for an artifact folder
  knn, cluster, ridge, matrix-factors, mlp, irt, item-response, mean-quality
                  published methods (item-response: ours) over the shipped
                  encoder, fitted on the training part
  FILE.jsonl      predictions: {promptId, modelId, quality, costUsd?} a line
  http://HOST     a router that answers POST /v1/route
  NAME=FILE, NAME=URL   the same under a name
  length-only     knows the length of the prompt and nothing else
  cascade         cheapest first, escalating when a judge says no; the judge is
                  wrong on 1 answer in 10
  --escalation 0.1   adds NAME+escalation (where a check of the answer says no,
                  a model predicted to be better answers; every call is paid)
                  and NAME+cascade (a cheaper model first where that pays);
                  the check is wrong on 1 answer in 10. 0.3,0.05: it passes
                  30 % of bad answers and refuses 5 % of good ones
  always shown    cheapest, best-single, zero (the best random mix of single
                  models), random, benchmark-mean, oracle

A gate for CI
  --require "savings@98>=0.3" --require "ece<=0.05" exits with 1 and the line
  that failed, for the first --router. Names: savings@95|98|100, kept@…,
  promised@…, redFlags, and every figure of the JSON, also NAME.low, NAME.high.

Examples
  pointsman eval                              the shipped sample
  pointsman eval my.jsonl --prices models.json
  pointsman eval scores.csv --map prompt=question,model=llm --scale 1..5
  pointsman eval promptfoo/*.json --score correctness
  pointsman eval --data DIR --router default+fit mine=predictions.jsonl
  pointsman eval --data DIR --split benchmark every benchmark unseen in turn
  pointsman eval --data DIR --freeze task.json --out before
  pointsman eval --data DIR --task task.json --compare before/report.json
  pointsman eval --from-log                   judge policies on a gateway's log`;

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
  map?: ImportOptions['map'];
  scale?: [number, number];
  score?: string;
  prices?: string;
  averageRepeats?: boolean;
  showText?: boolean;
  checks: boolean;
  escalation?: CheckErrors;
  require: Requirement[];
  compare?: string;
  freeze?: string;
  task?: string;
  fromLog?: string | true;
  dataDir?: string;
  databaseUrl?: string;
  config?: string;
  schema?: boolean;
}

export function evalCommand(): Command {
  return new Command('eval')
    .description('Replays recorded outcomes and compares routers, with intervals, in a table and an HTML report.')
    .argument('[data...]', 'folders or files of outcomes, or names of public datasets; none: the shipped sample')
    .option('--data <path...>', 'the same, as an option', collect, [])
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
    .option('--map <fields>', 'columns of a file: prompt=question,model=llm,quality=score,cost=usd', parseMap)
    .option('--scale <range>', 'range of the scores of a file, e.g. 1..5', parseScale)
    .option('--score <name>', 'which score to take where a file holds several')
    .option('--prices <file>', 'prices of the models, in the format of models.json')
    .option('--average-repeats', 'average several answers of one model to one prompt instead of refusing them')
    .option('--out <dir>', 'folder for report.html, report.md and report.json', 'reports')
    .option('--json', 'print only JSON, and write a report only with --out')
    .option('--schema', 'print the JSON schema of the result, and stop')
    .option('--show-text', 'lists of single prompts carry their text; without it only ids leave your data')
    .option(
      '--escalation <error>',
      'show routers with their answers checked, too: a rate, or bad passed,good refused',
      checkErrors,
    )
    .option('--no-checks', 'leave out the negative controls and the other analyses')
    .option(
      '--require <condition>',
      'exit with 1 unless it holds, e.g. "savings@98>=0.3"; may be repeated',
      requirement,
      [],
    )
    .option('--compare <file>', 'an earlier report.json of the same task: show paired differences')
    .option('--freeze <file>', 'write down the task: pool, prices, split, operating points, under one hash')
    .option('--task <file>', 'run a frozen task with its options, and refuse data that is not its')
    .option(
      '--from-log [path]',
      "judge other policies on a gateway's log, on one that was exported (a folder), or on logged rows of any router (NDJSON)",
    )
    .option('--data-dir <dir>', "with --from-log: the gateway's data folder")
    .option('--database-url <url>', 'with --from-log: its PostgreSQL database')
    .option('--config <file>', 'with --from-log: its configuration')
    .addHelpText('after', HELP)
    .action(async (paths: string[], options: Options, command: Command) => {
      const given = (name: string) => command.getOptionValueSource(name) === 'cli';
      await run(paths, options, given);
    });
}

async function run(paths: readonly string[], options: Options, given: (name: string) => boolean): Promise<void> {
  if (options.schema) {
    process.stdout.write(evaluationJsonSchema());
    return;
  }
  if (options.fromLog !== undefined) {
    await runFromLog(paths, options, given);
    return;
  }
  const frozen = options.task === undefined ? undefined : readTaskFile(options.task);
  if (frozen) refuseOptionsOf(frozen, options.task!, given);
  const before = options.compare === undefined ? undefined : readResult(options.compare);
  const progress = progressLine();
  progress.say('reading');
  const data = await readEvaluationData([...paths, ...options.data], importOptions(options)).finally(progress.clear);
  const routers = routersFor(options.router, data.evaluationOnly);
  const folders = options.json && !given('out') ? null : reports(options.out);
  const clusters = clustersOf(data.dataset.prompts);
  let card: string | undefined;
  const showCard = (known: CardOptions) => {
    progress.clear();
    // Beside JSON on standard output, words go where they do not spoil it.
    const out = options.json ? process.stderr : process.stdout;
    for (const note of data.notes) out.write(`note: ${note}\n`);
    card = cardText(datasetCard(data.dataset, { clusters, ...known })).trimEnd();
    out.write(`${card}\n\n`);
  };
  const evaluation = await evaluate(data.dataset, {
    clusters,
    ...runOptions(options, frozen),
    routers,
    load: matching(artifactSource, data.encoderId),
    ...(options.showText && { showText: true }),
    ...(!options.checks && { checks: false }),
    ...(options.escalation && { check: options.escalation }),
    ...(frozen && { task: frozen }),
    onTask: (task, testGroups) => {
      if (before) checkComparable(before, task.hash);
      if (options.freeze !== undefined) writeTaskFile(options.freeze, task);
      showCard({ candidates: task.pool.modelIds, testGroups });
    },
    onProgress: progress.say,
  })
    .catch((error: unknown) => {
      for (const folder of Object.values(folders ?? {})) folder.abandon();
      // What the data lacks is what the card tells.
      if (card === undefined && error instanceof RoutingError && error.code === 'EMPTY_TABLE') showCard({});
      throw error;
    })
    .finally(progress.clear);
  const path = folders?.html.write(htmlReport(evaluation, card));
  folders?.markdown.write(markdownReport(evaluation, card));
  folders?.json.write(jsonReport(evaluation));
  if (options.json) process.stdout.write(jsonReport(evaluation));
  else process.stdout.write(`${textReport(evaluation)}\nreport with the curves: ${path} (also as .md and .json)\n`);
  if (before) {
    // Beside JSON on standard output, words go where they do not spoil it.
    const out = options.json ? process.stderr : process.stdout;
    out.write(`\n${comparisonText(compareResults(before, evaluation), options.compare!)}`);
  }
  checkGate(options.require, evaluation, options.router[0]);
}

/** One rate for both kinds of error, or the share of bad answers passed and of good ones refused. */
function checkErrors(text: string): CheckErrors {
  const rates = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (rates.length > 2 || !rates.every((rate) => rate >= 0 && rate <= 1)) {
    throw new InvalidArgumentError('give a rate from 0 to 1, such as 0.1, or two: 0.3,0.05.');
  }
  return { falseAccept: rates[0]!, falseReject: rates.at(-1)! };
}

/** What `--from-log` reads. */
const LOG_OPTIONS = new Set([
  'fromLog',
  'replicates',
  'seed',
  'json',
  'out',
  'router',
  'dataDir',
  'databaseUrl',
  'config',
]);

async function runFromLog(paths: readonly string[], options: Options, given: (name: string) => boolean): Promise<void> {
  if (paths.length + options.data.length > 0) {
    throw new RoutingError(
      'INVALID_CONFIG',
      '--from-log reads a log, so it takes no folders of outcomes; a file of logged rows is named after it: --from-log FILE',
    );
  }
  const unread = Object.keys(options).find((name) => given(name) && !LOG_OPTIONS.has(name));
  if (unread !== undefined) {
    const option = unread.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
    throw new RoutingError('INVALID_CONFIG', `--${option} says nothing about a log; leave it out beside --from-log`);
  }
  const { runEvalLog } = await import('./eval-log.ts');
  await runEvalLog({
    replicates: options.replicates,
    seed: options.seed,
    ...(options.json && { json: true }),
    ...(given('out') && { out: options.out }),
    ...(options.router.length > 0 && { router: options.router }),
    ...(typeof options.fromLog === 'string' && { file: options.fromLog }),
    ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
    ...(options.databaseUrl !== undefined && { databaseUrl: options.databaseUrl }),
    ...(options.config !== undefined && { config: options.config }),
  });
}

function importOptions({ map, scale, score, prices, averageRepeats }: Options): ImportOptions {
  return {
    ...(map !== undefined && { map }),
    ...(scale !== undefined && { scale }),
    ...(score !== undefined && { score }),
    ...(prices !== undefined && { prices }),
    ...(averageRepeats && { repeats: 'average' as const }),
  };
}

function runOptions(options: Options, frozen: TaskFile | undefined): Omit<EvaluateOptions, 'load'> {
  if (frozen) return taskOptions(frozen);
  return {
    split: options.split,
    seed: options.seed,
    replicates: options.replicates,
    ...(options.benchmark !== undefined && { benchmark: options.benchmark }),
    ...(options.trainPrompts !== undefined && { trainPrompts: options.trainPrompts }),
    ...(options.baseline !== undefined && { baseline: options.baseline }),
    ...(options.includeReasoning && { includeReasoning: true }),
  };
}

/** A frozen task says how it is run: an option beside it would make it another one. */
function refuseOptionsOf(frozen: TaskFile, path: string, given: (name: string) => boolean): void {
  const fixed = ['split', 'seed', 'replicates', 'benchmark', 'trainPrompts', 'baseline', 'includeReasoning'];
  const asked = fixed.find(given);
  if (asked === undefined) return;
  const option = asked.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  throw new RoutingError(
    'INVALID_CONFIG',
    `--${option} is fixed by the task "${frozen.name}" (${path}); leave it out, or freeze another task`,
  );
}

/** Data under an evaluation-only licence fits no router: those that would be are refused, or left out of the default. */
function routersFor(asked: readonly string[], evaluationOnly: string | undefined): readonly string[] {
  if (evaluationOnly === undefined) return asked;
  const fits = (name: string) => isZooName(name) || name.endsWith('+fit');
  const fitted = asked.find(fits);
  if (fitted !== undefined) {
    throw new RoutingError(
      'EVALUATION_ONLY',
      `${evaluationOnly} may be evaluated on and not trained on, and "${fitted}" would be fitted on its training part; ` +
        'name routers as they are: --router default',
    );
  }
  return asked.length > 0 ? asked : DEFAULT_ROUTERS.filter((name) => !fits(name));
}

function reports(dir: string): Record<'html' | 'markdown' | 'json', ReportFolder> {
  return {
    html: reportFolder(dir, 'report.html'),
    markdown: reportFolder(dir, 'report.md'),
    json: reportFolder(dir, 'report.json'),
  };
}

/** Ends the run with exit code 1 where a condition does not hold. */
function checkGate(requirements: readonly Requirement[], evaluation: Evaluation, first: string | undefined): void {
  if (requirements.length === 0) return;
  const name = first === undefined ? undefined : routerName(first);
  const router = evaluation.routers.find((r) => (name === undefined ? r.kind === 'learned' : r.name === name));
  if (!router) {
    throw new RoutingError(
      'INVALID_CONFIG',
      '--require: there is no router to ask it of; name one with --router. Left out here: ' +
        (evaluation.dropped.routers.map((r) => `${r.name} (${r.reason})`).join('; ') || 'none'),
    );
  }
  process.stderr.write('\n');
  for (const { passed, line } of checkRequirements(requirements, evaluation, router)) {
    process.stderr.write(`${passed ? 'holds ' : 'FAILED'}  ${line}\n`);
    if (!passed) process.exitCode = 1;
  }
}

const requirement = (text: string, previous: Requirement[]): Requirement[] => [...previous, parseRequirement(text)];

const collect = (value: string, previous: string[]): string[] => [...previous, value];
