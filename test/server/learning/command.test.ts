import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../../../server/db/store.ts';
import { getJob } from '../../../server/learning/jobs/rows.ts';
import { startGateway } from '../../../server/main.ts';
import { programFile } from '../../run/shared.ts';
import { storeKinds, tempDir } from '../db/stores.ts';
import { type Base, logOf } from './synthetic-log.ts';
import { tinyBase } from './tiny-base.ts';

const PROGRAM = await programFile();

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** What the gate asks for, and a few more. */
const ENOUGH = 700;
/** The dear model, which the router takes for the best, is broken. */
const world = {
  truth: (model: string) => (model === 'lab/dear' ? 0.05 : 0.85),
  policy: { exploration: 1, tolerance: 0.25 },
  perSession: 1,
};
let base: Base;
let dataDir: string;
let configFile: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  base = await tinyBase();
  dataDir = await tempDir();
  const catalogFile = join(dataDir, 'catalog.json');
  configFile = join(dataDir, 'pointsman.yaml');
  await writeFile(catalogFile, JSON.stringify({ priceDate: '2026-11-20', models: base.candidates }));
  await writeFile(
    configFile,
    JSON.stringify({
      dataDir,
      catalog: catalogFile,
      artifact: base.dir,
      policy: { tolerance: 0.05 },
      logLevel: 'silent',
    }),
  );
  const store = await openStore({ dataDir });
  const { entries } = await logOf({ ...world, base, seed: 1, decisions: ENOUGH });
  for (const entry of entries) store.record(entry);
  await store.close();
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

/** The command as a person runs it. */
function pointsman(
  ...args: string[]
): Promise<{ code: number | null; out: string; err: string }> & { said(what: RegExp): Promise<void> } {
  const child = spawn(process.execPath, [PROGRAM, 'retrain', '--config', configFile, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DATABASE_URL: '' },
  });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, out, err })),
  );
  return Object.assign(ended, { said: (what: RegExp) => expect.poll(() => err, { timeout: 60_000 }).toMatch(what) });
}

test('explains what it learned, promotes, and takes it back', async () => {
  const dry = await pointsman('--dry-run');
  expect(dry.out, dry.err).toMatch(/Learned from 700 judged answers in 700 sessions/);
  expect(dry.out).toMatch(/lab\/dear/);
  expect(dry.out).toMatch(/WOULD BE PROMOTED/);
  const refused = await pointsman('--min-feedback', '10000');
  expect(refused.out).toMatch(/NOT PROMOTED[\s\S]*700 judged answers .* 10000 are needed/);
  expect(refused.code).toBe(0);
  const json = JSON.parse((await pointsman('--json')).out);
  expect(json).toMatchObject({ outcome: 'promoted', samples: ENOUGH });
  const past = await pointsman('--history');
  expect(past.out).toContain(json.artifact.slice(0, 12));
  expect((await pointsman('--rollback')).out).toMatch(/Rolled back .* to the base artifact/);
  const nothing = await pointsman('--rollback');
  expect(nothing.code).not.toBe(0);
  expect(nothing.err).toMatch(/NOT_FOUND/);
}, 180_000);

test('with a gateway running it works through that, which decides by the new router at once', async () => {
  const gateway = await startGateway({ file: configFile, env: {}, overrides: { port: 0 } });
  try {
    const before = gateway.gateway.holder.current.artifactHash;
    const { entries } = await logOf({ ...world, base, seed: 3, decisions: 60, idPrefix: 'late' });
    for (const entry of entries) gateway.store.record(entry);
    const done = await pointsman('--json');
    const report = JSON.parse(done.out || done.err);
    expect(report).toMatchObject({ outcome: 'promoted', samples: ENOUGH + 60, incumbent: before });
    expect(gateway.gateway.holder.current.artifactHash).toBe(report.artifact);
    expect((await pointsman('--history')).out).toContain(report.artifact.slice(0, 12));
    expect((await pointsman('--rollback')).out).toMatch(/Rolled back/);
    expect(gateway.gateway.holder.current.artifactHash).toBe(before);
  } finally {
    await gateway.close();
  }
}, 180_000);

test('asked for without waiting, it is done by the gateway and found in the list', async () => {
  const alone = await pointsman('--detach');
  expect(alone.err).toMatch(/INVALID_CONFIG.*no gateway runs/);
  const gateway = await startGateway({ file: configFile, env: {}, overrides: { port: 0 } });
  try {
    const { job, isNew } = JSON.parse((await pointsman('--detach', '--min-feedback', '10000', '--json')).out);
    expect({ isNew, options: job.options }).toEqual({ isNew: true, options: { minFeedback: 10_000 } });
    await expect
      .poll(async () => (await getJob(gateway.store, job.id))?.state, { timeout: 60_000, interval: 200 })
      .toBe('done');
    const { out } = await pointsman('--jobs');
    expect(out).toMatch(new RegExp(`^ +${job.id}  .*  hand  +done  +refused: .*10000 are needed`, 'm'));
  } finally {
    await gateway.close();
  }
}, 120_000);

test('on PostgreSQL it is done here when no gateway begins it', async () => {
  const opened = await storeKinds.find(({ name }) => name === 'PostgreSQL')!.open();
  try {
    const { databaseUrl, dataDir: folder } = opened.options;
    const where = ['--database-url', databaseUrl!, '--data-dir', folder];
    const { out, err } = await pointsman(...where);
    expect(out, err).toMatch(/NOT PROMOTED[\s\S]*0 judged answers/);
    expect(err).toMatch(/job 1: waiting for a process to begin it[\s\S]*job 1: fitting and comparing/);
    expect(await getJob(opened.store, '1')).toMatchObject({ state: 'done', runs: 1, reason: 'hand' });
    expect((await pointsman('--jobs', ...where)).out).toMatch(/^ +1 {2}.* {2}hand {2,}done {2,}refused/m);
  } finally {
    await opened.close();
  }
}, 120_000);

test('Ctrl-C ends the following, not the job', async () => {
  const opened = await storeKinds.find(({ name }) => name === 'PostgreSQL')!.open();
  try {
    const { databaseUrl, dataDir: folder } = opened.options;
    const following = pointsman('--database-url', databaseUrl!, '--data-dir', folder);
    await following.said(/job 1: waiting for a process to begin it/);
    children.at(-1)!.kill('SIGINT');
    const { code, err } = await following;
    expect(code).toBe(130);
    expect(err).toMatch(/job 1: it goes on without you/);
    expect(await getJob(opened.store, '1')).toMatchObject({ finishedAt: null });
  } finally {
    await opened.close();
  }
}, 120_000);

test('a folder that is no data directory stays as it is', async () => {
  const folder = await tempDir();
  try {
    for (const args of [[], ['--dry-run'], ['--history'], ['--rollback']]) {
      const { code, out, err } = await pointsman('--data-dir', folder, ...args);
      expect(code).not.toBe(0);
      expect(out + err).toMatch(/MISSING_FILE/);
    }
    expect(await readdir(folder)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 120_000);

test.each([
  [['--min-feedback', 'many'], /whole number/],
  [['--rollback', '--dry-run'], /INVALID_CONFIG.*--dry-run does not go with --rollback/],
  [['--jobs', '--detach'], /INVALID_CONFIG/],
  [['--artifact', '/nowhere/at/all'], /ARTIFACT_MISSING/],
  [['--data-dir', '/nowhere/.pointman'], /MISSING_FILE.*\/nowhere\/\.pointman.*\.pointsman in the folder/s],
])('%j is refused with a reason', async (args, message) => {
  const { code, err } = await pointsman(...args);
  expect(code).not.toBe(0);
  expect(err).toMatch(message);
});
