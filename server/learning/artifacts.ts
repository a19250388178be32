/**
 * Promoted artifacts: folders under `<dataDir>/artifacts/<hash>`; on PostgreSQL in the
 * database too, since another replica has another disk.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eq, inArray } from 'drizzle-orm';
import { type ErrorCode, RoutingError } from '../../datasets/index.ts';
import { defaultArtifactDir } from '../../router/artifact/artifact.ts';
import { databaseError } from '../db/connection.ts';
import { artifactBlobs, artifacts } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import { activeArtifact } from './promotions.ts';

export const artifactsFolder = (dataDir: string): string => join(dataDir, 'artifacts');

/**
 * Folder of the promoted artifact in force, fetched from the database if it is not on this disk.
 * @returns null while none is: then the base is in force
 * @throws `ARTIFACT_MISSING`, `DATABASE_UNAVAILABLE`
 */
export async function activeArtifactDir(store: SqlStore, dataDir: string): Promise<string | null> {
  const hash = await activeArtifact(store);
  return hash === null ? null : artifactDir(store, dataDir, hash);
}

/** Folder of an artifact kept by {@link keepArtifact}. @throws `ARTIFACT_MISSING` */
export async function artifactDir(store: SqlStore, dataDir: string, hash: string): Promise<string> {
  const dir = join(artifactsFolder(dataDir), hash);
  if (!existsSync(join(dir, 'manifest.json')) && !(await fetchArtifact(store, hash, dir))) {
    throw new RoutingError(
      'ARTIFACT_MISSING',
      `artifact ${hash} is in force but not in ${artifactsFolder(dataDir)}: restore that folder, or run: pointsman retrain --rollback`,
    );
  }
  return dir;
}

/** The error for a promoted artifact that cannot be loaded: what is wrong, and how to take it out of force. */
export function unusablePromotion(hash: string, cause: unknown): RoutingError {
  const { code = 'INTERNAL', message } = cause as { code?: ErrorCode; message: string };
  // What follows the semicolon is advice for an artifact that somebody named.
  const why = message.split(';')[0];
  return new RoutingError(
    code,
    `the promoted router ${hash.slice(0, 12)} cannot be used (${why}); to take it out of force: pointsman retrain --rollback`,
    { cause },
  );
}

/** Makes an artifact findable by its hash: copied below the data directory and, on PostgreSQL, to the database. */
export async function keepArtifact(store: SqlStore, dataDir: string, hash: string, from: string): Promise<void> {
  const dir = join(artifactsFolder(dataDir), hash);
  if (from !== dir && !existsSync(join(dir, 'manifest.json'))) {
    await whole(dir, (partial) => cp(from, partial, { recursive: true }));
  }
  if (store.kind !== 'postgres') return;
  const files: { path: string; sha256: string }[] = [];
  try {
    for (const path of (await readdir(dir)).sort()) {
      const content = await readFile(join(dir, path));
      const sha256 = createHash('sha256').update(content).digest('hex');
      files.push({ path, sha256 });
      await store.db.insert(artifactBlobs).values({ sha256, content }).onConflictDoNothing();
    }
    await store.db.insert(artifacts).values({ hash, createdAt: new Date(), files }).onConflictDoNothing();
  } catch (error) {
    throw databaseError(error);
  }
}

async function fetchArtifact({ db }: SqlStore, hash: string, dir: string): Promise<boolean> {
  const [row] = await db.select().from(artifacts).where(eq(artifacts.hash, hash));
  if (row === undefined) return false;
  const hashes = row.files.map(({ sha256 }) => sha256);
  const blobs = await db.select().from(artifactBlobs).where(inArray(artifactBlobs.sha256, hashes));
  const contents = new Map(blobs.map(({ sha256, content }) => [sha256, content]));
  await whole(dir, async (partial) => {
    await mkdir(partial, { recursive: true });
    for (const { path, sha256 } of row.files) {
      // A file name, never a path: it comes from a table that others may write.
      if (!/^[\w.-]+$/.test(path) || path.startsWith('.')) continue;
      await writeFile(join(partial, path), contents.get(sha256) ?? '');
    }
  });
  return true;
}

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
  { intervalMs = 1000, baseDir = defaultArtifactDir(), onProblem = () => {}, ...from }: WatchOptions = {},
): { stop(): void } {
  let known = from.known;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    try {
      const hash = await activeArtifact(store);
      if (known !== undefined && hash !== known && !stopped) {
        await onChange(hash === null ? baseDir : await artifactDir(store, dataDir, hash), hash);
      }
      known = hash;
    } catch (error) {
      if (!stopped) onProblem(error);
    }
    if (stopped) return;
    timer = setTimeout(look, intervalMs);
    timer.unref();
  };
  void look();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
