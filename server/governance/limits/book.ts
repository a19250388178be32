/** What a process that is alone with its database has spent of budgets: written down behind it, and read back when it starts. */
import { sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from '../../db/connection.ts';
import type { AttemptRecord } from '../../db/records.ts';
import { storableText } from '../../db/schema.ts';
import type { Asker } from './matching.ts';
import type { Pot } from './pot.ts';

/** The row whose moment says up to when everything settled is in the others. */
const MARK = '~written';
/** A request may be under way for so long before its last call is settled. */
const LONGEST = '1 day';

export interface Read {
  readonly spent: number;
  readonly notified: readonly number[];
}

/** A call that was settled and is in no sum. */
export interface Missed {
  readonly asker: Asker;
  readonly tags: readonly string[];
  /** When its request came in. */
  readonly at: Date;
  readonly attempt: Pick<AttemptRecord, 'model' | 'provider' | 'purpose' | 'costUsd'>;
}

interface MissedRow extends Pick<AttemptRecord, 'model' | 'provider' | 'purpose'> {
  readonly tenant: string;
  readonly key: string | null;
  readonly key_id: string | null;
  readonly project: string | null;
  readonly tags: readonly string[];
  readonly created_at: string | Date;
  readonly cost_usd: unknown;
}

export class Book {
  readonly #db: PgRemoteDatabase;
  #writtenAt = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(db: PgRemoteDatabase) {
    this.#db = db;
  }

  /** Sums of the periods named, by `bucket@period`. */
  async read(periods: readonly string[]): Promise<Map<string, Read>> {
    const rows = await asked(
      this.#db.execute(sql`
        select limit_id, period, used, told from limit_use
        where period in (select jsonb_array_elements_text(${JSON.stringify(periods)}::jsonb))`),
    );
    return new Map(
      (rows as unknown as { limit_id: string; period: string; used: unknown; told: number[] }[]).map(
        ({ limit_id, period, used, told }) => [`${limit_id}@${period}`, { spent: Number(used), notified: told }],
      ),
    );
  }

  /** Calls that ended after the last writing: the process was killed. None where nothing was ever written. */
  async missed(): Promise<Missed[]> {
    const rows = await asked(
      this.#db.execute(sql`
        select d.tenant, d.key, d.key_id, d.project, d.tags, d.created_at, a.model, a.provider, a.purpose, a.cost_usd
        from decisions d join attempts a on a.decision_id = d.id, limit_use w
        where w.limit_id = ${MARK}::text and w.period = '' and a.cost_usd > 0
          and d.created_at > w.updated_at - ${LONGEST}::interval
          and a.started_at + a.total_ms * interval '1 millisecond' > w.updated_at`),
    );
    return (rows as unknown as MissedRow[]).map(
      ({ tenant, key, key_id, project, tags, created_at, cost_usd, ...call }) => ({
        asker: { tenant, name: key, keyId: key_id, project },
        tags,
        at: new Date(created_at),
        attempt: { ...call, costUsd: Number(cost_usd) },
      }),
    );
  }

  /** Nothing else is written meanwhile: a sum that is added to must not be written over with what it was. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Writes what changed since the last time. @throws `DATABASE_UNAVAILABLE` */
  write(pots: Iterable<Pot>): Promise<void> {
    return this.inTurn(() => this.#write(pots));
  }

  async #write(pots: Iterable<Pot>): Promise<void> {
    const changed = [...pots].filter((pot) => pot.measure === 'usd' && pot.spent !== pot.told);
    const nowMs = Date.now();
    // Now and then without a change, too: what a start has to look through is short.
    if (changed.length === 0 && nowMs - this.#writtenAt < MARK_MS) return;
    const rows = changed.map(({ bucket, span, spent }) => ({
      bucket: storableText(bucket),
      period: span.name,
      spent,
      at: new Date(nowMs).toISOString(),
    }));
    rows.push({ bucket: MARK, period: '', spent: 0, at: new Date(nowMs).toISOString() });
    await asked(
      this.#db.execute(sql`
        insert into limit_use (limit_id, period, used, updated_at)
        select bucket, period, spent, at from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
          as a(bucket text, period text, spent double precision, at timestamptz)
        on conflict (limit_id, period) do update set used = excluded.used, updated_at = excluded.updated_at`),
    );
    this.#writtenAt = nowMs;
    changed.forEach((pot, i) => {
      // More may have come while it was written.
      pot.told = rows[i]!.spent;
      pot.heard = { spent: rows[i]!.spent, others: 0 };
    });
  }
}

const MARK_MS = 60_000;
