/** The data folder and the database, looked at without getting in the way of a gateway that has them open. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { drizzle, type PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import pg from 'pg';
import type { GatewayConfig } from '../config/index.ts';
import { openEmbedded } from '../db/embedded.ts';
import { acquireLock, type LockFile, lockOwner } from '../db/lock.ts';
import { migrationList } from '../db/migrate.ts';
import { listProviderKeys, openProviderKeys } from '../db/provider-keys.ts';
import type { StoredKey } from '../providers/index.ts';
import { type Check, note, ok, problem, wordsOf } from './check.ts';

export interface Storage {
  readonly checks: readonly Check[];
  readonly stored: readonly StoredKey[];
  /** Hash of the promoted router; null: none, or not known here. */
  readonly promoted: string | null;
  /** What a running gateway says of itself; null where none has the data folder open. */
  readonly running: Running | null;
}

export interface Running {
  readonly url: string;
  readonly artifact: string | null;
  readonly certificate: { readonly holds: boolean; readonly reason: string } | null;
}

type Config = Pick<GatewayConfig, 'dataDir' | 'databaseUrl' | 'spoolLimitMb'>;

export interface StorageOptions {
  /** Opens keys that are stored; undefined: not set. */
  readonly secret: string | undefined;
  readonly timeoutMs: number;
}

export async function examineStorage(config: Config, options: StorageOptions): Promise<Storage> {
  const checks: Check[] = [...folder(config)];
  let owner: LockFile | null = null;
  try {
    owner = lockOwner(config.dataDir);
  } catch (error) {
    checks.push(problem('data', 'lock', wordsOf(error), 'run doctor as the user that the gateway runs as'));
  }
  if (owner !== null)
    checks.push(note('data', 'lock', `held by process ${owner.pid}${at(owner)}, since ${owner.startedAt}`));
  checks.push(...spool(config, owner !== null));
  const nothing = { stored: [], promoted: null, running: null };
  if (config.databaseUrl !== undefined) {
    const looked = await lookIn(() => overPostgres(config.databaseUrl!, options.timeoutMs), options, MEND_POSTGRES);
    const running = owner?.url == null ? null : await ask(owner.url, options.timeoutMs);
    return { ...nothing, ...looked, running, checks: [...checks, ...looked.checks] };
  }
  if (owner !== null) {
    const running = owner.url === null ? null : await ask(owner.url, options.timeoutMs);
    return { ...nothing, running, checks: [...checks, lockedDatabase(owner, running)] };
  }
  if (!existsSync(join(config.dataDir, 'db'))) {
    checks.push(note('data', 'database', 'embedded; made when the gateway starts first'));
    return { ...nothing, checks };
  }
  const looked = await lookIn(() => overEmbedded(config.dataDir), options, MEND_EMBEDDED);
  return { ...nothing, ...looked, checks: [...checks, ...looked.checks] };
}

const at = ({ url }: LockFile): string => (url === null ? '' : `, the gateway at ${url}`);

/** Tried, not asked: to root every folder looks writable. */
function folder({ dataDir }: Config): Check[] {
  const shown = resolve(dataDir);
  const mend = 'make it writable for the gateway’s user, or name another as dataDir (POINTSMAN_DATA_DIR)';
  if (!existsSync(dataDir)) {
    let above = dirname(shown);
    while (!existsSync(above) && dirname(above) !== above) above = dirname(above);
    const why = unwritable(above);
    if (why === null) return [note('data', 'folder', `${shown} is made when the gateway starts`)];
    return [problem('data', 'folder', `${shown} cannot be made: ${why}`, mend)];
  }
  if (!statSync(dataDir).isDirectory()) return [problem('data', 'folder', `${shown} is no folder`, mend)];
  const why = unwritable(dataDir);
  return [
    why === null ? ok('data', 'folder', `${shown} is writable`) : problem('data', 'folder', `${shown}: ${why}`, mend),
  ];
}

function unwritable(path: string): string | null {
  try {
    const trial = mkdtempSync(join(path, '.doctor-'));
    try {
      writeFileSync(join(trial, 'trial'), 'x');
      return null;
    } finally {
      rmSync(trial, { recursive: true, force: true });
    }
  } catch (error) {
    return `not writable (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`;
  }
}

/** A spool this full is about to drop its oldest rows. */
const FULL = 0.8;

function spool({ dataDir, spoolLimitMb }: Config, inUse: boolean): Check[] {
  let bytes = 0;
  try {
    for (const name of readdirSync(join(dataDir, 'spool'))) bytes += statSync(join(dataDir, 'spool', name)).size;
  } catch {
    // None yet, or a file that has just gone.
  }
  const size = `${(bytes / 1e6).toFixed(1)} of ${spoolLimitMb} MB`;
  if (bytes > FULL * spoolLimitMb * 1e6) {
    const mend = 'bring the database back, or raise spoolLimitMb: beyond the limit the oldest records are dropped';
    return [problem('data', 'spool', `records that wait for the database take ${size}`, mend)];
  }
  if (bytes === 0 || inUse) return [ok('data', 'spool', size)];
  return [note('data', 'spool', `${size}; written to the database when the gateway starts`)];
}

function lockedDatabase(owner: LockFile, running: (Running & { ready: boolean }) | null): Check {
  const who = `process ${owner.pid}${at(owner)}`;
  if (owner.url === null) return note('data', 'database', `embedded; ${who} has it open, so it is not looked into`);
  if (running === null) {
    const mend = 'see its log; start it again if it hangs';
    return problem('data', 'database', `embedded; ${who} has it open, but does not answer`, mend);
  }
  if (running.ready) return ok('data', 'database', `embedded; ${who} has it open, and says that it is well`);
  return problem('data', 'database', `embedded; ${who} has it open, and says that it is not ready`, 'see its log');
}

async function ask(url: string, timeoutMs: number): Promise<(Running & { ready: boolean }) | null> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(timeoutMs), redirect: 'manual' });
    const said = (await response.json()) as { artifact?: string; certificate?: Running['certificate'] };
    return {
      url,
      ready: response.status === 200,
      artifact: said.artifact ?? null,
      certificate: said.certificate ?? null,
    };
  } catch {
    return null;
  }
}

/** A database to read from; nothing is made or migrated in PostgreSQL. */
interface Reading {
  readonly what: string;
  readonly db: PgRemoteDatabase;
  rows(text: string): Promise<unknown[][]>;
  close(): Promise<void>;
}

async function overPostgres(databaseUrl: string, timeoutMs: number): Promise<Reading> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'pointsman doctor',
  });
  client.on('error', () => {});
  await client.connect().catch(async (error) => {
    await client.end().catch(() => {});
    throw error;
  });
  const rows = async (text: string, values: unknown[] = []) =>
    (await client.query({ text, values, rowMode: 'array' })).rows as unknown[][];
  const version = String((await rows('show server_version'))[0]?.[0] ?? '').split(' ')[0];
  return {
    what: `PostgreSQL ${version}, ${whereIs(databaseUrl)}`,
    db: drizzle(async (text, params) => ({ rows: await rows(text, params) })),
    rows,
    close: () => client.end(),
  };
}

/** As the gateway would, so it is brought up to date as well. */
async function overEmbedded(dataDir: string): Promise<Reading> {
  const lock = acquireLock(dataDir);
  try {
    const connection = await openEmbedded(join(dataDir, 'db'));
    const rows = (text: string, params: readonly unknown[] = []) =>
      connection.query(text, params, 'array') as Promise<unknown[][]>;
    return {
      what: 'embedded',
      db: drizzle(async (text, params) => ({ rows: await rows(text, params) })),
      rows,
      async close() {
        await connection.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function whereIs(databaseUrl: string): string {
  if (!URL.canParse(databaseUrl)) return 'at an address that is no URL';
  const { host, pathname } = new URL(databaseUrl);
  return `${pathname.slice(1)} at ${host}`;
}

const MEND_POSTGRES = 'check databaseUrl (DATABASE_URL): that its server runs, and its name, user and password';
const MEND_EMBEDDED = 'restore the data folder from a copy, or name another as dataDir';

type Looked = Pick<Storage, 'checks' | 'stored' | 'promoted'>;

async function lookIn(open: () => Promise<Reading>, { secret }: StorageOptions, mend: string): Promise<Looked> {
  let reading: Reading;
  try {
    reading = await open();
  } catch (error) {
    const found = `cannot be opened: ${reasonOf(error)}`;
    return { checks: [problem('data', 'database', found, mend)], stored: [], promoted: null };
  }
  try {
    const { check, missing } = await migrations(reading);
    const { checks, stored } = missing > 0 ? { checks: [], stored: [] } : await keysIn(reading, secret);
    return { checks: [check, ...checks], stored, promoted: await promotedIn(reading) };
  } catch (error) {
    const check = problem(
      'data',
      'database',
      `${reading.what}: ${wordsOf(error)}`,
      'see that its user may read the tables',
    );
    return { checks: [check], stored: [], promoted: null };
  } finally {
    await reading.close().catch(() => {});
  }
}

/** Several addresses tried give an AggregateError, whose own message is empty. */
const reasonOf = (error: unknown): string =>
  error instanceof AggregateError ? error.errors.map(wordsOf).join(', ') : wordsOf(error);

async function migrations({ what, rows }: Reading): Promise<{ check: Check; missing: number }> {
  const known = migrationList();
  const exists = await rows("select to_regclass('drizzle.__drizzle_migrations') is not null");
  const applied = exists[0]?.[0] === true ? await rows('select hash from drizzle.__drizzle_migrations') : [];
  const hashes = new Set(applied.map(([hash]) => hash));
  const missing = known.filter(({ hash }) => !hashes.has(hash)).length;
  const foreign = hashes.size - (known.length - missing);
  if (foreign > 0) {
    const mend = 'run the newer version of Pointsman that made them';
    return {
      check: problem('data', 'database', `${what}; ${foreign} migrations that this version does not know`, mend),
      missing,
    };
  }
  if (missing === 0) return { check: ok('data', 'database', `${what}; up to date`), missing };
  const found = `${what}; ${missing} of ${known.length} migrations to come, when the gateway starts`;
  return { check: note('data', 'database', found), missing };
}

async function keysIn({ db }: Reading, secret: string | undefined): Promise<{ checks: Check[]; stored: StoredKey[] }> {
  const listed = await listProviderKeys(db);
  if (listed.length === 0) return { checks: [], stored: [] };
  const found = `${listed.length} of providers: ${listed.map(({ provider, name }) => `${provider}#${name}`).join(', ')}`;
  if (secret === undefined || secret === '') {
    const mend =
      'set POINTSMAN_SECRET_KEY as it was when they were stored, or remove them: pointsman provider-keys remove';
    return { checks: [problem('data', 'stored keys', `${found}; not opened`, mend)], stored: [] };
  }
  try {
    return { checks: [ok('data', 'stored keys', found)], stored: await openProviderKeys(db, secret) };
  } catch (error) {
    const mend = 'set POINTSMAN_SECRET_KEY as it was when it was stored, or remove that key and add it again';
    return { checks: [problem('data', 'stored keys', wordsOf(error), mend)], stored: [] };
  }
}

async function promotedIn({ rows }: Reading): Promise<string | null> {
  const exists = await rows("select to_regclass('promotions') is not null");
  if (exists[0]?.[0] !== true) return null;
  const last = await rows("select artifact from promotions where kind <> 'refused' order by ordinal desc limit 1");
  return (last[0]?.[0] as string | null | undefined) ?? null;
}
