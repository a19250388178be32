/** What the gateway refuses, and how it says so; the sandbox; who may call it. */
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Router } from '../../router/index.ts';
import type { Router as RouterType } from '../../router/router.ts';
import { processorMs } from '../processor-time.ts';
import {
  candidate,
  catalogOf,
  chat,
  completion,
  fakeRouter,
  gatewayOver,
  hello,
  jsonOf,
  memoryStore,
  provider,
  sendJson,
  startSse,
  type TestGateway,
  until,
  upstream,
  word,
} from './fakes.ts';

const small = candidate('one/small-model', 1, { contextTokens: 1000 });
const large = candidate('one/large-model', 9, { contextTokens: 50_000 });
const other = candidate('two/other-model', 2);

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(...args: Parameters<typeof gatewayOver>): Promise<TestGateway> {
  const gateway = await gatewayOver(...args);
  cleanUps.push(gateway.close);
  return gateway;
}

describe('a request that cannot be served', () => {
  const post = (gateway: TestGateway, payload: string, headers = { 'content-type': 'application/json' }) =>
    gateway.app.inject({ method: 'POST', url: '/v1/chat/completions', payload, headers });
  const ask = (more: object) => JSON.stringify({ ...hello('auto'), ...more });

  test.each([
    ['JSON that breaks off', '{"model": "auto"', 400, 'MALFORMED_JSON', null],
    ['an empty body', '', 400, 'MALFORMED_JSON', null],
    ['a list', '[]', 400, 'INVALID_REQUEST', 'body'],
    ['no model', '{"messages": [{"role": "user", "content": "x"}]}', 400, 'INVALID_REQUEST', 'model'],
    ['no messages', '{"model": "auto"}', 400, 'INVALID_REQUEST', 'messages'],
    ['an empty list of messages', ask({ messages: [] }), 400, 'INVALID_REQUEST', 'messages'],
    ['empty messages', ask({ messages: [{ role: 'user', content: '' }] }), 400, 'INVALID_REQUEST', 'messages'],
    ['messages that are none', ask({ messages: [null] }), 400, 'INVALID_REQUEST', 'messages.0'],
    ['a stream flag in words', ask({ stream: 'yes' }), 400, 'INVALID_REQUEST', 'stream'],
    ['a model that nobody has', ask({ model: 'no-such-model' }), 404, 'UNKNOWN_MODEL', 'model'],
    ['a provider that nobody knows', ask({ model: 'nowhere/small-model' }), 404, 'UNKNOWN_MODEL', 'model'],
    ['a provider named as every object’s maker', ask({ model: 'constructor/x' }), 404, 'UNKNOWN_MODEL', 'model'],
    ['a provider named as every object’s kind', ask({ model: '__proto__/x' }), 404, 'UNKNOWN_MODEL', 'model'],
    [
      'a prompt beyond every context',
      ask({ messages: [{ role: 'user', content: 'x'.repeat(300_000) }] }),
      400,
      'context_length_exceeded',
      'messages',
    ],
  ])('is refused in OpenAI’s shape: %s', async (_, body, status, code, param) => {
    const host = await upstream((__, response) => sendJson(response, completion()));
    cleanUps.push(host.close);
    const response = await post(await start([small, large], { upstreams: { one: host.url } }), body);
    expect(response.statusCode).toBe(status);
    expect(response.json()).toEqual({
      error: { message: expect.any(String), type: 'invalid_request_error', code, param },
    });
    expect(host.requests).toHaveLength(0);
  });

  test('names the model that was probably meant', async () => {
    const gateway = await start([small, large], { upstreams: { one: 'http://127.0.0.1:1/v1' } });
    for (const [asked, meant] of [
      ['smal-model', 'one/small-model'],
      ['lrg-model', 'one/large-model'],
      ['two/large-model', 'one/large-model'],
      ['aut', 'auto'],
    ]) {
      const { error } = (await post(gateway, ask({ model: asked }))).json();
      expect(error.message).toContain(`Did you mean ${meant}?`);
    }
  });

  test.each([[5], [{ text: 'x' }], [['x']], [[{ text: 'x' }]]])('learns what a message holds: %j', async (content) => {
    const { error } = (await post(await start([small]), ask({ messages: [{ role: 'user', content }] }))).json();
    expect(error).toMatchObject({
      message: 'messages.0.content: must be a text or a list of parts, each with its type',
      param: 'messages.0.content',
    });
  });

  test('learns how ids are written, and that there is auto', async () => {
    const { error } = (await post(await start([small]), ask({ model: 'xyz-1234567890' }))).json();
    expect(error.message).toContain('Ids are provider/model, "auto" has one chosen');
  });

  test('says which key is missing for a model that the catalog has', async () => {
    const gateway = await start([small, other], { upstreams: { one: 'http://127.0.0.1:1/v1' } });
    const response = await post(gateway, ask({ model: 'two/other-model' }));
    expect(response.json().error).toMatchObject({ code: 'PROVIDER_NOT_CONFIGURED', param: 'model' });
    expect((await post(gateway, ask({ model: 'groq/some-model' }))).json().error.message).toContain('GROQ_API_KEY');
  });

  test('is told to send JSON when it sends a form', async () => {
    const response = await post(await start([small]), '{}', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(response.statusCode).toBe(400);
    expect(response.json().error.message).toContain('content-type: application/json');
  });

  test('gets a 413 while it is still being sent', async () => {
    const gateway = await start([small], { config: { bodyLimitMb: 1 } });
    const response = await chat(gateway.url, JSON.stringify({ pad: 'x'.repeat(3 * 1024 * 1024) }));
    expect(response.status).toBe(413);
    expect((await jsonOf(response)).error).toMatchObject({
      code: 'BODY_TOO_LARGE',
      message: expect.stringContaining('1 MB'),
    });
  });

  test.each([
    ['says how long it is', 'content-length: 3000000'],
    ['comes in pieces', 'transfer-encoding: chunked'],
  ])('gets its 413 although it goes on being sent for a while: one that %s', async (_, header) => {
    const gateway = await start([small], { config: { bodyLimitMb: 1 } });
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    let received = '';
    let isOpen = true;
    socket.on('data', (piece) => {
      received += piece;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      isOpen = false;
    });
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${header}\r\n\r\n`,
    );
    const isChunked = header.includes('chunked');
    for (let i = 0; i < 30; i++) {
      expect(isOpen).toBe(true);
      const piece = 'x'.repeat(100_000);
      socket.write(isChunked ? `${piece.length.toString(16)}\r\n${piece}\r\n` : piece);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    if (isChunked) socket.write('0\r\n\r\n');
    await until(() => received.includes('BODY_TOO_LARGE'));
    expect(received).toContain('HTTP/1.1 413');
  });

  test('is not listened to for ever: a body beyond four times the limit, or one that drips', async () => {
    const gateway = await start([small], { config: { bodyLimitMb: 0.001 } });
    const send = async (pieces: number, pauseMs: number) => {
      const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
      let received = '';
      let open = true;
      socket.on('data', (piece) => {
        received += piece;
      });
      socket.on('error', () => {});
      socket.on('close', () => {
        open = false;
      });
      socket.write(
        'POST /v1/route HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n',
      );
      for (let i = 0; i < pieces; i++) {
        socket.write('x'.repeat(500));
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      await until(() => !open);
      return received;
    };
    const [fast, slow] = await Promise.all([send(20, 1), send(3, 100)]);
    expect(fast).toContain('HTTP/1.1 413');
    expect(slow).toContain('HTTP/1.1 413');
  });

  test('gets a JSON 404 at an endpoint that is not there, and a JSON 400 for a broken path', async () => {
    const gateway = await start([small]);
    expect((await gateway.app.inject('/v1/nothing')).json().error.code).toBe('NOT_FOUND');
    expect((await gateway.app.inject('/v1/models/%zz')).json().error.code).toBe('INVALID_REQUEST');
  });

  test.each([
    ['auto', 502],
    ['one/small-model', 502],
  ])('says which provider refused its key, and what holds that: %s', async (model, status) => {
    const host = await upstream((_, response) => sendJson(response, { error: { message: 'Invalid key' } }, 401));
    cleanUps.push(host.close);
    const one = provider('one', host.url, 'wrong', 'ONE_API_KEY');
    const gateway = await start([small], { providers: new Map([['one', one]]) });
    const response = await chat(gateway.url, hello(model));
    expect(response.status).toBe(status);
    expect((await jsonOf(response)).error.message).toBe(
      'one answered 401: Invalid key (one refused its key; check ONE_API_KEY)',
    );
  });

  test('gets an answer even when it is not HTTP', async () => {
    const gateway = await start([small]);
    const { port } = new URL(gateway.url);
    const text = await new Promise<string>((resolve) => {
      let received = '';
      const socket = connect(Number(port), '127.0.0.1', () => socket.write('NONSENSE\r\n\r\n'));
      socket.on('data', (piece) => {
        received += piece;
      });
      socket.on('close', () => resolve(received));
    });
    expect(text).toContain('HTTP/1.1 400');
    expect(text).toContain('"code":"INVALID_REQUEST"');
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  });
});

describe('only this machine', () => {
  test.each([
    [{ host: 'evil.example' }, 403],
    [{ host: '127.0.0.1.evil.example' }, 403],
    [{ host: 'localhost.evil.example:8787' }, 403],
    [{ host: '10.0.0.7:8787' }, 403],
    [{ host: 'localhost:8787' }, 200],
    [{ host: '127.0.0.1:8787' }, 200],
    [{ host: '[::1]:8787' }, 200],
    [{ host: 'localhost', origin: 'https://evil.example' }, 403],
    [{ host: 'localhost', origin: 'null' }, 403],
    [{ host: 'localhost', origin: 'http://localhost.evil.example' }, 403],
    [{ host: 'localhost', origin: 'http://localhost:3000' }, 200],
  ])('%j is answered %i', async (headers, status) => {
    const gateway = await start([small]);
    const response = await gateway.app.inject({ url: '/v1/models', headers });
    expect(response.statusCode).toBe(status);
    if (status === 403) expect(response.json().error.code).toBe('FORBIDDEN_ORIGIN');
  });

  test('is lifted where the operator says that something else keeps strangers out', async () => {
    const gateway = await start([small], { config: { allowPublic: true } });
    const response = await gateway.app.inject({ url: '/v1/models', headers: { host: 'gateway.example' } });
    expect(response.statusCode).toBe(200);
  });
});

describe('without a provider', () => {
  test('the sandbox answers, marks itself, counts tokens, costs nothing and claims no saving', async () => {
    const gateway = await start([small, other]);
    const response = await chat(gateway.url, hello('auto'));
    expect(response.headers.get('x-pointsman-sandbox')).toBe('true');
    for (const name of ['cost-usd', 'estimated-saving-usd', 'baseline']) {
      expect(response.headers.has(`x-pointsman-${name}`)).toBe(false);
    }
    expect(response.headers.get('x-pointsman-artifact')).toBe('fake');
    expect(gateway.decisions).toMatchObject([{ routed: true, baselineCostUsd: null }]);
    const body = await jsonOf(response);
    expect(body.model).toBe('one/small-model');
    expect(body.choices[0].message.content).toMatch(/^\[pointsman sandbox\].*one\/small-model/);
    expect(body.usage.prompt_tokens).toBe(3); // 'Say hello': 9 characters / 4
    expect(gateway.attempts).toMatchObject([{ provider: 'sandbox', costUsd: 0, status: 'ok' }]);
  });

  test('the sandbox streams, and answers for a named model of the catalog', async () => {
    const gateway = await start([small, other]);
    const text = await (await chat(gateway.url, hello('two/other-model', { stream: true }))).text();
    expect(text).toContain('sandbox]');
    expect(text).toContain('"model":"two/other-model"');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect((await chat(gateway.url, hello('two/unheard-of'))).status).toBe(404);
  });
});

describe('GET /v1/models', () => {
  test('lists auto and the models that can be called', async () => {
    const gateway = await start([small, large, other], { upstreams: { one: 'http://127.0.0.1:1/v1' } });
    const { object, data } = (await gateway.app.inject('/v1/models')).json();
    expect(object).toBe('list');
    expect(data.map(({ id }: { id: string }) => id)).toEqual(['auto', 'one/small-model', 'one/large-model']);
    expect((await gateway.app.inject('/v1/models/one%2Fsmall-model')).json()).toMatchObject({ context_length: 1000 });
    expect((await gateway.app.inject('/v1/models/one/small-model')).json()).toMatchObject({ owned_by: 'one' });
    expect((await gateway.app.inject('/v1/models/one-small-model')).statusCode).toBe(404);
  });
});

describe('POST /v1/route', () => {
  test('explains the decision, calls nobody and writes nothing', async () => {
    const host = await upstream((_, response) => sendJson(response, completion()));
    cleanUps.push(host.close);
    const gateway = await start([small, large], { upstreams: { one: host.url } });
    const response = await gateway.app.inject({ method: 'POST', url: '/v1/route', payload: hello('auto') });
    expect(response.json()).toMatchObject({
      routed: true,
      model: 'one/small-model',
      reason: 'cheapest_adequate',
      baseline: 'one/large-model',
      ranked: [
        { model: 'one/small-model', probability: 1 },
        { model: 'one/large-model', probability: 0 },
      ],
    });
    // 3 tokens in at 1 and 100 out at 2, against 9 and 18, USD per million.
    expect(response.json().estimatedSavingUsd).toBeCloseTo((3 * 9 + 100 * 18 - 3 - 200) / 1e6, 12);
    expect(response.json()).not.toHaveProperty('embedding');
    expect(host.requests).toHaveLength(0);
    expect(gateway.decisions).toHaveLength(0);
    const bare = await gateway.app.inject({
      method: 'POST',
      url: '/v1/route',
      payload: { messages: hello('').messages },
    });
    expect(bare.json().model).toBe('one/small-model');
  });
});

test.each([
  [
    {},
    'y'.repeat(5000),
    'context_length_exceeded',
    'messages',
    'the maximum context length among the candidates is 1000',
  ],
  [{ max_tokens: 900 }, 'y'.repeat(500), 'context_length_exceeded', 'max_tokens', 'ask for less with max_tokens'],
  [{ max_completion_tokens: 900 }, 'y'.repeat(500), 'context_length_exceeded', 'max_completion_tokens', 'ask for less'],
  [{ max_tokens: 200 }, 'hello', 'NO_CANDIDATE', 'max_tokens', 'no candidate left writes more than 100'],
  [{ tools: [{}] }, 'hello', 'NO_CANDIDATE', 'messages', 'no_tools'],
  [{ tools: [{}] }, 'y'.repeat(5000), 'context_length_exceeded', 'messages', 'context_too_small'],
])(
  'the shipped router says what is too long, in words that agents know: %j',
  async (more, content, code, param, said) => {
    const models = [
      candidate('openai/gpt-4o-mini-2024-07-18', 1, { contextTokens: 1000, maxOutputTokens: 100, tools: false }),
    ];
    const router: RouterType = await Router.load({ candidates: models });
    const gateway = await start(models, { holder: { current: router }, catalog: catalogOf(models) });
    const response = await chat(gateway.url, { model: 'auto', messages: [{ role: 'user', content }], ...more });
    expect(response.status).toBe(400);
    const { error } = await jsonOf(response);
    expect(error).toMatchObject({ code, param, type: 'invalid_request_error', message: expect.stringContaining(said) });
  },
);

test('a million characters are routed in bounded time by the shipped router', async () => {
  const models = [candidate('openai/gpt-4o-mini-2024-07-18', 1, { contextTokens: 1_000_000 })];
  const router: RouterType = await Router.load({ candidates: models });
  const gateway = await start(models, { holder: { current: router }, catalog: catalogOf(models) });
  const ms = await processorMs(async () => {
    const response = await chat(gateway.url, {
      model: 'auto',
      messages: [{ role: 'user', content: 'wörd '.repeat(200_000) }],
    });
    expect(response.status).toBe(200);
  });
  // Tens of milliseconds on one core; the bound only tells linear from quadratic.
  expect(ms).toBeLessThan(5000);
});

test('a slow client slows the provider down instead of filling memory', async () => {
  let sent = 0;
  let gone = false;
  const piece = word('x'.repeat(64 * 1024));
  const host = await upstream((_, response) => {
    startSse(response);
    response.on('close', () => {
      gone = true;
    });
    const pump = () => {
      while (!gone && sent < 500e6) {
        sent += piece.length;
        if (!response.write(piece)) {
          response.once('drain', pump);
          return;
        }
      }
    };
    pump();
  });
  cleanUps.push(host.close);
  const gateway = await start([small], { upstreams: { one: host.url } });
  const { port } = new URL(gateway.url);
  const body = JSON.stringify(hello('auto', { stream: true }));
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  let before = -1;
  let looks = 0;
  await until(() => {
    if (sent !== before) [before, looks] = [sent, 0];
    // Counted in turns of the loop that writes: a busy machine pauses, too.
    return sent > 0 && ++looks > 100;
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(sent).toBe(before);
  // Socket buffers of both connections, not the stream.
  expect(sent).toBeLessThan(50e6);
  socket.destroy();
  await until(() => gone && gateway.attempts.length === 1);
  expect(gateway.attempts[0]).toMatchObject({ status: 'cancelled' });
});

test('feedback is taken while the database is away', async () => {
  const store = memoryStore();
  const gateway = await start([small], { store });
  store.away = true;
  const payload = { decisionId: 'a'.repeat(32), score: 1 };
  expect((await gateway.app.inject({ method: 'POST', url: '/v1/feedback', payload })).statusCode).toBe(200);
  expect(store.feedback).toHaveLength(1);
  expect((await gateway.app.inject('/readyz')).statusCode).toBe(503);
  expect((await gateway.app.inject('/healthz')).statusCode).toBe(200);
  expect((await gateway.app.inject(`/v1/decisions/${'a'.repeat(32)}`)).json().error.code).toBe('DATABASE_UNAVAILABLE');
});

test('a swapped router decides the next request', async () => {
  const holder = { current: fakeRouter([small]) };
  const gateway = await start([small, large], { holder });
  expect((await jsonOf(chat(gateway.url, hello('auto')))).model).toBe('one/small-model');
  holder.current = fakeRouter([large], 'promoted');
  const response = await chat(gateway.url, hello('auto'));
  expect((await jsonOf(response)).model).toBe('one/large-model');
  expect(response.headers.get('x-pointsman-artifact')).toBe('promoted');
});

test('admin operations ask for the token', async () => {
  const calls: unknown[] = [];
  const admin = {
    token: 'secret',
    retrain: async (options: unknown) => {
      calls.push(options);
      return { promoted: false };
    },
    rollback: async () => ({ rolledBack: true }),
    trust: async () => ({}),
    jobs: async () => ({}),
    log: async () => (async function* () {})(),
  };
  const gateway = await start([small], { admin });
  const post = (authorization?: string) =>
    gateway.app.inject({
      method: 'POST',
      url: '/admin/retrain',
      payload: { dryRun: true },
      headers: authorization === undefined ? {} : { authorization },
    });
  expect((await post()).statusCode).toBe(401);
  expect((await post('Bearer wrong')).json().error.code).toBe('UNAUTHORIZED');
  expect(calls).toEqual([]);
  expect((await post('Bearer secret')).json()).toEqual({ promoted: false });
  expect(calls).toEqual([{ dryRun: true }]);
  const without = await start([small]);
  expect((await without.app.inject({ method: 'POST', url: '/admin/retrain' })).statusCode).toBe(404);
});
