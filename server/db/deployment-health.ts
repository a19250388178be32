/**
 * Which deployments rest after failures, shared between replicas. Durations go in and out,
 * the moments are by the database's clock: the replicas' own need not agree.
 */
import { gt, sql } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { asked } from './connection.ts';
import { deploymentHealth, storableText } from './schema.ts';

export interface DeploymentHealth {
  readonly deployment: string;
  /** Failures in a row. */
  readonly failures: number;
  /** How much longer it is left alone, ms; 0: it is well again. */
  readonly restMs: number;
}

/** Tells the other replicas; the last word on a deployment counts. */
export async function shareHealth(db: PgRemoteDatabase, rows: readonly DeploymentHealth[]): Promise<void> {
  // A statement may touch a row once.
  const last = new Map(rows.map((row) => [storableText(row.deployment), row]));
  if (last.size === 0) return;
  await asked(
    db
      .insert(deploymentHealth)
      .values(
        [...last].map(([deployment, { failures, restMs }]) => ({
          deployment,
          failures,
          restsUntil: restMs > 0 ? sql`now() + make_interval(secs => ${restMs / 1000}::float8)` : null,
          updatedAt: sql`now()`,
        })),
      )
      .onConflictDoUpdate({
        target: deploymentHealth.deployment,
        set: {
          failures: sql`excluded.failures`,
          restsUntil: sql`excluded.rests_until`,
          updatedAt: sql`excluded.updated_at`,
        },
      }),
  );
}

/** Those that rest now, with the rest of their rest. */
export async function readHealth(db: PgRemoteDatabase): Promise<DeploymentHealth[]> {
  return asked(
    db
      .select({
        deployment: deploymentHealth.deployment,
        failures: deploymentHealth.failures,
        restMs: sql`extract(epoch from ${deploymentHealth.restsUntil} - now()) * 1000`.mapWith(Number),
      })
      .from(deploymentHealth)
      .where(gt(deploymentHealth.restsUntil, sql`now()`)),
  );
}
