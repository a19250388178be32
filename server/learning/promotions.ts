/** Which artifact is in force, and how that came about: an append-only list of verdicts. */
import { desc, ne, sql } from 'drizzle-orm';
import { RoutingError } from '../../datasets/index.ts';
import { databaseError } from '../db/connection.ts';
import type { PromotionKind } from '../db/records.ts';
import { promotions } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';

export type { PromotionKind } from '../db/records.ts';

export interface Promotion {
  readonly ordinal: number;
  readonly createdAt: Date;
  readonly kind: PromotionKind;
  /** Hash of the artifact in force after it; null: the base, which the gateway was installed or configured with. */
  readonly artifact: string | null;
  readonly previous: string | null;
  readonly verdict: unknown;
}

type Db = Pick<SqlStore, 'db'>;

/** The latest first. */
export async function history({ db }: Db, limit = 1000): Promise<Promotion[]> {
  return caught(db.select().from(promotions).orderBy(desc(promotions.ordinal)).limit(limit));
}

/** The last change of what is in force; null while the base still is. */
export async function lastChange({ db }: Db): Promise<Promotion | null> {
  const rows = await caught(
    db.select().from(promotions).where(ne(promotions.kind, 'refused')).orderBy(desc(promotions.ordinal)).limit(1),
  );
  return rows[0] ?? null;
}

/** Hash of the artifact in force; null: the base. */
export const activeArtifact = async (store: Db): Promise<string | null> => (await lastChange(store))?.artifact ?? null;

/**
 * Adds a verdict. One with an effect only counts if what it was judged against is still in force.
 * @throws `INVALID_REQUEST` when another process was faster
 */
export async function addPromotion(
  { db }: Db,
  row: { kind: PromotionKind; artifact: string | null; previous: string | null; verdict: unknown },
): Promise<void> {
  const values = { ...row, createdAt: new Date() };
  if (row.kind === 'refused') {
    await caught(db.insert(promotions).values(values));
    return;
  }
  const { verdict, kind, artifact, previous } = values;
  const added = await caught(
    db.execute(sql`
      insert into ${promotions} (created_at, kind, artifact, previous, verdict)
      select now(), ${kind}, ${artifact}::text, ${previous}::text, ${JSON.stringify(verdict)}::jsonb
      where ${previous}::text is not distinct from (
        select artifact from ${promotions} where kind <> 'refused' order by ordinal desc limit 1
      )
      returning ordinal`),
  );
  if (added.length === 0) {
    throw new RoutingError(
      'INVALID_REQUEST',
      'another retraining or rollback finished first; look at the history and try again',
    );
  }
}

/**
 * Puts the artifact in force that was in force before the present one; again and again back to the base.
 * @throws `NOT_FOUND` when the base is in force
 */
export async function rollback(store: Db): Promise<{ from: string; to: string | null }> {
  const changes = (await history(store, Number.MAX_SAFE_INTEGER)).filter(({ kind }) => kind !== 'refused').reverse();
  const stack: (string | null)[] = [null];
  for (const { kind, artifact } of changes) {
    if (kind === 'promoted') stack.push(artifact);
    else if (stack.length > 1) stack.pop();
  }
  const from = stack.at(-1)!;
  if (stack.length < 2 || from === null) {
    throw new RoutingError('NOT_FOUND', 'nothing to roll back: no retrained artifact is in force');
  }
  const to = stack.at(-2)!;
  await addPromotion(store, { kind: 'rolled-back', artifact: to, previous: from, verdict: {} });
  return { from, to };
}

const caught = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error) => {
    throw databaseError(error);
  });
