/** Keys of a LiteLLM database work here as they did there: their own tables on a real PostgreSQL, and exports of them. */
import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildApp } from '../../../server/app.ts';
import { importCommand } from '../../../server/cli/import.ts';
import { planOf } from '../../../server/cli/import-litellm/access-plan.ts';
import { accessInDatabase, accessInFile, LiteLlmKey } from '../../../server/cli/import-litellm/access-source.ts';
import { GatewayConfig } from '../../../server/config/index.ts';
import { openStore } from '../../../server/db/store.ts';
import { type Databases, tempDir, useDatabases } from '../db/stores.ts';
import { candidate, catalogOf, fakeRouter } from '../fakes.ts';

const KEYS = {
  web: 'sk-web-0123456789abcdef',
  blocked: 'sk-blocked-0123456789ab',
  teamless: 'sk-teamless-0123456789a',
  late: 'sk-late-0123456789abcdef',
};
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** The columns of LiteLLM's schema that are read, with their types, and some that are not. */
const TABLES = `
  create table "LiteLLM_BudgetTable" (
    "budget_id" text primary key, "max_budget" double precision, "soft_budget" double precision,
    "tpm_limit" bigint, "rpm_limit" bigint, "budget_duration" text);
  create table "LiteLLM_TeamTable" (
    "team_id" text primary key, "team_alias" text, "max_budget" double precision, "spend" double precision not null default 0,
    "models" text[], "max_parallel_requests" integer, "tpm_limit" bigint, "rpm_limit" bigint, "budget_duration" text,
    "blocked" boolean not null default false, "metadata" jsonb not null default '{}');
  create table "LiteLLM_VerificationToken" (
    "token" text primary key, "key_name" text, "key_alias" text, "spend" double precision not null default 0,
    "expires" timestamp(3), "models" text[], "aliases" jsonb not null default '{}', "user_id" text, "team_id" text,
    "max_parallel_requests" integer, "metadata" jsonb not null default '{}', "blocked" boolean, "tpm_limit" bigint,
    "rpm_limit" bigint, "max_budget" double precision, "budget_duration" text, "model_max_budget" jsonb not null default '{}',
    "budget_id" text, "created_at" timestamp(3) default current_timestamp);`;

let server: Databases;
let theirs: string;
let ours: string;
let dataDir: string;
let client: pg.Client;
beforeAll(async () => {
  server = useDatabases();
  [theirs, ours, dataDir] = [await server.createDatabase(), await server.createDatabase(), await tempDir()];
  client = new pg.Client({ connectionString: theirs });
  await client.connect();
  await client.query(TABLES);
  await client.query(`
    insert into "LiteLLM_BudgetTable" values ('b-1', 20, null, null, 30, '7d');
    insert into "LiteLLM_TeamTable" (team_id, team_alias, models, max_budget, budget_duration, tpm_limit)
      values ('t-1', 'Search', '{one/cheap,one/dear}', 300, '30d', 5000000000), ('t-2', null, '{}', null, null, null);`);
  const insert = (token: string, columns: Record<string, unknown>) => {
    const all: Record<string, unknown> = { token, ...columns };
    const names = Object.keys(all).map((name) => `"${name}"`);
    return client.query(
      `insert into "LiteLLM_VerificationToken" (${names}) values (${names.map((_, i) => `$${i + 1}`)})`,
      Object.values(all),
    );
  };
  await insert(sha256(KEYS.web), {
    key_name: 'sk-...cdef',
    key_alias: 'web',
    team_id: 't-1',
    models: ['one/cheap', 'two/other'],
    metadata: { tags: ['eu', 7] },
    max_budget: 10,
    budget_duration: '1d',
    rpm_limit: 60,
  });
  await insert(sha256(KEYS.blocked), { key_alias: 'web', team_id: 't-1', models: ['all-team-models'], blocked: true });
  await insert(sha256(KEYS.teamless), { key_name: 'sk-...789a', models: [], budget_id: 'b-1' });
  await insert(sha256(KEYS.late), { key_alias: 'late', team_id: 't-2', models: [], expires: '2020-01-01 00:00:00' });
  await insert(sha256('sk-of-the-page'), { team_id: 'litellm-dashboard' });
});
afterAll(async () => {
  await client?.end();
  await server?.remove();
  await rm(dataDir, { recursive: true, force: true });
});
afterEach(() => {
  vi.restoreAllMocks();
});

async function run(...args: string[]) {
  const [out, err] = [vi.spyOn(console, 'log'), vi.spyOn(console, 'error')];
  for (const spy of [out, err]) spy.mockImplementation(() => {});
  const place = ['--database-url', ours, '--data-dir', dataDir];
  await importCommand().parseAsync(['litellm-keys', ...args, ...place], { from: 'user' });
  const told = out.mock.calls.map(([line]) => line).join('\n');
  const noted = err.mock.calls.map(([line]) => line).join('\n');
  vi.restoreAllMocks();
  return { told, noted };
}

/** What the gateway says to a key. */
async function asking<T>(
  work: (ask: (key: string, path: string) => Promise<{ status: number; json: never }>) => Promise<T>,
) {
  const store = await openStore({ databaseUrl: ours, dataDir });
  const models = [candidate('one/cheap'), candidate('one/dear')];
  const { app, gateway } = buildApp({
    ...{ holder: { current: fakeRouter(models) }, catalog: catalogOf(models), store, providers: new Map() },
    adminKey: 'an-admin-key-for-the-test',
    config: GatewayConfig.parse({ logLevel: 'silent', dataDir, databaseUrl: ours }),
  });
  try {
    await gateway.governance.start();
    return await work(async (key, url) => {
      const reply = await app.inject({ url, headers: { authorization: `Bearer ${key}` } });
      return { status: reply.statusCode, json: reply.json() as never };
    });
  } finally {
    await app.close();
    await gateway.close();
    await store.close();
  }
}

describe('out of the database', () => {
  test('a dry run tells what would be done, and does nothing', async () => {
    const { told } = await run('--from', theirs, '--dry-run');
    expect(told).toContain('keys     4 would be taken over');
    expect(told).toContain('teams    2 would be made');
    // Keys: a budget and a rate of web, a budget and a rate by b-1; team Search: a budget and a rate.
    expect(told).toContain('limits   6 would be made of 6');
    await asking(async (ask) => expect((await ask(KEYS.web, '/v1/me')).status).toBe(401));
  });

  test('keys work here with what they might there; blocked and expired ones do not', async () => {
    const { told, noted } = await run('--from', theirs);
    expect(told).toContain('keys     4 taken over');
    expect(noted).toContain('Search/web: models that its team may not use were left out');
    expect(noted).toMatch(/default\/sk-789a|default\/sk-\.\.\.789a/);
    await asking(async (ask) => {
      const me = await ask(KEYS.web, '/v1/me');
      expect(me.json).toMatchObject({ kind: 'key', name: 'web', team: 'Search', role: 'member' });
      const listed = (await ask(KEYS.web, '/v1/models')).json as { data: { id: string }[] };
      expect(listed.data.map(({ id }) => id)).toEqual(['one/cheap']);
      expect((await ask(KEYS.teamless, '/v1/me')).json).toMatchObject({ team: 'default' });
      for (const [key, why] of [
        [KEYS.blocked, 'revoked'],
        [KEYS.late, 'expired'],
        ['sk-of-the-page', 'not known'],
        [sha256(KEYS.web), 'not known'],
      ] as const) {
        const refused = (await ask(key, '/v1/me')).json as { error: { message: string } };
        expect(refused.error.message).toContain(why);
      }
      const { limits } = (await ask('an-admin-key-for-the-test', '/v1/admin/limits')).json as { limits: object[] };
      expect(limits).toHaveLength(6);
      expect(limits).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ kind: 'budget', team: 'Search', usd: 300, period: 'month' }),
          expect.objectContaining({ kind: 'rate', team: 'Search', tokensPerMinute: 5_000_000_000 }),
          expect.objectContaining({ kind: 'budget', team: 'Search', key: 'web', usd: 10, period: 'day' }),
          expect.objectContaining({ kind: 'rate', team: 'Search', key: 'web', requestsPerMinute: 60 }),
        ]),
      );
    });
  });

  test('done again it changes nothing but what was blocked meanwhile', async () => {
    expect((await run('--from', theirs)).told).toMatch(
      /keys +0 taken over, 4 there already, 0 revoked\nteams +0 made\nlimits +0 made of 6/,
    );
    await client.query(`update "LiteLLM_VerificationToken" set blocked = true where token = $1`, [sha256(KEYS.web)]);
    expect((await run('--from', theirs)).told).toContain('3 there already, 1 revoked');
    await asking(async (ask) => expect((await ask(KEYS.web, '/v1/me')).status).toBe(401));
  });

  test('nothing can be written there, and what is no such database is said to be none', async () => {
    await expect(accessInDatabase(ours)).rejects.toMatchObject({ code: 'WRONG_FORMAT' });
    await expect(accessInDatabase(`${theirs}?schema=nowhere`)).rejects.toMatchObject({ code: 'WRONG_FORMAT' });
    expect((await accessInDatabase(`${theirs}?schema=public`)).keys).toHaveLength(5);
    const gone = 'postgres://postgres:a-password@127.0.0.1:1/none';
    await expect(accessInDatabase(gone)).rejects.toSatisfy(
      (error: Error & { code: string }) =>
        error.code === 'DATABASE_UNAVAILABLE' && !error.message.includes('a-password'),
    );
  });
});

describe('out of a file', () => {
  const fileOf = async (name: string, text: string) => {
    const path = join(dataDir, name);
    await writeFile(path, text);
    return path;
  };

  test('CSV as PostgreSQL writes it says the same as the rows', async () => {
    const path = await fileOf(
      'keys.csv',
      `token,key_alias,team_id,models,metadata,blocked,expires,max_budget,rpm_limit,spend
${sha256('a')},a,,"{one/cheap,""with, comma""}","{""tags"": [""eu""]}",t,2027-01-02 03:04:05,,60,0
${sha256('b')},,,{},{},,,2.5,,
`,
    );
    const { keys } = await accessInFile(path);
    expect(keys[0]).toMatchObject({
      models: ['one/cheap', 'with, comma'],
      blocked: true,
      rpm_limit: 60,
      max_budget: null,
    });
    expect(keys[0]!.expires?.toISOString()).toBe('2027-01-02T03:04:05.000Z');
    expect(keys[1]).toMatchObject({ key_alias: null, team_id: null, blocked: false, max_budget: 2.5, rpm_limit: null });
    const { keys: planned } = planOf({ keys, teams: [], budgets: [] });
    expect(planned.find(({ name }) => name === 'a')?.tags).toEqual(['eu']);
  });

  test.each<[string, string, string]>([
    ['none.json', '{', 'WRONG_FORMAT'],
    ['text.json', '"keys"', 'WRONG_FORMAT'],
    ['row.json', '[{"token": 7}]', 'INVALID_ROW'],
    ['models.json', `[{"token": "${'0'.repeat(64)}", "models": 7}]`, 'INVALID_ROW'],
    ['head.csv', 'name,team\na,b\n', 'INVALID_ROW'],
  ])('%s is refused with a reason', async (name, text, code) => {
    await expect(fileOf(name, text).then(accessInFile)).rejects.toMatchObject({ code });
  });

  test('one that is not there', async () => {
    await expect(accessInFile(join(dataDir, 'nowhere.json'))).rejects.toMatchObject({ code: 'MISSING_FILE' });
  });
});

describe('what becomes stricter, never looser', () => {
  const budget = (max_budget: number, budget_duration: string | null, spend = 0) => {
    const key = LiteLlmKey.parse({ token: sha256('k'), key_alias: 'k', max_budget, budget_duration, spend });
    const { limits, left } = planOf({ keys: [key], teams: [], budgets: [] });
    expect(limits).toHaveLength(1);
    return { usd: limits[0]!.usd, period: limits[0]!.period, noted: left.length };
  };

  test.each<[number, string | null, number, number, string, number]>([
    [30, '30d', 0, 30, 'month', 0],
    [30, '1mo', 0, 30, 'month', 0],
    [30, 'monthly', 0, 30, 'month', 0],
    [5, '1d', 0, 5, 'day', 0],
    [5, '24h', 0, 5, 'day', 0],
    // A week's 7 USD are 1 USD a day; an hour's 2 USD become 2 USD a day; 90 days' 90 USD are 30 USD a month.
    [7, '7d', 0, 1, 'day', 1],
    [2, '1h', 0, 2, 'day', 1],
    [90, '90d', 0, 30, 'month', 1],
    // Never filled up: what is left of it.
    [10, null, 4, 6, 'month', 1],
    [10, null, 12, 0.01, 'month', 1],
    [0, '30d', 0, 0.01, 'month', 0],
    [10, 'now and then', 0, 10, 'month', 1],
  ])('%d USD for %s, %d spent: %d USD a %s', (max, duration, spent, usd, period, noted) => {
    expect(budget(max, duration, spent)).toEqual({ usd, period, noted });
  });

  const modelsOf = (ofKey: string[], ofTeam: string[] | undefined) => {
    const team = ofTeam === undefined ? [] : [{ team_id: 't', models: ofTeam }];
    const plan = planOf({
      keys: [LiteLlmKey.parse({ token: sha256('k'), team_id: 't', models: ofKey })],
      teams: team as never,
      budgets: [],
    });
    return plan.keys[0]!.models;
  };

  test('models are those of key and team both', () => {
    expect(modelsOf([], undefined)).toBeUndefined();
    expect(modelsOf([], ['a/*'])).toEqual(['a/*']);
    expect(modelsOf(['all-team-models'], ['a/b'])).toEqual(['a/b']);
    expect(modelsOf(['a/b', 'c/d'], ['a/*'])).toEqual(['a/b']);
    expect(modelsOf(['a/b'], [])).toEqual(['a/b']);
    expect(modelsOf(['all-proxy-models'], ['a/b'])).toEqual(['a/b']);
    expect(modelsOf(['no-default-models'], ['a/b'])).toEqual([]);
    expect(modelsOf(['c/d'], ['a/b'])).toEqual([]);
  });

  test('a key in plain text is hashed, what is neither is left out, and names are made what names may be', () => {
    const rows = [
      { token: 'sk-plain-0123456789', key_alias: '<b>web</b>' },
      { token: 'neither', key_alias: 'odd' },
      { token: sha256('x'), key_alias: 'same' },
      { token: sha256('y'), key_alias: 'same' },
    ];
    const plan = planOf({ keys: rows.map((row) => LiteLlmKey.parse(row)), teams: [], budgets: [] });
    const names = plan.keys.map(({ name }) => name);
    expect(names).toContain('b-web-/b-');
    expect(new Set(names).size).toBe(3);
    expect(plan.keys.map(({ digest }) => digest)).toContain(sha256('sk-plain-0123456789'));
    expect(JSON.stringify(plan)).not.toContain('sk-plain');
    expect(plan.left).toEqual([expect.stringContaining('odd')]);
    // In another order the same names: the rows of a table come in any.
    const again = planOf({ keys: rows.reverse().map((row) => LiteLlmKey.parse(row)), teams: [], budgets: [] });
    expect(again.keys).toEqual(plan.keys);
  });
});
