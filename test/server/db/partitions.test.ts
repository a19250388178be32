/** The log in months: an old table becomes the first, nothing is refused, what is past its age goes whole. */
import { PGlite } from '@electric-sql/pglite';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Session } from '../../../server/db/connection.ts';
import { newDecisionId, timesOfId } from '../../../server/db/decision-id.ts';
import { insertRows } from '../../../server/db/insert.ts';
import { migrate, migrationList } from '../../../server/db/migrate.ts';
import { makePartitions, partitionsOf } from '../../../server/db/partitions.ts';
import { type Row, rowToJson } from '../../../server/db/rows.ts';
import { deleteExpired } from '../../../server/privacy/retention.ts';
import { aDecision, anAttempt, someFeedback } from './records.ts';
import { type Databases, type OpenedStore, storeKinds, useDatabases } from './stores.ts';

const encoded = (row: Row) => ({ table: row.table, json: rowToJson(row) });
const requestAt = (id: string, createdAt: Date) => [
  encoded({ table: 'decisions', row: aDecision({ id, createdAt }) }),
  encoded({ table: 'attempts', row: anAttempt({ id: `${id}-0`, decisionId: id, startedAt: createdAt }) }),
  encoded({ table: 'feedback', row: someFeedback({ id: `${id}-f`, decisionId: id, createdAt }) }),
  encoded({
    table: 'texts',
    row: { decisionId: id, createdAt, redacted: false, prompt: 'p', answer: null },
  }),
];

describe.each(storeKinds)('$name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());

  const lie = async (table: string) =>
    (await opened.store.db.execute(
      sql.raw(`select tableoid::regclass::text as part, count(*)::int as n from ${table} group by 1 order by 1`),
    )) as unknown as { part: string; n: number }[];

  test('months are made ahead; what came before its month was there is moved into it', async () => {
    const { store } = opened;
    const [first] = await partitionsOf(store.db, 'decisions');
    // The year after the first partition ends: nobody has made a month of it.
    const later = new Date(first!.end + 370 * 86_400_000);
    const month = later.toISOString().slice(0, 7).replace('-', '_');
    await insertRows(store.db, [
      ...requestAt('early', new Date('2026-01-02')),
      ...requestAt('future', later),
      ...requestAt('far', new Date(later.getTime() + 400 * 86_400_000)),
    ]);
    expect((await lie('decisions')).map(({ part }) => part)).toEqual(['decisions_before', 'decisions_rest']);
    const made = await makePartitions(store, later);
    expect(made.length).toBe(9);
    expect(made[0]).toBe(`decisions_${month}`);
    for (const table of ['decisions', 'attempts', 'texts']) {
      expect(await lie(table)).toEqual([
        { part: `${table}_${month}`, n: 1 },
        { part: `${table}_before`, n: 1 },
        { part: `${table}_rest`, n: 1 },
      ]);
    }
    expect(await makePartitions(store, later)).toEqual([]);
    expect((await store.getDecision('future'))?.attempts.length).toBe(1);
    // Sent again: still once.
    await insertRows(store.db, requestAt('future', later));
    expect((await lie('decisions')).map(({ n }) => n)).toEqual([1, 1, 1]);
  });

  test('a month that is past every team’s age goes whole, verdicts with it; what is left goes row by row', async () => {
    const { store } = opened;
    const parts = await partitionsOf(store.db, 'decisions');
    const privacy = { retentionDays: 30, embeddingDays: null, textDays: null } as never;
    const now = new Date(parts[1]!.end + 31 * 86_400_000);
    const protectedTeam = { slow: { retentionDays: 4000 } } as never;
    // A team that keeps more holds the months; its own rows and the others' go by themselves.
    const slow = await deleteExpired(
      store,
      { privacy, teams: protectedTeam },
      new Date(parts[0]!.end + 31 * 86_400_000),
    );
    expect(slow.decisions).toBe(1);
    expect((await partitionsOf(store.db, 'decisions')).length).toBe(parts.length);
    const deleted = await deleteExpired(store, { privacy, teams: {} }, now);
    expect(deleted.decisions).toBe(1);
    expect((await partitionsOf(store.db, 'decisions')).map(({ name }) => name)).toEqual(
      parts.slice(2).map(({ name }) => name),
    );
    const left = (await store.db.execute(sql`select id from feedback`)) as unknown as { id: string }[];
    expect(left.map(({ id }) => id)).toEqual(['far-f']);
    expect(await lie('texts')).toEqual([{ part: 'texts_rest', n: 1 }]);
  });
});

describe('a log of the version before', () => {
  let server: Databases;
  const ends: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    server = useDatabases();
  });
  afterAll(async () => {
    for (const end of ends) await end();
    await server.remove();
  });

  const kinds: Record<string, () => Promise<Session>> = {
    async PGlite() {
      const db = await PGlite.create();
      ends.push(() => db.close());
      return { query: async (text, params) => (await db.query(text, params as unknown[])).rows as never };
    },
    async PostgreSQL() {
      const client = new pg.Client({ connectionString: await server.createDatabase() });
      await client.connect();
      ends.push(() => client.end());
      return { query: async (text, params) => (await client.query(text, params as unknown[])).rows };
    },
  };

  /** As a gateway of that version left it: what it has applied is on record, so that only the rest is missing. */
  async function before(session: Session): Promise<void> {
    await session.query('create schema drizzle');
    await session.query(
      'create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)',
    );
    for (const { name, hash, createdAt, statements } of migrationList()) {
      if (name >= '0004') continue;
      for (const statement of statements) await session.query(statement);
      await session.query('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [
        hash,
        createdAt,
      ]);
    }
  }

  /** What that version writes: the columns by name, what is there is skipped. */
  const insert = (session: Session, id: string, at: string) =>
    session.query(
      `insert into decisions (id, created_at, tenant, requested_model, routed, model, reason, propensity, explored, floor,
         distribution, ranked, filtered, facts, price_date)
       select id, created_at, tenant, requested_model, routed, model, reason, propensity, explored, floor,
         distribution, ranked, filtered, facts, price_date
       from jsonb_populate_recordset(jsonb_populate_record(null::decisions, '{}'::jsonb), $1::jsonb)
       on conflict do nothing`,
      [
        JSON.stringify([
          {
            ...{ id, created_at: at, tenant: 't', requested_model: 'auto', routed: true, model: 'm', reason: 'r' },
            ...{ propensity: 1, explored: false, floor: 0, distribution: [], ranked: [], filtered: [], facts: {} },
            price_date: '2026-01-01',
          },
        ]),
      ],
    );

  test.each(Object.keys(kinds))('is taken over as it lies, on %s, and its gateway may go on writing', async (name) => {
    const session = await kinds[name]!();
    await before(session);
    await insert(session, 'old', '2025-05-05T00:00:00Z');
    // A clock that was wrong.
    await insert(session, 'ahead', '2031-05-05T00:00:00Z');
    if (name === 'PostgreSQL') {
      await session.query('create unique index concurrently decisions_by_time on decisions (id, created_at)');
      await session.query('create index concurrently decisions_team on decisions (tenant, created_at)');
      await session.query(
        `alter table attempts add constraint attempts_bound check (started_at < '2026-01-01') not valid`,
      );
      await session.query('alter table attempts validate constraint attempts_bound');
    }
    expect(await migrate(session)).toBe(migrationList().filter(({ name }) => name >= '0004').length);
    await insert(session, 'new', new Date().toISOString());
    await insert(session, 'new', new Date().toISOString());
    await insert(session, 'old', '2025-05-05T00:00:00Z');
    await insert(session, 'beyond', '2040-05-05T00:00:00Z');
    const rows = await session.query('select tableoid::regclass::text as part, id from decisions order by id');
    expect(rows.filter(({ id }) => id !== 'new')).toEqual([
      { part: 'decisions_before', id: 'ahead' },
      { part: 'decisions_rest', id: 'beyond' },
      { part: 'decisions_before', id: 'old' },
    ]);
    // The bound that was made beforehand holds nobody up.
    await session.query(
      `insert into attempts (id, decision_id, ordinal, provider, model, started_at, status, total_ms)
       values ('a', 'new', 0, 'p', 'm', now(), 'ok', 1)`,
    );
    const indexes = await session.query(
      `select indexname from pg_indexes where tablename = 'decisions_before' order by 1`,
    );
    // What was made beforehand is used: there is one of each.
    expect(indexes.length).toBe(5);
  });
});

describe('an id', () => {
  test('tells when its decision was made, to within what clocks and requests may take', () => {
    const at = Date.UTC(2026, 10, 29, 12);
    const id = newDecisionId(at);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    const { from, to } = timesOfId(id, at)!;
    expect([from.toISOString(), to.toISOString()]).toEqual(['2026-11-29T11:00:00.000Z', '2026-11-30T12:00:00.000Z']);
    expect(newDecisionId(at)).not.toBe(id);
  });

  test('of before, which is random, or of anybody’s making tells nothing', () => {
    for (const id of ['', 'd1', 'f'.repeat(32), '0'.repeat(32), 'zz'.repeat(16)]) expect(timesOfId(id)).toBeNull();
  });
});
