/**
 * Virtual keys and what is kept of them: an HMAC-SHA-256 under a secret of this gateway, so that neither can a key be
 * read off the database nor a row be put there by hand that some key opens.
 */
import { createHash, createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RoutingError } from '../../../datasets/errors.ts';

const KEY_BYTES = 32;
/** Characters that are kept to tell keys apart by: `pm_` and 42 of the 256 bits. */
const SHOWN_CHARS = 10;
const MIN_SECRET_CHARS = 32;

/** A new key: 256 random bits. */
export const newKey = (): string => `pm_${randomBytes(KEY_BYTES).toString('base64url')}`;

export const prefixOf = (key: string): string => key.slice(0, SHOWN_CHARS);

/** One way of making digests, and what rows made so are called. */
export interface DigestScheme {
  readonly name: string;
  digest(key: string): Buffer;
}

/** Keys taken over from LiteLLM: it keeps the SHA-256 alone. */
export const LITELLM: DigestScheme = {
  name: 'litellm',
  digest: (key) => createHash('sha256').update(key).digest(),
};

/** `pm:` and eight digits that tell secrets apart and nothing of them. */
function schemeOf(secret: KeyObject): DigestScheme {
  const digest = (text: string) => createHmac('sha256', secret).update(text).digest();
  return { name: `pm:${digest('which secret').toString('hex').slice(0, 8)}`, digest };
}

export interface SecretPlace {
  readonly kind: 'embedded' | 'postgres';
  readonly dataDir: string;
  /** `POINTSMAN_SECRET_KEY`. */
  readonly secret?: string | undefined;
}

/** The secrets that keys here may have been made with. */
export class KeyDigests {
  readonly #place: SecretPlace;
  readonly #derived: DigestScheme | undefined;
  #ofFile: DigestScheme | undefined;
  #schemes: readonly DigestScheme[] = [];

  /** @throws `INVALID_CONFIG` for a secret file that is broken */
  constructor(place: SecretPlace) {
    this.#place = place;
    const { secret } = place;
    if (secret !== undefined) {
      this.#derived = schemeOf(
        createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'pointsman client keys', 32))),
      );
    }
    // Also beside a secret that was set later, or a database that was moved: keys made before go on working.
    this.#setFile(existsSync(this.#path) ? this.#read() : undefined);
  }

  /** All by which a key may be found, the one in use first. */
  get schemes(): readonly DigestScheme[] {
    return this.#schemes;
  }

  /**
   * What new keys are made with: `POINTSMAN_SECRET_KEY`, else a random secret in the data folder of the embedded database.
   * @throws `INVALID_CONFIG` on PostgreSQL without the variable: a file of one replica would be unknown to the others,
   *         and a secret in the database itself would protect from nobody who can write to it
   */
  making(): DigestScheme {
    const { kind, secret } = this.#place;
    if (this.#derived !== undefined) {
      if (secret!.length >= MIN_SECRET_CHARS) return this.#derived;
      throw new RoutingError(
        'INVALID_CONFIG',
        `POINTSMAN_SECRET_KEY must have ${MIN_SECRET_CHARS} characters or more, drawn at random (openssl rand -base64 32)`,
      );
    }
    if (kind === 'postgres') {
      throw new RoutingError(
        'INVALID_CONFIG',
        'keys on PostgreSQL need POINTSMAN_SECRET_KEY, the same for every replica: openssl rand -base64 32. ' +
          'It stays out of the database, so that nobody who can write there can make a key',
      );
    }
    return this.#ofFile ?? this.#setFile(this.#make());
  }

  #setFile<T extends DigestScheme | undefined>(scheme: T): T {
    this.#ofFile = scheme;
    this.#schemes = [this.#derived, scheme, LITELLM].filter((one) => one !== undefined);
    return scheme;
  }

  get #path(): string {
    return join(this.#place.dataDir, 'key-secret');
  }

  #read(): DigestScheme {
    const text = readFileSync(this.#path, 'utf8').trim();
    if (/^[0-9a-f]{64}$/.test(text)) return schemeOf(createSecretKey(Buffer.from(text, 'hex')));
    throw new RoutingError(
      'INVALID_CONFIG',
      `${this.#path} is not the secret that was written there; put it back from a back-up, or remove it: then all keys made with it are void`,
    );
  }

  /** Put in place whole; of two that make one at once the first counts for both. */
  #make(): DigestScheme {
    mkdirSync(this.#place.dataDir, { recursive: true, mode: 0o700 });
    const temporary = `${this.#path}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeFileSync(temporary, `${randomBytes(KEY_BYTES).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
    try {
      linkSync(temporary, this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(temporary, { force: true });
    }
    return this.#read();
  }
}
