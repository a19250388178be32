import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore } from '../../../server/db/store.ts';
import { startGateway } from '../../../server/main.ts';
import { tempDir } from '../db/stores.ts';
import { candidates, logOf } from './synthetic-log.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
let dataDir: string;
let configFile: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  dataDir = await tempDir();
  const catalogFile = join(dataDir, 'catalog.json');
  configFile = join(dataDir, 'pointsman.yaml');
  await writeFile(catalogFile, JSON.stringify({ priceDate: '2026-11-20', models: candidates }));
  await writeFile(
    configFile,
    JSON.stringify({ dataDir, catalog: catalogFile, policy: { tolerance: 0.05 }, logLevel: 'silent' }),
  );
  const store = await openStore({ dataDir });
  const { entries } = await logOf({
    seed: 1,
    decisions: 300,
    truth: (model) => (model === 'lab/dear' ? 0.05 : 0.85),
    policy: { exploration: 0.5, tolerance: 0.25 },
  });
  for (const entry of entries) store.record(entry);
  await store.close();
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

/** The command as a person runs it. */
function pointsman(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'server/cli/main.ts', 'retrain', '--config', configFile, ...args],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DATABASE_URL: '' } },
  );
  children.push(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })));
}

test('explains what it learned, promotes, and takes it back', async () => {
  const dry = await pointsman('--dry-run');
  expect(dry.out, dry.err).toMatch(/Learned from 300 judged answers in 150 sessions/);
  expect(dry.out).toMatch(/lab\/dear/);
  expect(dry.out).toMatch(/WOULD BE PROMOTED/);
  const refused = await pointsman('--min-feedback', '1000');
  expect(refused.out).toMatch(/NOT PROMOTED[\s\S]*300 judged answers .* 1000 are needed/);
  expect(refused.code).toBe(0);
  const json = JSON.parse((await pointsman('--json')).out);
  expect(json).toMatchObject({ outcome: 'promoted', samples: 300 });
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
    const { entries } = await logOf({
      seed: 3,
      decisions: 60,
      idPrefix: 'late',
      truth: (model) => (model === 'lab/dear' ? 0.05 : 0.85),
      policy: { exploration: 0.5, tolerance: 0.25 },
    });
    for (const entry of entries) gateway.store.record(entry);
    const done = await pointsman('--json');
    const report = JSON.parse(done.out || done.err);
    expect(report).toMatchObject({ outcome: 'promoted', samples: 360, incumbent: before });
    expect(gateway.gateway.holder.current.artifactHash).toBe(report.artifact);
    expect((await pointsman('--history')).out).toContain(report.artifact.slice(0, 12));
    expect((await pointsman('--rollback')).out).toMatch(/Rolled back/);
    expect(gateway.gateway.holder.current.artifactHash).toBe(before);
  } finally {
    await gateway.close();
  }
});

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
});

test.each([
  [['--min-feedback', 'many'], /whole number/],
  [['--rollback', '--dry-run'], /INVALID_CONFIG/],
  [['--artifact', '/nowhere/at/all'], /ARTIFACT_MISSING/],
  [['--data-dir', '/nowhere/.pointman'], /MISSING_FILE.*\/nowhere\/\.pointman.*\.pointsman in the folder/s],
])('%j is refused with a reason', async (args, message) => {
  const { code, err } = await pointsman(...args);
  expect(code).not.toBe(0);
  expect(err).toMatch(message);
});
