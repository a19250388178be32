/** Writes `snapshot.tar.br`: an empty PGlite directory with this build's migrations. Run it when they have grown. */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';
import { migrate } from './migrate.ts';
import { SNAPSHOT_FILE } from './snapshot.ts';

export async function buildSnapshot(): Promise<Buffer> {
  const db = await PGlite.create();
  await migrate({ query: async (text, params) => (await db.query(text, params as unknown[])).rows as never });
  // Nobody makes databases in it, and two thirds of the 1 000 files to unpack are templates for that.
  await db.exec('update pg_database set datistemplate = false');
  for (const template of ['template0', 'template1']) await db.exec(`drop database ${template}`);
  await db.exec('checkpoint');
  const tar = Buffer.from(await (await db.dumpDataDir('none')).arrayBuffer());
  await db.close();
  return brotliCompressSync(tar, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const snapshot = await buildSnapshot();
  writeFileSync(SNAPSHOT_FILE, snapshot);
  console.log(`${SNAPSHOT_FILE}: ${(snapshot.length / 1e6).toFixed(2)} MB`);
}
