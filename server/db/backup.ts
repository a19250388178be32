/** The embedded database in one file, and back. For PostgreSQL its own tools do it (README.md). */
import { existsSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { sql } from 'drizzle-orm';
import { RoutingError } from '../../datasets/errors.ts';
import { pack, unpack } from './archive.ts';
import { asked } from './connection.ts';
import { acquireLock } from './lock.ts';
import { openStore } from './store.ts';

/**
 * Everything recorded, the spool's rows too. The file appears when it is whole.
 * @returns bytes of the file
 * @throws `DATABASE_LOCKED` while a gateway has the database open, `MISSING_FILE`, `CONFLICT` where the file is there
 */
export async function backUp(dataDir: string, file: string): Promise<number> {
  const folder = join(dataDir, 'db');
  if (!existsSync(folder)) throw new RoutingError('MISSING_FILE', `${resolve(dataDir)}: no database there`);
  if (existsSync(file)) throw new RoutingError('CONFLICT', `${file} is there already; take another name`);
  if (!existsSync(dirname(resolve(file)))) throw new RoutingError('MISSING_FILE', `${dirname(file)}: no such folder`);
  if (resolve(file).startsWith(resolve(folder) + sep)) {
    throw new RoutingError('INVALID_REQUEST', `${file} would lie in the database’s own folder`);
  }
  const store = await openStore({ dataDir });
  try {
    await store.flush();
    await asked(store.db.execute(sql`checkpoint`));
  } finally {
    await store.close();
  }
  const lock = acquireLock(dataDir);
  const partial = `${file}.new-${process.pid}`;
  try {
    await pack(folder, partial);
    await rename(partial, file);
  } finally {
    lock.release();
    await rm(partial, { force: true });
  }
  return (await stat(file)).size;
}

/**
 * Puts a back-up in the place of the database. One that is there is moved aside, not deleted.
 * @param replace without it a database that is there is refused
 * @returns where the one before lies now; null: there was none
 * @throws `TRUNCATED_FILE` for no whole back-up; then all is as it was; `CONFLICT`, `DATABASE_LOCKED`, `MISSING_FILE`
 */
export async function restore(
  dataDir: string,
  file: string,
  { replace = false }: { readonly replace?: boolean } = {},
): Promise<string | null> {
  if (!existsSync(file)) throw new RoutingError('MISSING_FILE', `${file}: no such file`);
  const folder = join(dataDir, 'db');
  if (existsSync(folder) && !replace) {
    throw new RoutingError('CONFLICT', `${resolve(dataDir)} has a database; --replace moves it aside`);
  }
  const lock = acquireLock(dataDir);
  const partial = `${folder}.new-${process.pid}`;
  let aside: string | null = null;
  try {
    await unpack(file, partial);
    if (!existsSync(join(partial, 'PG_VERSION'))) {
      throw new RoutingError('TRUNCATED_FILE', `${file}: holds no database`);
    }
    if (existsSync(folder)) {
      aside = `${folder}.before-${new Date().toISOString().replace(/[:.]/g, '-')}`;
      await rename(folder, aside);
    }
    await rename(partial, folder);
  } finally {
    lock.release();
    await rm(partial, { recursive: true, force: true });
  }
  return aside;
}
