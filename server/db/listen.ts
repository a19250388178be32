/** One connection that listens to a channel of PostgreSQL: what another replica tells is heard at once. */
import pg from 'pg';

export interface ListenOptions {
  /** Told when listening fails, once until it works again; it goes on trying. */
  readonly onProblem?: (error: Error) => void;
  /** First wait before trying again, ms; doubled up to a minute. */
  readonly backoffMs?: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
const MOST_WAIT_MS = 60_000;
/** What the connection is called among those of the server, `pg_stat_activity`. */
export const LISTENER = 'pointsman listen';

/**
 * Calls `onNotice` for each notice, and whenever listening begins anew, since one may have been missed meanwhile. Nobody
 * may rely on it: a pooler that shares connections between transactions passes no notice on. Asking stays behind it.
 *
 * @param channel a plain name
 */
export function listen(
  databaseUrl: string,
  channel: string,
  onNotice: () => void,
  { onProblem = () => {}, backoffMs = 250 }: ListenOptions = {},
): { stop(): void } {
  let stopped = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let waitMs = backoffMs;
  let isTold = false;

  const lost = (error: Error) => {
    const gone = client;
    if (stopped || gone === undefined) return;
    client = undefined;
    void gone.end().catch(() => {});
    if (!isTold) onProblem(error);
    isTold = true;
    timer = setTimeout(connect, waitMs);
    timer.unref();
    waitMs = Math.min(2 * waitMs, MOST_WAIT_MS);
  };
  const connect = async () => {
    const mine = new pg.Client({
      connectionString: databaseUrl,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      application_name: LISTENER,
    });
    client = mine;
    const fail = (error: Error) => {
      if (client === mine) lost(error);
    };
    mine.on('error', fail);
    mine.on('end', () => fail(new Error('the connection that listens has ended')));
    mine.on('notification', onNotice);
    try {
      await mine.connect();
      await mine.query(`listen ${pg.escapeIdentifier(channel)}`);
      if (stopped) return;
      waitMs = backoffMs;
      isTold = false;
      onNotice();
    } catch (error) {
      fail(error as Error);
    }
  };
  void connect();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
      void client?.end().catch(() => {});
    },
  };
}
