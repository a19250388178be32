/** `pointsman retrain`: learns from logged feedback, says what it found, and promotes only what is not worse. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import ora from 'ora';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { type ErrorCode, RoutingError } from '../../datasets/errors.ts';
import { type GatewayConfig, readConfig } from '../config/index.ts';
import { type LockFile, lockOwner } from '../db/lock.ts';
import { openStore } from '../db/store.ts';
import { encoderFolder } from '../encoder-folder.ts';
import { type HistoryReport, type LearningAdmin, learningAdmin, type RollbackReport } from '../learning/admin.ts';
import { historyText, rollbackText, verdictText } from '../learning/report.ts';
import type { RetrainReport } from '../learning/retrain.ts';
import { natural } from './numbers.ts';

interface Options {
  dryRun?: boolean;
  minFeedback?: number;
  rollback?: boolean;
  history?: boolean;
  json?: boolean;
  seed?: number;
  config?: string;
  dataDir?: string;
  databaseUrl?: string;
  catalog?: string;
  artifact?: string;
}

export function retrainCommand(): Command {
  return new Command('retrain')
    .description('learn from logged decisions and their feedback; promote the result only if it is not worse')
    .option('--dry-run', 'judge only: promote nothing, write nothing down')
    .option('--min-feedback <n>', 'judged answers needed before anything is promoted (default: 50)', natural)
    .option('--rollback', 'put the router back in force that was before the present one')
    .option('--history', 'list what was promoted, refused and rolled back')
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
With the embedded database a running gateway does the work; it goes on serving, and
takes a promoted router up by itself. Without one the data directory is opened here.
Exit code 0 also when nothing is promoted; the reasons are printed.`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  if (options.rollback && (options.dryRun || options.history)) {
    throw new RoutingError('INVALID_CONFIG', '--rollback goes with neither --dry-run nor --history');
  }
  const { config: file, dataDir, databaseUrl, catalog, artifact } = options;
  const config = readConfig({ file, env: process.env, overrides: { dataDir, databaseUrl, catalog, artifact } });
  const spinner = options.json ? null : ora({ text: doing(options), stream: process.stderr }).start();
  let text: string;
  let report: unknown;
  try {
    const owner = config.databaseUrl === undefined ? lockOwner(config.dataDir) : null;
    const admin = owner === null ? await adminHere(config) : adminOf(owner, config.dataDir);
    try {
      if (options.rollback) {
        const done = (await admin.rollback({})) as RollbackReport;
        [report, text] = [done, rollbackText(done)];
      } else if (options.history) {
        const found = (await admin.retrain({ historyOnly: true })) as HistoryReport;
        [report, text] = [found, historyText(found)];
      } else {
        const { dryRun, minFeedback, seed } = options;
        const verdict = (await admin.retrain({ dryRun, minFeedback, seed })) as RetrainReport;
        [report, text] = [verdict, verdictText(verdict)];
      }
    } finally {
      await admin.close();
    }
  } finally {
    spinner?.stop();
  }
  console.log(options.json ? JSON.stringify(report, null, 2) : text);
}

const doing = ({ rollback, history }: Options): string =>
  rollback ? 'rolling back' : history ? 'reading the history' : 'reading the log, refitting, comparing';

type ClosableAdmin = LearningAdmin & { close(): Promise<void> };

async function adminHere(config: GatewayConfig): Promise<ClosableAdmin> {
  if (config.databaseUrl === undefined) refuseNewFolder(config.dataDir);
  const { models: candidates } = await readCatalog(config.catalog);
  const encoderDir = config.encoder === undefined ? undefined : await encoderFolder(config.encoder, config);
  const store = await openStore(config);
  const { dataDir, policy, artifact: baseDir } = config;
  const context = { store, dataDir, candidates, policy, baseDir, encoderDir };
  return { ...learningAdmin(context), close: () => store.close() };
}

/** A folder that no gateway has ever used holds nothing to learn from; opening it would make a database there. */
function refuseNewFolder(dataDir: string): void {
  if (existsSync(join(dataDir, 'db'))) return;
  const where = resolve(dataDir);
  throw new RoutingError(
    'MISSING_FILE',
    `${where}: no gateway has logged anything there; name the gateway's own folder with --data-dir ` +
      '(default: .pointsman in the folder that the gateway is started from)',
  );
}

/** The gateway that holds the data directory does the work. @throws what it answers, by the same codes */
function adminOf({ pid, url, token }: LockFile, dataDir: string): ClosableAdmin {
  if (url === null) {
    throw new RoutingError(
      'DATABASE_LOCKED',
      `process ${pid} has ${dataDir} open and answers no requests; try again when it is done`,
    );
  }
  const post = async (path: string, body: unknown) => {
    const reply = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).catch((cause) => {
      throw new RoutingError(
        'DATABASE_LOCKED',
        `the gateway at ${url} (process ${pid}) holds ${dataDir} but does not answer`,
        { cause },
      );
    });
    const answer = (await reply.json()) as { error?: { code?: string; message?: string } };
    if (reply.ok) return answer;
    throw new RoutingError(
      (answer.error?.code ?? 'INTERNAL') as ErrorCode,
      answer.error?.message ?? `the gateway at ${url} answered ${reply.status}`,
    );
  };
  return {
    retrain: async (options) => (await post('/admin/retrain', options)) as unknown as RetrainReport,
    rollback: async () => (await post('/admin/rollback', {})) as unknown as RollbackReport,
    close: async () => {},
  };
}
