/**
 * Promoted artifacts: folders under `<dataDir>/artifacts/<hash>`; on PostgreSQL in the
 * database too, since another replica has another disk.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eq, sql } from 'drizzle-orm';
import { z } from 'zod';
import { type ErrorCode, RoutingError } from '../../datasets/index.ts';
import { defaultArtifactDir, type LoadOptions, loadArtifact } from '../../router/artifact/artifact.ts';
import { MAX_MODEL_BYTES } from '../../router/onnx/inspect.ts';
import { asked } from '../db/connection.ts';
import { artifactBlobs, artifacts } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import { activeArtifact } from './promotions.ts';
import { followStanding } from './rollout/follow.ts';
import { type Signing, signingOf } from './rollout/signing.ts';

export const artifactsFolder = (dataDir: string): string => join(dataDir, 'artifacts');

/**
 * Folder of the promoted artifact in force, fetched from the database if it is not on this disk.
 * @returns null while none is: then the base is in force
 * @throws `ARTIFACT_MISSING`, `ARTIFACT_UNTRUSTED`, `ARTIFACT_DAMAGED`, `DATABASE_UNAVAILABLE`
 */
export async function activeArtifactDir(store: SqlStore, dataDir: string): Promise<string | null> {
  const hash = await activeArtifact(store);
  return hash === null ? null : artifactDir(store, dataDir, hash);
}

/**
 * Folder of an artifact kept by {@link keepArtifact}. Its name comes from a table that others may write: it is used
 * only where the hash is signed by this gateway's key, and the folder says that it holds what has this hash.
 * @throws `ARTIFACT_MISSING`, `ARTIFACT_UNTRUSTED`, `ARTIFACT_DAMAGED`, `DATABASE_UNAVAILABLE`
 */
export async function artifactDir(
  store: SqlStore,
  dataDir: string,
  hash: string,
  signing: Signing = signingOf(dataDir),
): Promise<string> {
  if (!HASH.test(hash)) throw new RoutingError('ARTIFACT_UNTRUSTED', `${shown(hash)} is not the hash of an artifact`);
  const dir = join(artifactsFolder(dataDir), hash);
  const [row] = await asked(store.db.select().from(artifacts).where(eq(artifacts.hash, hash)));
  const isHere = existsSync(join(dir, 'manifest.json'));
  if (!isHere && (row === undefined || store.kind === 'embedded')) {
    throw new RoutingError(
      'ARTIFACT_MISSING',
      `artifact ${hash} is in force but not in ${artifactsFolder(dataDir)}: restore that folder, or run: pointsman retrain --rollback`,
    );
  }
  if (row === undefined || !signing.isSigned(hash, row.signature))
    throw untrusted(hash, row?.signature ?? null, signing);
  try {
    if (!isHere) await fetchArtifact(store, row, dir);
    else checkName(readFileSync(join(dir, 'manifest.json'), 'utf8'), hash, dir);
  } catch (error) {
    throw unusablePromotion(hash, error);
  }
  return dir;
}

/** Hashes are ours to make: anything else in the table was not written by us, and is no name of a folder. */
const HASH = /^[0-9a-f]{32}$/;

const shown = (hash: string): string => JSON.stringify(hash.slice(0, 40));

function untrusted(hash: string, signature: string | null, { source }: Signing): RoutingError {
  const why =
    signature === null
      ? `is not signed (kept by an earlier version?). If you trust it: pointsman retrain --trust ${hash}`
      : `is not signed by the key in ${source}: set the same POINTSMAN_SIGNING_KEY on every replica; if you changed the key and trust the artifact: pointsman retrain --trust ${hash}`;
  return new RoutingError('ARTIFACT_UNTRUSTED', `artifact ${hash.slice(0, 12)} ${why}`);
}

/** The loader holds the content against the manifest, and the manifest against its own hash: here that is the one asked for. */
function checkName(manifest: string, hash: string, dir: string): void {
  let named: unknown;
  try {
    named = (JSON.parse(manifest) as { hash?: unknown } | null)?.hash;
  } catch {
    named = undefined;
  }
  if (named === hash) return;
  throw new RoutingError('ARTIFACT_DAMAGED', `${dir}: its manifest is not that of artifact ${hash.slice(0, 12)}`);
}

/** The error for a promoted artifact that cannot be loaded: what is wrong, and how to take it out of force. */
export function unusablePromotion(hash: string, cause: unknown): RoutingError {
  const { code = 'INTERNAL', message } = cause as { code?: ErrorCode; message: string };
  if (cause instanceof RoutingError && message.startsWith(UNUSABLE)) return cause;
  // What follows the semicolon is advice for an artifact that somebody named.
  const why = message.split(';')[0];
  return new RoutingError(
    code,
    `${UNUSABLE} ${hash.slice(0, 12)} cannot be used (${why}); to take it out of force: pointsman retrain --rollback`,
    { cause },
  );
}

const UNUSABLE = 'the promoted router';

/** Makes an artifact findable by its hash: copied below the data directory, signed, and on PostgreSQL in the database. */
export async function keepArtifact(
  store: SqlStore,
  dataDir: string,
  hash: string,
  from: string,
  signing: Signing = signingOf(dataDir),
): Promise<void> {
  const dir = join(artifactsFolder(dataDir), hash);
  if (from !== dir && !existsSync(join(dir, 'manifest.json'))) {
    await whole(dir, (partial) => cp(from, partial, { recursive: true }));
  }
  const files: { path: string; sha256: string }[] = [];
  for (const path of (await readdir(dir)).sort()) {
    const content = await readFile(join(dir, path));
    const sha256 = sha256Of(content);
    files.push({ path, sha256 });
    if (store.kind !== 'postgres') continue;
    await asked(store.db.insert(artifactBlobs).values({ sha256, content }).onConflictDoNothing());
  }
  const signature = signing.sign(hash);
  await asked(
    store.db
      .insert(artifacts)
      .values({ hash, createdAt: new Date(), files, signature })
      .onConflictDoUpdate({ target: artifacts.hash, set: { signature } }),
  );
}

/**
 * Signs an artifact that somebody vouches for: kept by an earlier version, or signed by another key.
 * @throws `ARTIFACT_MISSING` where it is neither on this disk nor in the database, `ARTIFACT_…` where it cannot be loaded
 */
export async function trustArtifact(
  store: SqlStore,
  dataDir: string,
  hash: string,
  options: LoadOptions = {},
  signing: Signing = signingOf(dataDir),
): Promise<void> {
  if (!HASH.test(hash)) {
    throw new RoutingError(
      'INVALID_REQUEST',
      `${shown(hash)} is not the hash of an artifact (pointsman retrain --history --json)`,
    );
  }
  const dir = join(artifactsFolder(dataDir), hash);
  if (!existsSync(join(dir, 'manifest.json'))) {
    const [row] = await asked(store.db.select().from(artifacts).where(eq(artifacts.hash, hash)));
    if (row === undefined || store.kind === 'embedded') {
      throw new RoutingError(
        'ARTIFACT_MISSING',
        `artifact ${hash} is neither in ${artifactsFolder(dataDir)} nor in the database`,
      );
    }
    await fetchArtifact(store, row, dir);
  }
  // What is signed is a hash: the content has to be what it says.
  checkName(readFileSync(join(dir, 'manifest.json'), 'utf8'), hash, dir);
  const { encoder } = await loadArtifact(dir, options);
  await encoder.close?.();
  await keepArtifact(store, dataDir, hash, dir, signing);
}

type ArtifactRow = typeof artifacts.$inferSelect;

const MAX_FILES = 16;
const MAX_FILE_BYTES = MAX_MODEL_BYTES;

/** Writes what the row names, each file held against its hash. @throws `ARTIFACT_DAMAGED`, `ARTIFACT_UNTRUSTED` */
async function fetchArtifact({ db }: SqlStore, { hash, files }: ArtifactRow, dir: string): Promise<void> {
  const named = Files.safeParse(files);
  if (!named.success) throw damaged(hash, 'its row in the database is not one of ours');
  await whole(dir, async (partial) => {
    await mkdir(partial, { recursive: true });
    for (const { path, sha256 } of named.data) {
      // One after the other, and asked for its size first: a row may be larger than memory.
      const [size] = await asked(
        db
          .select({ bytes: sql<number>`octet_length(${artifactBlobs.content})` })
          .from(artifactBlobs)
          .where(eq(artifactBlobs.sha256, sha256)),
      );
      if (size === undefined) throw damaged(hash, `${path} is not in the database`);
      if (Number(size.bytes) > MAX_FILE_BYTES) throw damaged(hash, `${path} is larger than any file of a router`);
      const [blob] = await asked(db.select().from(artifactBlobs).where(eq(artifactBlobs.sha256, sha256)));
      if (blob === undefined || sha256Of(blob.content) !== sha256) {
        throw damaged(hash, `${path} in the database is not what its hash says`);
      }
      await writeFile(join(partial, path), blob.content);
      if (path === 'manifest.json') checkName(Buffer.from(blob.content).toString(), hash, dir);
    }
    if (!named.data.some(({ path }) => path === 'manifest.json')) throw damaged(hash, 'it has no manifest');
  });
}

/** File names, never paths: they come from a table that others may write. */
const Files = z
  .array(
    z.object({
      path: z.string().regex(/^[A-Za-z0-9_][\w.-]{0,99}$/),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  )
  .max(MAX_FILES);

const damaged = (hash: string, what: string): RoutingError =>
  new RoutingError(
    'ARTIFACT_DAMAGED',
    `artifact ${hash.slice(0, 12)}: ${what}; restore it, or: pointsman retrain --rollback`,
  );

const sha256Of = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Fills a folder under another name first, so that nobody reads half of it. */
async function whole(dir: string, fill: (partial: string) => Promise<void>): Promise<void> {
  const partial = `${dir}.${process.pid}.part`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(join(dir, '..'), { recursive: true, mode: 0o700 });
  await fill(partial);
  await rm(dir, { recursive: true, force: true });
  await rename(partial, dir);
}

export interface WatchOptions {
  readonly intervalMs?: number;
  /** Artifact to go back to when nothing promoted is in force. Default: the shipped one. */
  readonly baseDir?: string | undefined;
  /** Hash of the promoted artifact that the caller has loaded (null: the base). Default: what is in force at the first look. */
  readonly known?: string | null;
  /** Told when looking fails; it goes on looking. */
  readonly onProblem?: (error: unknown) => void;
}

/**
 * Calls `onChange` whenever another artifact comes into force, by whatever process.
 * Waits for it; where it fails, it is called again at the next look.
 */
export function watchPromotions(
  store: SqlStore,
  dataDir: string,
  onChange: (artifactDir: string, hash: string | null) => void | Promise<void>,
  { intervalMs = 1000, baseDir = defaultArtifactDir(), onProblem = () => {}, known }: WatchOptions = {},
): { stop(): void } {
  let inForce = known;
  return followStanding(
    store,
    async ({ inForce: hash }) => {
      if (hash === inForce) return;
      await onChange(hash === null ? baseDir : await artifactDir(store, dataDir, hash), hash);
      inForce = hash;
    },
    { intervalMs, onProblem, known: known === undefined ? undefined : { ordinal: -1, inForce: known, trial: null } },
  );
}
