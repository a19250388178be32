/** Keeps the roll-ups up to date while the gateway runs: one replica after another, and never for more than a small part of the time. */
import { sql } from 'drizzle-orm';
import { asked } from '../db/connection.ts';
import type { SqlStore } from '../db/store.ts';
import { ROLL_UP_LOCK, rollUp } from './roll-up.ts';

const FIRST_MS = 3_000;
/** How old the sums may get. */
export const EVERY_MS = 20_000;
/**
 * So many times as long as a roll-up took, the database is left alone: a sixth of one of its processors at most. Later is
 * cheaper (fewer pieces are made twice), so a load that this is too much for settles at a longer interval.
 */
export const REST = 5;

export interface RollingOptions {
  /** Told once per kind of trouble. */
  onProblem(error: { readonly code?: string; readonly message: string }): void;
}

/** Begins soon, and goes on until it is stopped. */
export function keepRolling(store: SqlStore, { onProblem }: RollingOptions): { stop(): Promise<void> } {
  let told: string | undefined;
  let stopped = false;
  let rolls = 0;
  let running: Promise<void> | undefined;
  const once = async () => {
    const started = performance.now();
    try {
      if ((await isDue(store)) && (await rollUp(store)).hours > 0) await cleanUp(store, ++rolls);
      told = undefined;
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (message !== told && !stopped) onProblem({ ...(code !== undefined && { code }), message });
      told = message;
    }
    schedule(Math.max(EVERY_MS, REST * (performance.now() - started)));
  };
  let timer: NodeJS.Timeout;
  const schedule = (ms: number) => {
    if (stopped) return;
    timer = setTimeout(() => {
      running = once();
    }, ms);
    timer.unref();
  };
  schedule(FIRST_MS);
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** Roll-ups between two cleanings. */
const CLEAN_EVERY = 50;

/** The embedded database has nobody who cleans up after it, and the newest pieces and their hour are written anew each time. */
async function cleanUp({ kind, db }: SqlStore, rolls: number): Promise<void> {
  if (kind !== 'embedded' || rolls % CLEAN_EVERY !== 0) return;
  for (const table of ['touched', 'pending', 'cells', 'slices', 'calls', 'calibration', 'calibration_pieces']) {
    await asked(db.execute(sql.raw(`vacuum usage_${table}`)));
  }
}

/** Not where another replica has just done it, or is about it: to wait for one that takes long would be cut off. */
export async function isDue({ db }: SqlStore): Promise<boolean> {
  const rows = await asked(
    db.execute(sql`
      select 1 from usage_state
      where name = 'rolled' and at > clock_timestamp() - make_interval(secs => ${EVERY_MS / 2000})
      union all
      select 1 from pg_locks
      where locktype = 'advisory' and objid = ${ROLL_UP_LOCK}::int::oid and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())`),
  );
  return (rows as unknown as unknown[]).length === 0;
}
