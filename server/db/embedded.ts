/**
 * PGlite on disk, in a worker thread of its own: it is PostgreSQL compiled to
 * WebAssembly and computes on the thread that calls it, which must not be the one
 * that answers requests.
 */
import { type Connection, DatabaseError, type RowMode } from './connection.ts';
import { startWorker } from './start-worker.ts';

export interface EmbeddedRequest {
  id: number;
  text: string;
  params: readonly unknown[];
  rowMode: RowMode;
}

/** Its first reply has id 0: the directory is open and migrated, or why not. */
export interface EmbeddedReply {
  id: number;
  rows?: unknown[];
  error?: { message: string; sqlState: string | undefined };
}

const CLOSE_TIMEOUT_MS = 10_000;

/** Opens (or makes) the directory. The caller holds its lock. @throws `DATABASE_UNAVAILABLE` */
export async function openEmbedded(directory: string): Promise<Connection> {
  let thread = await startThread(directory);
  let closed = false;
  const query: Connection['query'] = async (text, params, rowMode) => {
    if (closed) throw new DatabaseError('database: already closed');
    // A thread that died (out of memory) is started again; what it had acknowledged is on disk.
    if (thread.dead) thread = await startThread(directory);
    return thread.query(text, params, rowMode);
  };
  const turns = new Map<number, Promise<unknown>>();
  return {
    kind: 'embedded',
    query,
    alone(key, work) {
      const turn = (turns.get(key) ?? Promise.resolve()).then(() => work(query));
      turns.set(
        key,
        turn.catch(() => undefined),
      );
      return turn;
    },
    async close() {
      closed = true;
      await thread.close();
    },
  };
}

interface Thread {
  readonly dead: boolean;
  query(text: string, params: readonly unknown[], rowMode: RowMode): Promise<unknown[]>;
  close(): Promise<void>;
}

interface Waiting {
  resolve(rows: unknown[]): void;
  reject(error: Error): void;
}

async function startThread(directory: string): Promise<Thread> {
  // initdb, where it has to run, prints to stdout.
  const worker = startWorker(import.meta.url, './embedded-worker', { workerData: { directory }, stdout: true });
  const waiting = new Map<number, Waiting>();
  let dead = false;
  let nextId = 0;
  const die = (why: string) => {
    dead = true;
    for (const { reject } of waiting.values()) reject(new DatabaseError(`database: ${why}`));
    waiting.clear();
  };
  // The thread keeps the process alive only while somebody waits for it.
  const wait = () =>
    new Promise<unknown[]>((resolve, reject) => {
      waiting.set(nextId++, { resolve, reject });
      worker.ref();
    });
  worker.on('message', ({ id, rows, error }: EmbeddedReply) => {
    const caller = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    if (error) caller?.reject(new DatabaseError(error.message, error.sqlState));
    else caller?.resolve(rows ?? []);
  });
  worker.on('error', (error) => die(`the embedded database's thread failed: ${error.message}`));
  worker.on('exit', () => die("the embedded database's thread ended"));
  await wait();
  return {
    get dead() {
      return dead;
    },
    query(text, params, rowMode) {
      const rows = wait();
      worker.postMessage({ id: nextId - 1, text, params, rowMode } satisfies EmbeddedRequest);
      return rows;
    },
    async close() {
      if (dead) return;
      worker.ref();
      const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      worker.postMessage('close');
      const timer = setTimeout(() => void worker.terminate(), CLOSE_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}
