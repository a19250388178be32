/** Deletes what is older than it may be kept: rows, not marks on rows. */
import { and, eq, inArray, isNotNull, lt, notInArray, type SQL, sql } from 'drizzle-orm';
import type { GatewayConfig } from '../config/index.ts';
import { databaseError } from '../db/connection.ts';
import { attempts, decisions, feedback, outcomes, texts } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';

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
 * and texts away when they are past theirs. Rows whose decision never came go by their own age.
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
