/**
 * Providers' keys in the database, sealed: AES-256-GCM under a key derived from the operator's
 * secret, which is never stored. What a key is for is authenticated with it, so that a sealed
 * key moved to another row does not open.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { and, asc, eq } from 'drizzle-orm';
import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { RoutingError } from '../../datasets/index.ts';
import { asked } from './connection.ts';
import { providerKeys } from './schema.ts';

/** What a key is for. */
export interface KeyPlace {
  readonly provider: string;
  /** Tells keys of one provider apart. */
  readonly name: string;
  /** Whose requests it is for; null: everybody's. */
  readonly tenant: string | null;
}

export interface StoredProviderKey extends KeyPlace {
  readonly id: string;
  /** Its share of the requests, beside other keys of the provider. */
  readonly weight: number;
  readonly createdAt: Date;
}

export interface OpenProviderKey extends StoredProviderKey {
  readonly apiKey: string;
}

const VERSION = 'v1';
const SALT_BYTES = 16;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const MIN_SECRET_CHARS = 32;

/** @throws `INVALID_CONFIG` for an operator's secret that is too short */
export function sealSecret(plain: string, operatorSecret: string, place: KeyPlace): string {
  const salt = randomBytes(SALT_BYTES);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', derivedKey(operatorSecret, salt), iv);
  cipher.setAAD(associated(place));
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
  return `${VERSION}.${Buffer.concat([salt, iv, cipher.getAuthTag(), sealed]).toString('base64url')}`;
}

/** @throws `INVALID_CONFIG` where secret or place are not those it was sealed with, or the text was changed */
export function openSecret(sealed: string, operatorSecret: string, place: KeyPlace): string {
  const [version, text] = sealed.split('.');
  const raw = Buffer.from(text ?? '', 'base64url');
  const [ivAt, tagAt, textAt] = [SALT_BYTES, SALT_BYTES + IV_BYTES, SALT_BYTES + IV_BYTES + TAG_BYTES];
  if (version !== VERSION || raw.length < textAt) throw unopened(place, 'it was not sealed by this build');
  const key = derivedKey(operatorSecret, raw.subarray(0, ivAt));
  const decipher = createDecipheriv('aes-256-gcm', key, raw.subarray(ivAt, tagAt));
  decipher.setAAD(associated(place));
  decipher.setAuthTag(raw.subarray(tagAt, textAt));
  try {
    return Buffer.concat([decipher.update(raw.subarray(textAt)), decipher.final()]).toString('utf8');
  } catch {
    throw unopened(place, 'POINTSMAN_SECRET_KEY is not the one that it was sealed with, or its row was changed');
  }
}

/** @throws `INVALID_CONFIG` where the provider has a key of that name, or a value is out of range */
export async function addProviderKey(
  db: PgRemoteDatabase,
  operatorSecret: string,
  key: KeyPlace & { readonly apiKey: string; readonly weight?: number },
): Promise<StoredProviderKey> {
  const { provider, name, tenant, apiKey, weight = 1 } = key;
  if (provider === '' || name === '' || apiKey === '') {
    throw new RoutingError('INVALID_CONFIG', 'a provider key needs a provider, a name and the key itself');
  }
  if (!Number.isFinite(weight) || weight < 0) {
    throw new RoutingError('INVALID_CONFIG', `the weight of a provider key must be a number of 0 or more: ${weight}`);
  }
  const sealed = sealSecret(apiKey, operatorSecret, { provider, name, tenant });
  const stored = { id: randomUUID(), provider, name, tenant, weight, createdAt: new Date() };
  const added = await asked(
    db
      .insert(providerKeys)
      .values({ ...stored, sealed })
      .onConflictDoNothing()
      .returning({ id: providerKeys.id }),
  );
  if (added.length === 0) {
    throw new RoutingError('INVALID_CONFIG', `${provider} has a key named ${name} already: remove that first`);
  }
  return stored;
}

/** By provider and name; no secret among it. */
export async function listProviderKeys(db: PgRemoteDatabase): Promise<StoredProviderKey[]> {
  const { id, provider, name, tenant, weight, createdAt } = providerKeys;
  return asked(
    db.select({ id, provider, name, tenant, weight, createdAt }).from(providerKeys).orderBy(asc(provider), asc(name)),
  );
}

/** @throws `INVALID_CONFIG` naming the first key that does not open */
export async function openProviderKeys(db: PgRemoteDatabase, operatorSecret: string): Promise<OpenProviderKey[]> {
  const rows = await asked(db.select().from(providerKeys).orderBy(asc(providerKeys.provider), asc(providerKeys.name)));
  return rows.map(({ sealed, ...key }) => ({ ...key, apiKey: openSecret(sealed, operatorSecret, key) }));
}

/** @returns false where there was none */
export async function removeProviderKey(db: PgRemoteDatabase, provider: string, name: string): Promise<boolean> {
  const gone = await asked(
    db
      .delete(providerKeys)
      .where(and(eq(providerKeys.provider, provider), eq(providerKeys.name, name)))
      .returning({ id: providerKeys.id }),
  );
  return gone.length > 0;
}

function derivedKey(operatorSecret: string, salt: Uint8Array): Buffer {
  if (operatorSecret.length < MIN_SECRET_CHARS) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `POINTSMAN_SECRET_KEY must have ${MIN_SECRET_CHARS} characters or more, drawn at random (openssl rand -base64 32)`,
    );
  }
  return Buffer.from(hkdfSync('sha256', operatorSecret, salt, 'pointsman provider key', 32));
}

/** As JSON: no choice of names makes two places one. */
const associated = ({ provider, name, tenant }: KeyPlace): Buffer =>
  Buffer.from(JSON.stringify([provider, name, tenant]));

const unopened = ({ provider, name }: KeyPlace, why: string): RoutingError =>
  new RoutingError('INVALID_CONFIG', `the stored key ${name} of ${provider} cannot be opened: ${why}`);
