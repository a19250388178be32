/** People signed in to the dashboard: whose cookie it is, the same on every replica, and what it may be used for. */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { and, eq, isNull, lt } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { RoutingError } from '../../../datasets/index.ts';
import type { Caller } from '../../callers.ts';
import { databaseError } from '../../db/connection.ts';
import type { Role } from '../../db/records.ts';
import { webSessions } from '../../db/schema.ts';
import { NO_RULES } from '../policies/rules.ts';
import { SCOPES_OF } from './roles.ts';

export const SESSION_COOKIE = 'pointsman_session';

/** Who signed in. */
export interface Visitor {
  /** Stable at the identity provider; of a key: its name. */
  readonly subject: string;
  /** For people to read. */
  readonly name: string;
  readonly role: Role;
  /** Null: all teams. */
  readonly team: string | null;
  /** The key that was shown, in the words of {@link WebSessionParts.callerOfKey}; null: the identity provider vouched. */
  readonly keyId: string | null;
}

export interface WebSessionParts {
  /** Null where nothing is kept: then nobody can sign in. */
  readonly db: PgRemoteDatabase | null;
  /** What the key is now; null once it was revoked, has expired or is gone. */
  callerOfKey(keyId: string): Caller | null;
  /** Whoever is of it comes in no more. */
  isArchived(team: string): boolean;
  /** Default: the clock of this machine. */
  readonly now?: () => number;
}

/** What is looked at of a request. */
export interface Visit {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** A cookie is for the dashboard: it calls no model. */
const WITH_COOKIE = /^\/(v1\/(usage|admin|me|decisions|learning)|auth)([/?]|$)/;
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);
/** 256 random bits in base64url. */
const VALUE = /^[\w-]{43}$/;

/** For so long another replica's word that a session has ended may go unheard. */
const FRESH_MS = 1000;
const MOST_CACHED = 10_000;
/** Rows are kept a day beyond their end, for whoever asks who was in. */
const KEPT_MS = 86_400_000;
const SWEEP_MS = 3_600_000;

type Row = typeof webSessions.$inferSelect;

export class WebSessions {
  readonly #parts: WebSessionParts;
  readonly #now: () => number;
  /** By digest: what the database said, and when. */
  readonly #seen = new Map<string, { readonly at: number; readonly row: Promise<Row | null> }>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(parts: WebSessionParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
  }

  /** @param hours how long it lasts @returns the cookie's value, which is nowhere else @throws `DATABASE_UNAVAILABLE` */
  async open(visitor: Visitor, hours: number): Promise<{ value: string; expiresAt: Date }> {
    const value = randomBytes(32).toString('base64url');
    const now = this.#now();
    const expiresAt = new Date(now + hours * 3_600_000);
    const { subject, name, role, team, keyId } = visitor;
    const row = { digest: digestOf(value), subject, name, role, team, keyId, createdAt: new Date(now), expiresAt };
    await this.#ask((db) => db.insert(webSessions).values(row));
    return { value, expiresAt };
  }

  /** Nothing is said of one that is unknown or has ended. @returns who it was @throws `DATABASE_UNAVAILABLE` */
  async end(value: string): Promise<Visitor | null> {
    if (!VALUE.test(value)) return null;
    const digest = digestOf(value);
    const [row] = await this.#ask((db) =>
      db
        .update(webSessions)
        .set({ endedAt: new Date(this.#now()) })
        .where(and(eq(webSessions.digest, digest), isNull(webSessions.endedAt)))
        .returning(),
    );
    this.#seen.delete(digest);
    return row ?? null;
  }

  /**
   * Who asks by a cookie; null: nobody does, or not any more, or the endpoint takes none.
   * @throws `FORBIDDEN` for a change that another site's page may have sent; `DATABASE_UNAVAILABLE`
   */
  async callerOf({ method, url, headers }: Visit): Promise<Caller | null> {
    const value = cookieIn(headers.cookie, SESSION_COOKIE);
    if (value === undefined || !VALUE.test(value) || !WITH_COOKIE.test(url)) return null;
    const row = await this.#find(digestOf(value));
    if (row === null || row.endedAt !== null || row.expiresAt.getTime() <= this.#now()) return null;
    const caller = row.keyId === null ? this.#personOf(row) : this.#parts.callerOfKey(row.keyId);
    if (caller !== null && !SAFE.has(method)) refuseForeignPages(headers, 'needed');
    return caller;
  }

  #personOf(row: Row): Caller | null {
    return row.team !== null && this.#parts.isArchived(row.team) ? null : personOf(row);
  }

  async start(): Promise<void> {
    if (this.#parts.db === null) return;
    const sweep = () => {
      const before = new Date(this.#now() - KEPT_MS);
      // Another time will do where the database is away.
      void this.#ask((db) => db.delete(webSessions).where(lt(webSessions.expiresAt, before))).catch(() => {});
    };
    sweep();
    this.#sweep = setInterval(sweep, SWEEP_MS);
    this.#sweep.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.#seen.clear();
  }

  /** Requests of one page come together: the database is asked once for them. */
  async #find(digest: string): Promise<Row | null> {
    const now = this.#now();
    const seen = this.#seen.get(digest);
    if (seen !== undefined && now - seen.at < FRESH_MS) return await seen.row;
    if (this.#seen.size >= MOST_CACHED) this.#seen.clear();
    const row = this.#ask((db) => db.select().from(webSessions).where(eq(webSessions.digest, digest))).then(
      ([found]) => found ?? null,
    );
    const entry = { at: now, row };
    this.#seen.set(digest, entry);
    row.catch(() => {
      if (this.#seen.get(digest) === entry) this.#seen.delete(digest);
    });
    return await row;
  }

  async #ask<T>(work: (db: PgRemoteDatabase) => Promise<T>): Promise<T> {
    const { db } = this.#parts;
    if (db === null) throw new RoutingError('DATABASE_UNAVAILABLE', 'nobody can sign in: this gateway keeps nothing');
    try {
      return await work(db);
    } catch (error) {
      throw databaseError(error);
    }
  }
}

/**
 * Keeps pages of other sites from changing anything by a visitor's cookie: a page has to say `x-pointsman-csrf: 1`, which
 * no form can, and the browser that it comes from this address.
 * @param proof `needed`: a client that tells neither where it comes from is refused, too
 * @throws `FORBIDDEN`
 */
export function refuseForeignPages(headers: IncomingHttpHeaders, proof: 'needed' | 'if told'): void {
  const site = headers['sec-fetch-site'];
  const fromHere =
    site === undefined
      ? headers.origin === undefined
        ? proof === 'if told'
        : hostOf(headers.origin) === headers.host?.toLowerCase()
      : site === 'same-origin' || site === 'none';
  if (fromHere && (proof === 'if told' || headers['x-pointsman-csrf'] === '1')) return;
  throw new RoutingError(
    'FORBIDDEN',
    'a session may change things from the gateway’s own pages only: send x-pointsman-csrf: 1 from there, or use a key',
  );
}

const hostOf = (origin: string): string | null => (URL.canParse(origin) ? new URL(origin).host : null);

/** The first cookie of that name. */
export function cookieIn(header: string | undefined, name: string): string | undefined {
  for (const piece of header?.split(';') ?? []) {
    const at = piece.indexOf('=');
    if (at > 0 && piece.slice(0, at).trim() === name) return piece.slice(at + 1).trim();
  }
  return undefined;
}

const digestOf = (value: string): string => createHash('sha256').update(value).digest('hex');

/** What somebody may do whom the identity provider vouched for. */
export const personOf = ({ subject, name, role, team, keyId }: Visitor): Caller => ({
  kind: 'person',
  name,
  // A key's is its name once more.
  subject: keyId === null ? subject : undefined,
  tenant: team ?? 'default',
  keyId: null,
  project: null,
  role,
  everyTeam: team === null,
  rules: NO_RULES,
  tags: [],
  scopes: SCOPES_OF[role],
  feedbackWeight: 1,
});
