/** One connection of this process that listens to every channel somebody asks for: what another replica tells is heard at once. */
import pg from 'pg';

export interface ListenOptions {
  /** Told when listening fails, once until it works again; it goes on trying. */
  readonly onProblem?: (error: Error) => void;
  /** First wait before trying again, ms; doubled up to a minute. Of several listeners the shortest counts. */
  readonly backoffMs?: number;
  /**
   * A connection that held for so long is a good one, ms: after it the waits begin anew. Of several listeners the longest
   * counts. A server that lets everybody in and drops them is else asked for ever at the first wait.
   */
  readonly steadyMs?: number;
}

const TIMEOUT_MS = 5_000;
const MOST_WAIT_MS = 60_000;
/** What the connection is called among those of the server, `pg_stat_activity`. */
export const LISTENER = 'pointsman listen';

/** The lines in use, by URL of the database. */
const lines = new Map<string, Line>();

/**
 * Calls `onNotice` for each notice, and whenever listening begins anew, since one may have been missed meanwhile. Nobody
 * may rely on it: a pooler that shares connections between transactions passes no notice on. Asking stays behind it.
 * All who listen to one database share one connection, which ends with the last of them.
 *
 * @param channel a plain name
 */
export function listen(
  databaseUrl: string,
  channel: string,
  onNotice: () => void,
  { onProblem = () => {}, backoffMs = 250, steadyMs = 5_000 }: ListenOptions = {},
): { stop(): void } {
  const listener: Listener = {
    ...{ channel, onNotice, onProblem, backoffMs, steadyMs },
    ...{ isHearing: false, isTold: false },
  };
  const line = lines.get(databaseUrl) ?? new Line(databaseUrl);
  lines.set(databaseUrl, line);
  line.add(listener);
  return {
    stop() {
      line.remove(listener);
      if (line.isEmpty && lines.get(databaseUrl) === line) lines.delete(databaseUrl);
    },
  };
}

interface Listener extends Required<ListenOptions> {
  readonly channel: string;
  readonly onNotice: () => void;
  /** It has been called since the connection listens to its channel. */
  isHearing: boolean;
  isTold: boolean;
}

/** A connection, and the channels that it listens to. */
interface Wire {
  readonly client: pg.Client;
  channels: ReadonlySet<string>;
  isUp: boolean;
  isAsking: boolean;
  /** When it began to hear, of the monotonic clock; undefined: not yet. */
  upAt: number | undefined;
}

class Line {
  readonly #databaseUrl: string;
  readonly #listeners = new Set<Listener>();
  #wire: Wire | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Attempts in a row that failed, or held but a moment. */
  #failed = 0;

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl;
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  add(listener: Listener): void {
    this.#listeners.add(listener);
    if (this.#wire === undefined) void this.#connect();
    // Never called before `listen` has returned.
    else queueMicrotask(() => void this.#settle());
  }

  remove(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return;
    if (!this.isEmpty) return void this.#settle();
    clearTimeout(this.#timer);
    void this.#wire?.client.end().catch(() => {});
    this.#wire = undefined;
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#timer);
    const client = new pg.Client({
      connectionString: this.#databaseUrl,
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
      keepAlive: true,
      application_name: LISTENER,
    });
    const wire: Wire = { client, channels: new Set(), isUp: false, isAsking: false, upAt: undefined };
    this.#wire = wire;
    client.on('error', (error) => this.#lost(wire, error));
    client.on('end', () => this.#lost(wire, new Error('the connection that listens has ended')));
    client.on('notification', ({ channel }) => {
      for (const listener of this.#listeners) if (listener.channel === channel) call(listener);
    });
    try {
      await client.connect();
      wire.isUp = true;
      await this.#settle();
    } catch (error) {
      this.#lost(wire, error as Error);
    }
  }

  /** Listens to what somebody asks for and to nothing else, and calls those who begin to hear. */
  async #settle(): Promise<void> {
    const wire = this.#wire;
    if (wire === undefined || !wire.isUp || wire.isAsking) return;
    wire.isAsking = true;
    try {
      for (;;) {
        const wanted = new Set([...this.#listeners].map(({ channel }) => channel));
        const statements = [
          ...[...wanted].filter((name) => !wire.channels.has(name)).map((name) => `listen ${quoted(name)}`),
          ...[...wire.channels].filter((name) => !wanted.has(name)).map((name) => `unlisten ${quoted(name)}`),
        ];
        if (statements.length === 0) break;
        await wire.client.query(statements.join('; '));
        wire.channels = wanted;
      }
    } catch (error) {
      this.#lost(wire, error as Error);
    } finally {
      wire.isAsking = false;
    }
    if (this.#wire !== wire) return;
    wire.upAt ??= performance.now();
    for (const listener of this.#listeners) {
      listener.isTold = false;
      if (listener.isHearing) continue;
      listener.isHearing = true;
      call(listener);
    }
  }

  /** Tells everybody who was not told yet, and tries again later. */
  #lost(wire: Wire, error: Error): void {
    if (this.#wire !== wire) return;
    this.#wire = undefined;
    void wire.client.end().catch(() => {});
    const first = Math.min(...[...this.#listeners].map(({ backoffMs }) => backoffMs));
    const steady = Math.max(...[...this.#listeners].map(({ steadyMs }) => steadyMs));
    if (wire.upAt !== undefined && performance.now() - wire.upAt >= steady) this.#failed = 0;
    this.#timer = setTimeout(() => void this.#connect(), Math.min(first * 2 ** this.#failed++, MOST_WAIT_MS));
    this.#timer.unref();
    for (const listener of this.#listeners) {
      listener.isHearing = false;
      const { isTold } = listener;
      listener.isTold = true;
      if (!isTold) tell(listener, error);
    }
  }
}

const quoted = (channel: string) => pg.escapeIdentifier(channel);

/** What one of them throws is its own problem: the others share the connection. */
function call(listener: Listener): void {
  try {
    listener.onNotice();
  } catch (error) {
    tell(listener, error as Error);
  }
}

/** Who throws at being told of a problem has nobody left to be told by. */
function tell({ onProblem }: Listener, error: Error): void {
  try {
    onProblem(error);
  } catch {}
}
