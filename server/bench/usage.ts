/** How long pages of usage take over a long log: a generated one on a PostgreSQL of the benchmark's own, rolled up day by day as it grows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ANYBODY, type Caller } from '../callers.ts';
import { openStore } from '../db/store.ts';
import type { UsageQuery } from '../usage/contract.ts';
import { decisionPage } from '../usage/decision-page.ts';
import { calibration, callLatency, totalUsage, usageBy, usageSeries } from '../usage/questions.ts';
import { rollUp } from '../usage/roll-up.ts';
import { scopeOf } from '../usage/scope.ts';
import { startPostgres } from './database.ts';
import { generatedRows } from './usage-rows.ts';

export interface UsageBench {
  readonly rows: number;
  readonly days: number;
  readonly postgres: string;
  readonly machine: string;
  /** Load average of the machine, one minute, while pages were asked for. */
  readonly load: number;
  readonly megabytes: number;
  /** Roll-ups of a whole day's rows, ms. */
  readonly rollUpMs: { readonly p50: number; readonly max: number };
  readonly cells: number;
  readonly slices: number;
  readonly pages: readonly { readonly page: string; readonly p50: number; readonly p95: number }[];
}

const DAYS = 30;
const START = Date.UTC(2026, 9, 1);
const DAY_MS = 86_400_000;

/** @param say is told how far it is */
export async function usageBench(
  { rows, repetitions }: { readonly rows: number; readonly repetitions: number },
  say: (text: string) => void,
): Promise<UsageBench> {
  const postgres = await startPostgres();
  const dataDir = mkdtempSync(join(tmpdir(), 'pointsman-bench-usage-'));
  try {
    const databaseUrl = await postgres.createDatabase();
    const store = await openStore({ databaseUrl, dataDir });
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      const perDay = Math.ceil(rows / DAYS);
      const rolls: number[] = [];
      for (let day = 0; day < DAYS; day++) {
        const from = new Date(START + day * DAY_MS);
        const drawn = { tag: `d${day}`, from, ms: DAY_MS, count: perDay, artifact: `router-${Math.floor(day / 10)}` };
        for (const statement of generatedRows(drawn)) await client.query(statement);
        const began = performance.now();
        while (!(await rollUp(store, { budgetMs: 600_000 })).complete);
        rolls.push(performance.now() - began);
        say(`day ${day + 1} of ${DAYS}: ${perDay} decisions, rolled up in ${Math.round(rolls.at(-1)!)} ms`);
      }
      await client.query('vacuum analyze');
      const count = async (text: string) => Number((await client.query(text)).rows[0].n);
      const pages = [];
      for (const [page, ask] of Object.entries(pagesOf(store.db))) {
        const times: number[] = [];
        for (let i = 0; i < repetitions; i++) {
          const began = performance.now();
          await ask();
          times.push(performance.now() - began);
        }
        pages.push({ page, p50: quantileOf(times, 0.5), p95: quantileOf(times, 0.95) });
      }
      return {
        rows: await count('select count(*) as n from decisions'),
        days: DAYS,
        postgres: postgres.version,
        machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.version}`,
        load: loadavg()[0]!,
        megabytes: (await count('select pg_database_size(current_database()) as n')) / 1e6,
        rollUpMs: { p50: quantileOf(rolls, 0.5), max: Math.max(...rolls) },
        cells: await count('select count(*) as n from usage_cells'),
        slices: await count('select count(*) as n from usage_slices'),
        pages,
      };
    } finally {
      await client.end();
      await store.close();
    }
  } finally {
    await postgres.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** What a dashboard asks for, as an admin of all teams unless it says otherwise, over all thirty days. */
function pagesOf(db: Parameters<typeof totalUsage>[0]): Record<string, () => Promise<unknown>> {
  const range = { from: new Date(START).toISOString(), to: new Date(START + DAYS * DAY_MS).toISOString() };
  const week = { ...range, from: new Date(START + (DAYS - 7) * DAY_MS).toISOString() };
  const all = (query: UsageQuery = {}) => scopeOf(ANYBODY, { ...range, ...query });
  const team: Caller = { ...ANYBODY, tenant: 'team-7', scopes: new Set(['usage']) };
  return {
    summary: () => totalUsage(db, all()),
    'summary of a team': () => totalUsage(db, scopeOf(team, range)),
    'summary of a team and a model of it, for one provider': () =>
      totalUsage(db, scopeOf(team, { ...range, model: 'm3', provider: 'provider-3' })),
    'series by day and model': () => usageSeries(db, all(), 'day', 'model', 10),
    'series by hour of a week, by team': () => usageSeries(db, scopeOf(ANYBODY, week), 'hour', 'team', 10),
    'breakdown by key': () => usageBy(db, all(), 'key', 20),
    'breakdown by team of one model': () => usageBy(db, all({ model: 'm3' }), 'team', 20),
    'breakdown by key of one model (from cells)': () => usageBy(db, all({ model: 'm3' }), 'key', 20),
    'decisions, first page': () => decisionPage(db, all(), { limit: 50 }),
    'decisions of a team': () => decisionPage(db, scopeOf(team, range), { limit: 50 }),
    'decisions of a model': () => decisionPage(db, all({ model: 'm3' }), { limit: 50 }),
    calibration: () => calibration(db, all()),
    latency: () => callLatency(db, all(), 100),
  };
}

const quantileOf = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)]!;
