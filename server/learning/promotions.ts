/** Which artifact is in force, which is on trial, and how that came about: an append-only list of verdicts. */
import { desc, eq, inArray, ne, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { databaseError } from '../db/connection.ts';
import type { PromotionKind, TrialTerms } from '../db/records.ts';
import { promotions } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';

export type { PromotionKind, TrialTerms } from '../db/records.ts';

export interface Promotion {
  readonly ordinal: number;
  readonly createdAt: Date;
  readonly kind: PromotionKind;
  /** Hash of the artifact in force after it; null: the base, which the gateway was installed or configured with. */
  readonly artifact: string | null;
  readonly previous: string | null;
  readonly verdict: unknown;
  readonly jobId: string | null;
  /** Of a row that begins a trial or changes its terms: what is on trial from then on. */
  readonly trial: TrialTerms | null;
}

/** What holds after the last row with an effect. */
export interface Standing {
  /** Ordinal of that row; 0: there is none. */
  readonly ordinal: number;
  /** Hash of the artifact in force; null: the base. */
  readonly inForce: string | null;
  readonly trial: RunningTrial | null;
}

/**
 * A trial under way. In the shadow and the canary the artifact on trial is the other one, beside that in force. In
 * the watch over a promotion it is the one in force, and the other one is that before it, with which some requests stay.
 */
export interface RunningTrial {
  readonly ordinal: number;
  readonly createdAt: Date;
  readonly kind: 'shadow' | 'canary' | 'watch';
  readonly terms: TrialTerms;
  /** Hash of the artifact beside the one in force; null: the base. */
  readonly beside: string | null;
  readonly verdict: unknown;
}

type Readable = Pick<SqlStore, 'db'>;
type Writable = Pick<SqlStore, 'db' | 'alone'>;

/** Channel on which PostgreSQL tells replicas of a new row; its payload is the ordinal. */
export const PROMOTIONS_CHANNEL = 'pointsman_promotions';
/** Key of the lock under which rows are added: one at a time over all replicas. */
const ADDING = 0x706f_696e;

/** The latest first. */
export async function history({ db }: Readable, limit = 1000): Promise<Promotion[]> {
  return caught(db.select().from(promotions).orderBy(desc(promotions.ordinal)).limit(limit));
}

/** The last change of what is in force; null while the base still is. */
export async function lastChange({ db }: Readable): Promise<Promotion | null> {
  const rows = await caught(
    db
      .select()
      .from(promotions)
      .where(inArray(promotions.kind, ['promoted', 'rolled-back']))
      .orderBy(desc(promotions.ordinal))
      .limit(1),
  );
  return rows[0] ?? null;
}

/** The verdict that a job came to; null while there is none. */
export async function promotionOf({ db }: Readable, jobId: string): Promise<Promotion | null> {
  const [row] = await caught(db.select().from(promotions).where(eq(promotions.jobId, jobId)));
  return row ?? null;
}

/** Hash of the artifact in force; null: the base. */
export const activeArtifact = async (store: Readable): Promise<string | null> =>
  (await lastChange(store))?.artifact ?? null;

/** What is in force and what is on trial. @throws `DATABASE_UNAVAILABLE` */
export const standing = async ({ db }: Readable): Promise<Standing> => standingAfter(await lastEffect(db));

/** The trial under way: that of the last row with an effect, if that began one. */
export const activeTrial = async (store: Readable): Promise<RunningTrial | null> => (await standing(store)).trial;

async function lastEffect(db: PgRemoteDatabase): Promise<Promotion | undefined> {
  const [row] = await caught(
    db.select().from(promotions).where(ne(promotions.kind, 'refused')).orderBy(desc(promotions.ordinal)).limit(1),
  );
  return row;
}

const Terms = z.object({
  artifact: z.string().min(1),
  share: z.number().min(0).max(1),
  teams: z.array(z.string()),
});

const TRIAL_KINDS = { shadow: 'shadow', canary: 'canary', promoted: 'watch' } as const;

function standingAfter(row: Promotion | undefined): Standing {
  if (row === undefined) return { ordinal: 0, inForce: null, trial: null };
  const { ordinal, createdAt, kind, artifact, previous, verdict } = row;
  // Terms that are none are no trial: others may write that table, and the router in force decides.
  const terms = Terms.safeParse(row.trial);
  const none = { ordinal, inForce: artifact, trial: null };
  if (!terms.success || !Object.hasOwn(TRIAL_KINDS, kind)) return none;
  const trialKind = TRIAL_KINDS[kind as keyof typeof TRIAL_KINDS];
  const beside = trialKind === 'watch' ? previous : terms.data.artifact;
  return { ...none, trial: { ordinal, createdAt, kind: trialKind, terms: terms.data, beside, verdict } };
}

export interface NewPromotion {
  readonly kind: PromotionKind;
  readonly artifact: string | null;
  readonly previous: string | null;
  readonly verdict: unknown;
  readonly trial?: TrialTerms | null;
  readonly jobId?: string | null;
  /** Ordinal of the last row with an effect that it was judged after; default: any that left `previous` in force. */
  readonly after?: number;
}

/**
 * Adds a verdict. One with an effect only counts if what it was judged against is still in force, so that of several
 * who act on the same finding one does. A job's verdict stands once.
 * @returns the row, or the one that its job wrote before
 * @throws `INVALID_REQUEST` when another process was faster
 */
export async function addPromotion(store: Writable, row: NewPromotion): Promise<Promotion> {
  const { after, ...given } = row;
  return store.alone(ADDING, async (db) => {
    if (given.jobId != null) {
      const [written] = await caught(db.select().from(promotions).where(eq(promotions.jobId, given.jobId)));
      if (written !== undefined) return written;
    }
    if (row.kind !== 'refused') {
      const last = standingAfter(await lastEffect(db));
      if (last.inForce !== row.previous || (after !== undefined && last.ordinal !== after)) throw overtaken();
    }
    const [added] = await caught(
      db
        .insert(promotions)
        .values({ ...given, createdAt: new Date() })
        .returning(),
    );
    await caught(db.execute(sql`select pg_notify(${PROMOTIONS_CHANNEL}, ${String(added!.ordinal)})`));
    return added!;
  });
}

const overtaken = (): RoutingError =>
  new RoutingError(
    'INVALID_REQUEST',
    'another retraining or rollback finished first; look at the history and try again',
  );

export interface TakenBack {
  readonly from: string;
  readonly to: string | null;
  /** True where a router on trial was stopped and what is in force stays, which is `to`. */
  readonly stopped: boolean;
}

/**
 * One step back: stops the trial that is under way, or else puts the artifact in force that was in force before the
 * present one; again and again back to the base. A promotion that is watched is taken back as any other.
 * @throws `NOT_FOUND` when the base is in force and nothing on trial
 */
export async function rollback(store: Writable): Promise<TakenBack> {
  const { trial } = await standing(store);
  if (trial !== null && trial.kind !== 'watch') return stopTrial(store);
  const changes = (await history(store, Number.MAX_SAFE_INTEGER)).reverse();
  const stack: (string | null)[] = [null];
  for (const { kind, artifact } of changes) {
    if (kind === 'promoted') stack.push(artifact);
    else if (kind === 'rolled-back' && stack.length > 1) stack.pop();
  }
  const from = stack.at(-1)!;
  if (stack.length < 2 || from === null) {
    throw new RoutingError('NOT_FOUND', 'nothing to roll back: no retrained artifact is in force');
  }
  const to = stack.at(-2)!;
  await addPromotion(store, { kind: 'rolled-back', artifact: to, previous: from, verdict: { reasons: ['by hand'] } });
  return { from, to, stopped: false };
}

/**
 * Ends the trial under way; what is in force stays in force, and has all requests.
 * @throws `NOT_FOUND` where there is none
 */
export async function stopTrial(store: Writable): Promise<TakenBack> {
  const { ordinal, inForce, trial } = await standing(store);
  if (trial === null) throw new RoutingError('NOT_FOUND', 'nothing to stop: no router is on trial');
  await addPromotion(store, {
    kind: 'stopped',
    artifact: inForce,
    previous: inForce,
    verdict: { reasons: ['by hand'], onTrial: trial.terms.artifact },
    after: ordinal,
  });
  return { from: trial.terms.artifact, to: inForce, stopped: true };
}

const caught = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error) => {
    throw databaseError(error);
  });
