/** `pointsman provider-keys`: keys of providers in the gateway's database, encrypted; never shown, and never an argument. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { RoutingError } from '../../datasets/errors.ts';
import { type GatewayConfig, KNOWN_PROVIDERS, readConfig, variable } from '../config/index.ts';
import { lockOwner } from '../db/lock.ts';
import {
  addProviderKey,
  listProviderKeys,
  openProviderKeys,
  removeProviderKey,
  type StoredProviderKey,
} from '../db/provider-keys.ts';
import { openStore, type SqlStore } from '../db/store.ts';
import { nearest } from '../nearest.ts';
import { readSecret } from './secret-input.ts';

interface Options {
  readonly name?: string;
  readonly tenant?: string;
  readonly weight?: number;
  readonly json?: boolean;
  readonly config?: string;
  readonly dataDir?: string;
  readonly databaseUrl?: string;
}

const HELP = `
The key is read from standard input: typed when asked for, or
  pointsman provider-keys add openai --name team-a < key.txt
It is encrypted with POINTSMAN_SECRET_KEY, which the gateway needs as well and
which is stored nowhere: openssl rand -base64 32
A gateway takes keys up when it starts.`;

export function providerKeysCommand(): Command {
  const command = new Command('provider-keys')
    .description('keeps keys of providers in the database, encrypted')
    .addHelpText('after', HELP);
  withDatabase(command.command('add'))
    .description('stores a key, read from standard input')
    .argument('<provider>', 'a known host, or a provider of pointsman.yaml')
    .option('--name <name>', 'tells keys of one provider apart (default: the tenant, else default)')
    .option('--tenant <tenant>', 'only for requests of this tenant')
    .option('--weight <n>', 'its share of the calls, against other keys (default: 1)', weightOf)
    .action(add);
  withDatabase(command.command('list'))
    .description('lists what is stored, without the keys')
    .option('--json', 'print only JSON')
    .action(list);
  withDatabase(command.command('remove'))
    .description('removes a key')
    .argument('<provider>')
    .option('--name <name>', 'which one; needed where there are several')
    .action(remove);
  return command;
}

const withDatabase = (command: Command): Command =>
  command
    .allowExcessArguments(false)
    .option('--data-dir <dir>', 'data directory (default: .pointsman)')
    .option('--database-url <url>', 'PostgreSQL instead of the embedded database (or DATABASE_URL)')
    .option('--config <file>', 'options file (default: pointsman.yaml, if there)');

function weightOf(text: string): number {
  const weight = Number(text);
  if (!(weight > 0 && weight < Number.POSITIVE_INFINITY)) throw new InvalidArgumentError('must be a number above 0.');
  return weight;
}

async function add(provider: string, options: Options): Promise<void> {
  const config = configOf(options);
  checkProvider(provider, config);
  const secret = variable(process.env, 'POINTSMAN_SECRET_KEY');
  if (secret === undefined || secret === '') {
    throw new RoutingError(
      'INVALID_CONFIG',
      'POINTSMAN_SECRET_KEY is not set: draw one (openssl rand -base64 32), keep it, and give it to the gateway, too',
    );
  }
  refuseLocked(config);
  const { tenant = null, name = tenant ?? 'default', weight = 1 } = options;
  const apiKey = checkedKey(await readSecret(`Key of ${provider}: `));
  await onDatabase(config, async ({ db }) => {
    // A second secret beside the first would keep the gateway from starting.
    await openProviderKeys(db, secret);
    await addProviderKey(db, secret, { provider, name, tenant, apiKey, weight });
  });
  const whose = tenant === null ? 'for everybody' : `for tenant ${tenant}`;
  console.log(`stored key ${name} of ${provider}, ${whose}; a gateway takes it up when it starts`);
}

async function list({ json = false, ...options }: Options): Promise<void> {
  const keys = await storedKeys(configOf(options));
  if (json) console.log(JSON.stringify(keys, null, 2));
  else if (keys.length === 0) console.log('no key is stored');
  else console.log(tableOf(keys));
}

async function remove(provider: string, { name, ...options }: Options): Promise<void> {
  const config = configOf(options);
  const keys = (await storedKeys(config)).filter((key) => key.provider === provider);
  const names = keys.map((key) => key.name).join(', ');
  const found = name === undefined && keys.length === 1 ? keys[0]!.name : name;
  if (keys.length === 0) throw new RoutingError('INVALID_CONFIG', `no key of ${provider} is stored`);
  if (found === undefined) {
    throw new RoutingError('INVALID_CONFIG', `${provider} has several keys: give --name, one of ${names}`);
  }
  const removed = await onDatabase(config, ({ db }) => removeProviderKey(db, provider, found));
  if (!removed) throw new RoutingError('INVALID_CONFIG', `${provider} has no key named ${found}; there are ${names}`);
  console.log(`removed key ${found} of ${provider}; a running gateway uses it until it is started again`);
}

function configOf({ config: file, dataDir, databaseUrl }: Options): GatewayConfig {
  return readConfig({ file, env: process.env, overrides: { dataDir, databaseUrl } });
}

function checkProvider(name: string, { providers }: GatewayConfig): void {
  const known = [...KNOWN_PROVIDERS, ...Object.keys(providers)];
  if (known.includes(name)) return;
  const guess = nearest(name, known);
  throw new RoutingError(
    'INVALID_CONFIG',
    `no provider ${name.slice(0, 100)} here${guess === undefined ? '; name it in pointsman.yaml, with its baseUrl' : `; did you mean ${guess}?`}`,
  );
}

/** The key stays out of the message. */
function checkedKey(key: string): string {
  if (key === '') throw new RoutingError('INVALID_CONFIG', 'no key on standard input: type it, or < FILE');
  if (/[^\x21-\x7e]/.test(key)) {
    throw new RoutingError(
      'INVALID_CONFIG',
      'what came on standard input is no key: it holds a space, a line break or a character that no header may carry',
    );
  }
  return key;
}

/** One process has an embedded database open. @throws `DATABASE_LOCKED` */
function refuseLocked({ dataDir, databaseUrl }: GatewayConfig): void {
  const owner = databaseUrl === undefined ? lockOwner(dataDir) : null;
  if (owner === null) return;
  const who = owner.url === null ? `process ${owner.pid}` : `the gateway at ${owner.url} (process ${owner.pid})`;
  throw new RoutingError(
    'DATABASE_LOCKED',
    `${who} has the embedded database in ${dataDir} open: stop it, run this again and start it, or use PostgreSQL (DATABASE_URL), which takes both at once`,
  );
}

async function storedKeys(config: GatewayConfig): Promise<StoredProviderKey[]> {
  refuseLocked(config);
  // To look must not make a database.
  if (config.databaseUrl === undefined && !existsSync(join(config.dataDir, 'db'))) return [];
  return await onDatabase(config, ({ db }) => listProviderKeys(db));
}

async function onDatabase<T>(config: GatewayConfig, work: (store: SqlStore) => Promise<T>): Promise<T> {
  const store = await openStore(config);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function tableOf(keys: readonly StoredProviderKey[]): string {
  const rows = [
    ['provider', 'name', 'tenant', 'weight', 'since'],
    ...keys.map(({ provider, name, tenant, weight, createdAt }) => [
      provider,
      name,
      tenant ?? '(everybody)',
      String(weight),
      createdAt.toISOString().slice(0, 10),
    ]),
  ];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
