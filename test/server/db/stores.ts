/** Every kind of store, for suites that must pass on each: an own database per call of `open`. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import pg from 'pg';
import { afterAll } from 'vitest';
import { openStore, type SqlStore, type StoreOptions } from '../../../server/db/store.ts';
import { startServer, TEMPLATE } from '../../run/postgres.ts';
import { postgresUrl } from '../../run/shared.ts';
import { tempDir } from '../../temporary.ts';

export { tempDir } from '../../temporary.ts';

export interface OpenedStore {
  readonly store: SqlStore;
  /** What `openStore` was given: opening it again gives the same rows. */
  readonly options: StoreOptions;
  /** Closes the store and removes its files and database. */
  close(): Promise<void>;
}

export interface StoreKind {
  readonly name: string;
  open(): Promise<OpenedStore>;
}

/** Kept out of test output; tests of trouble look at it. */
const quiet = { onProblem: () => {} };

const onDisk: StoreKind = {
  name: 'PGlite on disk',
  async open() {
    const options = { dataDir: await tempDir(), ...quiet };
    const store = await openStore(options);
    return {
      store,
      options,
      async close() {
        await store.close();
        await rm(options.dataDir, { recursive: true, force: true });
      },
    };
  },
};

/** Databases on the PostgreSQL server of the whole run. */
export interface Databases {
  /** Makes a new one, empty. @returns its URL */
  createDatabase(): Promise<string>;
  /** Drops what it made. */
  remove(): Promise<void>;
}

export const useDatabases = (): Databases => databasesOn(postgresUrl);

/** A real PostgreSQL server of a test's own, to be stopped and started. */
export interface PostgresServer extends Databases {
  start(): Promise<void>;
  /** Stops it; data stay. */
  stop(): Promise<void>;
}

export async function startPostgres(): Promise<PostgresServer> {
  const server = await startServer();
  const { createDatabase } = databasesOn(async () => server.url('postgres'));
  return { createDatabase, start: server.start, stop: server.stop, remove: server.remove };
}

/** @param server the URL of one of its databases, as its superuser */
function databasesOn(server: () => Promise<string>): Databases & { copyTemplate(): Promise<string> } {
  const made = new Set<string>();
  const asSuperuser = async (...statements: string[]) => {
    const client = new pg.Client({ connectionString: await server() });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  const create = async (from: string) => {
    const name = `test_${randomBytes(6).toString('hex')}`;
    await asSuperuser(`create database ${name} ${from}`);
    made.add(name);
    const url = new URL(await server());
    url.pathname = name;
    return url.href;
  };
  return {
    createDatabase: () => create(''),
    copyTemplate: () => create(`template ${TEMPLATE}`),
    async remove() {
      if (made.size === 0) return;
      await asSuperuser(...[...made].map((name) => `drop database if exists ${name} with (force)`));
      made.clear();
    },
  };
}

const copies = databasesOn(postgresUrl);

const onPostgres: StoreKind = {
  name: 'PostgreSQL',
  async open() {
    const options = { databaseUrl: await copies.copyTemplate(), dataDir: await tempDir(), ...quiet };
    const store = await openStore(options);
    return {
      store,
      options,
      async close() {
        await store.close();
        await rm(options.dataDir, { recursive: true, force: true });
      },
    };
  },
};

export const storeKinds: readonly StoreKind[] = [onDisk, onPostgres];

afterAll(() => copies.remove());
