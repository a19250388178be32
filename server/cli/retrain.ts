/** `pointsman retrain`: learns from logged feedback, says what it found, and promotes only what is not worse. */
import { Command } from 'commander';
import { RoutingError } from '../../datasets/errors.ts';
import { type GatewayConfig, readConfig } from '../config/index.ts';
import type { HistoryReport, RollbackReport } from '../learning/admin.ts';
import { historyText, rollbackText, verdictText } from '../learning/report.ts';
import type { RetrainReport } from '../learning/retrain.ts';
import { natural, positive } from './numbers.ts';
import { progressLine } from './progress.ts';
import { type LearningAccess, learningAccess } from './retrain-access.ts';
import { follow, jobsText } from './retrain-follow.ts';
import { onStop } from './signals.ts';

interface Options {
  dryRun?: boolean;
  minFeedback?: number;
  detach?: boolean;
  jobs?: boolean;
  rollback?: boolean;
  stop?: boolean;
  trust?: string;
  history?: boolean;
  json?: boolean;
  seed?: number;
  config?: string;
  dataDir?: string;
  databaseUrl?: string;
  catalog?: string;
  artifact?: string;
  encoder?: boolean;
  fromLog?: string;
}

export function retrainCommand(): Command {
  return new Command('retrain')
    .description('learn from logged decisions and their feedback; promote the result only if it is not worse')
    .option('--dry-run', 'judge only: promote nothing, write nothing down')
    .option('--min-feedback <n>', 'judged answers needed before anything is promoted (default: 50)', positive)
    .option('--from-log <dir>', 'learn from an exported log (pointsman export --embeddings), not from the gateway’s')
    .option('--encoder', 'learn the encoder anew, too, from the prompts that are kept (privacy.mode)')
    .option('--detach', 'ask for it and do not wait; see --jobs')
    .option('--jobs', 'list the latest retrainings, and how far they are')
    .option('--rollback', 'end the trial under way, or put the router back in force that was before the present one')
    .option('--stop', 'only end the trial under way')
    .option('--trust <hash>', 'sign a router that an earlier version, or another key, has kept')
    .option('--history', 'list what was promoted, tried, refused and rolled back')
    .option('--seed <n>', 'seed of folds and intervals (default: 1)', natural)
    .option('--json', 'print only JSON')
    .option('--data-dir <dir>', 'data directory (default: .pointsman)')
    .option('--database-url <url>', 'PostgreSQL instead of the embedded database (or DATABASE_URL)')
    .option('--config <file>', 'options file (default: pointsman.yaml, if there)')
    .option('--catalog <file>', 'candidate models (default: the shipped catalog)')
    .option('--artifact <dir>', 'artifact to start from (default: the shipped one)')
    .addHelpText(
      'after',
      `
Give feedback first: POST /v1/feedback {"decisionId": …, "score": 0 … 1, "source": …}.
A running gateway does the work as a job; it goes on serving, and takes a promoted router
up by itself. Ctrl-C ends the watching, not the job. Where no gateway begins it (with
PostgreSQL: within ten seconds) it is done here.
Exit code 0 also when nothing is promoted; the reasons are printed.`,
    )
    .action(run);
}

/** What cannot be asked for together. */
const ALONE = ['dryRun', 'detach', 'jobs', 'rollback', 'stop', 'trust', 'history'] as const;

async function run(options: Options): Promise<void> {
  const [first, second] = ALONE.filter((name) => options[name]);
  if (second !== undefined) {
    throw new RoutingError('INVALID_CONFIG', `${flag(first!)} does not go with ${flag(second)}`);
  }
  const { config: file, dataDir, databaseUrl, catalog, artifact } = options;
  const config = readConfig({ file, env: process.env, overrides: { dataDir, databaseUrl, catalog, artifact } });
  if (options.fromLog !== undefined) {
    await fromFolder(options.fromLog, config, options);
    return;
  }
  const access = await learningAccess(config);
  let told: Told | null;
  try {
    told = await answer(access, options);
  } finally {
    await access.close();
  }
  if (told !== null) console.log(options.json ? JSON.stringify(told.report, null, 2) : told.text);
}

async function fromFolder(dir: string, config: GatewayConfig, options: Options): Promise<void> {
  const other = [...ALONE.filter((name) => name !== 'dryRun'), 'encoder' as const].find((name) => options[name]);
  if (other !== undefined) {
    throw new RoutingError('INVALID_CONFIG', `${flag(other)} does not go with --from-log`);
  }
  const { dryRun, minFeedback, seed } = options;
  const { say, clear } = progress(options);
  say(`reading ${dir}, refitting, comparing`);
  const { retrainFrom } = await import('./retrain-folder.ts');
  const report = await retrainFrom(dir, config, { dryRun, minFeedback, seed }).finally(clear);
  console.log(options.json ? JSON.stringify(report, null, 2) : verdictText(report));
}

const flag = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

interface Told {
  readonly report: unknown;
  readonly text: string;
}

async function answer(access: LearningAccess, options: Options): Promise<Told | null> {
  const { dryRun, minFeedback, seed, encoder } = options;
  if (options.rollback || options.stop) {
    const report = (await access.rollback(options.stop ? { stop: true } : {})) as RollbackReport;
    return { report, text: rollbackText(report) };
  }
  if (options.trust !== undefined) {
    const report = await access.trust({ hash: options.trust });
    return { report, text: `\n  Signed ${report.trusted}. A gateway takes it up where it is in force.\n` };
  }
  if (options.history) {
    const report = (await access.retrain({ historyOnly: true })) as HistoryReport;
    return { report, text: historyText(report) };
  }
  if (options.jobs) {
    const report = await access.jobs();
    return { report, text: jobsText(report) };
  }
  if (dryRun) {
    const { say, clear } = progress(options);
    say('reading the log, refitting, comparing');
    const report = (await access.retrain({ dryRun, minFeedback, seed, encoder }).finally(clear)) as RetrainReport;
    return { report, text: verdictText(report) };
  }
  if (options.detach && access.doneBy === 'here') {
    throw new RoutingError('INVALID_CONFIG', 'no gateway runs that could do it: start one, or leave --detach out');
  }
  const { job, isNew } = await access.request({ minFeedback, seed, encoder });
  if (options.detach) {
    const text = `\n  Job ${job.id} is waiting${isNew ? '' : ', as it was before'}. See it: pointsman retrain --jobs\n`;
    return { report: { job, isNew }, text };
  }
  return watch(access, job.id, isNew, options);
}

async function watch(access: LearningAccess, id: string, isNew: boolean, options: Options): Promise<Told | null> {
  const { say, clear } = progress(options);
  if (!isNew) say(`job ${id} was waiting already, with options of its own`);
  const away = new AbortController();
  const stopListening = onStop(
    () => away.abort(),
    () => process.exit(130),
  );
  try {
    const { result } = await follow(access, id, { say, signal: away.signal });
    clear();
    return { report: result, text: verdictText(result as RetrainReport) };
  } catch (error) {
    clear();
    if (!away.signal.aborted) throw error;
    const where =
      access.doneBy === 'here' ? 'the next gateway or retraining here goes on with it' : 'it goes on without you';
    process.stderr.write(`job ${id}: ${where}; see it: pointsman retrain --jobs\n`);
    process.exitCode = 130;
    return null;
  } finally {
    stopListening();
  }
}

const SILENT = { say: () => {}, clear: () => {} };

const progress = ({ json }: Options): ReturnType<typeof progressLine> => (json ? SILENT : progressLine());
