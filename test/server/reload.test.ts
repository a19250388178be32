/** A running gateway takes up what changes in its configuration file, and lets nobody feel it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type RunningGateway, startGateway } from '../../server/main.ts';
import {
  chat,
  completion,
  hello,
  jsonOf,
  type Script,
  sendJson,
  startSse,
  type Upstream,
  upstream,
  word,
} from './fakes.ts';

const logged: string[] = [];
vi.mock('pino', async (original) => {
  const real = await original<typeof import('pino')>();
  const logging = (options: object) => real.pino(options, { write: (line: string) => void logged.push(line) });
  return { ...real, pino: Object.assign(logging, { destination: real.pino.destination }) };
});
const lines = (message: string) => logged.map((line) => JSON.parse(line)).filter(({ msg }) => msg === message);
const CHANGED = 'the configuration has changed';
const REFUSED = 'a changed configuration is refused; the old one stays';

const cleanUps: (() => unknown)[] = [];
let folder: string;
let file: string;
beforeEach(() => {
  logged.length = 0;
  folder = mkdtempSync(join(tmpdir(), 'pointsman-reload-'));
  file = join(folder, 'pointsman.yaml');
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function host(script: Script): Promise<Upstream> {
  const started = await upstream(script);
  cleanUps.push(started.close);
  return started;
}

const MODEL = 'openai/gpt-5-nano';
/** JSON is YAML. */
const write = (config: object) =>
  writeFileSync(file, JSON.stringify({ port: 0, dataDir: join(folder, 'data'), retry: { retries: 0 }, ...config }));
const openai = ({ url }: Upstream, apiKey = 'test-key') => ({ openai: { baseUrl: url, apiKey } });

async function start(): Promise<RunningGateway> {
  const running = await startGateway({ file, env: {} });
  cleanUps.push(running.close);
  return running;
}

test('keys, aliases, providers and timeouts are taken up; a request in flight ends where it began', async () => {
  let finish = () => {};
  const old = await host((_, response, body) => {
    if (!body.stream) return sendJson(response, completion('old'));
    startSse(response);
    response.write(word('first '));
    finish = () => response.end(`${word('last', 'stop')}data: [DONE]\n\n`);
  });
  const silent = await host((_, response, body) => {
    if (body.model === 'gpt-5-nano') sendJson(response, completion('new'));
  });
  write({ providers: openai(old), timeouts: { totalMs: 30_000 } });
  const { url, reload, gateway } = await start();
  expect((await jsonOf(chat(url, hello(MODEL)))).choices[0].message.content).toBe('old');
  expect((await chat(url, hello('mine'))).status).toBe(404);

  const inFlight = await chat(url, hello(MODEL, { stream: true }));
  const reader = inFlight.body!.getReader();
  await reader.read();
  const before = gateway.setup.providers.get('openai')!;

  write({
    providers: openai(silent),
    aliases: { mine: MODEL },
    keys: [{ name: 'k', key: 'client-key-0123456789' }],
    timeouts: { totalMs: 30_000, answerMs: 200 },
  });
  await reload();
  expect(lines(CHANGED)).toMatchObject([
    {
      applied: expect.arrayContaining(['providers.openai', 'aliases.mine', 'keys', 'timeouts.answerMs']),
      needsRestart: [],
    },
  ]);

  const key = { authorization: 'Bearer client-key-0123456789' };
  expect((await chat(url, hello(MODEL))).status).toBe(401);
  expect((await jsonOf(chat(url, hello('mine'), key))).choices[0].message.content).toBe('new');
  // The new address, with the new patience.
  expect((await chat(url, hello('openai/gpt-5.4-mini'), key)).status).toBe(504);
  expect(old.requests).toHaveLength(2);

  expect(gateway.setup.providers.get('openai')).not.toBe(before);
  finish();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    rest += Buffer.from(value).toString();
  }
  expect(rest).toContain('last');
  expect(rest.endsWith('data: [DONE]\n\n')).toBe(true);
});

test('a file that does not fit is refused with what is wrong with it, and the old one goes on', async () => {
  const one = await host((_, response) => sendJson(response, completion('fine')));
  write({ providers: openai(one) });
  const { url, reload } = await start();
  const bad: [string, RegExp][] = [
    ['providers: [broken', /pointsman\.yaml:\d+:\d+/],
    [JSON.stringify({ maxAttempts: 'many' }), /maxAttempts/],
    [JSON.stringify({ providers: { nobody: { baseUrl: one.url } } }), /nobody/],
    [JSON.stringify({ providers: openai(one), baseline: 'nobody/x' }), /baseline/],
    ['', /empty/],
  ];
  for (const [text, reason] of bad) {
    writeFileSync(file, text);
    await reload();
    expect(lines(REFUSED).at(-1)?.reason).toMatch(reason);
    expect((await jsonOf(chat(url, hello(MODEL)))).choices[0].message.content).toBe('fine');
  }
  expect(lines(CHANGED)).toHaveLength(0);
  // And it still hears of a good one.
  write({ providers: openai(one), aliases: { mine: MODEL } });
  await reload();
  expect((await chat(url, hello('mine'))).status).toBe(200);
});

test('a web page is kept out as soon as nobody is asked for a key any more, and let in once they are', async () => {
  const one = await host((_, response) => sendJson(response, completion('fine')));
  const keys = [{ name: 'k', key: 'client-key-0123456789' }];
  write({ providers: openai(one), keys });
  const { url, reload } = await start();
  const key = { authorization: 'Bearer client-key-0123456789' };
  const fromPage = async () => (await chat(url, hello(MODEL), { ...key, origin: 'https://page.example' })).status;
  expect(await fromPage()).toBe(200);
  write({ providers: openai(one) });
  await reload();
  expect(await fromPage()).toBe(403);
  write({ providers: openai(one), keys });
  await reload();
  expect(await fromPage()).toBe(200);
});

test('what waits for the next start is named, and the rest of the same change taken up', async () => {
  const one = await host((_, response) => sendJson(response, completion('fine')));
  write({ providers: openai(one) });
  const { url, reload } = await start();
  write({ providers: openai(one), port: 1, dataDir: join(folder, 'elsewhere'), aliases: { mine: MODEL } });
  await reload();
  expect(lines(CHANGED)).toMatchObject([
    { applied: ['aliases.mine'], needsRestart: expect.arrayContaining(['port', 'dataDir']) },
  ]);
  expect((await chat(url, hello('mine'))).status).toBe(200);
});

test('the providers of before are closed once no request can be with them any more', async () => {
  const one = await host((_, response) => sendJson(response, completion('fine')));
  write({ providers: openai(one), timeouts: { totalMs: 600 } });
  const { reload, gateway } = await start();
  const before = gateway.setup.providers.get('openai')!;
  const began = performance.now();
  const reallyClose = before.close.bind(before);
  const close = vi.spyOn(before, 'close');
  const closedAfterMs = new Promise<number>((resolve) => {
    close.mockImplementation(() => {
      resolve(performance.now() - began);
      return reallyClose();
    });
  });
  // A shorter time now; a request that began before may still take the longer one.
  write({ providers: openai(one, 'another-key'), timeouts: { totalMs: 50 } });
  await reload();
  expect(gateway.setup.providers.get('openai')).not.toBe(before);
  expect(await closedAfterMs).toBeGreaterThanOrEqual(599);
  expect(close).toHaveBeenCalledTimes(1);
});

test('under load nobody is refused while it changes again and again', async () => {
  const hosts = [
    await host((_, response) => sendJson(response, completion('fine'))),
    await host((_, response) => sendJson(response, completion('fine'))),
  ];
  write({ providers: openai(hosts[0]!), logLevel: 'warn' });
  const { url, reload } = await start();
  let going = true;
  const statuses = new Map<number, number>();
  const load = Array.from({ length: 4 }, async () => {
    while (going) {
      const { status } = await chat(url, hello('auto'));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  });
  for (let i = 1; i <= 5; i++) {
    write({ providers: openai(hosts[i % 2]!, `key-${i}-0123456789`), logLevel: 'warn' });
    await reload();
  }
  going = false;
  await Promise.all(load);
  expect([...statuses.keys()]).toEqual([200]);
  expect(hosts.every(({ requests }) => requests.length > 0)).toBe(true);
});
