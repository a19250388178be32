/** The thread that owns the embedded database: opens it, migrates it, runs statements in the order they come. */
import { existsSync, readdirSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { databaseError } from './connection.ts';
import type { EmbeddedReply, EmbeddedRequest } from './embedded.ts';
import { migrate } from './migrate.ts';
import { restoreSnapshot } from './snapshot.ts';

const port = parentPort!;
const { directory } = workerData as { directory: string };
const reply = (message: EmbeddedReply) => port.postMessage(message);
const failure = (error: unknown) => {
  const { message, sqlState } = databaseError(error);
  return { message, sqlState };
};

async function open(): Promise<PGlite> {
  // An empty folder is what a mounted volume looks like at first.
  if (!existsSync(directory)) restoreSnapshot(directory);
  else if (readdirSync(directory).length > 0 && !existsSync(`${directory}/PG_VERSION`)) {
    throw new Error(`${directory} holds files but no database: move them away, or choose another data directory`);
  }
  const db = await PGlite.create({ dataDir: directory });
  await migrate({ query: async (text, params) => (await db.query(text, params as unknown[])).rows as never });
  return db;
}

try {
  const db = await open();
  // One after the other, in order of arrival: PGlite has one session.
  let last: Promise<unknown> = Promise.resolve();
  port.on('message', (message: EmbeddedRequest | 'close') => {
    last = last.then(async () => {
      if (message === 'close') {
        await db.close();
        port.close();
        return;
      }
      const { id, text, params, rowMode } = message;
      try {
        const { rows } = await db.query(text, params as unknown[], { rowMode });
        reply({ id, rows });
      } catch (error) {
        reply({ id, error: failure(error) });
      }
    });
  });
  reply({ id: 0 });
} catch (error) {
  reply({ id: 0, error: failure(error) });
  port.close();
}
