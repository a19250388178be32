import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireLock, lockOwner } from '../../../server/db/lock.ts';
import { openStore } from '../../../server/db/store.ts';
import { compiledFile } from '../../run/shared.ts';
import { tempDir } from './stores.ts';

const HOLDER = await compiledFile('test/server/db/holder.ts');

let dataDir: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  dataDir = await tempDir();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

/** Another process that opens the directory; resolves with its first line. */
function holder(...args: string[]): Promise<{ child: ChildProcess; line: string; ended: Promise<number | null> }> {
  const child = spawn(process.execPath, [HOLDER, dataDir, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return new Promise((resolve) => {
    let text = '';
    const done = () => resolve({ child, line: text.split('\n')[0]!, ended });
    child.stdout!.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) done();
    });
    child.once('exit', done);
  });
}

const lockFile = () => JSON.parse(readFileSync(join(dataDir, 'lock.json'), 'utf8'));

test('a second process is refused and told whom to ask', async () => {
  const { child, line } = await holder('lock', 'http://127.0.0.1:9999');
  expect(line).toBe('held');
  expect(() => acquireLock(dataDir)).toThrow(
    expect.objectContaining({
      code: 'DATABASE_LOCKED',
      message: expect.stringMatching(`process ${child.pid} \\(gateway at http://127.0.0.1:9999\\)`),
    }),
  );
  await expect(openStore({ dataDir })).rejects.toMatchObject({ code: 'DATABASE_LOCKED' });
  expect(lockOwner(dataDir)).toMatchObject({ pid: child.pid, url: 'http://127.0.0.1:9999' });
});

test('a second store in the same process is refused as well', () => {
  const lock = acquireLock(dataDir);
  expect(() => acquireLock(dataDir)).toThrow(expect.objectContaining({ code: 'DATABASE_LOCKED' }));
  lock.release();
  acquireLock(dataDir).release();
});

test('the lock of a killed process is taken over, and what it had written is there', async () => {
  const { child, line, ended } = await holder('store');
  expect(line).toBe('written');
  child.kill('SIGKILL');
  await ended;
  expect(lockFile().pid).toBe(child.pid);
  expect(lockOwner(dataDir)).toBeNull();
  const store = await openStore({ dataDir });
  expect((await store.getDecision('from-the-holder'))?.decision.model).toBe('a/small');
  expect(lockFile().pid).toBe(process.pid);
  await store.close();
});

test.runIf(existsSync('/proc/self/stat'))('a pid that another process got meanwhile is no owner', () => {
  acquireLock(dataDir).release();
  const lock = acquireLock(dataDir);
  const mine = lockFile();
  lock.release();
  writeFileSync(join(dataDir, 'lock.json'), JSON.stringify({ ...mine, processStart: '1' }));
  expect(lockOwner(dataDir)).toBeNull();
  acquireLock(dataDir).release();
});

test('an owner on another machine counts while it shows life, and half a minute more', () => {
  const path = join(dataDir, 'lock.json');
  const elsewhere = { pid: 1, url: null, token: 't', startedAt: 'then', place: 'another boot', processStart: '1' };
  writeFileSync(path, JSON.stringify(elsewhere));
  expect(() => acquireLock(dataDir)).toThrow(expect.objectContaining({ code: 'DATABASE_LOCKED' }));
  utimesSync(path, new Date(), new Date(Date.now() - 31_000));
  acquireLock(dataDir).release();
});

test.each(['', 'not json', '{"pid": "x"}'])('a damaged lock file (%j) locks nobody out', (content) => {
  writeFileSync(join(dataDir, 'lock.json'), content);
  acquireLock(dataDir).release();
});

test('only its user may read the token, and release takes away only its own lock', () => {
  const lock = acquireLock(dataDir);
  const path = join(dataDir, 'lock.json');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(lockFile().token).toBe(lock.token);
  lock.announce('http://127.0.0.1:1');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  writeFileSync(path, JSON.stringify({ ...lockFile(), token: 'another' }));
  lock.release();
  expect(existsSync(path)).toBe(true);
});

test('of many processes that start on a dead owner’s directory one gets it', async () => {
  writeFileSync(
    join(dataDir, 'lock.json'),
    JSON.stringify({ pid: 2 ** 22 - 1, url: null, token: 't', startedAt: 'then', place: null, processStart: null }),
  );
  utimesSync(join(dataDir, 'lock.json'), new Date(), new Date(Date.now() - 60_000));
  const all = await Promise.all(Array.from({ length: 4 }, () => holder('lock', 'http://127.0.0.1:1')));
  expect(all.map(({ line }) => line).sort()).toEqual(['DATABASE_LOCKED', 'DATABASE_LOCKED', 'DATABASE_LOCKED', 'held']);
});

test('a guard that a killed process left is removed after a few seconds', () => {
  const guard = join(dataDir, 'lock.guard');
  mkdirSync(guard);
  utimesSync(guard, new Date(), new Date(Date.now() - 6_000));
  acquireLock(dataDir).release();
  expect(existsSync(guard)).toBe(false);
});

test.skipIf(process.getuid?.() === 0)('a directory that cannot be written is named', async () => {
  await chmod(dataDir, 0o500);
  expect(() => acquireLock(dataDir)).toThrow(
    expect.objectContaining({ code: 'DATABASE_UNAVAILABLE', message: expect.stringContaining(dataDir) }),
  );
});

test('a data directory that cannot be made is named', () => {
  writeFileSync(join(dataDir, 'file'), '');
  expect(() => acquireLock(join(dataDir, 'file', 'below'))).toThrow(
    expect.objectContaining({ code: 'DATABASE_UNAVAILABLE', message: expect.stringContaining('below') }),
  );
});

test('SIGTERM of a process that closes its store loses no row', async () => {
  const { child, line, ended } = await holder('busy');
  expect(line).toBe('busy');
  await new Promise((resolve) => setTimeout(resolve, 300));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  const recorded = Number(readFileSync(join(dataDir, 'recorded.txt'), 'utf8'));
  expect(recorded).toBeGreaterThan(100);
  const store = await openStore({ dataDir });
  const [{ n }] = (await store.db.execute('select count(*)::int as n from decisions')) as unknown as [{ n: number }];
  await store.close();
  expect(n).toBe(recorded);
});
