/** Versions of the policy document in the database: added, never changed; the one activated last is in force. */
import { desc, eq, isNotNull, sql } from 'drizzle-orm';
import { RoutingError } from '../../../datasets/index.ts';
import type { Caller } from '../../callers.ts';
import { asked } from '../../db/connection.ts';
import { policies } from '../../db/schema.ts';
import type { SqlStore } from '../../db/store.ts';
import { actorOf, audit } from '../access/audit.ts';
import { type PolicyDocument, readPolicy, sha256 } from './document.ts';

/** Told by whoever activates a version. */
export const POLICIES_CHANNEL = 'pointsman_policies';

/** Key of the lock under which versions are added and activated. */
const CHANGING = 0x50_4f_4c;

type Db = Pick<SqlStore, 'db'>;
type Changing = Pick<SqlStore, 'alone'>;

/** A version without its document. */
export interface PolicyVersion {
  readonly version: number;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly comment: string;
  readonly sha256: string;
  /** When it was last put in force; null: never. */
  readonly activatedAt: Date | null;
  readonly activatedBy: string | null;
}

/** Which version is in force, and since when: what replicas compare. */
export interface Active {
  readonly version: number;
  readonly activatedAt: Date;
}

const COLUMNS = {
  version: policies.version,
  createdAt: policies.createdAt,
  createdBy: policies.createdBy,
  comment: policies.comment,
  sha256: policies.sha256,
  activatedAt: policies.activatedAt,
  activatedBy: policies.activatedBy,
};

/** Newest first. @throws `DATABASE_UNAVAILABLE` */
export const listVersions = ({ db }: Db, limit = 100): Promise<PolicyVersion[]> =>
  asked(db.select(COLUMNS).from(policies).orderBy(desc(policies.version)).limit(limit));

/** @throws `DATABASE_UNAVAILABLE` */
export async function activeVersion({ db }: Db): Promise<Active | null> {
  const { version, activatedAt } = COLUMNS;
  const rows = await asked(
    db
      .select({ version, activatedAt })
      .from(policies)
      .where(isNotNull(policies.activatedAt))
      .orderBy(desc(policies.activatedAt), desc(policies.version))
      .limit(1),
  );
  return (rows[0] as Active | undefined) ?? null;
}

/** With its document as it was written. @throws `NOT_FOUND`, `DATABASE_UNAVAILABLE` */
export async function findVersion(
  { db }: Db,
  version: number,
): Promise<PolicyVersion & { readonly document: unknown }> {
  const rows = await asked(db.select().from(policies).where(eq(policies.version, version)));
  if (rows[0] !== undefined) return rows[0];
  throw new RoutingError(
    'NOT_FOUND',
    `there is no version ${version} of the policy; pointsman policy list (GET /v1/admin/policies) shows them`,
  );
}

/**
 * The document of a version, as this build reads it.
 * @throws `INVALID_CONFIG` for one that it cannot read: written by a newer build, or changed by hand
 */
export async function documentOf(store: Db, version: number): Promise<PolicyDocument> {
  const { document, problems } = readPolicy((await findVersion(store, version)).document);
  if (document !== null) return document;
  throw new RoutingError('INVALID_CONFIG', `version ${version} of the policy cannot be read: ${problems.join('; ')}`);
}

export interface Writing {
  readonly actor: Caller;
  readonly requestId?: string | null | undefined;
}

/** Adds a version, which is not in force yet. @throws `DATABASE_UNAVAILABLE` */
export async function addVersion(
  store: Changing,
  document: PolicyDocument,
  { actor, requestId, comment }: Writing & { readonly comment: string },
): Promise<PolicyVersion> {
  const digest = sha256(JSON.stringify(document));
  return store.alone(CHANGING, async (db) => {
    const [{ next } = { next: 1 }] = (await asked(
      db.select({ next: sql`coalesce(max(${policies.version}), 0) + 1`.mapWith(Number) }).from(policies),
    )) as { next: number }[];
    await audit(db, {
      actor,
      action: 'policy.create',
      subject: String(next),
      team: null,
      details: { sha256: digest, comment, rules: document.rules.map(({ name }) => name) },
      requestId,
    });
    const values = { createdAt: new Date(), createdBy: actorOf(actor), comment, document, sha256: digest };
    const [added] = await asked(db.insert(policies).values(values).returning(COLUMNS));
    return added!;
  });
}

/** Puts a version in force, also one from before: that is how a change is taken back. @throws `NOT_FOUND`, `DATABASE_UNAVAILABLE` */
export async function activateVersion(
  store: Changing,
  version: number,
  { actor, requestId }: Writing,
): Promise<PolicyVersion> {
  return store.alone(CHANGING, async (db) => {
    const before = await activeVersion({ db });
    await findVersion({ db }, version);
    await audit(db, {
      actor,
      action: 'policy.activate',
      subject: String(version),
      team: null,
      details: { before: before?.version ?? null },
      requestId,
    });
    // By the database's clock, and always after the one before it: clocks of replicas differ.
    const [activated] = await asked(
      db
        .update(policies)
        .set({
          activatedAt: sql`greatest(clock_timestamp(), (select max(activated_at) from policies) + interval '1 millisecond')`,
          activatedBy: actorOf(actor),
        })
        .where(eq(policies.version, version))
        .returning(COLUMNS),
    );
    await asked(db.execute(sql`select pg_notify(${POLICIES_CHANNEL}, ${String(version)})`));
    return activated!;
  });
}
