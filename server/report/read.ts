/** The log as a report reads it: a page of requests at a time with their calls, newest first. */
import { and, asc, desc, eq, gte, inArray, lt, or, type SQL, sql } from 'drizzle-orm';
import { databaseError } from '../db/connection.ts';
import { attempts, decisions } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import { MAX_USAGE_ROWS, type UsageCall, type UsageRequest, type UsageRow } from './rows.ts';

const PAGE = 1000;

/**
 * @param since  without it all that is there
 * @param limit  rows read at most, the newest ones
 * @param only   what else must be true of a decision
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function* usagePages(
  { db }: Pick<SqlStore, 'db'>,
  { since }: UsageRequest,
  limit = MAX_USAGE_ROWS,
  only?: SQL,
): AsyncGenerator<UsageRow[]> {
  const from = since === undefined ? undefined : gte(decisions.createdAt, new Date(since));
  let last: { createdAt: Date; id: string } | undefined;
  for (let read = 0; read < limit; ) {
    // By place, not by offset: requests go on being written while this reads.
    const before: ReturnType<typeof or> =
      last &&
      or(
        lt(decisions.createdAt, last.createdAt),
        and(eq(decisions.createdAt, last.createdAt), lt(decisions.id, last.id)),
      );
    const page = await db
      .select({
        id: decisions.id,
        createdAt: decisions.createdAt,
        tenant: decisions.tenant,
        session: decisions.session,
        surface: decisions.surface,
        routed: decisions.routed,
        model: decisions.model,
        executed: decisions.executedModel,
        baselineModel: decisions.baselineModel,
        baselineCostUsd: decisions.baselineCostUsd,
        observed: decisions.observed,
        cached: decisions.cached,
        cachedUsd: sql<number | null>`(${decisions.facts}->>'cachedUsd')::float8`,
      })
      .from(decisions)
      .where(and(from, before, only))
      .orderBy(desc(decisions.createdAt), desc(decisions.id))
      .limit(Math.min(PAGE, limit - read))
      .catch((error) => {
        throw databaseError(error);
      });
    if (page.length === 0) return;
    const calls = await callsOf(
      db,
      page.map(({ id }) => id),
    );
    yield page.map(({ createdAt, observed, cached, cachedUsd, ...row }) => ({
      ...row,
      cachedUsd: cached ? Number(cachedUsd ?? 0) : null,
      at: createdAt.getTime(),
      observed: observed && { model: observed.model, chosen: observed.chosen, named: observed.named },
      calls: calls.get(row.id) ?? [],
    }));
    read += page.length;
    last = page.at(-1)!;
    if (page.length < PAGE) return;
  }
}

async function callsOf(db: SqlStore['db'], ids: readonly string[]): Promise<Map<string, UsageCall[]>> {
  const rows = await db
    .select({
      decisionId: attempts.decisionId,
      provider: attempts.provider,
      model: attempts.model,
      purpose: attempts.purpose,
      status: attempts.status,
      errorCode: attempts.errorCode,
      costUsd: attempts.costUsd,
      inputTokens: attempts.inputTokens,
      cachedInputTokens: attempts.cachedInputTokens,
      outputTokens: attempts.outputTokens,
      reasoningTokens: attempts.reasoningTokens,
      startedAt: attempts.startedAt,
      firstByteMs: attempts.firstByteMs,
      totalMs: attempts.totalMs,
    })
    .from(attempts)
    .where(inArray(attempts.decisionId, [...ids]))
    .orderBy(asc(attempts.ordinal))
    .catch((error) => {
      throw databaseError(error);
    });
  const calls = new Map<string, UsageCall[]>();
  for (const { decisionId, startedAt, ...call } of rows) {
    const told = { ...call, startedAt: startedAt.getTime() };
    const list = calls.get(decisionId);
    if (list) list.push(told);
    else calls.set(decisionId, [told]);
  }
  return calls;
}

/** The same as text, for a gateway to give to the command: its rows one a line, each ended by `\n`. */
export async function* usageLines(
  store: Pick<SqlStore, 'db' | 'flush'>,
  request: UsageRequest,
): AsyncGenerator<string> {
  await store.flush();
  yield `${JSON.stringify({ usage: 1 })}\n`;
  for await (const page of usagePages(store, request)) {
    yield page.map((row) => `${JSON.stringify(row)}\n`).join('');
  }
}
