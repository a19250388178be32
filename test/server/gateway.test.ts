/** The server suite: the same on the embedded database and on a real PostgreSQL. */
import type { ServerResponse } from 'node:http';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type OpenedStore, storeKinds } from './db/stores.ts';
import {
  candidate,
  chat,
  completion,
  gatewayOver,
  hello,
  jsonOf,
  type Script,
  sendJson,
  sendStream,
  startSse,
  type TestGateway,
  until,
  upstream,
  usageChunk,
  word,
} from './fakes.ts';

const cheap = candidate('one/cheap', 1);
const middle = candidate('one/middle', 3);
const dear = candidate('two/dear', 30);

describe.each(storeKinds)('the gateway on $name', (kind) => {
  let opened: OpenedStore;
  const cleanUps: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    opened = await kind.open();
  });
  afterAll(async () => {
    await opened.close();
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  /** A gateway over three models of two hosts that follow these scripts. */
  async function start(one: Script, two: Script = one, config: object = {}) {
    const hosts = { one: await upstream(one), two: await upstream(two) };
    const gateway = await gatewayOver([cheap, middle, dear], {
      store: opened.store,
      upstreams: { one: hosts.one.url, two: hosts.two.url },
      // Second rounds have tests of their own.
      config: { retry: { retries: 0 }, ...config },
    });
    cleanUps.push(hosts.one.close, hosts.two.close, gateway.close);
    return { gateway, hosts };
  }

  const stored = async (gateway: TestGateway, id = gateway.decisions.at(-1)!.id) => {
    const found = await gateway.store.getDecision(id);
    return found!;
  };
  const client = (gateway: TestGateway) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: 'any', maxRetries: 0 });

  /** Short only where a host that hangs is waited for; the one that answers then must be in time on a busy machine, too. */
  const patienceFor = (code: string) =>
    code === 'UPSTREAM_TIMEOUT' ? { answerMs: 700, firstByteMs: 700 } : { answerMs: 20_000, firstByteMs: 20_000 };

  const fine: Script = (_, response, body) =>
    body.stream ? sendStream(response, ['All ', 'is ', 'well']) : sendJson(response, completion('All is well'));

  test('completes a chat for the OpenAI SDK, and says who answered', async () => {
    const { gateway, hosts } = await start(fine);
    const { data, response } = await client(gateway)
      .chat.completions.create(hello('auto') as never)
      .withResponse();
    expect(data).toMatchObject({ model: 'one/cheap', choices: [{ message: { content: 'All is well' } }] });
    const id = response.headers.get('x-pointsman-decision-id')!;
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(response.headers.get('x-pointsman-model')).toBe('one/cheap');
    expect(response.headers.get('x-pointsman-reason')).toBe('cheapest_adequate');
    // 10 in, 5 out at 1 and 2 USD per million: 20e-6. The dearest candidate: 10·30 + 5·60 = 600e-6.
    expect(Number(response.headers.get('x-pointsman-cost-usd'))).toBeCloseTo(20e-6, 9);
    expect(Number(response.headers.get('x-pointsman-estimated-saving-usd'))).toBeCloseTo(580e-6, 9);
    expect(JSON.parse(hosts.one.requests[0]!.body).model).toBe('cheap');
    expect(hosts.one.requests[0]!.headers.authorization).toBe('Bearer test-key');
    const { decision, attempts } = await stored(gateway, id);
    expect(decision).toMatchObject({ routed: true, model: 'one/cheap', executedModel: 'one/cheap', tenant: 'default' });
    expect(decision.distribution.map(({ probability }) => probability)).toEqual([1, 0, 0]);
    expect([...decision.embedding!]).toEqual([0.5, -0.25]);
    expect(decision.baselineCostUsd).toBeCloseTo(600e-6, 9);
    expect(attempts).toHaveLength(1);
    expect(attempts[0]).toMatchObject({ status: 'ok', inputTokens: 10, outputTokens: 5, httpStatus: 200 });
    expect(attempts[0]!.costUsd).toBeCloseTo(20e-6, 12);
  });

  test('streams for the OpenAI SDK, and strips the usage that nobody asked for', async () => {
    const { gateway, hosts } = await start(fine);
    const stream = await client(gateway).chat.completions.create({ ...hello('auto'), stream: true } as never);
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const each of stream as unknown as AsyncIterable<OpenAI.ChatCompletionChunk>) chunks.push(each);
    expect(chunks.map((each) => each.choices[0]?.delta.content ?? '').join('')).toBe('All is well');
    expect(new Set(chunks.map((each) => each.model))).toEqual(new Set(['one/cheap']));
    expect(chunks.every((each) => each.usage == null)).toBe(true);
    expect(JSON.parse(hosts.one.requests[0]!.body).stream_options).toEqual({ include_usage: true });
    const { attempts } = await stored(gateway);
    expect(attempts[0]).toMatchObject({ status: 'ok', inputTokens: 10, outputTokens: 3 });
  });

  test('hands the usage chunk on to a client that asks for it', async () => {
    const { gateway } = await start(fine);
    const body = hello('auto', { stream: true, stream_options: { include_usage: true } });
    const text = await (await chat(gateway.url, body)).text();
    expect(text).toContain('"completion_tokens":3');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('passes fields it does not know through, byte for byte', async () => {
    const { gateway, hosts } = await start(fine);
    const tail =
      '"messages":[{"role":"user","content":"h\\u00e9"}],"seed":12345678901234567890,"t":1.0,"__proto__":{"a":1}}';
    await chat(gateway.url, `{"model":"one/middle",${tail}`);
    expect(hosts.one.requests[0]!.body).toBe(`{"model":"middle",${tail}`);
  });

  test('bounds the answer in the field that the chosen host knows', async () => {
    const { gateway, hosts } = await start(fine);
    await chat(gateway.url, hello('auto', { max_completion_tokens: 7 }));
    await chat(gateway.url, hello('one/cheap', { max_completion_tokens: 7 }));
    expect(JSON.parse(hosts.one.requests[0]!.body)).toMatchObject({ max_tokens: 7 });
    expect(JSON.parse(hosts.one.requests[1]!.body)).toMatchObject({ max_completion_tokens: 7 });
  });

  test('never reroutes a model that the client named', async () => {
    const { gateway, hosts } = await start(
      (_, response) => sendJson(response, { error: { message: 'down' } }, 503),
      fine,
      { retry: { retries: 1, firstPauseMs: 1 } },
    );
    const response = await chat(gateway.url, hello('one/middle'));
    expect(response.status).toBe(502);
    expect((await jsonOf(response)).error).toMatchObject({
      code: 'UPSTREAM_ERROR',
      message: expect.stringContaining('down'),
    });
    expect(hosts.one.requests.map(({ body }) => JSON.parse(body).model)).toEqual(['middle', 'middle']);
    expect(hosts.two.requests).toHaveLength(0);
    const { decision, attempts } = await stored(gateway);
    expect(decision).toMatchObject({ routed: false, model: 'one/middle', executedModel: null, propensity: 1 });
    expect(attempts.map(({ status, httpStatus }) => [status, httpStatus])).toEqual([
      ['error', 503],
      ['error', 503],
    ]);
  });

  test('splits a model id at its first slash and forwards models that the catalog does not know', async () => {
    const { gateway, hosts } = await start(fine);
    const response = await chat(gateway.url, hello('one/org/some-model'));
    expect((await jsonOf(response)).model).toBe('one/org/some-model');
    expect(JSON.parse(hosts.one.requests[0]!.body).model).toBe('org/some-model');
    expect((await stored(gateway)).attempts[0]!.costUsd).toBeNull();
  });

  test('takes the bare name of a catalog model', async () => {
    const { gateway } = await start(fine);
    expect((await jsonOf(chat(gateway.url, hello('dear')))).model).toBe('two/dear');
  });

  describe('moves on to the next candidate before the first word when a host', () => {
    const bad: [string, Script, string][] = [
      ['answers 500', (_, r) => sendJson(r, { error: { message: 'oops' } }, 500), 'UPSTREAM_ERROR'],
      ['answers 429', (_, r) => sendJson(r, { error: { message: 'slow down' } }, 429), 'UPSTREAM_ERROR'],
      [
        'does not know the model',
        (_, r) => sendJson(r, { error: { message: 'no such model' } }, 404),
        'UPSTREAM_ERROR',
      ],
      [
        'refuses a parameter of its own',
        (_, r) => sendJson(r, { error: { message: 'no', code: 'unsupported_value' } }, 400),
        'UPSTREAM_ERROR',
      ],
      ['hangs before its headers', () => {}, 'UPSTREAM_TIMEOUT'],
      [
        'hangs after its headers',
        (_, r) => r.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders(),
        'UPSTREAM_TIMEOUT',
      ],
      ['sends garbage for JSON', (_, r) => sendJson(r, '<html>hi</html>'), 'UPSTREAM_INVALID'],
      ['sends JSON that is no completion', (_, r) => sendJson(r, { object: 'list', choices: [] }), 'UPSTREAM_INVALID'],
      [
        'sends an error with status 200',
        (_, r) => sendJson(r, { error: { message: 'overloaded', code: 529 } }),
        'UPSTREAM_ERROR',
      ],
      [
        'closes in the middle of a JSON answer',
        (_, r) => {
          r.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
          r.write('{"choices":', () => r.destroy());
        },
        'UPSTREAM_CLOSED',
      ],
    ];
    test.each(bad)('%s', async (_, script, code) => {
      const { gateway } = await start(script, fine, { timeouts: patienceFor(code) });
      const response = await chat(gateway.url, hello('auto'));
      expect(response.status).toBe(200);
      expect((await jsonOf(response)).model).toBe('two/dear');
      expect(response.headers.get('x-pointsman-reason')).toBe('fallback');
      const { decision, attempts } = await stored(gateway);
      expect(decision).toMatchObject({ model: 'one/cheap', executedModel: 'two/dear' });
      expect(attempts.map(({ model }) => model)).toEqual(['one/cheap', 'one/middle', 'two/dear']);
      expect(attempts.map(({ errorCode }) => errorCode)).toEqual([code, code, null]);
    });

    const badStreams: [string, Script, string][] = [
      [
        'starts its stream with an error',
        (_, r) => {
          startSse(r);
          r.end('data: {"error":{"message":"quota","type":"server_error"}}\n\n');
        },
        'UPSTREAM_ERROR',
      ],
      [
        'breaks its stream before the first word',
        (_, r) => {
          startSse(r);
          r.write(': thinking\n\ndata: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n', () =>
            r.destroy(),
          );
        },
        'UPSTREAM_CLOSED',
      ],
      [
        'only sends signs of life',
        (_, r) => {
          startSse(r);
          const timer = setInterval(() => r.write(': alive\n\n'), 20);
          r.on('close', () => clearInterval(timer));
        },
        'UPSTREAM_TIMEOUT',
      ],
      [
        'sends garbage for a stream',
        (_, r) => {
          startSse(r);
          r.end('data: {{{\n\ndata: [DONE]\n\n');
        },
        'UPSTREAM_INVALID',
      ],
      [
        'sends what is no stream at all',
        (_, r) => {
          startSse(r);
          r.end('<<<garbage>>>');
        },
        'UPSTREAM_INVALID',
      ],
      [
        'breaks its stream in the first event',
        (_, r) => {
          startSse(r);
          r.write('data: {"cho', () => r.destroy());
        },
        'UPSTREAM_CLOSED',
      ],
      [
        'breaks off a page in place of a stream',
        (_, r) => {
          r.writeHead(200, { 'content-type': 'text/html' });
          r.write('<p>', () => r.destroy());
        },
        'UPSTREAM_CLOSED',
      ],
      [
        'sends an empty stream',
        (_, r) => {
          startSse(r);
          r.end('data: [DONE]\n\n');
        },
        'UPSTREAM_INVALID',
      ],
      [
        'sends a page for a stream',
        (_, r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<p>hi'),
        'UPSTREAM_INVALID',
      ],
    ];
    test.each(badStreams)('%s', async (_, script, code) => {
      const { gateway } = await start(script, fine, { timeouts: patienceFor(code) });
      const text = await (await chat(gateway.url, hello('auto', { stream: true }))).text();
      expect(text).toContain('"model":"two/dear"');
      expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
      expect((await stored(gateway)).attempts.map(({ errorCode }) => errorCode)).toEqual([code, code, null]);
    });

    test('cannot be reached, without asking it again for its other models', async () => {
      const { gateway, hosts } = await start(fine);
      await hosts.one.close();
      expect((await jsonOf(chat(gateway.url, hello('auto')))).model).toBe('two/dear');
      expect((await stored(gateway)).attempts.map(({ model }) => model)).toEqual(['one/cheap', 'two/dear']);
    });

    test('refuses the key, without asking it again for its other models', async () => {
      const { gateway } = await start(
        (_, r) => sendJson(r, { error: { message: 'bad key', code: 'invalid_api_key' } }, 401),
        fine,
      );
      expect((await jsonOf(chat(gateway.url, hello('auto')))).model).toBe('two/dear');
      expect((await stored(gateway)).attempts.map(({ httpStatus }) => httpStatus)).toEqual([401, 200]);
    });
  });

  test('routes past models that keep failing, but still calls one that is named, or the only one left', async () => {
    const { gateway, hosts } = await start((_, response) => sendJson(response, 'no', 500), fine);
    for (let i = 0; i < 3; i++) expect((await chat(gateway.url, hello('auto'))).status).toBe(200);
    expect(hosts.one.requests).toHaveLength(6);
    const response = await chat(gateway.url, hello('auto'));
    expect((await jsonOf(response)).model).toBe('two/dear');
    expect(hosts.one.requests).toHaveLength(6);
    const { decision } = await stored(gateway);
    expect(decision.filtered).toEqual([
      { model: 'one/cheap', reason: 'unhealthy' },
      { model: 'one/middle', reason: 'unhealthy' },
    ]);
    expect((await chat(gateway.url, hello('one/cheap'))).status).toBe(502);
    expect(hosts.one.requests).toHaveLength(7);
    await hosts.two.close();
    for (let i = 0; i < 3; i++) await chat(gateway.url, hello('auto'));
    expect((await chat(gateway.url, hello('auto'))).status).toBe(502);
    expect(hosts.one.requests.length).toBeGreaterThan(7);
  });

  test.each([
    ['closes', (r: ServerResponse) => setTimeout(() => r.destroy(), 10), 'UPSTREAM_CLOSED', 5000],
    [
      'only sends signs of life any more',
      (r: ServerResponse) => {
        const timer = setInterval(() => r.write(': alive\n\n'), 10);
        r.on('close', () => clearInterval(timer));
      },
      'UPSTREAM_TIMEOUT',
      50,
    ],
  ] as const)(
    'routes past a model that breaks every stream in the middle: it %s',
    async (_, breakOff, code, idleMs) => {
      const { gateway } = await start(
        (_, response) => {
          startSse(response);
          response.write(word('half'), () => breakOff(response));
        },
        fine,
        { timeouts: { idleMs } },
      );
      const ask = async () => (await chat(gateway.url, hello('auto', { stream: true }))).text();
      for (const model of ['cheap', 'cheap', 'cheap', 'middle', 'middle', 'middle']) {
        const text = await ask();
        expect(text).toContain(`"model":"one/${model}"`);
        expect(text).toContain(code);
      }
      expect(await ask()).toContain('"model":"two/dear"');
      expect((await stored(gateway)).decision.filtered).toHaveLength(2);
    },
  );

  test('lets signs of life stand in for words for a while', async () => {
    const { gateway } = await start(
      async (_, response) => {
        startSse(response);
        response.write(word('one '));
        for (let i = 0; i < 9; i++) {
          await new Promise((resolve) => setTimeout(resolve, 200));
          response.write(': thinking\n\n');
        }
        response.end(`${word('two', 'stop')}data: [DONE]\n\n`);
      },
      fine,
      { timeouts: { idleMs: 1500 } },
    );
    const text = await (await chat(gateway.url, hello('auto', { stream: true }))).text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('a model that uses up all the time there is counts as failing', async () => {
    const { gateway } = await start(() => {}, fine, { timeouts: { totalMs: 400 } });
    for (let i = 0; i < 6; i++) expect((await chat(gateway.url, hello('auto'))).status).toBe(504);
    expect((await jsonOf(chat(gateway.url, hello('auto')))).model).toBe('two/dear');
  });

  test('asks the same model again when a connection breaks before any answer', async () => {
    let calls = 0;
    const { gateway } = await start((_, response) => {
      if (++calls === 1) response.destroy();
      else sendJson(response, completion());
    });
    const response = await chat(gateway.url, hello('auto'));
    expect((await jsonOf(response)).model).toBe('one/cheap');
    expect(response.headers.get('x-pointsman-attempts')).toBe('2');
  });

  test('tries a named model once more after a 429 that asks for a short wait', async () => {
    let calls = 0;
    const busyOnce: Script = (_, response) => {
      if (++calls > 1) return sendJson(response, completion());
      response.writeHead(429, { 'retry-after': '0' }).end('{}');
    };
    const { gateway } = await start(busyOnce, fine, { retry: { retries: 1, firstPauseMs: 1 } });
    expect((await chat(gateway.url, hello('one/cheap'))).status).toBe(200);
    expect(calls).toBe(2);
  });

  test('passes a 429 on with its retry-after when that asks for a long wait', async () => {
    const { gateway, hosts } = await start((_, response) => {
      response.writeHead(429, { 'retry-after': '30', 'content-type': 'application/json' });
      response.end('{"error":{"message":"too fast","type":"rate_limit_error","code":"rate_limit_exceeded"}}');
    });
    const response = await chat(gateway.url, hello('one/cheap'));
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('30');
    expect((await jsonOf(response)).error).toMatchObject({ type: 'rate_limit_error', code: 'rate_limit_exceeded' });
    expect(hosts.one.requests).toHaveLength(1);
  });

  test('passes a fault of the request back in the host’s words and tries nobody else', async () => {
    const { gateway, hosts } = await start((_, response) =>
      sendJson(
        response,
        { error: { message: 'bad temperature', type: 'invalid_request_error', param: 'temperature', code: null } },
        400,
      ),
    );
    const response = await chat(gateway.url, hello('auto', { temperature: 9 }));
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toEqual({
      message: 'one answered 400: bad temperature',
      type: 'invalid_request_error',
      param: 'temperature',
      code: 'UPSTREAM_ERROR',
    });
    expect(response.headers.get('x-pointsman-decision-id')).toMatch(/^[0-9a-f]{32}$/);
    expect(hosts.one.requests).toHaveLength(1);
    expect(hosts.two.requests).toHaveLength(0);
  });

  test('passes on that every host finds the prompt too long, so that agents can shorten it', async () => {
    const { gateway } = await start((_, response) =>
      sendJson(
        response,
        { error: { message: 'too long', type: 'invalid_request_error', code: 'context_length_exceeded' } },
        400,
      ),
    );
    const response = await chat(gateway.url, hello('auto'));
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error.code).toBe('context_length_exceeded');
    expect((await stored(gateway)).attempts).toHaveLength(3);
  });

  test('says so when every candidate fails', async () => {
    const { gateway } = await start((_, response) => sendJson(response, 'no', 500));
    const response = await chat(gateway.url, hello('auto'));
    expect(response.status).toBe(502);
    expect((await jsonOf(response)).error.code).toBe('UPSTREAM_ERROR');
    const { decision, attempts } = await stored(gateway);
    expect(decision.executedModel).toBeNull();
    expect(attempts).toHaveLength(3);
  });

  describe('ends a stream that breaks after its first word with an error frame and no [DONE], when the host', () => {
    const breaks: [string, Script, string][] = [
      [
        'closes',
        (_, r) => {
          startSse(r);
          r.write(word('half'), () => setTimeout(() => r.destroy(), 30));
        },
        'UPSTREAM_CLOSED',
      ],
      [
        'ends without a finish',
        (_, r) => {
          startSse(r);
          r.end(word('half'));
        },
        'UPSTREAM_CLOSED',
      ],
      [
        'hangs',
        (_, r) => {
          startSse(r);
          r.write(word('half'));
        },
        'UPSTREAM_TIMEOUT',
      ],
      [
        'sends garbage',
        (_, r) => {
          startSse(r);
          r.end(`${word('half')}data: }{\n\ndata: [DONE]\n\n`);
        },
        'UPSTREAM_INVALID',
      ],
      [
        'sends an error',
        (_, r) => {
          startSse(r);
          r.end(`${word('half')}data: {"error":{"message":"burnt out","type":"server_error"}}\n\n`);
        },
        'UPSTREAM_ERROR',
      ],
      [
        'sends half a chunk',
        (_, r) => {
          startSse(r);
          r.end(`${word('half')}data: {"choices":[{"index":0,"del`);
        },
        'UPSTREAM_CLOSED',
      ],
    ];
    test.each(breaks)('%s', async (_, script, code) => {
      const { gateway, hosts } = await start(script, fine, {
        timeouts: { idleMs: code === 'UPSTREAM_TIMEOUT' ? 300 : 20_000 },
      });
      const response = await chat(gateway.url, hello('auto', { stream: true }));
      expect(response.status).toBe(200);
      const text = await response.text();
      expect(text).not.toContain('[DONE]');
      const frames = text.trim().split('\n\n');
      expect(frames[0]).toContain('"half"');
      expect(JSON.parse(frames.at(-1)!.slice(6)).error).toMatchObject({ code });
      expect(hosts.two.requests).toHaveLength(0);
      const { decision, attempts } = await stored(gateway);
      expect(decision.executedModel).toBe('one/cheap');
      // 3 tokens of prompt (9 characters / 4) at 1, one of answer ("half") at 2 USD per million.
      expect(attempts).toMatchObject([{ status: 'partial', errorCode: code, outputTokens: null }]);
      expect(attempts[0]!.costUsd).toBeCloseTo(5e-6, 12);
    });
  });

  test('takes a stream that finishes but forgets its [DONE] for complete', async () => {
    const { gateway } = await start((_, response) => {
      startSse(response);
      response.end(word('all', 'stop') + usageChunk(4, 2));
    });
    const text = await (await chat(gateway.url, hello('auto', { stream: true }))).text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect((await stored(gateway)).attempts).toMatchObject([{ status: 'ok', inputTokens: 4, outputTokens: 2 }]);
  });

  test('reads a stream that drips in byte by byte', async () => {
    const { gateway } = await start(async (_, response) => {
      startSse(response);
      for (const byte of Buffer.from(`${word('héllo 🚂', 'stop')}data: [DONE]\n\n`)) {
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    expect(await (await chat(gateway.url, hello('auto', { stream: true }))).text()).toContain('héllo 🚂');
  });

  test('records what a failed answer was billed', async () => {
    const { gateway } = await start(
      (_, response) => sendJson(response, { choices: [], usage: { prompt_tokens: 100, completion_tokens: 50 } }),
      fine,
    );
    const response = await chat(gateway.url, hello('auto'));
    const { attempts } = await stored(gateway);
    expect(attempts[0]).toMatchObject({ status: 'error', inputTokens: 100, outputTokens: 50 });
    // 100·1 + 50·2 at the cheap one, 100·3 + 50·6 at the middle one, 10·30 + 5·60 at the dear one: 1400e-6.
    expect(attempts.reduce((sum, { costUsd }) => sum + costUsd!, 0)).toBeCloseTo(1400e-6, 12);
    // The failed attempts are netted: 600e-6 at the baseline minus 1400e-6.
    expect(Number(response.headers.get('x-pointsman-estimated-saving-usd'))).toBeCloseTo(-800e-6, 9);
  });

  test.each([
    // 3 tokens of prompt (9 characters / 4) at 1 USD per million, 5 of the 20 characters at 2.
    ['an answer that breaks off', 'application/json', '{"choices":[{"messag', 13e-6],
    ['an answer that never begins', 'application/json', '', 3e-6],
    ['a page', 'text/html', '<p>please log in</p>', 3e-6],
    ['a stream that breaks before its first word', 'text/event-stream', ': thinking\n\n', 3e-6],
  ])('prices %s by what had come once its head was there', async (_, type, text, usd) => {
    const { gateway } = await start((_, response) => {
      response.writeHead(200, { 'content-type': type });
      response.flushHeaders();
      response.write(text, () => setTimeout(() => response.destroy(), 30));
    });
    const stream = type !== 'application/json';
    expect((await chat(gateway.url, hello('one/cheap', { stream }))).status).toBe(502);
    const { attempts } = await stored(gateway);
    expect(attempts).toMatchObject([{ status: 'error', outputTokens: null }]);
    expect(attempts[0]!.costUsd).toBeCloseTo(usd, 12);
  });

  test('prices what had come when the client hangs up on a plain answer', async () => {
    const { gateway } = await start((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"choices":[{"messag');
    });
    const leaving = new AbortController();
    const answer = fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(hello('auto')),
      signal: leaving.signal,
    });
    setTimeout(() => leaving.abort(), 1000);
    await answer.catch(() => {});
    await until(() => gateway.attempts.length === 1);
    expect((await stored(gateway)).attempts[0]).toMatchObject({ status: 'cancelled' });
    expect(gateway.attempts[0]!.costUsd).toBeCloseTo(13e-6, 12);
  });

  test('an error told in place of an answer, or no answer at all, costs nothing', async () => {
    const { gateway } = await start(
      (_, response) => sendJson(response, { error: { message: 'overloaded', code: 529 } }),
      (_, response) => sendJson(response, 'no', 500),
    );
    await chat(gateway.url, hello('auto'));
    expect((await stored(gateway)).attempts.map(({ costUsd }) => costUsd)).toEqual([0, 0, 0]);
  });

  test.each([true, false])('hangs up on the host when the client hangs up (stream: %s)', async (stream) => {
    let hungUp = false;
    let asked = false;
    const { gateway } = await start((_, response) => {
      asked = true;
      response.on('close', () => {
        hungUp = true;
      });
      if (!stream) return;
      startSse(response);
      response.write(word('one'));
    });
    const leaving = new AbortController();
    const answer = fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(hello('auto', { stream })),
      signal: leaving.signal,
    });
    if (stream) await (await answer).body!.getReader().read();
    else await until(() => asked);
    leaving.abort();
    await answer.catch(() => {});
    await until(() => hungUp && gateway.attempts.length === 1);
    const { attempts } = await stored(gateway);
    expect(attempts).toMatchObject([{ status: 'cancelled', errorCode: 'UPSTREAM_CLOSED' }]);
    // Over when its record is on disk, which may be after the call is.
    await until(() => gateway.gateway.lives.size === 0);
  });

  test('takes feedback and shows it with its decision', async () => {
    const { gateway } = await start(fine);
    const answered = await chat(gateway.url, hello('auto'), { 'x-session-id': 's-1' });
    const decisionId = answered.headers.get('x-pointsman-decision-id')!;
    const post = (body: object) => gateway.app.inject({ method: 'POST', url: '/v1/feedback', payload: body });
    expect((await post({ decisionId, score: 0.75, source: 'tests' })).statusCode).toBe(200);
    const shown = await (await fetch(`${gateway.url}/v1/decisions/${decisionId}`)).json();
    expect(shown).toMatchObject({
      id: decisionId,
      session: 's-1',
      model: 'one/cheap',
      reason: 'cheapest_adequate',
      embeddingDimension: 2,
      attempts: [{ ordinal: 0, model: 'one/cheap' }],
      feedback: [{ score: 0.75, source: expect.stringMatching(/^code:[0-9a-f]{8}$/) }],
    });
    expect(shown).not.toHaveProperty('embedding');
    await gateway.store.flush();
    expect((await jsonOf(fetch(`${gateway.url}/v1/decisions/${decisionId}`))).feedback).toHaveLength(1);
    for (const [body, param] of [
      [{ decisionId, score: 1.5 }, 'score'],
      [{ decisionId, score: 'good' }, 'score'],
      [{ score: 1 }, 'decisionId'],
      [{ decisionId, score: 1, stars: 5 }, 'stars'],
    ] as const) {
      const refused = await post(body);
      expect(refused.statusCode).toBe(400);
      expect(refused.json().error).toMatchObject({ code: 'INVALID_REQUEST', param });
    }
    expect((await post({ decisionId: 'f'.repeat(32), score: 1 })).json().error.code).toBe('NOT_FOUND');
    expect((await fetch(`${gateway.url}/v1/decisions/..%2f`)).status).toBe(404);
  });

  test('takes feedback on a stream that is still running', async () => {
    let finish = () => {};
    const { gateway } = await start((_, response) => {
      startSse(response);
      response.write(word('one'));
      finish = () => response.end(`${word('two', 'stop')}data: [DONE]\n\n`);
    });
    const response = await chat(gateway.url, hello('auto', { stream: true }));
    const decisionId = response.headers.get('x-pointsman-decision-id')!;
    expect((await fetch(`${gateway.url}/v1/decisions/${decisionId}`)).status).toBe(200);
    const payload = { decisionId, score: 0 };
    expect((await gateway.app.inject({ method: 'POST', url: '/v1/feedback', payload })).statusCode).toBe(200);
    finish();
    await response.text();
    expect((await stored(gateway, decisionId)).feedback).toMatchObject([{ score: 0, source: 'user' }]);
  });

  test('tells Prometheus what becomes of the records', async () => {
    const { gateway } = await start(fine);
    await chat(gateway.url, hello('auto'));
    await gateway.store.flush();
    const response = await fetch(`${gateway.url}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    for (const line of [
      'pointsman_records_dropped_total 0',
      'pointsman_records_queued 0',
      'pointsman_requests_under_way 0',
    ])
      expect(text.split('\n')).toContain(line);
  });

  test('is ready when the database answers', async () => {
    const { gateway } = await start(fine);
    expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
    expect(await jsonOf(fetch(`${gateway.url}/healthz`))).toEqual({ status: 'ok' });
  });
});
