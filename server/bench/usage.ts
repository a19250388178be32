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

/** One day's rows: 20 teams, 60 keys, 10 models of 4 providers, 5 % judged; drawn by a hash of their number, the same each time. */
const dayOfRows = (day: number, n: number): string[] => {
  const from = new Date(START + day * DAY_MS).toISOString();
  const draw = (salt: string, of: number) => `(abs(hashtextextended(i::text, ${day} + ${salt})) % ${of})`;
  return [
    `insert into decisions (id, created_at, tenant, key, project, surface, requested_model, routed, model, executed_model,
       reason, propensity, explored, floor, distribution, ranked, filtered, facts, artifact, price_date, baseline_model,
       baseline_cost_usd)
     select 'd${day}-' || i, '${from}'::timestamptz + i * interval '${DAY_MS / n} milliseconds', 'team-' || ${draw('1', 20)},
       'key-' || ${draw('1', 20)} || '-' || ${draw('2', 3)}, 'p' || ${draw('1', 20)}, (array['chat','responses'])[1 + ${draw('3', 2)}],
       'auto', ${draw('4', 10)} > 0, 'm' || ${draw('5', 10)}, case when ${draw('6', 100)} = 0 then null else 'm' || ${draw('5', 10)} end,
       (array['cheapest_adequate','explored','sticky','requested','fallback'])[1 + ${draw('7', 5)}], 1, false, 0, '[]',
       jsonb_build_array(jsonb_build_object('model', 'm' || ${draw('5', 10)}, 'quality', ${draw('8', 1000)} / 1000.0)),
       '[]', '{"chars": 400}', 'router-' || ${Math.floor(day / 10)}, '2026-10-01', 'm9', 0.004
     from generate_series(0, ${n - 1}) i`,
    `insert into attempts (id, decision_id, ordinal, provider, model, started_at, status, input_tokens, output_tokens, cost_usd,
       first_byte_ms, total_ms)
     select 'a${day}-' || i, 'd${day}-' || i, 0, 'provider-' || ${draw('5', 10)} % 4, 'm' || ${draw('5', 10)},
       '${from}'::timestamptz + i * interval '${DAY_MS / n} milliseconds', case when ${draw('6', 100)} = 0 then 'error' else 'ok' end,
       ${draw('9', 4000)}, ${draw('10', 900)}, ${draw('11', 1000)} / 300000.0, 100 + ${draw('12', 900)}, 300 + ${draw('13', 9000)}
     from generate_series(0, ${n - 1}) i`,
    `insert into outcomes (decision_id, model_id, quality, sources, first_labelled_at)
     select 'd${day}-' || i, 'm' || ${draw('5', 10)}, ${draw('14', 2)}, 1, now()
     from generate_series(0, ${n - 1}, 20) i where ${draw('6', 100)} <> 0`,
  ];
};

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
        for (const statement of dayOfRows(day, perDay)) await client.query(statement);
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
