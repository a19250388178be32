/** The first admin's key: given by the operator, or made once and written where only the operator can read it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RoutingError } from '../../../datasets/errors.ts';
import { GATEWAY } from '../../callers.ts';
import { type Environment, variable } from '../../config/environment.ts';
import { askingOf } from '../../config/listen.ts';
import type { GatewayConfig } from '../../config/schema.ts';
import type { SqlStore } from '../../db/store.ts';
import { type Access, hasAdmin } from './access.ts';
import { newKey } from './key-secret.ts';
import { createKey } from './keys.ts';

const MIN_CHARS = 32;

/** `POINTSMAN_ADMIN_KEY`, or the content of the file that `POINTSMAN_ADMIN_KEY_FILE` names. @throws `INVALID_CONFIG` */
export function adminKeyFrom(env: Environment): string | undefined {
  const [given, file] = [variable(env, 'POINTSMAN_ADMIN_KEY'), variable(env, 'POINTSMAN_ADMIN_KEY_FILE')];
  if (given && file) {
    throw new RoutingError('INVALID_CONFIG', 'POINTSMAN_ADMIN_KEY and POINTSMAN_ADMIN_KEY_FILE: set one of them');
  }
  if (!given && !file) return undefined;
  const key = given ? given.trim() : readSecret(file!);
  const name = given ? 'POINTSMAN_ADMIN_KEY' : `POINTSMAN_ADMIN_KEY_FILE (${file})`;
  if (key.length < MIN_CHARS || /\s/.test(key)) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `${name}: must have ${MIN_CHARS} characters or more, no spaces among them, drawn at random (openssl rand -hex 32)`,
    );
  }
  return key;
}

function readSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new RoutingError('INVALID_CONFIG', `POINTSMAN_ADMIN_KEY_FILE: ${file} cannot be read (${code})`, { cause });
  }
}

type Options = Pick<GatewayConfig, 'auth' | 'host' | 'allowPublic' | 'keys' | 'dataDir'>;

/** Any number that nothing else waits its turn by. */
const FIRST_ADMIN = 730_212;

/**
 * Makes an admin's key where keys are asked for and nobody has one: one replica does, the others find it made. Keys of
 * the configuration are administered there, so that beside them none is made unless `auth: required` asks for it.
 * @returns the file that it was written to, readable by its owner alone; null where none was made
 * @throws `INVALID_CONFIG` where it cannot be made or written
 */
export async function ensureFirstAdmin(
  store: SqlStore,
  access: Access,
  options: Options,
): Promise<{ readonly path: string } | null> {
  const asking = askingOf(options);
  const isAsked = asking === 'always' || (asking === 'if-any' && access.ring?.isEmpty === false);
  if (!isAsked || (options.keys.length > 0 && options.auth !== 'required')) return null;
  if (await hasAdmin(store.db, access)) return null;
  return store.alone(FIRST_ADMIN, async (db) => {
    if (await hasAdmin(db, access)) return null;
    // On disk first: a key that nobody can read would be the only one, and a file whose key never came is written anew.
    const secret = newKey();
    const path = write(options.dataDir, secret);
    try {
      const name = `first-admin-${randomBytes(2).toString('hex')}`;
      await createKey(access, { name, team: 'default', role: 'admin' }, { actor: GATEWAY }, secret);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
    return { path };
  });
}

/** Readable by its owner alone, and put in place whole; one that was left by an earlier database is of no use any more. */
function write(dataDir: string, secret: string): string {
  const path = join(dataDir, 'admin-key');
  const temporary = `${path}.${process.pid}`;
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    rmSync(temporary, { force: true });
    writeFileSync(temporary, `${secret}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new RoutingError(
      'INVALID_CONFIG',
      `the first admin’s key cannot be written to ${path} (${code}); give one as POINTSMAN_ADMIN_KEY`,
      { cause },
    );
  }
  return path;
}
