/**
 * The queue on PostgreSQL, by pg-boss in a schema of its own. Its worker loop is not used: that one reports the
 * end of a job without waiting for it, so that a database that is away would end this process.
 */
import pg from 'pg';
import type PgBoss from 'pg-boss';
import type { JobQueue } from './queue.ts';

const SCHEMA = 'pointsman_jobs';
const QUEUE = 'learning';

/** How often a process that is free asks for work. */
const POLL_MS = 2_000;
/** After a start that failed. */
const RETRY_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 10_000;
/** Longer than any job: what is not done by then was left by a process that died, and has been sent again since. */
const EXPIRE_SECONDS = 6 * 3600;

export interface BossOptions {
  readonly databaseUrl: string;
  /** Told when the database goes away, not again until it was back. */
  readonly onProblem?: (error: Error) => void;
  readonly pollMs?: number;
}

export function bossQueue({ databaseUrl, onProblem = () => {}, pollMs = POLL_MS }: BossOptions): JobQueue {
  let starting: Promise<Started> | null = null;
  let failed: { readonly at: number; readonly error: unknown } | null = null;
  let isWell = true;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let look = async () => {};

  const complain = (error: unknown) => {
    if (isWell && !stopped) onProblem(error instanceof Error ? error : new Error(String(error)));
    isWell = false;
  };

  /** Started by the first who needs it: loading it and making its tables takes a while. */
  const started = (): Promise<Started> => {
    if (failed !== null && Date.now() - failed.at < RETRY_MS) return Promise.reject(failed.error);
    starting ??= startBoss(databaseUrl, complain).catch((error) => {
      starting = null;
      failed = { at: Date.now(), error };
      throw error;
    });
    return starting;
  };

  return {
    async send(id, key) {
      const { boss } = await started();
      await boss.send(QUEUE, { id }, { singletonKey: key, retryLimit: 0, expireInSeconds: EXPIRE_SECONDS });
      isWell = true;
    },
    work(take) {
      let isLooking = false;
      look = async () => {
        if (stopped || isLooking) return;
        isLooking = true;
        clearTimeout(timer);
        try {
          await takeAll((await started()).boss, take);
        } catch (error) {
          complain(error);
        }
        isLooking = false;
        if (stopped) return;
        timer = setTimeout(look, pollMs);
        timer.unref();
      };
      void look();
    },
    wake: () => void look(),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await (await starting?.catch(() => null))?.stop();
    },
  };

  async function takeAll(boss: PgBoss, take: (id: string) => Promise<void>): Promise<void> {
    while (!stopped) {
      const [message] = await boss.fetch<{ id: string }>(QUEUE);
      if (message === undefined) return;
      await take(message.data.id);
      if (!stopped) await boss.complete(QUEUE, message.id);
      isWell = true;
    }
  }
}

interface Started {
  readonly boss: PgBoss;
  stop(): Promise<void>;
}

async function startBoss(databaseUrl: string, onError: (error: unknown) => void): Promise<Started> {
  const { default: Boss } = await import('pg-boss');
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 2,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'pointsman-jobs',
  });
  // Of a connection lost while idle; the next statement gets another.
  pool.on('error', onError);
  const boss = new Boss({
    db: { executeSql: (text, values) => pool.query(text, values) },
    schema: SCHEMA,
    // Its clock is not ours: when to retrain depends on more (triggers.ts).
    schedule: false,
  });
  boss.on('error', onError);
  const stop = async () => {
    await boss.stop({ graceful: false }).catch(() => {});
    await pool.end().catch(() => {});
  };
  try {
    await boss.start();
    // Of messages that nobody has taken, one per key: every replica sends what it finds waiting.
    await boss.createQueue(QUEUE, { name: QUEUE, policy: 'short' });
  } catch (error) {
    await stop();
    throw error;
  }
  return { boss, stop };
}
