/**
 * Signatures of artifacts: HMAC-SHA256 over the content hash, by a key that is not in the database, so that whoever can
 * write there cannot put a router of theirs in force.
 */
import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { RoutingError } from '../../../datasets/index.ts';
import { type Environment, variable } from '../../config/environment.ts';

/** What is signed, and with what. Nothing is read or made before the first use. */
export interface Signing {
  sign(hash: string): string;
  isSigned(hash: string, signature: string | null): boolean;
  /** Whose key it is, for people. */
  readonly source: string;
}

const KEY_BYTES = 32;
const MIN_SECRET_CHARS = 32;
/** What is signed is an artifact, and nothing that the same secret may be used for elsewhere. */
const PURPOSE = 'pointsman artifact signature';

/**
 * The key is `POINTSMAN_SIGNING_KEY`; else derived from `POINTSMAN_SECRET_KEY`; else the file `signing.key` of the
 * data folder, which is made when it is first needed. Replicas with folders of their own need one of the variables.
 */
export function signingOf(dataDir: string, env: Environment = process.env): Signing {
  let key: Buffer | undefined;
  const mac = (hash: string) => {
    key ??= keyOf(dataDir, env);
    return createHmac('sha256', key).update(`${PURPOSE}\n${hash}`).digest();
  };
  return {
    sign: (hash) => mac(hash).toString('hex'),
    isSigned(hash, signature) {
      const given = Buffer.from(signature ?? '', 'hex');
      const due = mac(hash);
      return given.length === due.length && timingSafeEqual(given, due);
    },
    source: sourceOf(env) ?? keyFile(dataDir),
  };
}

const VARIABLES = ['POINTSMAN_SIGNING_KEY', 'POINTSMAN_SECRET_KEY'] as const;

const sourceOf = (env: Environment) => VARIABLES.find((name) => (variable(env, name) ?? '') !== '');

const keyFile = (dataDir: string): string => join(dataDir, 'signing.key');

/** @throws `INVALID_CONFIG` for a secret that is too short, or a key file that is none */
function keyOf(dataDir: string, env: Environment): Buffer {
  const source = sourceOf(env);
  if (source === undefined) return keyInFile(keyFile(dataDir));
  const secret = variable(env, source)!;
  if (secret.length < MIN_SECRET_CHARS) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `${source} must have ${MIN_SECRET_CHARS} characters or more, drawn at random (openssl rand -base64 32)`,
    );
  }
  return Buffer.from(hkdfSync('sha256', secret, '', PURPOSE, KEY_BYTES));
}

/** Made whole or not at all, once: of two processes that need it first, one makes it and both have the same. */
function keyInFile(path: string): Buffer {
  for (;;) {
    const known = readKey(path);
    if (known !== null) return known;
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
    const file = openSync(draft, 'wx', 0o600);
    try {
      writeSync(file, `${randomBytes(KEY_BYTES).toString('hex')}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    try {
      linkSync(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
  }
}

function readKey(path: string): Buffer | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (/^[0-9a-f]{64}$/.test(text)) return Buffer.from(text, 'hex');
  throw new RoutingError(
    'INVALID_CONFIG',
    `${path}: not a signing key (64 hexadecimal digits); restore it, or remove it and sign what you trust anew: pointsman retrain --trust HASH`,
  );
}
