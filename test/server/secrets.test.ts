/** Plants secrets wherever one can be, lets requests succeed and fail in many ways, and looks for them wherever one could turn up. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { maskFor } from '../../server/providers/mask.ts';
import { programFile } from '../run/shared.ts';
import { startPostgres } from './db/stores.ts';
import { completion, type Script, sendJson, startSse, type Upstream, upstream, word } from './fakes.ts';

const logged: string[] = [];
vi.mock('pino', async (original) => {
  const real = await original<typeof import('pino')>();
  const logging = (options: object) => real.pino(options, { write: (line: string) => void logged.push(line) });
  return { ...real, pino: Object.assign(logging, { destination: real.pino.destination }) };
});

const root = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAM = await programFile();
const folder = mkdtempSync(join(tmpdir(), 'pointsman-secrets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const planted = (name: string) => `planted-${name}-0123456789/+=abcdef`;
const KEYS = Object.fromEntries(
  [
    'openai',
    'anthropic',
    'google',
    'azure',
    'bedrock',
    'vertex',
    'cohere',
    'minimax',
    'mistral',
    'openrouter',
    'first',
    'second',
    'header',
    'proxied',
    'aws-secret',
    'aws-session',
  ].map((name) => [name, planted(name)]),
) as Record<string, string>;
const CLIENT_KEY = planted('client');
const PROXY_PASSWORD = 'planted-proxy-password';
const DB_PASSWORD = 'planted-db-password';
const COOKIE = planted('cookie');
const SECRETS = [...Object.values(KEYS), CLIENT_KEY, PROXY_PASSWORD, DB_PASSWORD, COOKIE];
/** Words of the conversation: theirs, not ours to keep. */
const PROMPT = 'zebra-prompt-marker';
const ANSWER = 'okapi-answer-marker';

/** However it is written. */
const spellings = (secret: string) => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString('base64'),
  JSON.stringify(secret).slice(1, -1),
];
function expectNone(text: string, where: string, needles: readonly string[] = SECRETS.flatMap(spellings)): void {
  for (const needle of needles) {
    const at = text.indexOf(needle);
    if (at >= 0)
      throw new Error(`${where} holds a secret: …${text.slice(Math.max(0, at - 150), at + needle.length + 20)}…`);
  }
}

/** An upstream that quotes all it was sent, however it fails. */
const parrot: Script = (request, response, body) => {
  const heard = Object.entries(request.headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ');
  const key = String(
    request.headers.authorization ??
      request.headers['x-api-key'] ??
      request.headers['api-key'] ??
      request.headers['x-goog-api-key'] ??
      'none',
  ).replace('Bearer ', '');
  const way = /way-([a-z0-9-]+)/.exec(`${body.model ?? ''}${request.url}`)?.[1] ?? 'ok';
  // Read by whichever protocol it is told in.
  const error = {
    message: `${heard}; you said ${JSON.stringify(body)}`,
    type: key,
    code: key,
    param: key,
    status: key,
  };
  const told = { ...error, type: 'error', error };
  response.setHeader('x-request-id', key);
  response.setHeader('www-authenticate', `Bearer realm="${key}"`);
  response.setHeader('retry-after', key);
  response.setHeader('x-amzn-errortype', key);
  const status = Number(/^\d{3}/.exec(way)?.[0] ?? 200);
  if (way === 'ok') return sendJson(response, completion(ANSWER));
  if (way === 'text') return void response.writeHead(401, { 'content-type': 'text/plain' }).end(heard);
  if (way === 'page') return void response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${heard}</p>`);
  if (way === 'redirect') return void response.writeHead(302, { location: `http://127.0.0.1/${key}` }).end();
  if (way === 'told') return sendJson(response, told);
  if (way === 'frame') {
    startSse(response);
    return void response.end(`event: error\ndata: ${JSON.stringify(told)}\n\n`);
  }
  if (way === 'break') {
    startSse(response);
    response.write(word(ANSWER));
    return void response.end(`data: ${JSON.stringify({ error })}\n\n`);
  }
  if (way === 'close') return void response.destroy();
  sendJson(response, told, status);
};

/** A corporate proxy that lets nobody through, and says who it was. */
async function proxy() {
  const server = createServer((request, response) => {
    response
      .writeHead(407, { 'proxy-authenticate': String(request.headers['proxy-authorization']) })
      .end(String(request.headers['proxy-authorization']));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => new Promise((resolve) => server.close(resolve)) };
}

const WAYS = [
  'ok',
  '400',
  '401',
  '403',
  '404',
  '413',
  '422',
  '429',
  '500',
  '529',
  'text',
  'page',
  'redirect',
  'told',
  'close',
];
const STREAM_WAYS = ['frame', 'break', '401', 'page'];
const PROVIDERS = [
  'openai',
  'anthropic',
  'google',
  'azure',
  'amazon-bedrock',
  'google-vertex',
  'cohere',
  'minimax',
  'mistral',
  'openrouter',
  'mine',
  'signed',
  'proxied',
];

describe('a gateway full of secrets', () => {
  let host: Upstream;
  let file: string;
  let url: string;
  let closeAll: () => Promise<void>;
  let rows: () => Promise<string>;
  /** Every reply, head and body. */
  const replies: string[] = [];

  beforeAll(async () => {
    const { startGateway } = await import('../../server/main.ts');
    host = await upstream(parrot);
    const through = await proxy();
    const postgres = await startPostgres();
    const database = new URL(await postgres.createDatabase());
    const admin = new pg.Client({ connectionString: database.href });
    await admin.connect();
    await admin.query(`create role planted login superuser password '${DB_PASSWORD}'`);
    database.username = 'planted';
    database.password = DB_PASSWORD;
    const at = (key: string, more: object = {}) => ({ baseUrl: host.url, apiKey: key, ...more });
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', KEYS['aws-secret']!);
    vi.stubEnv('AWS_SESSION_TOKEN', KEYS['aws-session']!);
    const config = {
      port: 0,
      dataDir: join(folder, 'data'),
      databaseUrl: database.href,
      logLevel: 'trace',
      retry: { retries: 0 },
      keys: [{ name: 'client', key: CLIENT_KEY }],
      providers: {
        openai: at(KEYS.openai!),
        anthropic: at(KEYS.anthropic!),
        google: at(KEYS.google!),
        azure: at(KEYS.azure!),
        'amazon-bedrock': at(KEYS.bedrock!, { region: 'eu-central-1' }),
        'google-vertex': at(KEYS.vertex!, { project: 'p' }),
        cohere: at(KEYS.cohere!),
        minimax: at(KEYS.minimax!),
        mistral: at(KEYS.mistral!),
        openrouter: at(KEYS.openrouter!),
        mine: {
          baseUrl: host.url,
          keys: [{ apiKey: KEYS.first }, { apiKey: KEYS.second }],
          headers: { 'x-auth-token': KEYS.header },
        },
        signed: { type: 'bedrock', baseUrl: host.url, region: 'eu-central-1' },
        proxied: {
          baseUrl: 'http://proxied.example.com/v1',
          apiKey: KEYS.proxied,
          proxy: `http://user:${PROXY_PASSWORD}@127.0.0.1:${through.port}`,
        },
      },
    };
    mkdirSync(join(folder, 'data'));
    file = join(folder, 'pointsman.yaml');
    writeFileSync(file, JSON.stringify(config));
    const running = await startGateway({ file, env: { ...process.env } as Record<string, string> });
    url = running.url;
    rows = async () => {
      await running.store.flush();
      const { rows: tables } = await admin.query<{ name: string }>(
        `select table_schema || '.' || quote_ident(table_name) as name from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema')`,
      );
      const found: unknown[] = [];
      for (const { name } of tables) found.push(name, (await admin.query(`select * from ${name}`)).rows);
      return JSON.stringify(found);
    };
    closeAll = async () => {
      await running.close();
      await admin.end();
      await host.close();
      await through.close();
      await postgres.remove();
    };
  }, 120_000);
  afterAll(async () => {
    vi.unstubAllEnvs();
    await closeAll?.();
  });

  async function ask(path: string, body: object | null, key = CLIENT_KEY): Promise<number> {
    const response = await fetch(url + path, {
      method: body === null ? 'GET' : 'POST',
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        authorization: `Bearer ${key}`,
        cookie: COOKIE,
        'x-forwarded-secret': COOKIE,
        'openai-beta': 'x=1',
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text().catch((error) => String(error));
    replies.push(`${path.split('?')[0]} → ${response.status} ${JSON.stringify([...response.headers])} ${text}`);
    return response.status;
  }
  const messages = [{ role: 'user', content: PROMPT }];

  test.each(PROVIDERS)('%s: no way of failing lets one out', async (provider) => {
    const statuses = new Set<number>();
    const before = host.requests.length;
    for (const way of WAYS) {
      const model = `${provider}/way-${way}`;
      statuses.add(await ask('/v1/chat/completions', { model, messages }));
      statuses.add(await ask('/v1/messages', { model, messages, max_tokens: 5 }));
      statuses.add(await ask('/v1/responses', { model, input: PROMPT }));
    }
    for (const way of STREAM_WAYS)
      statuses.add(await ask('/v1/chat/completions', { model: `${provider}/way-${way}`, messages, stream: true }));
    await ask('/v1/embeddings', { model: `${provider}/way-401`, input: PROMPT });
    // It was called, and it did fail: else nothing would have been tried. The proxy lets nobody through.
    expect(host.requests.length > before || provider === 'proxied').toBe(true);
    expect([...statuses].some((status) => status >= 400)).toBe(true);
    for (const reply of replies.splice(0)) expectNone(reply, 'a reply');
  });

  test('what the upstream was sent held them, so that there was something to find', () => {
    const sent = JSON.stringify(host.requests);
    for (const name of [
      'openai',
      'anthropic',
      'google',
      'azure',
      'bedrock',
      'vertex',
      'cohere',
      'minimax',
      'mistral',
      'openrouter',
      'header',
    ]) {
      expect(sent).toContain(KEYS[name]);
    }
    expect(sent.includes(KEYS.first!) || sent.includes(KEYS.second!)).toBe(true);
    // Whose key it is decides who calls; it goes no further, nor does anything else of the client's head.
    expectNone(sent, 'a request to a provider', [
      ...spellings(CLIENT_KEY),
      ...spellings(COOKIE),
      ...spellings(PROXY_PASSWORD),
    ]);
  });

  test('other endpoints: what goes wrong there tells none either', async () => {
    await ask('/v1/chat/completions', { model: 'auto', messages });
    await ask('/v1/chat/completions', { model: 'auto', messages, stream: true });
    await ask('/v1/chat/completions', { model: 'auto', messages }, planted('nobody'));
    await ask('/v1/chat/completions', { model: 'auto', messages, routing: { session: 5 } });
    await ask('/v1/messages/count_tokens', { model: 'anthropic/way-401', messages });
    await ask('/v1/files', null);
    await ask('/v1/audio/speech', { model: 'openai/way-401', input: PROMPT });
    await ask('/v1/models', null);
    await ask('/v1/models/openai/way-401', null);
    await ask('/v1/route', { messages });
    await ask(`/v1/decisions/${'a'.repeat(32)}?key=${encodeURIComponent(CLIENT_KEY)}`, null);
    await ask('/healthz', null);
    await ask('/readyz', null);
    for (const reply of replies.splice(0)) expectNone(reply, 'a reply');
  });

  test('the log holds none, nor a word of what was said', () => {
    const log = logged.join('');
    expect(log).toContain('"msg":"answered"');
    expect(log).toContain('the provider refused its key');
    expectNone(log, 'the log');
    expectNone(log, 'the log', [PROMPT, ANSWER]);
  });

  test('the database and the spool hold none, nor a word of what was said', async () => {
    const stored = await rows();
    expect(stored).toContain('way-401');
    expectNone(stored, 'the database');
    expectNone(stored, 'the database', [PROMPT, ANSWER]);
    for (const path of readdirSync(join(folder, 'data'), { recursive: true, encoding: 'utf8' })) {
      const full = join(folder, 'data', path);
      if (!statSync(full).isFile()) continue;
      const text = readFileSync(full, 'latin1');
      expectNone(text, path);
      expectNone(text, path, [PROMPT, ANSWER]);
    }
  });

  test('pointsman config check tells what would be done, and none of them', async () => {
    const output = await new Promise<string>((resolve) => {
      const args = [PROGRAM, 'config', 'check', file];
      execFile(process.execPath, args, { cwd: root, env: { PATH: process.env.PATH } }, (_, out, err) =>
        resolve(out + err),
      );
    });
    expect(output).toContain('providers on');
    expectNone(output, 'the output of config check');
  });
});

test('a start that fails does not tell the password of its database, nor of its proxy', async () => {
  const { startGateway } = await import('../../server/main.ts');
  const refusal = (config: object) =>
    startGateway({
      file: false,
      env: {},
      overrides: { port: 0, dataDir: join(folder, 'refused'), logLevel: 'silent', ...config },
    }).then(
      async (running) => {
        await running.close();
        throw new Error('it started');
      },
      (error: Error) => `${error.stack} ${JSON.stringify(error)} ${String((error.cause as Error)?.stack ?? '')}`,
    );
  for (const databaseUrl of [`postgres://u:${DB_PASSWORD}@127.0.0.1:1/db`, `postgres://u:${DB_PASSWORD}@[broken/db`])
    expectNone(await refusal({ databaseUrl }), 'the refusal');
  expectNone(
    await refusal({ providers: { mine: { baseUrl: 'http://127.0.0.1:1', apiKey: `${KEYS.first} two words` } } }),
    'the refusal',
  );
  expectNone(await refusal({ providers: { mine: { baseUrl: 'nonsense', apiKey: KEYS.first } } }), 'the refusal');
});

describe('a provider’s mask', () => {
  const key = (text: string | undefined) => ({ id: '', weight: 1, key: text });

  test('replaces every spelling, the longer of two keys first', () => {
    const mask = maskFor([key('secret-1234'), key('secret-1234-long'), key('a/b+c="d')], {}, {});
    expect(mask('x secret-1234-long y secret-1234 z')).toBe('x *** y *** z');
    expect(mask(`u=${encodeURIComponent('a/b+c="d')} ${JSON.stringify('a/b+c="d')}`)).toBe('u=*** "***"');
  });

  test('takes headers that hold a secret, and leaves placeholders and plain headers alone', () => {
    const headers = { 'x-auth-token': 'token-12345', authorization: 'Bearer other-67890', 'x-team': 'searchers' };
    const mask = maskFor([key('none'), key(undefined)], { headers }, { AWS_SECRET_ACCESS_KEY: 'aws-secret-1' });
    expect(mask('none of searchers: token-12345 other-67890 aws-secret-1')).toBe('none of searchers: *** *** ***');
  });
});
