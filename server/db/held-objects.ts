/**
 * What a provider keeps under an id of its own (responses, files, batches): a later request
 * for it must go where it was made, with the same credential, and only for the tenant it is of.
 */
import { and, eq, inArray } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from './connection.ts';
import { heldObjects } from './schema.ts';

export interface HeldObject {
  /** The provider's id. */
  readonly id: string;
  /** `response`, `file`, `batch` … */
  readonly kind: string;
  readonly tenant: string;
  readonly provider: string;
  /** Deployment and credential that it was made with. */
  readonly deployment: string;
  readonly model: string | null;
  readonly createdAt: Date;
}

/** A provider's id; anything longer was not given out by one, and the index would refuse it. */
const MAX_ID_CHARS = 500;

/** Notes where an object is; an id that the tenant has already moves there. */
export async function hold(db: PgRemoteDatabase, object: HeldObject): Promise<void> {
  const { id, tenant, ...where } = object;
  await asked(
    db
      .insert(heldObjects)
      .values(object)
      .onConflictDoUpdate({ target: [heldObjects.tenant, heldObjects.id], set: where }),
  );
}

/** @returns null for an id that is not this tenant's, whoever else's it may be */
export async function findHeld(db: PgRemoteDatabase, tenant: string, id: string): Promise<HeldObject | null> {
  if (id.length > MAX_ID_CHARS) return null;
  const [row] = await asked(db.select().from(heldObjects).where(isOf(tenant, id)));
  return row ?? null;
}

/** Which of these ids the tenant has. */
export async function heldAmong(
  db: PgRemoteDatabase,
  tenant: string,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const wanted = ids.filter((id) => id.length <= MAX_ID_CHARS);
  const found = new Set<string>();
  // One statement takes 65 535 parameters at most.
  for (let i = 0; i < wanted.length; i += 10_000) {
    const rows = await asked(
      db
        .select({ id: heldObjects.id })
        .from(heldObjects)
        .where(and(eq(heldObjects.tenant, tenant), inArray(heldObjects.id, wanted.slice(i, i + 10_000)))),
    );
    for (const { id } of rows) found.add(id);
  }
  return found;
}

/** After the provider has deleted it. @returns false where there was none */
export async function release(db: PgRemoteDatabase, tenant: string, id: string): Promise<boolean> {
  const gone = await asked(db.delete(heldObjects).where(isOf(tenant, id)).returning({ id: heldObjects.id }));
  return gone.length > 0;
}

const isOf = (tenant: string, id: string) => and(eq(heldObjects.tenant, tenant), eq(heldObjects.id, id));
