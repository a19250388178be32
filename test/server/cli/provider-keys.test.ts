/** Keys of providers go in by standard input, lie encrypted, and come out nowhere. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { acquireLock } from '../../../server/db/lock.ts';
import { openProviderKeys, removeProviderKey } from '../../../server/db/provider-keys.ts';
import { openStore } from '../../../server/db/store.ts';
import { programFile } from '../../run/shared.ts';
import { type OpenedStore, storeKinds, tempDir } from '../db/stores.ts';

const PROGRAM = await programFile();
const SECRET = 'planted-operator-secret-of-32-letters';
const KEY = 'sk-planted-0123456789';

let opened: OpenedStore;
let folder: string;
beforeAll(async () => {
  // PostgreSQL: several processes may have it open, and it opens fast.
  opened = await storeKinds[1]!.open();
  folder = await tempDir();
});
afterAll(async () => {
  await opened.close();
  await rm(folder, { recursive: true, force: true });
});

function run(args: readonly string[], { input = '', secret = SECRET, database = true } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'provider-keys', ...args], {
    input,
    encoding: 'utf8',
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      ...(secret !== '' && { POINTSMAN_SECRET_KEY: secret }),
      ...(database && { DATABASE_URL: opened.options.databaseUrl }),
    } as NodeJS.ProcessEnv,
  });
  expect(stdout + stderr).not.toContain(KEY);
  return { status, stdout, stderr };
}

const stored = () => openProviderKeys(opened.store.db, SECRET);
afterEach(async () => {
  for (const { provider, name } of await stored()) await removeProviderKey(opened.store.db, provider, name);
});

test('a key is added, listed without itself, opened by whoever has the secret, and removed', async () => {
  const added = run(['add', 'openai', '--name', 'team', '--tenant', 'acme', '--weight', '2'], { input: `${KEY}\n` });
  expect(added).toMatchObject({ status: 0, stderr: '' });
  expect(added.stdout).toContain('stored key team of openai, for tenant acme');
  expect(run(['add', 'groq'], { input: 'gsk-another-key' }).status).toBe(0);
  expect(await stored()).toMatchObject([
    { provider: 'groq', name: 'default', tenant: null, weight: 1, apiKey: 'gsk-another-key' },
    { provider: 'openai', name: 'team', tenant: 'acme', weight: 2, apiKey: KEY },
  ]);
  const day = new Date().toISOString().slice(0, 4);
  expect(run(['list'], { secret: '' }).stdout).toMatch(
    new RegExp(
      `^provider +name +tenant +weight +since\ngroq +default +\\(everybody\\) +1 +${day}.*\nopenai +team +acme +2 +${day}`,
    ),
  );
  expect(JSON.parse(run(['list', '--json']).stdout)).toMatchObject([{ provider: 'groq' }, { provider: 'openai' }]);
  expect(run(['remove', 'openai'])).toMatchObject({ status: 0, stderr: '' });
  expect((await stored()).map(({ provider }) => provider)).toEqual(['groq']);
});

describe('refused, without a word of the key', () => {
  test.each([
    ['no key', ['add', 'openai'], { input: '\n' }, /no key on standard input/],
    ['two lines', ['add', 'openai'], { input: `${KEY}\n${KEY}\n` }, /is no key/],
    ['a letter that no header carries', ['add', 'openai'], { input: `${KEY}ü` }, /is no key/],
    ['the key as an argument', ['add', 'openai', KEY], {}, /too many arguments/],
    ['a provider that nobody knows', ['add', 'opnai'], { input: KEY }, /did you mean openai\?/],
    ['no secret', ['add', 'openai'], { input: KEY, secret: '' }, /POINTSMAN_SECRET_KEY is not set/],
    ['a short secret', ['add', 'openai'], { input: KEY, secret: 'short' }, /32 characters/],
    ['a weight of nothing', ['add', 'openai', '--weight', '0'], { input: KEY }, /above 0/],
    ['nothing to remove', ['remove', 'openai'], {}, /no key of openai is stored/],
  ])('%s', async (_, args, options, words) => {
    const { status, stderr } = run(args, options);
    expect(stderr).toMatch(words);
    expect(status).toBe(2);
    expect(await stored()).toEqual([]);
  });

  test('a second key of that name, one of several without a name, and a second secret', async () => {
    run(['add', 'openai'], { input: KEY });
    expect(run(['add', 'openai'], { input: KEY }).stderr).toMatch(/has a key named default already/);
    expect(run(['add', 'groq'], { input: KEY, secret: 'another-operator-secret-of-32-letters' }).stderr).toMatch(
      /cannot be opened/,
    );
    run(['add', 'openai', '--name', 'two'], { input: KEY });
    expect(run(['remove', 'openai']).stderr).toMatch(/give --name, one of default, two/);
    expect(run(['remove', 'openai', '--name', 'three']).stderr).toMatch(/no key named three/);
    expect(await stored()).toHaveLength(2);
  });
});

test('on the embedded database: a running gateway is told of; without one the key lies there encrypted', async () => {
  const dataDir = join(folder, 'data');
  const embedded = ['--data-dir', dataDir];
  expect(run(['list', ...embedded], { database: false }).stdout).toBe('no key is stored\n');
  const lock = acquireLock(dataDir);
  lock.announce('http://127.0.0.1:8787');
  for (const args of [['add', 'openai'], ['list'], ['remove', 'openai']]) {
    const { status, stderr } = run([...args, ...embedded], { input: KEY, database: false });
    expect(stderr).toMatch(
      /error DATABASE_LOCKED: the gateway at http:\/\/127\.0\.0\.1:8787 .* stop it, .* or use PostgreSQL/,
    );
    expect(status).toBe(1);
  }
  lock.release();
  expect(run(['add', 'openai', ...embedded], { input: KEY, database: false })).toMatchObject({ status: 0, stderr: '' });
  const store = await openStore({ dataDir });
  const keys = await openProviderKeys(store.db, SECRET);
  await store.close();
  expect(keys).toMatchObject([{ provider: 'openai', name: 'default', apiKey: KEY }]);
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) expect(readFileSync(join(file.parentPath, file.name)).includes(KEY)).toBe(false);
});
