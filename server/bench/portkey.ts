/** The Portkey gateway from npm, as a yardstick: installed once into a cache folder, started like any program. */
import { execFile } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const VERSION = '1.15.2';
/**
 * Streams fail with the newer versions that it allows itself (`TypeError: immutable`, from setting
 * headers on a reply of fetch); this one works.
 */
const NODE_SERVER_VERSION = '1.13.8';

/** What a reader of the comparison has to know. */
export const PORTKEY_NOTES = [
  `Portkey ${VERSION} as npm installs it answers every stream with an error; here @hono/node-server is held at ${NODE_SERVER_VERSION}, which works.`,
  'Portkey holds a stream’s first chunk back by a timer of 25 ms: its first byte is late by design, not by load.',
  'Portkey has no keys, routing or records of its own in this form: it checks, decides and writes down nothing.',
] as const;

const INSTALL_TIMEOUT_MS = 180_000;

/** Where it is kept between runs: a folder that only this user can write. */
const cacheRoot = (): string => join(tmpdir(), `pointsman-bench-${process.getuid?.() ?? 'user'}`);

/**
 * @returns the script that starts it
 * @throws where it cannot be had: no registry, no npm, a folder that is somebody else's
 */
export async function installPortkey(signal: AbortSignal): Promise<string> {
  const root = cacheRoot();
  mkdirSync(root, { recursive: true, mode: 0o700 });
  refuseOthers(root);
  const folder = join(root, `portkey-${VERSION}-${NODE_SERVER_VERSION}`);
  const script = (under: string) => join(under, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js');
  if (existsSync(script(folder))) return script(folder);
  // Moved to its name only when complete: an install that was broken off is not taken for one.
  const fresh = join(root, `installing-${process.pid}`);
  try {
    mkdirSync(fresh);
    const manifest = {
      private: true,
      dependencies: { '@portkey-ai/gateway': VERSION },
      overrides: { '@hono/node-server': NODE_SERVER_VERSION },
    };
    writeFileSync(join(fresh, 'package.json'), JSON.stringify(manifest));
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--fetch-retries=1'];
    await promisify(execFile)(npm, args, { cwd: fresh, timeout: INSTALL_TIMEOUT_MS, signal });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return script(folder);
}

/** In a folder for everybody, anybody may have made this one first and put a program there for us to run. */
function refuseOthers(folder: string): void {
  const stat = lstatSync(folder);
  const uid = process.getuid?.();
  const isOurs = stat.isDirectory() && (uid === undefined || (stat.uid === uid && (stat.mode & 0o022) === 0));
  if (!isOurs) throw new Error(`${folder} belongs to somebody else or can be written by others; remove it`);
}
