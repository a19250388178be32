/** Brings a database to the schema of this build: every migration it does not have yet, in order. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Session } from './connection.ts';

const folder = new URL('./migrations/', import.meta.url);

export interface Migration {
  readonly name: string;
  /** SHA-256 of the file, as drizzle-kit counts it. */
  readonly hash: string;
  readonly createdAt: number;
  readonly statements: readonly string[];
}

/** Every migration of this build, oldest first: drizzle-kit's journal, read without loading Drizzle. */
export function migrationList(): Migration[] {
  const journal = JSON.parse(readFileSync(new URL('meta/_journal.json', folder), 'utf8')) as {
    entries: { tag: string; when: number }[];
  };
  return journal.entries.map(({ tag, when }) => {
    const sql = readFileSync(new URL(`${tag}.sql`, folder), 'utf8');
    return {
      name: tag,
      hash: createHash('sha256').update(sql).digest('hex'),
      createdAt: when,
      statements: sql.split('--> statement-breakpoint').filter((statement) => statement.trim() !== ''),
    };
  });
}

/** Any fixed number: who holds this advisory lock may migrate, so that replicas can start together. */
const MIGRATION_LOCK = 7_240_118;

/**
 * Applies what is missing, all of it or nothing. The bookkeeping table is drizzle-kit's
 * own, so its tools read the same history.
 * @param wanted those of this build, oldest first
 * @returns how many were applied
 */
export async function migrate(session: Session, wanted: readonly Migration[] = migrationList()): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      return await migrateOnce(session, wanted);
    } catch (error) {
      // Gateways of the version before may be at work: one that waits for us while we wait for it.
      if (tries === MOST_TRIES || (error as { code?: string }).code !== DEADLOCK) throw error;
    }
  }
}

const MOST_TRIES = 5;
const DEADLOCK = '40P01';

async function migrateOnce(session: Session, wanted: readonly Migration[]): Promise<number> {
  await session.query('begin');
  try {
    await session.query(`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
    await session.query('create schema if not exists drizzle');
    await session.query(
      'create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)',
    );
    const rows = await session.query('select hash from drizzle.__drizzle_migrations');
    const applied = new Set(rows.map(({ hash }) => hash));
    const missing = wanted.filter(({ hash }) => !applied.has(hash));
    for (const { hash, createdAt, statements } of missing) {
      for (const statement of statements) await session.query(statement);
      await session.query('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [
        hash,
        createdAt,
      ]);
    }
    await session.query('commit');
    return missing.length;
  } catch (error) {
    await session.query('rollback').catch(() => {});
    throw error;
  }
}
