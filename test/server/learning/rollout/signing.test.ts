import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { eq, sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { defaultArtifactDir, loadArtifact } from '../../../../router/artifact/artifact.ts';
import { artifactBlobs, artifacts } from '../../../../server/db/schema.ts';
import { artifactDir, artifactsFolder, keepArtifact, trustArtifact } from '../../../../server/learning/artifacts.ts';
import { signingOf } from '../../../../server/learning/rollout/signing.ts';
import { type OpenedStore, storeKinds, tempDir } from '../../db/stores.ts';

const HASH = (JSON.parse(readFileSync(join(defaultArtifactDir(), 'manifest.json'), 'utf8')) as { hash: string }).hash;
const OTHER = '0'.repeat(32);
const SECRET = 'one secret of thirty-two letters or more';

const folders: string[] = [];
const folder = async () => {
  const dir = await tempDir();
  folders.push(dir);
  return dir;
};
afterEach(async () => {
  for (const dir of folders.splice(0)) await rm(dir, { recursive: true, force: true });
});

describe('a signature', () => {
  test('is of one hash and one key', async () => {
    const one = signingOf(await folder(), { POINTSMAN_SIGNING_KEY: SECRET });
    const same = signingOf(await folder(), { POINTSMAN_SIGNING_KEY: SECRET, POINTSMAN_SECRET_KEY: `${SECRET}!` });
    const other = signingOf(await folder(), { POINTSMAN_SIGNING_KEY: `${SECRET}!` });
    const signature = one.sign(HASH);
    expect(same.isSigned(HASH, signature)).toBe(true);
    expect(other.isSigned(HASH, signature)).toBe(false);
    expect(one.isSigned(OTHER, signature)).toBe(false);
    for (const none of [null, '', 'zz', signature.slice(2), `${signature}00`])
      expect(one.isSigned(HASH, none)).toBe(false);
  });

  test('is by the secret of the gateway where it has no key of its own, and that is not the same key', async () => {
    const dir = await folder();
    const bySecret = signingOf(dir, { POINTSMAN_SECRET_KEY: SECRET });
    expect(signingOf(await folder(), { POINTSMAN_SECRET_KEY: SECRET }).isSigned(HASH, bySecret.sign(HASH))).toBe(true);
    expect(existsSync(join(dir, 'signing.key'))).toBe(false);
  });

  test('is by a key file that only its user may read, made once, when nothing is set', async () => {
    const dir = join(await folder(), 'new');
    const signature = signingOf(dir, {}).sign(HASH);
    const path = join(dir, 'signing.key');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(signingOf(dir, { POINTSMAN_SIGNING_KEY: '' }).isSigned(HASH, signature)).toBe(true);
    expect(readFileSync(path, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
    expect(signingOf(await folder(), {}).isSigned(HASH, signature)).toBe(false);
  });

  test('is refused to be made with a secret that can be guessed, or a file that is no key', async () => {
    const dir = await folder();
    expect(() => signingOf(dir, { POINTSMAN_SIGNING_KEY: 'short' }).sign(HASH)).toThrow(/32 characters or more/);
    writeFileSync(join(dir, 'signing.key'), 'not a key');
    expect(() => signingOf(dir, {}).sign(HASH)).toThrow(/not a signing key/);
  });
});

describe.each(storeKinds)('on $name', (kind) => {
  let opened: OpenedStore;
  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(() => opened.close());
  beforeEach(async () => {
    await opened.store.db.execute(sql`truncate artifacts, artifact_blobs`);
    await rm(artifactsFolder(opened.options.dataDir), { recursive: true, force: true });
  });
  const signed = (env = { POINTSMAN_SIGNING_KEY: SECRET }) => signingOf(opened.options.dataDir, env);
  const keep = () => keepArtifact(opened.store, opened.options.dataDir, HASH, defaultArtifactDir(), signed());
  const dirOf = (hash = HASH, signing = signed()) => artifactDir(opened.store, opened.options.dataDir, hash, signing);

  test('an artifact that was kept here is used', async () => {
    await keep();
    await keep();
    expect((await loadArtifact(await dirOf())).hash).toBe(HASH);
  });

  test('one that is not signed, or by another key, is refused with the way out, which works', async () => {
    await keep();
    await expect(dirOf(HASH, signed({ POINTSMAN_SIGNING_KEY: `${SECRET}!` }))).rejects.toMatchObject({
      code: 'ARTIFACT_UNTRUSTED',
      message: expect.stringMatching(
        /key in POINTSMAN_SIGNING_KEY: set the same POINTSMAN_SIGNING_KEY on every replica/,
      ),
    });
    await opened.store.db.update(artifacts).set({ signature: null });
    await expect(dirOf()).rejects.toMatchObject({
      code: 'ARTIFACT_UNTRUSTED',
      message: expect.stringContaining(`pointsman retrain --trust ${HASH}`),
    });
    await opened.store.db.delete(artifacts);
    await expect(dirOf()).rejects.toMatchObject({ code: 'ARTIFACT_UNTRUSTED' });
    await trustArtifact(opened.store, opened.options.dataDir, HASH, {}, signed());
    expect((await loadArtifact(await dirOf())).hash).toBe(HASH);
  });

  test('what is trusted has to be what its hash says', async () => {
    const { dataDir } = opened.options;
    const trust = (hash: string) => trustArtifact(opened.store, dataDir, hash, {}, signed());
    await expect(trust('../../etc')).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await expect(trust(OTHER)).rejects.toMatchObject({ code: 'ARTIFACT_MISSING' });
    await cp(defaultArtifactDir(), join(artifactsFolder(dataDir), OTHER), { recursive: true });
    await expect(trust(OTHER)).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
    const dir = join(artifactsFolder(dataDir), HASH);
    await cp(defaultArtifactDir(), dir, { recursive: true });
    chmodSync(join(dir, 'policy.json'), 0o600);
    writeFileSync(join(dir, 'policy.json'), '{}');
    await expect(trust(HASH)).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
    expect(await opened.store.db.select().from(artifacts)).toEqual([]);
  });

  test('a signed name over another artifact’s folder is not used, nor a name that is no hash', async () => {
    const { dataDir } = opened.options;
    await keep();
    await cp(defaultArtifactDir(), join(artifactsFolder(dataDir), OTHER), { recursive: true });
    await opened.store.db
      .insert(artifacts)
      .values({ hash: OTHER, createdAt: new Date(), files: [], signature: signed().sign(OTHER) });
    await expect(dirOf(OTHER)).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
    for (const hash of ['../../../etc', '..', '', 'A'.repeat(32), `${HASH}/../${HASH}`]) {
      await expect(dirOf(hash)).rejects.toMatchObject({ code: 'ARTIFACT_UNTRUSTED' });
    }
  });

  if (kind.name !== 'PostgreSQL') return;

  describe('fetched by another replica', () => {
    const fetched = async (signing = signed()) => artifactDir(opened.store, await folder(), HASH, signing);
    const change = (files: { path: string; sha256: string }[]) => opened.store.db.update(artifacts).set({ files });
    const files = async () => (await opened.store.db.select().from(artifacts))[0]!.files;

    test('it is the same, by the same key', async () => {
      await keep();
      expect((await loadArtifact(await fetched())).hash).toBe(HASH);
      await expect(fetched(signingOf(await folder(), {}))).rejects.toMatchObject({ code: 'ARTIFACT_UNTRUSTED' });
    });

    test('content that is not what its hash says is refused', async () => {
      await keep();
      const { sha256 } = (await files()).find(({ path }) => path === 'policy.json')!;
      await opened.store.db
        .update(artifactBlobs)
        .set({ content: Buffer.from('{}') })
        .where(eq(artifactBlobs.sha256, sha256));
      await expect(fetched()).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
      await opened.store.db.delete(artifactBlobs).where(eq(artifactBlobs.sha256, sha256));
      await expect(fetched()).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
    });

    test('names that are paths, too many files and no manifest are refused, and nothing is written', async () => {
      await keep();
      const all = await files();
      const dataDir = await folder();
      for (const bad of [
        [...all, { path: '../evil', sha256: all[0]!.sha256 }],
        [...all, { path: '.hidden', sha256: all[0]!.sha256 }],
        [...all, { path: 'a/b', sha256: all[0]!.sha256 }],
        Array.from({ length: 17 }, (_, i) => ({ ...all[0]!, path: `f${i}` })),
        all.filter(({ path }) => path !== 'manifest.json'),
        7 as never,
      ]) {
        await change(bad);
        await expect(artifactDir(opened.store, dataDir, HASH, signed())).rejects.toMatchObject({
          code: 'ARTIFACT_DAMAGED',
        });
      }
      expect(existsSync(join(artifactsFolder(dataDir), HASH))).toBe(false);
    });

    test('files of another artifact under a signed name are refused', async () => {
      await keep();
      const manifest = Buffer.from(JSON.stringify({ hash: OTHER }));
      const sha256 = '7'.repeat(64);
      await opened.store.db.insert(artifactBlobs).values({ sha256, content: manifest });
      await change([{ path: 'manifest.json', sha256 }]);
      await expect(fetched()).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
    });
  });
});
