/** `pointsman export`: the log as a folder of Parquet, for DuckDB, Spark, ClickHouse, and for learning and evaluation elsewhere. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { RoutingError } from '../../datasets/errors.ts';
import { readConfig } from '../config/index.ts';
import { counted } from '../counted.ts';
import { openStore } from '../db/store.ts';
import { writeFolder } from '../log-folder/write.ts';
import { progressLine } from './progress.ts';

interface Options {
  readonly out: string;
  readonly from?: Date;
  readonly to?: Date;
  readonly team?: string;
  readonly embeddings?: boolean;
  readonly json?: boolean;
  readonly config?: string;
  readonly dataDir?: string;
  readonly databaseUrl?: string;
}

export function exportCommand(): Command {
  return new Command('export')
    .description('write decisions, calls, verdicts and outcomes as Parquet files by day; never a text of a prompt')
    .requiredOption('--out <dir>', 'folder for decisions/date=…/part-0.parquet and so on')
    .option('--from <moment>', 'decisions from then on, like 2026-11-01 or 2026-11-01T12:00:00Z', momentOf)
    .option('--to <moment>', 'and before then', momentOf)
    .option('--team <name>', 'of one team alone')
    .option('--embeddings', 'with the embeddings of prompts, which retraining and eval need')
    .option('--json', 'print only JSON')
    .option('--data-dir <dir>', 'data directory (default: .pointsman)')
    .option('--database-url <url>', 'PostgreSQL instead of the embedded database (or DATABASE_URL)')
    .option('--config <file>', 'options file (default: pointsman.yaml, if there)')
    .addHelpText(
      'after',
      `
Each day’s files take the place of those that were there. An export that was interrupted
goes on where it was when it is repeated. An embedded database must not be in use.
  duckdb -c "select model, count(*) from read_parquet('DIR/decisions/**/*.parquet',
             hive_partitioning = true) group by 1"
  pointsman eval --from-log DIR            pointsman retrain --from-log DIR`,
    )
    .action(run);
}

function momentOf(text: string): Date {
  const moment = new Date(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(moment.getTime()) || !/^\d{4}-\d\d-\d\d/.test(text)) {
    throw new InvalidArgumentError('give a day or a moment, like 2026-11-01 or 2026-11-01T12:00:00Z.');
  }
  return moment;
}

async function run({ out, from, to, team, embeddings = false, json, ...rest }: Options): Promise<void> {
  if (from !== undefined && to !== undefined && from >= to) {
    throw new RoutingError('INVALID_REQUEST', '--from must be before --to');
  }
  const { config: file, dataDir, databaseUrl } = rest;
  const config = readConfig({ file, env: process.env, overrides: { dataDir, databaseUrl } });
  if (config.databaseUrl === undefined && !existsSync(join(config.dataDir, 'db'))) {
    throw new RoutingError(
      'MISSING_FILE',
      `${resolve(config.dataDir)}: no gateway has logged anything there; name the gateway's own folder with --data-dir`,
    );
  }
  const { say, clear } = json === true ? { say: () => {}, clear: () => {} } : progressLine();
  const store = await openStore(config);
  try {
    const onDay = (day: string, n: number) => say(`${day}: ${counted(n, 'decision')}`);
    const done = await writeFolder(store, { out, from, to, team, embeddings, onDay });
    clear();
    const { days, resumed, rows } = done;
    const went = resumed === 0 ? '' : `, ${resumed} of them ${resumed === 1 ? 'was' : 'were'} there`;
    if (done.damaged > 0) {
      const which = `${counted(done.damaged, 'decision')} of which the database holds the candidates damaged`;
      console.error(`RECORD_DAMAGED: ${which}: there the files have what was forecast of the answer alone`);
    }
    console.log(
      json
        ? JSON.stringify(done, null, 2)
        : `\n  ${out}: ${counted(days, 'day')}${went}; ${[
            counted(rows.decisions, 'decision'),
            counted(rows.attempts, 'call'),
            counted(rows.feedback, 'verdict'),
            counted(rows.outcomes, 'outcome'),
          ].join(', ')}\n`,
    );
  } finally {
    await store.close();
  }
}
