/** What doctor says of providers that answer in every way, of data folders in every state; and that it tells no secret. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../../server/config/index.ts';
import { acquireLock } from '../../../server/db/lock.ts';
import { addProviderKey } from '../../../server/db/provider-keys.ts';
import { openStore } from '../../../server/db/store.ts';
import type { Check } from '../../../server/doctor/check.ts';
import { examine } from '../../../server/doctor/index.ts';
import { examineProviders } from '../../../server/doctor/providers.ts';
import { Secrets } from '../../../server/doctor/secrets.ts';
import { examineStorage } from '../../../server/doctor/storage.ts';
import { providersFrom } from '../../../server/providers/index.ts';
import { programFile } from '../../run/shared.ts';
import { storeKinds, tempDir } from '../db/stores.ts';

const PROGRAM = await programFile();

const KEY = 'sk-planted-0123456789';
const SECRET = 'planted-operator-secret-of-32-letters';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

let folder: string;
beforeEach(async () => {
  folder = await tempDir();
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

interface Said {
  readonly status?: number;
  readonly type?: string;
  readonly body?: string;
  readonly headers?: object;
}

async function host(answer: (seen: Seen) => Said | null | Promise<Said>) {
  const seen: Seen[] = [];
  const listener: RequestListener = async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    const { method = '', url = '', headers } = request;
    const one = { method, url, authorization: headers.authorization ?? String(headers['x-api-key'] ?? ''), body };
    seen.push(one);
    const said = await answer(one);
    if (said === null) return;
    const { status = 200, type = 'application/json', body: text = '{"data":[]}', headers: more } = said;
    response.writeHead(status, { 'content-type': type, ...more });
    response.end(text);
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, seen };
}

type Providers = NonNullable<NonNullable<Parameters<typeof readConfig>[0]>['overrides']>['providers'];

async function checksOf(providers: Providers, more: { env?: object; timeoutMs?: number; online?: boolean } = {}) {
  const env = (more.env ?? {}) as Record<string, string>;
  const config = readConfig({ file: false, env, overrides: { providers } });
  const setup = providersFrom(config, env);
  cleanUps.push(() => Promise.all([...setup.on.values()].map((one) => one.close())));
  const { timeoutMs = 20_000, online = true } = more;
  return await examineProviders(config, setup, { env, online, timeoutMs });
}

const named = (checks: readonly Check[], name: string) => checks.filter((check) => check.name === name);

describe('a provider', () => {
  test.each<[string, () => Said | null, Check['status'], RegExp]>([
    ['accepts the key', () => ({}), 'ok', /key accepted/],
    ['refuses it', () => ({ status: 401, body: `{"error":"bad key ${KEY}"}` }), 'problem', /refused \(status 401\)/],
    ['forbids it', () => ({ status: 403 }), 'problem', /refused \(status 403\)/],
    [
      'refuses it as Google does',
      () => ({ status: 400, body: '{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}' }),
      'problem',
      /refused/,
    ],
    ['hangs', () => null, 'problem', /no answer in 0\.\d s/],
    [
      'redirects',
      () => ({ status: 302, headers: { location: `http://127.0.0.1:9/?key=${KEY}` } }),
      'problem',
      /redirect \(status 302\)/,
    ],
    ['is a web page', () => ({ type: 'text/html', body: '<html>log in</html>' }), 'problem', /not as this API/],
    [
      'knows no such path',
      () => ({ status: 404, body: 'not found', type: 'text/plain' }),
      'problem',
      /not as this API/,
    ],
    ['is out of order', () => ({ status: 503 }), 'problem', /an error \(status 503\)/],
    ['is busy', () => ({ status: 429 }), 'ok', /key accepted/],
  ])('that %s', async (what, answer, status, words) => {
    const { url } = await host(answer);
    const timeoutMs = what === 'hangs' ? 500 : 20_000;
    const [check] = named(await checksOf({ mine: { baseUrl: url, apiKey: KEY } }, { timeoutMs }), 'mine');
    expect(check).toMatchObject({ area: 'providers', status });
    expect(check!.found).toMatch(words);
    expect(check!.found).toContain(url);
    expect(check!.found).toContain('key from providers.mine.apiKey in the configuration');
    expect(typeof check!.mend === 'string').toBe(status === 'problem');
    expect(JSON.stringify(check)).not.toContain(KEY);
  });

  test('that nobody is at', async () => {
    const [check] = named(await checksOf({ mine: { baseUrl: 'http://127.0.0.1:1/v1', apiKey: KEY } }), 'mine');
    expect(check).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('cannot be reached (ECONNREFUSED)'),
    });
  });

  test('whose list of models is not to be had is asked for an empty answer, which costs nothing', async () => {
    const { url, seen } = await host(({ method }) => (method === 'GET' ? { status: 404 } : { status: 400 }));
    const [check] = named(await checksOf({ mine: { baseUrl: url, apiKey: KEY } }), 'mine');
    expect(check).toMatchObject({ status: 'ok' });
    expect(seen).toEqual([
      { method: 'GET', url: '/v1/models', authorization: `Bearer ${KEY}`, body: '' },
      { method: 'POST', url: '/v1/chat/completions', authorization: `Bearer ${KEY}`, body: '{}' },
    ]);
  });

  test('is asked as its protocol has it', async () => {
    const { url, seen } = await host(({ url: path }) => ({ status: path.includes('converse') ? 400 : 200 }));
    await checksOf({
      anthropic: { baseUrl: url, apiKey: KEY },
      google: { baseUrl: url, apiKey: KEY },
      openrouter: { baseUrl: url, apiKey: KEY },
      cohere: { baseUrl: url, apiKey: KEY },
      aws: { type: 'bedrock', baseUrl: url, apiKey: KEY },
      clouded: { type: 'azure', baseUrl: url, apiKey: KEY, apiVersion: '2026-01-01' },
    });
    expect(new Set(seen.map(({ method, url: path }) => `${method} ${path}`))).toEqual(
      new Set([
        'GET /v1/models',
        'GET /v1/key',
        'POST /v1/chat',
        'POST /v1/model/pointsman-doctor/converse',
        'GET /v1/models?api-version=2026-01-01',
      ]),
    );
  });

  test('with several keys has each tried, all at once', async () => {
    // Nobody is answered before the last has asked.
    let asked = 0;
    let go = () => {};
    const all = new Promise<void>((resolve) => {
      go = resolve;
    });
    const { url } = await host(async ({ authorization }) => {
      if (++asked === 3) go();
      await all;
      return authorization === 'Bearer good-key-1' ? {} : { status: 401 };
    });
    const checks = await checksOf({
      mine: {
        baseUrl: url,
        keys: [
          { name: 'good', apiKey: 'good-key-1', tenant: 'acme' },
          { name: 'slow', apiKey: 'slow-key-1' },
          { name: 'late', apiKey: 'late-key-1' },
        ],
      },
    });
    expect(named(checks, 'mine#good')).toMatchObject([
      { status: 'ok', found: expect.stringContaining('for tenant acme only') },
    ]);
    expect(named(checks, 'mine#slow')).toMatchObject([{ status: 'problem' }]);
    expect(named(checks, 'mine#late')).toMatchObject([{ status: 'problem' }]);
  });

  test('is off for a reason, and to be mended only where somebody wrote it down', async () => {
    const checks = await checksOf({ groq: {}, mistral: { enabled: false } });
    expect(named(checks, 'groq')).toMatchObject([{ status: 'problem', mend: expect.stringContaining('GROQ_API_KEY') }]);
    expect(named(checks, 'mistral')).toMatchObject([
      { status: 'off', found: expect.stringContaining('enabled: false') },
    ]);
    expect(named(checks, 'openai')).toMatchObject([{ status: 'off', found: 'set OPENAI_API_KEY' }]);
    expect(named(checks, 'sandbox')).toMatchObject([{ status: 'note' }]);
  });

  test('is called through the proxy that is in force, which is named without its password', async () => {
    const { url, seen } = await host(() => ({}));
    const proxy = url.replace('http://', 'http://someone:planted-proxy-word@').replace('/v1', '');
    const checks = await checksOf({ mine: { baseUrl: 'http://far.example.com/v1', apiKey: KEY, proxy } });
    const [check] = named(checks, 'mine');
    expect(check).toMatchObject({
      status: 'ok',
      found: expect.stringMatching(/through the proxy http:\/\/127\.0\.0\.1/),
    });
    expect(check!.found).not.toContain('planted-proxy-word');
    expect(seen[0]!.url).toBe('http://far.example.com/v1/models');
  });

  test('offline is not called', async () => {
    const { url, seen } = await host(() => ({}));
    const checks = await checksOf({ mine: { baseUrl: url, apiKey: KEY } }, { online: false });
    expect(named(checks, 'mine')).toMatchObject([{ status: 'note', found: expect.stringContaining('not called') }]);
    expect(seen).toHaveLength(0);
  });

  test('a local server without a key is not said to accept one', async () => {
    const { url } = await host(() => ({}));
    const [check] = named(await checksOf({ ollama: { baseUrl: url } }), 'ollama');
    expect(check!.status).toBe('ok');
    expect(check!.found).not.toContain('key accepted');
  });

  test('whose clock differs is told of; where requests are signed it must be mended', async () => {
    const late = (minutes: number) => ({ date: new Date(Date.now() - minutes * 60_000).toUTCString() });
    const { url } = await host(({ url: path }) =>
      path.includes('converse') ? { status: 400, headers: late(10) } : { headers: late(10) },
    );
    const checks = await checksOf({
      mine: { baseUrl: url, apiKey: KEY },
      aws: { type: 'bedrock', baseUrl: url, apiKey: KEY },
    });
    const found = expect.stringMatching(/clock is (599|600|601) s ahead of/);
    expect(named(checks, 'mine')).toMatchObject([{ status: 'ok' }, { status: 'note', found }]);
    expect(named(checks, 'aws')).toMatchObject([
      { status: 'ok' },
      { status: 'problem', found, mend: expect.any(String) },
    ]);
  });
});

describe('the data folder', () => {
  const look = (config: object = {}, secret?: string) =>
    examineStorage(
      { dataDir: folder, spoolLimitMb: 1, databaseUrl: undefined, ...config },
      { secret, timeoutMs: 20_000 },
    );
  const one = (checks: readonly Check[], name: string) => named(checks, name)[0];

  test('that is not there yet is not made', async () => {
    const dataDir = join(folder, 'new');
    const { checks } = await look({ dataDir });
    expect(one(checks, 'folder')).toMatchObject({ status: 'note' });
    expect(one(checks, 'database')).toMatchObject({ status: 'note', found: expect.stringContaining('embedded') });
    expect(existsSync(dataDir)).toBe(false);
  });

  test('that cannot be made, or is none', async () => {
    writeFileSync(join(folder, 'file'), '');
    expect(one((await look({ dataDir: join(folder, 'file', 'x') })).checks, 'folder')).toMatchObject({
      status: 'problem',
    });
    expect(one((await look({ dataDir: join(folder, 'file') })).checks, 'folder')).toMatchObject({ status: 'problem' });
  });

  test('whose spool is nearly full', async () => {
    mkdirSync(join(folder, 'spool'));
    writeFileSync(join(folder, 'spool', '1.jsonl'), 'x'.repeat(500_000));
    expect(one((await look()).checks, 'spool')).toMatchObject({
      status: 'note',
      found: expect.stringContaining('0.5 of 1 MB'),
    });
    writeFileSync(join(folder, 'spool', '2.jsonl'), 'x'.repeat(400_000));
    expect(one((await look()).checks, 'spool')).toMatchObject({
      status: 'problem',
      mend: expect.stringContaining('spoolLimitMb'),
    });
  });

  test('that a gateway holds is left alone: the gateway is asked', async () => {
    mkdirSync(join(folder, 'db'));
    const lock = acquireLock(folder);
    cleanUps.push(() => lock.release());
    const before = readFileSync(join(folder, 'lock.json'), 'utf8');
    expect(one((await look()).checks, 'database')).toMatchObject({ status: 'note' });
    const ready = { status: 'ready', artifact: 'abc', certificate: { holds: true, reason: 'well' } };
    const { url } = await host(() => ({ body: JSON.stringify(ready) }));
    lock.announce(url.replace('/v1', ''));
    const { checks, running } = await look();
    expect(one(checks, 'database')).toMatchObject({ status: 'ok' });
    expect(running).toMatchObject({ artifact: 'abc', certificate: { holds: true } });
    lock.announce('http://127.0.0.1:1');
    expect(one((await look()).checks, 'database')).toMatchObject({ status: 'problem' });
    expect(JSON.parse(readFileSync(join(folder, 'lock.json'), 'utf8')).token).toBe(JSON.parse(before).token);
    expect(existsSync(join(folder, 'db', 'PG_VERSION'))).toBe(false);
  });

  test('with keys in its database: opened by the right secret only', async () => {
    const store = await openStore({ dataDir: folder });
    await addProviderKey(store.db, SECRET, { provider: 'openai', name: 'team', tenant: null, apiKey: KEY });
    await store.close();
    const right = await look({}, SECRET);
    expect(one(right.checks, 'database')).toMatchObject({ status: 'ok', found: 'embedded; up to date' });
    expect(one(right.checks, 'stored keys')).toMatchObject({ status: 'ok', found: '1 of providers: openai#team' });
    expect(right.stored).toMatchObject([{ provider: 'openai', name: 'team', apiKey: KEY }]);
    for (const secret of [undefined, 'another-operator-secret-of-32-letters']) {
      const wrong = await look({}, secret);
      expect(one(wrong.checks, 'stored keys')).toMatchObject({ status: 'problem' });
      expect(wrong.stored).toEqual([]);
      expect(JSON.stringify(wrong)).not.toContain(KEY);
    }
    // It has let go of the folder again.
    await (await openStore({ dataDir: folder })).close();
  });

  test('PostgreSQL is read and not changed', async () => {
    const { store, options, close } = await storeKinds[1]!.open();
    cleanUps.push(close);
    const { databaseUrl } = options;
    expect(one((await look({ databaseUrl })).checks, 'database')).toMatchObject({
      status: 'ok',
      found: expect.stringMatching(/^PostgreSQL \d+.*test_[0-9a-f]+ at 127\.0\.0\.1:\d+; up to date$/),
    });
    await store.close();
    const bare = databaseUrl!.replace(/\/[^/]*$/, '/postgres');
    const twice = [await look({ databaseUrl: bare }), await look({ databaseUrl: bare })];
    for (const { checks } of twice) {
      expect(one(checks, 'database')).toMatchObject({
        status: 'note',
        found: expect.stringMatching(/(\d+) of \1 migrations to come/),
      });
    }
    const wrong = databaseUrl!
      .replace('postgres:postgres@', 'postgres:planted-password@')
      .replace(/\d+\/test/, '1/test');
    const { checks } = await look({ databaseUrl: wrong });
    expect(one(checks, 'database')).toMatchObject({ status: 'problem', mend: expect.stringContaining('DATABASE_URL') });
    expect(JSON.stringify(checks)).not.toContain('planted-password');
  });
});

describe('the whole of it', () => {
  const PLANTED = {
    fromEnv: 'planted-key-in-environment',
    inFile: 'planted-key-in-the-file',
    header: 'planted-header-value',
    inUrl: 'planted-url-password',
    client: 'planted-client-key-0001',
    database: 'planted-database-password',
  };
  const yaml = (url: string) => `
dataDir: ${join(folder, 'data')}
databaseUrl: postgres://me:${PLANTED.database}@127.0.0.1:1/name
providers:
  mine: {baseUrl: "${url.replace('http://', `http://me:${PLANTED.inUrl}@`)}", apiKey: ${PLANTED.inFile}, headers: {x-team: ${PLANTED.header}}}
  groq: {}
models:
  mine/one: [{provider: groq}]
aliases:
  swift: groq/fast
  wise: auto
keys:
  - {name: team-a, key: ${PLANTED.client}, tenant: acme, models: [auto]}
`;
  const env = { OPENAI_API_KEY: PLANTED.fromEnv };

  test('names what leads nowhere and who may call, and no planted secret gets out', async () => {
    const echo = Object.values(PLANTED).join(' ');
    const { url } = await host(() => ({ status: 401, body: echo, headers: { 'x-echo': echo } }));
    const file = join(folder, 'pointsman.yaml');
    writeFileSync(file, yaml(url));
    const { checks, problems } = await examine({ file, env: { ...env, OPENAI_BASE_URL: url } }, { timeoutMs: 20_000 });
    const said = JSON.stringify(checks);
    for (const secret of Object.values(PLANTED)) expect(said).not.toContain(secret);
    expect(named(checks, 'file')).toMatchObject([{ status: 'ok' }]);
    expect(named(checks, 'mine/one')).toMatchObject([
      { status: 'problem', mend: expect.stringContaining('GROQ_API_KEY') },
    ]);
    expect(named(checks, 'swift')).toMatchObject([{ status: 'problem' }]);
    expect(named(checks, 'wise')).toMatchObject([{ status: 'ok', found: 'alias of auto' }]);
    expect(named(checks, 'team-a')).toMatchObject([{ status: 'ok', found: 'tenant acme; auto' }]);
    expect(named(checks, 'openai')).toMatchObject([
      { status: 'problem', mend: expect.stringContaining('OPENAI_API_KEY') },
    ]);
    expect(named(checks, 'artifact')).toMatchObject([
      { status: 'ok', found: expect.stringMatching(/^[0-9a-f]{12}, the shipped one$/) },
    ]);
    expect(named(checks, 'certificate')).toHaveLength(1);
    expect(problems).toBe(checks.filter(({ status }) => status === 'problem').length);
    for (const { status, mend } of checks) if (status === 'problem') expect(mend).toMatch(/\w/);
  });

  test.each([
    ['a wrong option', (text: string) => `${text}\nnonsense: 1`, /nonsense/],
    ['broken YAML', (text: string) => text.replace('keys:', `broken: "${PLANTED.inFile}\nkeys:`), /:\d+:\d+: /],
  ])('a configuration that is refused is a problem, in its own words: %s', async (_, broken, words) => {
    const file = join(folder, 'pointsman.yaml');
    writeFileSync(file, broken(yaml('http://127.0.0.1:1/v1')));
    const { checks, problems } = await examine({ file, env }, {});
    expect(problems).toBeGreaterThan(0);
    expect(checks.map(({ found }) => found).join('\n')).toMatch(words);
    for (const secret of Object.values(PLANTED)) expect(JSON.stringify(checks)).not.toContain(secret);
  });

  // Not spawnSync: the fake provider answers from this process.
  const doctor = (args: string[], more: object = {}) =>
    new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
      const child = spawn(process.execPath, [PROGRAM, 'doctor', ...args], {
        cwd: folder,
        env: { PATH: process.env.PATH, HOME: folder, ...more } as NodeJS.ProcessEnv,
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (piece) => {
        stdout += piece;
      });
      child.stderr.on('data', (piece) => {
        stderr += piece;
      });
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });

  test('exit code 0 where all is well, 1 where something is to mend; the same as text and as JSON', async () => {
    let accepts = true;
    const { url } = await host(() => ({ status: accepts ? 200 : 401, body: PLANTED.fromEnv }));
    const more = { ...env, OPENAI_BASE_URL: url };
    const well = await doctor([], more);
    expect(well.stderr).toBe('');
    expect(well.stdout).toContain('all is well');
    // Those that nobody has set up are told together.
    expect(well.stdout).toMatch(/^ {2}off {3}\d+ others; a variable of the environment switches each on:$/m);
    expect(well.stdout.match(/ANTHROPIC_API_KEY/g)).toHaveLength(1);
    expect(well.stdout).not.toContain('anthropic: set');
    expect(well.stdout).toContain(`openai: ${url}, key from OPENAI_API_KEY; answers in`);
    expect(well.code).toBe(0);
    accepts = false;
    const ill = await doctor(['--json'], more);
    expect(ill.code).toBe(1);
    expect(JSON.parse(ill.stdout)).toMatchObject({ ok: false, problems: 1 });
    const offline = await doctor(['--offline'], more);
    expect(offline.code).toBe(0);
    for (const { stdout, stderr } of [well, ill, offline]) expect(stdout + stderr).not.toContain(PLANTED.fromEnv);
  });
});

test('a secret that got into a text is struck out, also as part of a URL', () => {
  const secrets = new Secrets();
  secrets.addEnvironment({
    SOME_API_KEY: 'planted/key one',
    PATH_TO_KEY_FILE: '/etc/keys/one.pem',
    HTTPS_PROXY: 'http://me:pass%40word@proxy:3128',
    PGPASSWORD: 'abc',
  });
  secrets.addText('apiKey: "planted-in-yaml"\nurl: postgres://u:planted-db@host/x');
  expect(
    secrets.strike('planted/key one, planted%2Fkey%20one, pass@word, pass%40word, planted-in-yaml, planted-db'),
  ).toBe('***, ***, ***, ***, ***, ***');
  expect(secrets.strike('/etc/keys/one.pem abc')).toBe('/etc/keys/one.pem abc');
});
