/**
 * What it costs to keep the sums of usage up to date under load, and how old they get: requests of a steady rate are written
 * as time would bring them, and rolled up as often as the gateway would. Time itself is only reckoned with.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openStore } from '../db/store.ts';
import { rollUp } from '../usage/roll-up.ts';
import { EVERY_MS, REST } from '../usage/rolling.ts';
import { HOUR_MS, PIECE_MINUTES } from '../usage/sum-up.ts';
import { startPostgres } from './database.ts';
import { generatedRows } from './usage-rows.ts';

export interface KeepingUp {
  readonly rate: number;
  /** Requests of one roll-up, as the pace settled. */
  readonly requests: number;
  /** The database's processor time of one roll-up, ms. */
  readonly processorMs: number;
  /** The same a request, µs. */
  readonly perRequestUs: number;
  /** Most that `rolledUpTo` is behind: the interval and the roll-up, s, on processors that have nothing else to do. */
  readonly lagS: number;
}

const CYCLES = 5;
/** Minutes of the hour that are rolled up already: pieces with nearly all combinations there are. */
const FILLED_MINUTES = 30;
const FILLED_ROWS = 6000;
/** Rows of one statement, as the gateway's writer has them under load. */
const BATCH = 100;
/** Requests that take a minute. */
const SLOW = 0.02;

/** @throws where there is no `/proc` to read processor time from */
export async function keepingUpBench(
  { rates }: { readonly rates: readonly number[] },
  say: (text: string) => void,
  roll = rollUp,
): Promise<KeepingUp[]> {
  const postgres = await startPostgres();
  const dataDir = mkdtempSync(join(tmpdir(), 'pointsman-bench-usage-'));
  const found: KeepingUp[] = [];
  try {
    for (const rate of rates) {
      const databaseUrl = await postgres.createDatabase();
      const store = await openStore({ databaseUrl, dataDir });
      const client = new pg.Client({ connectionString: databaseUrl });
      await client.connect();
      try {
        // Processor time of workers is nowhere to be read once they have ended.
        await client.query(
          `alter database "${new URL(databaseUrl).pathname.slice(1)}" set max_parallel_workers_per_gather = 0`,
        );
        found.push(await keepUp({ rate, store, client, roll }));
        say(JSON.stringify(found.at(-1)));
      } finally {
        await client.end();
        await store.close();
      }
    }
    return found;
  } finally {
    await postgres.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Bench {
  readonly rate: number;
  readonly store: Parameters<typeof rollUp>[0];
  readonly client: pg.Client;
  readonly roll: typeof rollUp;
}

async function keepUp({ rate, store, client, roll }: Bench): Promise<KeepingUp> {
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS;
  for (let minute = 0; minute < FILLED_MINUTES; minute += PIECE_MINUTES) {
    const from = new Date(hour + minute * 60_000);
    const rows = { tag: `f${minute}`, from, ms: PIECE_MINUTES * 60_000, count: FILLED_ROWS, artifact: 'router-1' };
    for (const statement of generatedRows(rows)) await client.query(statement);
  }
  const all = async () => {
    const before = await processorMs(client);
    while (!(await roll(store, { budgetMs: 600_000 })).complete);
    return (await processorMs(client)) - before;
  };
  await all();
  await client.query('vacuum analyze');
  let now = hour + FILLED_MINUTES * 60_000;
  let last = 0;
  const cycles: { ms: number; requests: number; took: number }[] = [];
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    // From the end of one to the end of the next.
    const ms = Math.max(EVERY_MS, REST * last) + last;
    const count = Math.round((rate * ms) / 1000);
    await writeInBatches(client, {
      tag: `c${cycle}`,
      from: new Date(now),
      ms,
      count,
      artifact: 'router-1',
      slow: SLOW,
    });
    now += ms;
    last = await all();
    cycles.push({ ms, requests: count, took: last });
  }
  const settled = cycles.slice(1);
  const sum = (of: (cycle: (typeof cycles)[number]) => number) =>
    settled.reduce((total, cycle) => total + of(cycle), 0);
  return {
    rate,
    requests: Math.round(sum(({ requests }) => requests) / settled.length),
    processorMs: sum(({ took }) => took) / settled.length,
    perRequestUs: (1000 * sum(({ took }) => took)) / sum(({ requests }) => requests),
    lagS: Math.max(...settled.map(({ ms, took }) => ms + took)) / 1000,
  };
}

/** Row by row as by the gateway's writer: a mark a batch, which is what there are many of. */
async function writeInBatches(client: pg.Client, rows: Parameters<typeof generatedRows>[0]): Promise<void> {
  const statements = generatedRows(rows);
  await client.query('begin');
  for (let first = 0; first < rows.count; first += BATCH) {
    const last = Math.min(first + BATCH, rows.count) - 1;
    for (const statement of statements) {
      await client.query(statement.replace(/generate_series\(0, \d+/, `generate_series(${first}, ${last}`));
    }
  }
  await client.query('commit');
}

/** Of all connections to the database, ms. */
async function processorMs(client: pg.Client): Promise<number> {
  const { rows } = await client.query(
    `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  const ticks = rows.map(({ pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  // Linux counts in hundredths of a second.
  return 10 * ticks.reduce((a, b) => a + b, 0);
}
