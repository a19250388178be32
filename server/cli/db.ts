/** `pointsman db`: the embedded database moved to PostgreSQL, backed up and restored. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { RoutingError } from '../../datasets/errors.ts';
import { readConfig, variable } from '../config/index.ts';
import { backUp, restore } from '../db/backup.ts';
import { moveDatabase } from '../db/move.ts';
import { openStore } from '../db/store.ts';
import { progressLine } from './progress.ts';

interface Options {
  readonly config?: string;
  readonly dataDir?: string;
}

export function dbCommand(): Command {
  const command = new Command('db').description('the embedded database: move it to PostgreSQL, back it up, restore it');
  withFolder(command.command('move'))
    .description('copies it to an empty PostgreSQL database, and checks the copy; the embedded one stays as it is')
    .option('--to <url>', 'postgres://user:password@host:5432/name')
    .option('--to-env <name>', 'environment variable that holds the URL, out of sight of other users')
    .addHelpText(
      'after',
      `
Stop the gateway first. Interrupted, the same command goes on. Afterwards start it with
DATABASE_URL; keep POINTSMAN_SECRET_KEY, and POINTSMAN_SIGNING_KEY or the data folder’s key.`,
    )
    .action(move);
  withFolder(command.command('backup'))
    .description('writes it to one file; for PostgreSQL use pg_dump')
    .argument('<file>', 'a file that is not there yet, e.g. pointsman-2026-11-29.tar.gz')
    .action(backup);
  withFolder(command.command('restore'))
    .description('puts a back-up in its place')
    .argument('<file>')
    .option('--replace', 'move a database that is there aside')
    .action(bringBack);
  return command;
}

const withFolder = (command: Command): Command =>
  command
    .option('--data-dir <dir>', 'data directory (default: .pointsman)')
    .option('--config <file>', 'options file (default: pointsman.yaml, if there)');

/** @throws `INVALID_CONFIG` where the gateway is on PostgreSQL already */
function dataDirOf({ config: file, dataDir }: Options): string {
  const config = readConfig({ file, env: process.env, overrides: { dataDir } });
  if (config.databaseUrl === undefined) return config.dataDir;
  throw new RoutingError(
    'INVALID_CONFIG',
    'the configuration, or DATABASE_URL, names PostgreSQL; this is for the embedded database: leave that out here',
  );
}

async function move({ to, toEnv, ...options }: Options & { readonly to?: string; readonly toEnv?: string }) {
  const url = to ?? (toEnv === undefined ? undefined : variable(process.env, toEnv));
  if (url === undefined) throw new RoutingError('INVALID_CONFIG', 'say where to: --to URL, or --to-env NAME');
  if (!/^postgres(ql)?:\/\/./.test(url)) {
    const named = to === undefined ? toEnv : '--to';
    throw new RoutingError('INVALID_CONFIG', `${named}: must be like postgres://user:password@host:5432/name`);
  }
  const dataDir = dataDirOf(options);
  if (!existsSync(join(dataDir, 'db'))) {
    throw new RoutingError('MISSING_FILE', `${resolve(dataDir)}: no database there; name its folder with --data-dir`);
  }
  const { say, clear } = progressLine();
  const store = await openStore({ dataDir });
  try {
    const { tables, copied } = await moveDatabase(store, {
      ...{ to: url, dataDir },
      onTable: (table, rows) => say(`${table}: ${rows} rows`),
    }).finally(clear);
    const rows = Object.values(tables).reduce((a, b) => a + b, 0);
    const what = copied ? 'are there, and are the same' : 'were there already';
    console.log(
      `\n  ${rows} rows of ${Object.keys(tables).length} tables ${what}. Start the gateway with DATABASE_URL now.\n`,
    );
  } finally {
    await store.close();
  }
}

async function backup(file: string, options: Options): Promise<void> {
  const bytes = await backUp(dataDirOf(options), file);
  console.log(
    `\n  ${file}: ${(bytes / 1e6).toFixed(1)} MB\n\n  It holds the database alone. Keep beside it what makes its keys work: POINTSMAN_SECRET_KEY, or where that was\n  never set the file ${join(resolve(dataDirOf(options)), 'key-secret')}.\n`,
  );
}

async function bringBack(
  file: string,
  { replace, ...options }: Options & { readonly replace?: boolean },
): Promise<void> {
  const dataDir = dataDirOf(options);
  const aside = await restore(dataDir, file, { replace: replace === true });
  const before = aside === null ? '' : ` The one before lies in ${aside}.`;
  const secret = join(resolve(dataDir), 'key-secret');
  const isThere = existsSync(secret) || process.env.POINTSMAN_SECRET_KEY !== undefined;
  const note = isThere
    ? ''
    : `\n  Client keys in it work only with the POINTSMAN_SECRET_KEY of then, or the file key-secret that lay beside it\n  (put it at ${secret}).\n`;
  console.log(`\n  ${resolve(dataDir)} has the database of ${file}.${before}\n${note}`);
}
