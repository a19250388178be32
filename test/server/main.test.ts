/** The gateway as a process: started, stopped, killed in mid-answer, refused. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { loadArtifact, readEncoder, saveArtifact } from '../../router/artifact/artifact.ts';
import { openStore } from '../../server/db/store.ts';
import { artifactsFolder, keepArtifact } from '../../server/learning/artifacts.ts';
import { addPromotion } from '../../server/learning/promotions.ts';
import { startGateway } from '../../server/main.ts';
import { programFile } from '../run/shared.ts';
import { chat, completion, hello, jsonOf, type Script, sendJson, startSse, until, upstream, word } from './fakes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAM = await programFile();
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function newDataDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-main-'));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function host(script: Script) {
  const started = await upstream(script);
  cleanUps.push(started.close);
  return started;
}

async function start(overrides: object, env: Record<string, string> = {}) {
  const gateway = await startGateway({ file: false, env, overrides: { port: 0, logLevel: 'silent', ...overrides } });
  cleanUps.push(gateway.close);
  return gateway;
}

const problem = (run: Promise<unknown>): Promise<{ code: string; message: string }> =>
  run.then(
    () => Promise.reject(new Error('nothing was refused')),
    (error) => error,
  );

/** `pointsman start` as its users run it; resolves once it says where it listens. */
async function spawnStart(
  dataDir: string,
  env: Record<string, string>,
): Promise<{ child: ChildProcess; url: string; output: () => string }> {
  const args = [PROGRAM, 'start', '--port', '0', '--data-dir', dataDir];
  const child = spawn(process.execPath, args, { cwd: root, env: { PATH: process.env.PATH, ...env } });
  cleanUps.push(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout!.on('data', (piece) => {
    output += piece;
  });
  child.stderr!.on('data', (piece) => {
    output += piece;
  });
  await until(() => /listens on \S+/.test(output) || child.exitCode !== null, 110_000);
  const url = /listens on (\S+)/.exec(output)?.[1];
  if (url === undefined) throw new Error(`did not start: ${output}`);
  return { child, url, output: () => output };
}

test('SIGTERM finishes the answers in flight, loses no row and exits with 0', async () => {
  const dataDir = newDataDir();
  let finish = () => {};
  const { url: baseUrl } = await host((_, response, body) => {
    if (!body.stream) return sendJson(response, completion());
    startSse(response);
    response.write(word('first '));
    finish = () => response.end(`${word('last', 'stop')}data: [DONE]\n\n`);
  });
  const { child, url, output } = await spawnStart(dataDir, { OPENAI_API_KEY: 'test-key', OPENAI_BASE_URL: baseUrl });
  expect(output()).toContain(`openai (${baseUrl})`);
  expect(output()).not.toContain('test-key');
  // The greeting comes first; the log follows it, and says in its turn that nobody is asked for a key.
  expect(output()).toContain('NOBODY IS ASKED FOR ONE');
  expect(output().split('{"level"')[0]).toContain('listens on');
  const ids: string[] = [];
  const ask = async () => {
    const response = await chat(url, hello('auto'));
    expect(response.status).toBe(200);
    await response.text();
    ids.push(response.headers.get('x-pointsman-decision-id')!);
  };
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 10 }, ask));
  const streaming = await chat(url, hello('auto', { stream: true }));
  ids.push(streaming.headers.get('x-pointsman-decision-id')!);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await Promise.all([ask(), ask(), ask()]);
  await until(() => output().includes('"msg":"answered"'));
  child.kill('SIGTERM');
  await until(() => output().includes('SIGTERM'));
  // What was on its way is answered still; then new connections are refused, or told so, and nobody is left waiting.
  const late = () =>
    chat(url, hello('auto')).then(
      ({ status }) => (status === 503 ? 'told so' : status),
      () => 'refused',
    );
  await expect.poll(late, { interval: 200 }).toMatch(/told so|refused/);
  expect(child.exitCode).toBeNull();
  finish();
  expect(await streaming.text()).toContain('[DONE]');
  expect(await exited).toBe(0);

  const store = await openStore({ dataDir });
  cleanUps.push(() => store.close());
  expect(new Set(ids).size).toBe(104);
  for (const id of ids) {
    const found = await store.getDecision(id);
    expect(found?.attempts).toMatchObject([{ status: 'ok' }]);
  }
});

test('a shutdown does not wait for ever: it ends a stream that goes on with an error frame', async () => {
  const { url: baseUrl } = await host((_, response) => {
    startSse(response);
    response.write(word('endless'));
  });
  const dataDir = newDataDir();
  const { url, close, store } = await start({ dataDir, timeouts: { shutdownMs: 300 } }, { OPENAI_BASE_URL: baseUrl });
  const response = await chat(url, hello('auto', { stream: true }));
  const id = response.headers.get('x-pointsman-decision-id')!;
  const text = response.text();
  await close();
  expect(await text).toContain('"code":"SHUTTING_DOWN"');
  expect(await text).not.toContain('[DONE]');
  await expect(store.ready()).resolves.toBe(false);
  const again = await openStore({ dataDir });
  cleanUps.push(() => again.close());
  expect((await again.getDecision(id))?.attempts).toMatchObject([{ status: 'partial', errorCode: 'SHUTTING_DOWN' }]);
});

test('without a key it starts, routes by the shipped router and answers from the sandbox', async () => {
  const { url } = await start({ dataDir: newDataDir() });
  const response = await chat(url, hello('auto'));
  expect(response.headers.get('x-pointsman-sandbox')).toBe('true');
  const { model } = await jsonOf(response);
  const shown = await jsonOf(fetch(`${url}/v1/decisions/${response.headers.get('x-pointsman-decision-id')}`));
  expect(shown).toMatchObject({ routed: true, model, executedModel: model });
  const sum = shown.distribution.reduce(
    (total: number, { probability }: { probability: number }) => total + probability,
    0,
  );
  expect(sum).toBeCloseTo(1, 9);
  expect(shown.propensity).toBeGreaterThan(0);
});

test('candidates are the models of the providers that are on', async () => {
  const { gateway } = await start({ dataDir: newDataDir() }, { OPENAI_API_KEY: 'test-key' });
  const ids = gateway.holder.current.candidates.map(({ id }) => id);
  expect(ids.length).toBeGreaterThan(1);
  expect(ids.every((id) => id.startsWith('openai/'))).toBe(true);
});

test('a promoted artifact is taken up without a restart, a damaged one is not, and a rollback brings the old one back', async () => {
  const dataDir = newDataDir();
  const first = await start({ dataDir });
  const base = first.gateway.holder.current.artifactHash;
  const shipped = await loadArtifact();
  const { encoder: _, ...kept } = shipped;
  const folder = artifactsFolder(dataDir);
  const { training, metrics, notes } = shipped.manifest;
  const { hash } = saveArtifact(
    folder,
    {
      ...kept,
      training,
      metrics,
      notes: [...notes, 'a test'],
      encoder: readEncoder(shipped),
      parent: base,
      created: new Date(),
    },
    { underHash: true },
  );
  const promote = (artifact: string, previous: string | null) =>
    addPromotion(first.store, { kind: 'promoted', artifact, previous, verdict: {} });
  const decidedBy = async () => (await chat(first.url, hello('auto'))).headers.get('x-pointsman-artifact');
  expect(await decidedBy()).toBe(base);
  await keepArtifact(first.store, dataDir, hash, join(folder, hash));
  await promote(hash, null);
  await until(() => first.gateway.holder.current.artifactHash === hash);
  expect(await decidedBy()).toBe(hash);

  const damaged = 'd'.repeat(32);
  mkdirSync(join(folder, damaged));
  writeFileSync(join(folder, damaged, 'manifest.json'), '{}');
  await keepArtifact(first.store, dataDir, damaged, join(folder, damaged));
  await promote(damaged, hash);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(await decidedBy()).toBe(hash);
  await first.close();

  const second = await start({ dataDir });
  expect(second.gateway.holder.current.artifactHash).toBe(base);
  const wayOut = /promoted router dddddddddddd cannot be used .*pointsman retrain --rollback/;
  expect(second.routerProblem).toMatch(wayOut);
  const { token, url } = JSON.parse(readFileSync(join(dataDir, 'lock.json'), 'utf8'));
  expect(url).toBe(second.url);
  const post = (path: string, body: object = {}) =>
    fetch(`${url}/admin/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  expect((await jsonOf(post('retrain'))).error).toMatchObject({
    code: 'ARTIFACT_DAMAGED',
    message: expect.stringMatching(wayOut),
  });
  expect(await jsonOf(post('rollback'))).toEqual({ from: damaged, to: hash, stopped: false });
  expect(second.gateway.holder.current.artifactHash).toBe(hash);
  expect(await jsonOf(post('rollback'))).toEqual({ from: hash, to: null, stopped: false });
  expect(second.gateway.holder.current.artifactHash).toBe(base);
  expect((await jsonOf(post('rollback'))).error.code).toBe('NOT_FOUND');
  expect((await jsonOf(post('retrain', { nonsense: 1 }))).error.code).toBe('INVALID_REQUEST');
});

test('the greeting says when the base decides in place of a damaged promoted router', async () => {
  const dataDir = newDataDir();
  const store = await openStore({ dataDir });
  const hash = 'abcdef0123456789';
  mkdirSync(join(artifactsFolder(dataDir), hash), { recursive: true });
  writeFileSync(join(artifactsFolder(dataDir), hash, 'manifest.json'), '{}');
  await addPromotion(store, { kind: 'promoted', artifact: hash, previous: null, verdict: {} });
  await store.close();
  const { output } = await spawnStart(dataDir, {});
  const base = (await loadArtifact()).hash.slice(0, 12);
  expect(output()).toMatch(
    new RegExp(`router +${base}, the base: the promoted router abcdef012345 cannot be used .* retrain --rollback\n`),
  );
  // No stack: a line of it would begin so.
  expect(output()).not.toMatch(/\\n +at |^ +at /m);
});

test('a second start on one data folder is refused and names the first', async () => {
  const dataDir = newDataDir();
  const first = await start({ dataDir });
  const { code, message } = await problem(startGateway({ file: false, env: {}, overrides: { dataDir, port: 0 } }));
  expect(code).toBe('DATABASE_LOCKED');
  expect(message).toContain(String(process.pid));
  expect(message).toContain(first.url);
});

test('a port in use is named, and the data folder let go', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  cleanUps.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const dataDir = newDataDir();
  const refused = await problem(
    startGateway({ file: false, env: {}, overrides: { dataDir, port, logLevel: 'silent' } }),
  );
  expect(refused).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining(`port ${port} is in use`) });
  await start({ dataDir });
});

test('the gateway does not become its own provider', async () => {
  const env = { OPENAI_BASE_URL: 'http://localhost:8787/v1' };
  const { code, message } = await problem(startGateway({ file: false, env, overrides: { dataDir: newDataDir() } }));
  expect(code).toBe('INVALID_CONFIG');
  expect(message).toContain('own address');
});

test('a provider whose models are not in the catalog is told apart from a missing key', async () => {
  const overrides = { dataDir: newDataDir(), providers: { mine: { baseUrl: 'http://127.0.0.1:1/v1' } } };
  const { code, message } = await problem(startGateway({ file: false, env: {}, overrides }));
  expect(code).toBe('INVALID_CONFIG');
  expect(message).toContain('no model of mine');
});
