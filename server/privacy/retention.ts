/** Deletes what is older than it may be kept: rows, not marks on rows. */
import { and, eq, inArray, isNotNull, lt, notInArray, type SQL, sql } from 'drizzle-orm';
import type { GatewayConfig } from '../config/index.ts';
import { dropUnusedLists } from '../db/candidate-lists.ts';
import { databaseError } from '../db/connection.ts';
import { dropPartition, type PARTITIONED, type PartitionedTable, partitionsOf } from '../db/partitions.ts';
import { attempts, decisions, feedback, outcomes, texts } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import { keepSums } from '../usage/roll-up.ts';

export interface Deleted {
  readonly decisions: number;
  readonly embeddings: number;
  readonly texts: number;
}

type Settings = Pick<GatewayConfig, 'privacy' | 'teams'>;

const DAY_MS = 86_400_000;
/** Rows of one statement: short locks, and answers are written in between. */
const BATCH = 500;

/**
 * Deletes decisions with their calls, verdicts, outcomes and texts once they are past their team's age; takes embeddings
 * and texts away when they are past theirs. Rows whose decision never came go by their own age. Months of which nothing
 * is to be kept are dropped whole, the rest row by row. Sums of what was used stay.
 * @throws `DATABASE_UNAVAILABLE`; what was deleted by then stays deleted
 */
export async function deleteExpired(store: SqlStore, settings: Settings, now = new Date()): Promise<Deleted> {
  const { db } = store;
  const { privacy, teams } = settings;
  const before = (days: number) => new Date(now.getTime() - days * DAY_MS);
  let rows = 0;
  try {
    const own = Object.entries(teams).flatMap(([name, { retentionDays }]) =>
      retentionDays === undefined ? [] : [{ name, retentionDays }],
    );
    await keepWhatIsRolledUp(store, own, privacy.retentionDays, before);
    rows += await dropMonths(store, settings, before);
    for (const { name, retentionDays } of own) {
      const old = and(eq(decisions.tenant, name), lt(decisions.createdAt, before(retentionDays)))!;
      rows += await inBatches(() => deleteDecisions(db, old));
    }
    const { retentionDays, embeddingDays, textDays } = privacy;
    if (retentionDays !== null) {
      const names = own.map(({ name }) => name);
      const others = names.length === 0 ? undefined : notInArray(decisions.tenant, names);
      rows += await inBatches(() => deleteDecisions(db, and(others, lt(decisions.createdAt, before(retentionDays)))!));
      await deleteOrphans(db, before(retentionDays));
    }
    await dropUnusedLists(db);
    const embeddings = embeddingDays === null ? 0 : await inBatches(() => dropEmbeddings(db, before(embeddingDays)));
    const kept = textDays === null ? 0 : await inBatches(() => dropTexts(db, before(textDays)));
    const deleted = { decisions: rows, embeddings, texts: kept };
    // The embedded database has nobody who cleans up after it: what was deleted would stay in its files.
    if (store.kind === 'embedded' && rows + embeddings + kept > 0) await vacuum(db);
    return deleted;
  } catch (error) {
    throw databaseError(error);
  }
}

interface TeamAge {
  readonly name: string;
  readonly retentionDays: number;
}

/** Before anything is deleted: roll-ups of what was deleted must not be made anew. */
async function keepWhatIsRolledUp(
  store: SqlStore,
  own: readonly TeamAge[],
  others: number | null,
  before: (days: number) => Date,
): Promise<void> {
  for (const { name, retentionDays } of own) await keepSums(store, [name], before(retentionDays));
  if (others === null) return;
  const names = new Set(own.map(({ name }) => name));
  const teams = (await teamsOnRecord(store.db)).filter((team) => !names.has(team));
  await keepSums(store, teams, before(others));
}

/** From team to team by the index. */
async function teamsOnRecord(db: SqlStore['db']): Promise<string[]> {
  const rows = (await db.execute(sql`
    with recursive teams(name) as (
      (select tenant from ${decisions} order by tenant limit 1)
      union all
      select (select d.tenant from ${decisions} d where d.tenant > teams.name order by d.tenant limit 1)
      from teams where teams.name is not null
    )
    select name from teams where name is not null`)) as unknown as { name: string }[];
  return rows.map(({ name }) => name);
}

/** Months that are past the age of every team. @returns decisions that went with them */
async function dropMonths(
  store: SqlStore,
  { privacy, teams }: Settings,
  before: (days: number) => Date,
): Promise<number> {
  const { retentionDays, textDays } = privacy;
  const ages = Object.values(teams).flatMap((team) => team.retentionDays ?? []);
  const age = retentionDays === null ? null : Math.max(retentionDays, ...ages);
  const textAge = textDays === null ? age : age === null ? textDays : Math.min(age, textDays);
  let rows = 0;
  // Decisions last: by them their verdicts are found.
  for (const table of ['texts', 'attempts', 'decisions'] satisfies (keyof typeof PARTITIONED)[]) {
    const days = table === 'texts' ? textAge : age;
    if (days === null) continue;
    const end = before(days).getTime();
    for (const part of await partitionsOf(store.db, table as PartitionedTable)) {
      if (part.end > end) break;
      if (table === 'decisions') rows += await emptied(store.db, part.name);
      await dropPartition(store, part.name);
    }
  }
  return rows;
}

/** Verdicts and outcomes of a month go, which lie in tables of their own. @returns its decisions */
async function emptied(db: SqlStore['db'], month: string): Promise<number> {
  for (const table of ['feedback', 'outcomes']) {
    await inBatches(async () => {
      const gone = (await db.execute(
        sql.raw(`delete from ${table} where ctid = any(array(
          select f.ctid from ${table} f join ${month} d on d.id = f.decision_id limit ${BATCH})) returning 1`),
      )) as unknown as unknown[];
      return gone.length;
    });
  }
  const [row] = (await db.execute(sql.raw(`select count(*)::int as n from ${month}`))) as unknown as { n: number }[];
  return row!.n;
}

async function vacuum(db: SqlStore['db']): Promise<void> {
  for (const table of ['decisions', 'attempts', 'feedback', 'outcomes', 'texts']) {
    await db.execute(sql.raw(`vacuum ${table}`));
  }
}

async function inBatches(one: () => Promise<number>): Promise<number> {
  let all = 0;
  for (;;) {
    const count = await one();
    all += count;
    if (count < BATCH) return all;
  }
}

async function deleteDecisions(db: SqlStore['db'], which: SQL): Promise<number> {
  const found = await db.select({ id: decisions.id }).from(decisions).where(which).limit(BATCH);
  const ids = found.map(({ id }) => id);
  if (ids.length === 0) return 0;
  await db.delete(texts).where(inArray(texts.decisionId, ids));
  await db.delete(feedback).where(inArray(feedback.decisionId, ids));
  await db.delete(outcomes).where(inArray(outcomes.decisionId, ids));
  await db.delete(attempts).where(inArray(attempts.decisionId, ids));
  // Last: until then the next run finds them again.
  await db.delete(decisions).where(inArray(decisions.id, ids));
  return ids.length;
}

async function deleteOrphans(db: SqlStore['db'], before: Date): Promise<void> {
  const noDecision = (id: typeof feedback.decisionId | typeof attempts.decisionId) =>
    sql`not exists (select 1 from ${decisions} where ${decisions.id} = ${id})`;
  await db.delete(feedback).where(and(lt(feedback.createdAt, before), noDecision(feedback.decisionId)));
  await db.delete(attempts).where(and(lt(attempts.startedAt, before), noDecision(attempts.decisionId)));
}

async function dropEmbeddings(db: SqlStore['db'], before: Date): Promise<number> {
  const old = db
    .select({ id: decisions.id })
    .from(decisions)
    .where(and(lt(decisions.createdAt, before), isNotNull(decisions.embedding)))
    .limit(BATCH);
  const rows = await db
    .update(decisions)
    .set({ embedding: null })
    .where(inArray(decisions.id, old))
    .returning({ id: decisions.id });
  return rows.length;
}

async function dropTexts(db: SqlStore['db'], before: Date): Promise<number> {
  const old = db.select({ id: texts.decisionId }).from(texts).where(lt(texts.createdAt, before)).limit(BATCH);
  const rows = await db.delete(texts).where(inArray(texts.decisionId, old)).returning({ id: texts.decisionId });
  return rows.length;
}
