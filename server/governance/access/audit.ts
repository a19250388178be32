/** The audit log: who changed what, when; one row a change, written with it and never changed. */
import { and, desc, eq, lt } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import type { Caller } from '../../callers.ts';
import { asked } from '../../db/connection.ts';
import { auditLog } from '../../db/schema.ts';

export interface Change {
  readonly actor: Caller;
  /** `key.create`, `budget.update` …: a thing and what was done to it. */
  readonly action: string;
  /** Id or name of the thing. */
  readonly subject: string;
  /** Whose it is; null: of no team in particular, so that admins alone see the row. */
  readonly team: string | null;
  /** What changed. No secret, no text of requests. */
  readonly details?: object | undefined;
  readonly requestId?: string | null | undefined;
}

export interface AuditEntry {
  readonly ordinal: number;
  readonly at: Date;
  readonly actor: string;
  readonly actorKind: string;
  readonly action: string;
  readonly subject: string;
  readonly team: string | null;
  readonly details: unknown;
  readonly requestId: string | null;
}

/**
 * Writes a change down. Give it the transaction of the change (`store.alone`), and write before changing: embedded
 * there is no transaction, and better a row of what did not happen than a change that nobody sees.
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function audit(
  db: PgRemoteDatabase,
  { actor, action, subject, team, details = {}, requestId = null }: Change,
): Promise<void> {
  const row = { actor: actorOf(actor), actorKind: actor.kind, action, subject, team, details, requestId };
  await asked(db.insert(auditLog).values({ ...row, at: new Date() }));
}

/** A key's name says who it is within its team alone; a person's may be another's, too, or be chosen to look like it. */
export function actorOf({ kind, tenant, name, subject }: Pick<Caller, 'kind' | 'tenant' | 'name' | 'subject'>): string {
  if (kind === 'key') return `${tenant}/${name}`;
  return subject === undefined ? (name ?? kind) : `${name ?? kind} <${subject}>`;
}

export interface AuditQuery {
  /** Null: all. */
  readonly team: string | null;
  /** Rows before this one. */
  readonly before?: number | undefined;
  readonly limit: number;
}

/** Newest first. @throws `DATABASE_UNAVAILABLE` */
export async function listAudit(db: PgRemoteDatabase, { team, before, limit }: AuditQuery): Promise<AuditEntry[]> {
  return asked(
    db
      .select()
      .from(auditLog)
      .where(
        and(
          team === null ? undefined : eq(auditLog.team, team),
          before === undefined ? undefined : lt(auditLog.ordinal, before),
        ),
      )
      .orderBy(desc(auditLog.ordinal))
      .limit(limit),
  );
}
