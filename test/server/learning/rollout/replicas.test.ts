/** Rollouts over one PostgreSQL: what one replica puts in force or on trial, the others have, too. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Artifact, loadArtifact, readEncoder, saveArtifact } from '../../../../router/artifact/artifact.ts';
import { RolloutConfig } from '../../../../server/config/loop-schema.ts';
import { LISTENER } from '../../../../server/db/listen.ts';
import { keepArtifact } from '../../../../server/learning/artifacts.ts';
import { addPromotion, rollback, stopTrial } from '../../../../server/learning/promotions.ts';
import { beginRollout } from '../../../../server/learning/rollout/begin.ts';
import { signingOf } from '../../../../server/learning/rollout/signing.ts';
import { type RunningGateway, startGateway } from '../../../../server/main.ts';
import { type OpenedStore, storeKinds, tempDir } from '../../db/stores.ts';
import { until } from '../../fakes.ts';

const env = {
  POINTSMAN_SIGNING_KEY: 'one secret of thirty-two letters or more',
  OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
};

let opened: OpenedStore;
let folder: string;
let base: Artifact;
const hashes: string[] = [];
const running: RunningGateway[] = [];

beforeAll(async () => {
  opened = await storeKinds.find(({ name }) => name === 'PostgreSQL')!.open();
  folder = await tempDir();
  base = await loadArtifact();
  // Two routers that differ from the shipped one, and from each other.
  for (const tolerance of [0.11, 0.12]) {
    const { hash, dir } = saveArtifact(
      join(folder, 'made'),
      {
        encoder: readEncoder(base),
        heads: base.heads,
        policy: { ...base.policy, tolerance },
        training: base.manifest.training,
        metrics: {},
        notes: [],
        parent: base.hash,
        created: new Date(0),
      },
      { underHash: true },
    );
    hashes.push(hash);
    await keepArtifact(opened.store, folder, hash, dir, signingOf(folder, env));
  }
});
afterAll(async () => {
  await opened.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => opened.store.db.execute(sql`truncate promotions`));
afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.close()));
});

async function start(name: string, more: Partial<typeof env> = {}): Promise<RunningGateway> {
  const { databaseUrl } = opened.options;
  const overrides = { port: 0, logLevel: 'silent' as const, databaseUrl, dataDir: join(folder, name) };
  const gateway = await startGateway({ file: false, env: { ...env, ...more }, overrides });
  running.push(gateway);
  return gateway;
}

const inForce = ({ gateway }: RunningGateway) => gateway.holder.current.artifactHash;
const onTrial = ({ gateway }: RunningGateway) => gateway.trials.current?.router.artifactHash ?? null;
const listeners = async (): Promise<number[]> => {
  const rows = (await opened.store.db.execute(
    sql`select pid from pg_stat_activity where application_name = ${LISTENER} and datname = current_database()`,
  )) as unknown as { pid: number }[];
  return rows.map(({ pid }) => pid);
};
const promote = (artifact: string | null, previous: string | null) =>
  addPromotion(opened.store, { kind: 'promoted', artifact, previous, verdict: {} });

/** Loading a router takes a second or two where the machine is busy. */
const SOON = 30_000;

test('a promotion is in force on both, also when nobody listens any more, and so is its rollback', async () => {
  const both = [await start('one'), await start('two')];
  // Of this process, for promotions, keys and policies of both.
  await expect.poll(async () => (await listeners()).length, { timeout: SOON }).toBe(1);
  await promote(hashes[0]!, null);
  await until(() => both.every((each) => inForce(each) === hashes[0]), SOON);
  for (const pid of await listeners()) await opened.store.db.execute(sql`select pg_terminate_backend(${pid})`);
  await promote(hashes[1]!, hashes[0]!);
  await until(() => both.every((each) => inForce(each) === hashes[1]), SOON);
  // They listen again by themselves.
  await expect.poll(async () => (await listeners()).length, { timeout: SOON }).toBe(1);
  await rollback(opened.store);
  await until(() => both.every((each) => inForce(each) === hashes[0]), SOON);
  await rollback(opened.store);
  await until(() => both.every((each) => inForce(each) === base.hash), SOON);
}, 180_000);

test('a canary is drawn on both alike, watched after its promotion, and gone when it is stopped', async () => {
  const both = [await start('one'), await start('two')];
  const rollout = RolloutConfig.parse({ start: 'canary', canaryShare: 0.3, holdback: 0.2 });
  const verdict = { reasons: [] };
  const context = { store: opened.store, rollout };
  await beginRollout(context, { artifact: hashes[0]!, previous: null, gate: 'promote', verdict });
  await until(() => both.every((each) => onTrial(each) === hashes[0]), SOON);
  expect(both.map(inForce)).toEqual([base.hash, base.hash]);
  const team = {
    name: 'default',
    explores: true,
    canary: true,
    isProtected: false,
    privacy: 'embeddings',
    retentionDays: null,
  } as const;
  const sides = both.map(({ gateway }) =>
    Array.from({ length: 50 }, (_, i) => gateway.trials.draw(team, `conversation ${i}`)?.arm),
  );
  expect(sides[0]).toEqual(sides[1]);
  expect(new Set(sides[0])).toEqual(new Set(['candidate', 'incumbent']));
  // What the watch of either would do.
  await beginRollout(context, { artifact: hashes[0]!, previous: null, gate: 'promote', start: 'full', verdict });
  await until(() => both.every((each) => inForce(each) === hashes[0] && onTrial(each) === base.hash), SOON);
  expect(both.map(({ gateway }) => gateway.trials.current!.kind)).toEqual(['watch', 'watch']);
  await stopTrial(opened.store);
  await until(() => both.every((each) => onTrial(each) === null), SOON);
  expect(both.map(inForce)).toEqual([hashes[0], hashes[0]]);
}, 180_000);

test('a replica with another key does not take it up, says why and goes on; one that starts then does, too', async () => {
  const stranger = await start('stranger', { POINTSMAN_SIGNING_KEY: 'another secret of thirty-two letters' });
  const friend = await start('friend');
  await promote(hashes[0]!, null);
  await until(() => inForce(friend) === hashes[0], SOON);
  await beginRollout(
    { store: opened.store, rollout: RolloutConfig.parse({}) },
    { artifact: hashes[1]!, previous: hashes[0]!, gate: 'insufficient', verdict: { reasons: [] } },
  );
  await until(() => onTrial(friend) === hashes[1], SOON);
  expect([inForce(stranger), onTrial(stranger)]).toEqual([base.hash, null]);
  const late = await start('late', { POINTSMAN_SIGNING_KEY: 'another secret of thirty-two letters' });
  expect(inForce(late)).toBe(base.hash);
  expect(late.routerProblem).toMatch(/set the same POINTSMAN_SIGNING_KEY on every replica/);
}, 180_000);
