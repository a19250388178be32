/**
 * A new embedded database in well under a second: an empty, migrated PGlite directory,
 * shipped compressed. Without it PGlite runs initdb, which takes 5–7 s.
 * Made by `npx tsx server/db/build-snapshot.ts`.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';

export const SNAPSHOT_FILE = fileURLToPath(new URL('./snapshot.tar.br', import.meta.url));

/**
 * Unpacks the snapshot as `directory`, whole or not at all.
 * @returns false when there is no snapshot to unpack
 */
export function restoreSnapshot(directory: string): boolean {
  if (!existsSync(SNAPSHOT_FILE)) return false;
  const partial = `${directory}.new-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  untar(brotliDecompressSync(readFileSync(SNAPSHOT_FILE)), partial);
  renameSync(partial, directory);
  return true;
}

const BLOCK = 512;

/** Plain files and folders of a POSIX ustar archive; PGlite writes nothing else. */
function untar(archive: Buffer, directory: string): void {
  const root = resolve(directory);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const made = new Set<string>([root]);
  const field = (at: number, length: number) => archive.toString('latin1', at, at + length).replace(/\0.*$/s, '');
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const name = field(at, 100);
    if (name === '') break;
    const prefix = field(at + 345, 155);
    const size = Number.parseInt(field(at + 124, 12).trim() || '0', 8);
    const isFolder = field(at + 156, 1) === '5';
    const path = resolve(root, `.${sep}${prefix === '' ? name : join(prefix, name)}`);
    if (path !== root && !path.startsWith(root + sep)) throw new Error(`snapshot: ${name} points outside`);
    const folder = isFolder ? path : dirname(path);
    if (!made.has(folder)) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      made.add(folder);
    }
    at += BLOCK;
    if (!isFolder) writeFileSync(path, archive.subarray(at, at + size), { mode: 0o600 });
    at += Math.ceil(size / BLOCK) * BLOCK;
  }
}
