/** `pointsman report`: what a gateway spent, what `auto` saved, and what it would have saved where it only watched. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { RoutingError } from '../../datasets/errors.ts';
import { type GatewayConfig, readConfig } from '../config/index.ts';
import { lockOwner } from '../db/lock.ts';
import { openStore } from '../db/store.ts';
import { SANDBOX } from '../learning/learnable.ts';
import { asked, lineValue, parsed } from '../learning/log-client.ts';
import { usagePages } from '../report/read.ts';
import { MAX_USAGE_ROWS, UsageMeta, type UsageRequest, UsageRow } from '../report/rows.ts';
import { summarise } from '../report/summary.ts';
import { reportText } from '../report/text.ts';
import { natural, positive } from './numbers.ts';

export interface ReportOptions {
  /** Milliseconds to look back, or a moment; without it everything is read. */
  since?: Since;
  json?: boolean;
  dataDir?: string;
  databaseUrl?: string;
  config?: string;
  replicates: number;
  seed: number;
}

const HELP = `
What it tells
  requests, calls and what they cost, by model, provider, tenant and API
  auto          what routed requests cost beside the baseline for the same
                tokens, with a 95 % interval; failed calls are paid for, too,
                and what comes out may be negative
  observe mode  what auto would have cost for requests whose client named the
                model (observe: {share: 1} in pointsman.yaml), an estimate from
                predicted tokens, and how the predicted quality differs

The log is that of the gateway in the data folder, running or not, or of the
PostgreSQL database. It holds no key, and no prompt unless privacy.mode says so. The newest ${MAX_USAGE_ROWS.toLocaleString('en-US')}
requests are read. Intervals resample sessions; under 30 requests there is none.

Examples
  pointsman report                 all that is there
  pointsman report --since 7d      the last week; also 12h, 30m, 2026-11-01
  pointsman report --json > report.json
  pointsman report --data-dir /srv/pointsman --since 2026-11-01T00:00:00Z`;

export function reportCommand(): Command {
  return new Command('report')
    .description('Shows what a gateway spent, what auto saved, and what it would have saved where it only watched.')
    .option('--since <time>', 'only requests since then: 7d, 12h, 30m, a day or a moment (default: all)', sinceOf)
    .option('--json', 'print only JSON')
    .option('--data-dir <dir>', "the gateway's data folder (default: .pointsman)")
    .option('--database-url <url>', 'its PostgreSQL database (or DATABASE_URL)')
    .option('--config <file>', 'its configuration (default: pointsman.yaml, if there)')
    .option('--replicates <count>', 'bootstrap resamples', positive, 1000)
    .option('--seed <number>', 'fixes the resamples', natural, 1)
    .addHelpText('after', HELP)
    .action(runReport);
}

/** Prints the report. @throws `MISSING_FILE`, `DATABASE_LOCKED`, `DATABASE_UNAVAILABLE` and what asking a gateway throws */
export async function runReport({ since, json, replicates, seed, ...where }: ReportOptions): Promise<void> {
  const { config: file, dataDir, databaseUrl } = where;
  const config = readConfig({ file, env: process.env, overrides: { dataDir, databaseUrl } });
  const place = config.databaseUrl === undefined ? config.dataDir : 'the database';
  const request = since === undefined ? {} : { since: since(new Date()).toISOString() };
  const rows = await usageOf(config, request);
  const limited = rows.length >= MAX_USAGE_ROWS;
  const report = summarise(rows, { replicates, seed, limited, sandbox: SANDBOX });
  process.stdout.write(
    `${json ? JSON.stringify(report, null, 2) : reportText(report, place, process.stdout.columns)}\n`,
  );
}

/** One process owns an embedded database: where a gateway has it open, that is asked. */
async function usageOf(config: GatewayConfig, request: UsageRequest): Promise<UsageRow[]> {
  const { dataDir, databaseUrl } = config;
  const owner = databaseUrl === undefined ? lockOwner(dataDir) : null;
  if (owner !== null) {
    return asked(owner, dataDir, { usage: request }, rowsIn).catch((error: unknown) => {
      // It does not know what it is asked for.
      if (!(error instanceof RoutingError) || error.code !== 'INVALID_REQUEST') throw error;
      throw new RoutingError(
        'NOT_FOUND',
        `the gateway at ${owner.url} (process ${owner.pid}) is of an earlier version, which gives no report; ` +
          'restart it with this version, or stop it for as long as this takes',
        { cause: error },
      );
    });
  }
  if (databaseUrl === undefined) refuseNewFolder(dataDir);
  const store = await openStore(config);
  try {
    await store.flush();
    const rows: UsageRow[] = [];
    for await (const page of usagePages(store, request)) for (const row of page) rows.push(row);
    return rows;
  } finally {
    await store.close();
  }
}

async function rowsIn(lines: Parameters<Parameters<typeof asked>[3]>[0], who: string): Promise<UsageRow[]> {
  const rows: UsageRow[] = [];
  let isOpen = false;
  for await (const { text, line } of lines) {
    const value = lineValue(text, line, who);
    if (isOpen) rows.push(parsed(UsageRow, value, line, who));
    else parsed(UsageMeta, value, line, who);
    isOpen = true;
  }
  return rows;
}

/** A folder without a database would get one by opening it. */
function refuseNewFolder(dataDir: string): void {
  if (existsSync(join(dataDir, 'db'))) return;
  throw new RoutingError(
    'MISSING_FILE',
    `${resolve(dataDir)}: no gateway has logged anything there; start one with "pointsman start" and send it requests, ` +
      "or name the gateway's own folder with --data-dir (default: .pointsman in the folder that it is started from)",
  );
}

/** The moment from which on, given now. */
export type Since = (now: Date) => Date;

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;

/** `7d`, `12h`, `30m`, `2w`; or a day or moment of ISO 8601, a day being UTC's. */
export function sinceOf(text: string): Since {
  const [, amount, unit] = /^(\d{1,5})([mhdw])$/.exec(text) ?? [];
  if (amount !== undefined) {
    const back = Number(amount) * UNITS[unit as keyof typeof UNITS];
    return (now) => new Date(now.getTime() - back);
  }
  const moment = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text) ? new Date(text) : undefined;
  if (moment === undefined || Number.isNaN(moment.getTime())) {
    throw new InvalidArgumentError(
      'give 7d, 12h, 30m, a day such as 2026-11-01 or a moment such as 2026-11-01T08:00:00Z.',
    );
  }
  return () => moment;
}
