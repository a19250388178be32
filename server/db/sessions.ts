/** Pins: which model and deployment a conversation is with, the same for every replica. */
import { createHash } from 'node:crypto';
import { and, eq, inArray, lt, lte, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from './connection.ts';
import { sessions } from './schema.ts';

export interface Pin {
  readonly tenant: string;
  /** As the client names it. */
  readonly session: string;
  readonly model: string;
  /** Null: any of the model's. */
  readonly deployment: string | null;
  /** Tokens of the conversation that the model has cached. */
  readonly prefixTokens: number;
  /** Why no other model may take over (open tool calls, encrypted reasoning …); null: one may. */
  readonly locked: string | null;
  /** When the turn that it stems from began, by the clock of who writes it. */
  readonly updatedAt: Date;
}

/** @returns null where the session is new, or has been silent for longer than `ttlMs` before `now` */
export async function readPin(
  db: PgRemoteDatabase,
  tenant: string,
  session: string,
  ttlMs: number,
  now = new Date(),
): Promise<Pin | null> {
  const [row] = await asked(db.select().from(sessions).where(isOf(tenant, session)));
  if (row === undefined || isExpired(row, ttlMs, now)) return null;
  return { ...row, session };
}

/**
 * Pins a session that has no pin, or one that expired `ttlMs` before `pin.updatedAt`.
 * @returns the pin in force: of replicas that claim at once all get the first one's
 */
export async function claimPin(db: PgRemoteDatabase, pin: Pin, ttlMs: number): Promise<Pin> {
  const deadline = new Date(pin.updatedAt.getTime() - ttlMs);
  // An update even where the old pin stays: only so the statement returns it, whoever wrote it just now.
  const unless = (column: keyof typeof REPLACED) =>
    sql`case when ${sessions.updatedAt} < ${deadline.toISOString()}::timestamptz
      then excluded.${sql.identifier(REPLACED[column])} else ${sessions[column]} end`;
  const [row] = await asked(
    db
      .insert(sessions)
      .values({ ...pin, session: sessionKey(pin.session) })
      .onConflictDoUpdate({
        target: [sessions.tenant, sessions.session],
        set: {
          model: unless('model'),
          deployment: unless('deployment'),
          prefixTokens: unless('prefixTokens'),
          locked: unless('locked'),
          updatedAt: unless('updatedAt'),
        },
      })
      .returning(),
  );
  return { ...row!, session: pin.session };
}

/** Writes what the last turn made of the pin; one of an earlier turn, arriving late, changes nothing. */
export async function movePin(db: PgRemoteDatabase, pin: Pin): Promise<void> {
  const { tenant, session, ...moved } = pin;
  await asked(
    db
      .insert(sessions)
      .values({ ...pin, session: sessionKey(session) })
      .onConflictDoUpdate({
        target: [sessions.tenant, sessions.session],
        set: moved,
        setWhere: lte(sessions.updatedAt, pin.updatedAt),
      }),
  );
}

/** Forgets these, as their client names them. */
export async function deletePins(db: PgRemoteDatabase, tenant: string, names: readonly string[]): Promise<void> {
  const keys = names.map(sessionKey);
  if (keys.length === 0) return;
  await asked(db.delete(sessions).where(and(eq(sessions.tenant, tenant), inArray(sessions.session, keys))));
}

/** Forgets sessions that have been silent since. @returns how many */
export async function deleteExpired(db: PgRemoteDatabase, before: Date): Promise<number> {
  const gone = await asked(
    db.delete(sessions).where(lt(sessions.updatedAt, before)).returning({ tenant: sessions.tenant }),
  );
  return gone.length;
}

const REPLACED = {
  model: 'model',
  deployment: 'deployment',
  prefixTokens: 'prefix_tokens',
  locked: 'locked',
  updatedAt: 'updated_at',
} as const;

const isOf = (tenant: string, session: string) =>
  and(eq(sessions.tenant, tenant), eq(sessions.session, sessionKey(session)));

const isExpired = ({ updatedAt }: { updatedAt: Date }, ttlMs: number, now: Date): boolean =>
  now.getTime() - updatedAt.getTime() > ttlMs;

/** Clients choose names; the index takes up to 2 700 bytes. */
const sessionKey = (session: string): string =>
  session.length <= 200 ? session : `sha256:${createHash('sha256').update(session).digest('hex')}`;
