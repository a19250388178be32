/** PostgreSQL over a small pool of connections. */
import pg from 'pg';
import { type Connection, DatabaseError, databaseError, type RowMode } from './connection.ts';
import { migrate } from './migrate.ts';

/** A statement of ours takes milliseconds; one that takes this long is taken for lost and tried again. */
const QUERY_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Our statements take milliseconds: to compile one with a hundred sums takes longer than to run it. Sums of usage are of wide
 * rows, which are sorted first, or put on disk, where their groups do not fit into memory: with the 4 MB that are usual they
 * take half as long again. Who has given the database more keeps it.
 */
const SETTINGS = `set jit = off;
  select set_config('work_mem', '16MB', false) where pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('16MB')`;

/** Connects and migrates. @throws `DATABASE_UNAVAILABLE` naming the host, never the password */
export async function openPostgres(databaseUrl: string): Promise<Connection> {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 4,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'pointsman',
    onConnect: (client) => client.query(SETTINGS).then(() => undefined),
  });
  // A connection lost while idle is replaced by the next query; without a listener it would end the process.
  pool.on('error', () => {});
  try {
    const client = await pool.connect();
    let failed: unknown;
    try {
      await migrate({ query: async (text, params) => (await client.query(text, params as unknown[])).rows });
    } catch (error) {
      failed = error;
      throw error;
    } finally {
      client.release(failed !== undefined);
    }
  } catch (error) {
    await pool.end().catch(() => {});
    throw new DatabaseError(
      `cannot use the database ${whereIs(databaseUrl)}: ${reasonOf(error)}. Check DATABASE_URL, or leave it out to use the embedded database`,
      databaseError(error).sqlState,
      { cause: error },
    );
  }
  return {
    kind: 'postgres',
    query: queryOn(pool),
    async alone(key, work) {
      const client = await pool.connect().catch((error) => {
        throw databaseError(error);
      });
      const query = queryOn(client);
      let isBroken = false;
      // Between two statements nobody else hears that the server has gone, and what nobody hears ends the process.
      const lost = () => {
        isBroken = true;
      };
      client.on('error', lost);
      try {
        await query('begin', [], 'array');
        await query('select pg_advisory_xact_lock($1)', [key], 'array');
        const result = await work(query);
        await query('commit', [], 'array');
        return result;
      } catch (error) {
        await query('rollback', [], 'array').catch(() => {
          isBroken = true;
        });
        throw error;
      } finally {
        client.off('error', lost);
        client.release(isBroken);
      }
    },
    close: () => pool.end(),
  };
}

const queryOn =
  (on: pg.Pool | pg.PoolClient): Connection['query'] =>
  async (text, params, rowMode: RowMode) => {
    const values = params as unknown[];
    try {
      const result = await (rowMode === 'array'
        ? on.query({ text, values, rowMode: 'array' })
        : on.query({ text, values }));
      return result.rows;
    } catch (error) {
      throw databaseError(error);
    }
  };

/** Several addresses tried give an AggregateError, whose own message is empty. */
const reasonOf = (error: unknown): string =>
  error instanceof AggregateError ? error.errors.map((e: Error) => e.message).join(', ') : (error as Error).message;

export function whereIs(databaseUrl: string): string {
  try {
    const { host, pathname } = new URL(databaseUrl);
    return `${pathname.slice(1)} at ${host}`;
  } catch {
    return '(DATABASE_URL is not a URL like postgres://user:password@host:5432/name)';
  }
}
