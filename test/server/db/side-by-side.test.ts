/**
 * During an upgrade two builds work on one database, and a downgrade is the older one on a newer database: what the build
 * of migration 0002 says to its tables goes on working, before, while and after this build's migrations are applied.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate, migrationList } from '../../../server/db/migrate.ts';
import { encodeRow } from '../../../server/db/rows.ts';
import { openStore } from '../../../server/db/store.ts';
import { aDecision } from './records.ts';
import { type Databases, tempDir, useDatabases } from './stores.ts';

/** Migrations that a release was made with. */
const OLD = ['0000_first', '0001_gateway', '0002_the_loop'];

/** Columns as the older build names them. */
const DECISION =
  'id created_at tenant key surface tags session requested_model routed model executed_model reason propensity explored floor distribution ranked filtered facts difficulty out_of_domain artifact encoder_id embedding price_date baseline_model baseline_cost_usd router_ms observed explorable end_user trial arm arm_probability shadow audit_probability audited';
const ATTEMPT =
  'id decision_id ordinal provider model deployment purpose started_at status http_status error_code input_tokens cached_input_tokens cache_write_tokens output_tokens reasoning_tokens cost_usd first_byte_ms total_ms';
const FEEDBACK = 'id decision_id score source created_at kind weight tenant key label';

/** As that build writes rows: a JSON array spread over the columns, ids that are there skipped. */
const insertAsBefore = (table: string, columns: string): string => {
  const names = columns.split(' ').join(', ');
  return `insert into ${table} (${names}) select ${names} from jsonb_populate_recordset(null::${table}, $1::jsonb) on conflict do nothing`;
};

const decisionRow = (id: string) => ({
  ...{
    id,
    created_at: new Date().toISOString(),
    tenant: 'default',
    surface: 'chat',
    tags: [],
    requested_model: 'auto',
  },
  ...{ routed: true, model: 'a/small', executed_model: 'a/small', reason: 'cheapest_adequate', propensity: 1 },
  ...{ explored: false, floor: 0.5, distribution: [], ranked: [], filtered: [], facts: {}, price_date: '2026-11-20' },
  ...{ explorable: true, audited: false },
});
const attemptRow = (id: string) => ({
  ...{ id: `${id}-0`, decision_id: id, ordinal: 0, provider: 'a', model: 'a/small', deployment: '', purpose: 'answer' },
  ...{ started_at: new Date().toISOString(), status: 'ok', total_ms: 10 },
});
const feedbackRow = (id: string) => ({
  ...{ id: `${id}-f`, decision_id: id, score: 1, source: 'user', created_at: new Date().toISOString() },
  ...{ kind: 'verdict', weight: 1 },
});

let postgres: Databases;
let databaseUrl: string;
const clients: pg.Client[] = [];
const connect = async () => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  clients.push(client);
  return client;
};
const sessionOf = (client: pg.Client) => ({
  query: async (text: string, params: readonly unknown[] = []) => (await client.query(text, [...params])).rows,
});

beforeAll(async () => {
  postgres = useDatabases();
  databaseUrl = await postgres.createDatabase();
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end().catch(() => {})));
  await postgres.remove();
});

/** A request as the older build writes it down, with what it does then: feedback, and its outcome. */
async function writeAsBefore(client: pg.Client, id: string): Promise<void> {
  const decision = decisionRow(id);
  await client.query(insertAsBefore('decisions', DECISION), [JSON.stringify([decision])]);
  // Sent again whenever it is not certain that it arrived.
  await client.query(insertAsBefore('decisions', DECISION), [JSON.stringify([decision])]);
  await client.query(insertAsBefore('attempts', ATTEMPT), [JSON.stringify([attemptRow(id)])]);
  await client.query(insertAsBefore('feedback', FEEDBACK), [JSON.stringify([feedbackRow(id)])]);
  await client.query(
    `insert into outcomes (decision_id, model_id, quality, sources, kind, weight, first_labelled_at)
     values ($1, 'a/small', 1, 1, 'verdict', 1, now())
     on conflict (decision_id, model_id) do update set quality = excluded.quality, sources = excluded.sources`,
    [id],
  );
  const { rows } = await client.query('select id, model from decisions where id = $1', [id]);
  expect(rows).toEqual([{ id, model: 'a/small' }]);
}

test('the build before goes on writing and reading while this one migrates, and afterwards', async () => {
  const before = await connect();
  const applied = migrationList().filter(({ name }) => OLD.includes(name));
  expect(applied.map(({ name }) => name)).toEqual(OLD);
  await migrate(sessionOf(before), applied);
  for (let i = 0; i < 20; i++) await writeAsBefore(before, `before-${i}`);
  let going = true;
  let during = 0;
  const writing = (async () => {
    while (going) await writeAsBefore(before, `during-${during++}`);
  })();
  const store = await openStore({ databaseUrl, dataDir: await tempDir(), onProblem: () => {} });
  const behind = during + 20;
  while (during < behind) await new Promise((resolve) => setTimeout(resolve, 5));
  going = false;
  await writing;
  store.record({ decision: aDecision({ id: 'of-this-build' }) });
  await store.flush();
  // Each reads what the other wrote.
  expect((await store.getDecision('before-3'))?.decision.model).toBe('a/small');
  expect((await store.getDecision(`during-${during - 1}`))?.feedback).toHaveLength(1);
  const { rows } = await before.query(`select count(*)::int as n, count(distinct id)::int as ids from decisions`);
  expect(rows).toEqual([{ n: 20 + during + 1, ids: 20 + during + 1 }]);
  await store.close();
});

test('a row that this build wrote or spooled is one that the build before takes, with the forecast of what answered', async () => {
  const client = await connect();
  const ranked = ['a/small', 'b/large'].map((model, i) => ({
    ...{ model, like: model, quality: 0.5 + i / 4, qualitySd: 0.1, outputTokens: 9, costUsd: 1, adequate: true },
  }));
  const distribution = ranked.map(({ model }) => ({ model, probability: 0.5 }));
  const row = aDecision({ id: 'spooled', createdAt: new Date(), ranked, distribution, executedModel: 'b/large' });
  const { json } = encodeRow({ table: 'decisions', row });
  expect(JSON.parse(json).candidates).toMatch(/^\\x01/);
  await client.query(insertAsBefore('decisions', DECISION), [`[${json}]`]);
  const { rows } = await client.query(
    `select distribution, (
       select (r->>'quality')::double precision from jsonb_array_elements(d.ranked) r
       where r->>'model' = d.executed_model limit 1) as predicted
     from decisions d where id = 'spooled'`,
  );
  expect(rows).toEqual([{ distribution: [], predicted: 0.75 }]);
});

test('a start of the build before finds nothing to do on the newer database', async () => {
  const client = await connect();
  const applied = migrationList().filter(({ name }) => OLD.includes(name));
  expect(await migrate(sessionOf(client), applied)).toBe(0);
  await writeAsBefore(client, 'after-a-downgrade');
});

test('no migration takes away what a build before may use', () => {
  for (const { name, statements } of migrationList().filter(({ name }) => !OLD.includes(name))) {
    for (const statement of statements) {
      expect(statement, name).not.toMatch(/^\s*(drop (table|column)|truncate|alter table \S+ (drop|rename) column)/im);
      // A new column that must be given would be missing in what the older build writes.
      if (/add column/i.test(statement) && /not null/i.test(statement)) expect(statement, name).toMatch(/default/i);
    }
  }
});
