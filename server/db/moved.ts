/** An embedded database that was moved to PostgreSQL is not started by mistake: its log and its budgets would go on beside the new ones. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RoutingError } from '../../datasets/errors.ts';

/** Says where it was moved to; written when it is done. */
export const movedFile = (dataDir: string): string => join(dataDir, 'moved');

/** @throws `INVALID_CONFIG` */
export function refuseMoved({
  databaseUrl,
  dataDir,
}: {
  readonly databaseUrl?: string | undefined;
  readonly dataDir: string;
}): void {
  const file = movedFile(dataDir);
  if (databaseUrl !== undefined || !existsSync(file)) return;
  throw new RoutingError(
    'INVALID_CONFIG',
    `the database in ${dataDir} was moved ${readFileSync(file, 'utf8').trim()}: set DATABASE_URL, or delete ${file} to go on with the old one`,
  );
}
