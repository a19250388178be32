/** The log: one line a request, whatever somebody puts into it, and nothing that is secret. */
import { request as rawRequest } from 'node:http';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { logLines } from '../../../server/telemetry/log-lines.ts';
import { candidate, chat, completion, gatewayOver, hello, type Script, sendJson, until, upstream } from '../fakes.ts';

/** What the log's file descriptor got. */
const written: string[] = [];
vi.mock('pino', async (original) => {
  const real = await original<typeof import('pino')>();
  const destination = () => ({ write: (text: string) => void written.push(text) });
  const logging = (options: object, stream: { write(line: string): void }) => real.pino(options, stream);
  return { ...real, pino: Object.assign(logging, { destination }) };
});

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  written.length = 0;
});

const fine: Script = (_, response) => sendJson(response, completion('All is well'));
/** Control characters, and those that end a line or turn it round. */
const ACTED_ON = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const KEY = 'a-key-of-a-client-0123456789';

async function start(script: Script = fine) {
  const host = await upstream(script);
  const gateway = await gatewayOver([candidate('one/cheap', 1)], {
    upstreams: { one: host.url },
    config: {
      logLevel: 'info',
      retry: { retries: 0 },
      keys: [{ name: 'search\n{"level":30,"msg":"forged"}', key: KEY, tenant: 'search' }],
    },
  });
  cleanUps.push(host.close, gateway.close);
  return gateway;
}

const as = { authorization: `Bearer ${KEY}` };
const lines = () =>
  written
    .join('')
    .split('\n')
    .filter((line) => line !== '');
/** Each must be JSON. */
const parsed = () => lines().map((line) => JSON.parse(line) as Record<string, unknown>);

const answers = () => parsed().filter(({ msg }) => msg === 'answered');

test('says of a request whose it was, who answered, what it took and what it cost', async () => {
  const { url } = await start();
  const id = (await chat(url, hello('auto'), as)).headers.get('x-request-id');
  await chat(url, hello('no-such-model'), as);
  await until(() => answers().length === 2);
  const [answered, refused] = answers();
  expect(answered).toMatchObject({
    ...{ msg: 'answered', reqId: id, method: 'POST', path: '/v1/chat/completions', status: 200, model: 'one/cheap' },
    ...{ surface: 'chat', team: 'search', provider: 'one', code: null, attempts: 1, inputTokens: 10, outputTokens: 5 },
    cached: false,
  });
  expect(answered!.costUsd).toBeCloseTo(20e-6, 9);
  expect(answered!.ms).toBeGreaterThan(0);
  expect(refused).toMatchObject({ status: 404, code: 'UNKNOWN_MODEL', attempts: 0, costUsd: 0 });
});

test('cannot be made to say what did not happen', async () => {
  const { url } = await start((_, response) => sendJson(response, { error: { message: 'a\n{"msg":"forged"}' } }, 500));
  const forged = 'x\n{"level":30,"msg":"forged"}\r\n\u001b[2J\u001b]0;x\u0007\u2028\u0085\u009b31m\u202e';
  await chat(url, hello(`one/${forged}`), { ...as, 'user-agent': 'a\u009b2Jb' });
  await chat(url, hello('one/c\u009bd\u2028e'), as);
  await chat(url, hello('auto', { user: forged, metadata: { user_id: forged } }), as);
  // Not what `fetch` would send: a byte of a terminal's in the path is no HTTP, and escaped it stays escaped.
  const get = (path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const { hostname, port } = new URL(url);
      const asked = rawRequest({ hostname, port, path, headers: as }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.on('error', reject);
      asked.end();
    });
  expect(await get('/v1/\u009b31m?key=secret')).toBe(400);
  expect(await get(`/v1/%0a%1b%5b2J/${'x/'.repeat(1000)}?key=secret`)).toBe(404);
  await until(() => answers().length === 4);
  const text = written.join('');
  for (const line of lines()) expect(line).not.toMatch(ACTED_ON);
  expect(parsed().every(({ msg, level }) => msg !== 'forged' && typeof level === 'number')).toBe(true);
  expect(text).not.toContain('key=secret');
  expect(text).not.toContain(KEY);
  expect(text).not.toContain('Say hello');
  for (const { path } of parsed()) expect(String(path ?? '').length).toBeLessThanOrEqual(500);
});

test('a line is the same to a reader of JSON, and one line to a terminal', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (key, text) => {
      let out = '';
      const line = `${JSON.stringify({ [`k${key}`]: text })}\n`;
      logLines({ write: (piece) => (out += piece) }).write(line);
      expect(JSON.parse(out)).toEqual(JSON.parse(line));
      expect(out.slice(0, -1)).not.toMatch(ACTED_ON);
    }),
  );
});
