/** A team's part of the log, page by page: a decision a line, with its calls and what was said of them. */
import { and, asc, eq, gt, gte, inArray, lt, or } from 'drizzle-orm';
import { RoutingError } from '../../datasets/index.ts';
import { withCandidates } from '../db/candidate-lists.ts';
import { databaseError } from '../db/connection.ts';
import { attempts, decisions, feedback, vectorBytes } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';

export interface ExportRequest {
  readonly tenant: string;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  /** What the page before gave. */
  readonly cursor?: string | undefined;
  readonly limit: number;
  readonly embeddings: boolean;
}

export interface ExportPage {
  /** JSON texts, oldest decision first. */
  readonly lines: readonly string[];
  /** Where the next page begins; null: there is none. */
  readonly next: string | null;
}

/** @throws `INVALID_REQUEST` for a cursor that none was given, `DATABASE_UNAVAILABLE` */
export async function exportDecisions({ db }: Pick<SqlStore, 'db'>, request: ExportRequest): Promise<ExportPage> {
  const { tenant, from, to, limit, embeddings } = request;
  const last = request.cursor === undefined ? null : placeOf(request.cursor);
  try {
    const rows = await db
      .select()
      .from(decisions)
      .where(
        and(
          eq(decisions.tenant, tenant),
          from && gte(decisions.createdAt, from),
          to && lt(decisions.createdAt, to),
          last === null
            ? undefined
            : or(
                gt(decisions.createdAt, last.createdAt),
                and(eq(decisions.createdAt, last.createdAt), gt(decisions.id, last.id)),
              ),
        ),
      )
      .orderBy(asc(decisions.createdAt), asc(decisions.id))
      .limit(limit);
    const ids = rows.map(({ id }) => id);
    const [calls, verdicts] =
      ids.length === 0
        ? [[], []]
        : await Promise.all([
            db.select().from(attempts).where(inArray(attempts.decisionId, ids)).orderBy(asc(attempts.ordinal)),
            db.select().from(feedback).where(inArray(feedback.decisionId, ids)).orderBy(asc(feedback.createdAt)),
          ]);
    const callsOf = grouped(calls);
    const verdictsOf = grouped(verdicts);
    const lines = (await withCandidates(db, rows)).map(({ embedding, ...row }) =>
      JSON.stringify({
        ...row,
        ...(embeddings && {
          embedding: embedding === null ? null : Buffer.from(vectorBytes(embedding)).toString('base64'),
        }),
        attempts: callsOf.get(row.id) ?? [],
        feedback: verdictsOf.get(row.id) ?? [],
      }),
    );
    return { lines, next: rows.length < limit ? null : cursorOf(rows.at(-1)!) };
  } catch (error) {
    throw databaseError(error);
  }
}

function grouped<T extends { readonly decisionId: string }>(rows: readonly T[]): Map<string, Omit<T, 'decisionId'>[]> {
  const groups = new Map<string, Omit<T, 'decisionId'>[]>();
  for (const { decisionId, ...row } of rows) {
    const group = groups.get(decisionId);
    if (group === undefined) groups.set(decisionId, [row]);
    else group.push(row);
  }
  return groups;
}

/** The end of the year 9999: no row is later, and not every database knows what is. */
const LAST_MS = 253_402_300_799_999;

const cursorOf = ({ createdAt, id }: { createdAt: Date; id: string }): string =>
  Buffer.from(`${createdAt.getTime()} ${id}`).toString('base64url');

function placeOf(cursor: string): { createdAt: Date; id: string } {
  const [, time, id] = /^(\d{1,15}) (.{1,200})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8')) ?? [];
  const createdAt = new Date(Number(time));
  if (id === undefined || !(createdAt.getTime() <= LAST_MS)) {
    throw new RoutingError('INVALID_REQUEST', 'cursor: give the x-pointsman-next-cursor of the page before, as it is');
  }
  return { createdAt, id };
}
