/** Streams as their clients see them: pings, breaks, clients that are slow or leave; in every protocol that clients speak. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { anthropic } from '../../../server/providers/anthropic.ts';
import { google } from '../../../server/providers/google.ts';
import { httpProvider } from '../../../server/providers/http-provider.ts';
import type { ProviderKind } from '../../../server/providers/kind.ts';
import { openai } from '../../../server/providers/openai.ts';
import { openAiCompatibleKind } from '../../../server/providers/openai-compatible.ts';
import { Transport } from '../../../server/providers/transport.ts';
import {
  candidate,
  chunk,
  gatewayOver,
  type Script,
  sendJson,
  sendStream,
  startSse,
  type Upstream,
  until,
  upstream,
  usageChunk,
  word,
} from '../fakes.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Host {
  readonly kind?: ProviderKind;
  readonly script: Script;
}

/** A gateway over `one/a` and `two/b`; a host speaks chat unless its kind says otherwise. */
async function start(one: Host, two: Host = { script: fine }, config: object = {}) {
  const hosts: Record<string, Upstream> = {};
  const providers = new Map();
  for (const [name, { kind, script }] of Object.entries({ one, two })) {
    hosts[name] = await upstream(script);
    cleanUps.push(hosts[name].close);
    const options = {
      name,
      baseUrl: hosts[name].url,
      keys: [{ id: '', weight: 1, key: 'k' }],
      transport: new Transport(),
    };
    providers.set(name, httpProvider(kind ?? openAiCompatibleKind(name), options));
  }
  const gateway = await gatewayOver([candidate('one/a'), candidate('two/b', 30)], {
    providers,
    config: { retry: { retries: 0 }, ...config },
  });
  cleanUps.push(gateway.close);
  return { gateway, one: hosts.one!, two: hosts.two! };
}

const fine: Script = (_, response) => sendStream(response, ['fine'], true);

const BODIES = {
  chat: ['/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }] }],
  responses: ['/v1/responses', { input: 'Hi' }],
  messages: ['/v1/messages', { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100 }],
} as const;
type Spoken = keyof typeof BODIES;

const ask = (url: string, surface: Spoken, more: object = {}, init: RequestInit = {}): Promise<Response> =>
  fetch(url + BODIES[surface][0], {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'auto', stream: true, ...BODIES[surface][1], ...more }),
    ...init,
  });

/** Reads a stream to its end; tells when as many pings as these have come, so that nothing hangs on how long they take. */
async function readPast(response: Response, pings: number, seen: () => void): Promise<string> {
  let text = '';
  let told = false;
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (!told && text.split('\n\n').filter((frame) => /ping/.test(frame)).length >= pings) {
      told = true;
      seen();
    }
  }
  return text;
}

/** To be waited for, and to be let go. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** A client that reads only when it is told to. */
function slowClient(url: string, body: object): Promise<{ response: IncomingMessage; request: ClientRequest }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      response.pause();
      response.on('error', () => {});
      request.on('error', () => {});
      resolve({ response, request });
    });
    request.end(JSON.stringify({ model: 'auto', stream: true, messages: [{ role: 'user', content: 'Hi' }], ...body }));
  });
}

// The first word of an answer, in the words of each protocol.
const claudeBegins =
  'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[],"stop_reason":null,"usage":{"input_tokens":12,"output_tokens":1}}}\n\n' +
  'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n' +
  'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"half"}}\n\n';
const claudeEnds =
  'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n' +
  'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":3}}\n\n' +
  'event: message_stop\ndata: {"type":"message_stop"}\n\n';
const responsesBegin =
  'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"m","output":[]}}\n\n' +
  'event: response.output_item.added\ndata: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","status":"in_progress","content":[]}}\n\n' +
  'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"half"}\n\n';
const geminiWord = (text: string, finish = '') =>
  `data: ${JSON.stringify({ candidates: [{ content: { role: 'model', parts: [{ text }] }, ...(finish && { finishReason: finish }) }], usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 2 } })}\n\n`;

const BEGINNINGS: Record<string, { kind?: ProviderKind; text: string }> = {
  chat: { text: word('half') },
  messages: { kind: anthropic, text: claudeBegins },
  responses: { kind: { ...openai, protocols: ['responses'] }, text: responsesBegin },
  gemini: { kind: google, text: geminiWord('half') },
};

/** What ends a whole answer, and what tells of a broken one. */
const ENDS: Record<Spoken, { proper: RegExp; error: RegExp }> = {
  chat: { proper: /\[DONE\]/, error: /^data: \{"error":/m },
  responses: { proper: /event: response\.(completed|incomplete)/, error: /^event: (error|response\.failed)$/m },
  messages: { proper: /event: message_stop/, error: /^event: error$/m },
};

describe.each(Object.keys(ENDS) as Spoken[])('a %s client', (surface) => {
  test.each(Object.keys(BEGINNINGS))(
    'is told when a stream in %s breaks, gets no proper end, and nobody else is asked',
    async (protocol) => {
      const { kind, text } = BEGINNINGS[protocol]!;
      const { gateway, two } = await start({
        ...(kind && { kind }),
        script: (_, response) => {
          startSse(response);
          response.write(text, () => setTimeout(() => response.destroy(), 20));
        },
      });
      const response = await ask(gateway.url, surface);
      expect(response.status).toBe(200);
      const got = await response.text();
      expect(got).toContain('half');
      expect(got).not.toMatch(ENDS[surface].proper);
      const last = got.trim().split('\n\n').at(-1)!;
      expect(last).toMatch(ENDS[surface].error);
      expect(last).toContain('one ended the stream early');
      expect(two.requests).toHaveLength(0);
      await until(() => gateway.attempts.length === 1);
      expect(gateway.attempts[0]).toMatchObject({ status: 'partial', errorCode: 'UPSTREAM_CLOSED', model: 'one/a' });
      // What had been told of usage by then is on record.
      if (protocol === 'messages') expect(gateway.attempts[0]).toMatchObject({ inputTokens: 12, outputTokens: 1 });
      if (protocol === 'gemini') expect(gateway.attempts[0]).toMatchObject({ inputTokens: 7, outputTokens: 2 });
    },
  );

  test('gets pings while nobody has said a word, and then the answer of whoever speaks', async () => {
    const { opened, open } = gate();
    const { gateway, one } = await start(
      { script: (_, response) => void opened.then(() => sendJson(response, { error: { message: 'no' } }, 500)) },
      { script: fine },
      { pingMs: 40 },
    );
    const response = await ask(gateway.url, surface);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(response.headers.get('x-pointsman-decision-id')).toMatch(/^[0-9a-f]{32}$/);
    const got = await readPast(response, 2, open);
    const pings = got.split('\n\n').filter((frame) => /ping/.test(frame));
    expect(pings.length).toBeGreaterThanOrEqual(2);
    expect(got.indexOf('ping')).toBeLessThan(got.indexOf('fine'));
    expect(got).toMatch(ENDS[surface].proper);
    expect(one.requests).toHaveLength(1);
    expect(gateway.attempts.map(({ status }) => status)).toEqual(['error', 'ok']);
  });

  test('gets an error frame where pings have gone out and nobody answers', async () => {
    const { opened, open } = gate();
    const script: Script = (_, response) =>
      void opened.then(() => sendJson(response, { error: { message: 'burnt' } }, 500));
    const { gateway } = await start({ script }, { script }, { pingMs: 30 });
    const response = await ask(gateway.url, surface);
    expect(response.status).toBe(200);
    const got = await readPast(response, 1, open);
    expect(got).toContain('ping');
    expect(got).not.toMatch(ENDS[surface].proper);
    expect(got.trim().split('\n\n').at(-1)).toMatch(ENDS[surface].error);
    expect(got).toContain('burnt');
    expect(gateway.decisions.at(-1)).toMatchObject({ executedModel: null });
  });

  test('gets pings between the words of a model of another protocol', async () => {
    const { opened, open } = gate();
    const { gateway } = await start(
      {
        kind: google,
        script: async (_, response) => {
          startSse(response);
          response.write(geminiWord('first '));
          await opened;
          response.end(geminiWord('last', 'STOP'));
        },
      },
      { script: fine },
      { pingMs: 40 },
    );
    // A ping may also come before the first word.
    const got = await readPast(await ask(gateway.url, surface), 2, open);
    const [, between] = /first ([\s\S]*)last/.exec(got)!;
    expect(between).toContain('ping');
    expect(got).toMatch(ENDS[surface].proper);
  });
});

describe('signs of life from the provider', () => {
  const ping = 'event: ping\ndata: {"type":"ping"}\n\n';

  test('reach a client of the same protocol as they are', async () => {
    const { gateway } = await start({
      kind: anthropic,
      script: (_, response) => {
        startSse(response);
        response.end(claudeBegins + ping + claudeEnds);
      },
    });
    const got = await (await ask(gateway.url, 'messages')).text();
    expect(got.split('\n\n').filter((frame) => frame.startsWith('event: ping'))).toHaveLength(1);
    expect(got).toContain('"model":"one/a"');
  });

  test.each([
    // Silence is allowed for long enough that a busy machine does not reach it between two signs of life.
    ['are patience for five times the silence allowed', 6, true, { everyMs: 300, idleMs: 1500 }],
    ['do not stand in for words for ever', 60, false, { everyMs: 30, idleMs: 150 }],
  ])('%s', async (_, pings, ends, { everyMs, idleMs }) => {
    const { gateway } = await start(
      {
        kind: anthropic,
        script: async (_request, response) => {
          startSse(response);
          response.write(claudeBegins);
          for (let i = 0; i < pings && !response.destroyed; i++) {
            await sleep(everyMs);
            response.write(ping);
          }
          response.end(claudeEnds);
        },
      },
      { script: fine },
      { timeouts: { idleMs } },
    );
    const got = await (await ask(gateway.url, 'chat')).text();
    expect(ENDS.chat.proper.test(got)).toBe(ends);
    if (!ends) expect(got).toContain('UPSTREAM_TIMEOUT');
  });
});

describe('usage', () => {
  test('that is told along the way is on record though the stream breaks', async () => {
    const { gateway } = await start({
      script: (_, response) => {
        startSse(response);
        response.write(word('half') + usageChunk(20, 1) + word(' more') + usageChunk(20, 2), () =>
          setTimeout(() => response.destroy(), 20),
        );
      },
    });
    const got = await (await ask(gateway.url, 'chat')).text();
    expect(got).not.toContain('prompt_tokens');
    // 20 in at 1 and 2 out at 2 USD per million.
    expect(gateway.attempts[0]).toMatchObject({ status: 'partial', inputTokens: 20, outputTokens: 2 });
    expect(gateway.attempts[0]!.costUsd).toBeCloseTo(24e-6, 12);
  });

  test.each([
    [undefined, false],
    [{ include_usage: false }, false],
    [{ include_usage: true }, true],
    [{ include_obfuscation: false }, false],
  ])('asked for with %j reaches the client: %s, and is on record either way', async (stream_options, told) => {
    const { gateway, one } = await start({ script: fine });
    const got = await (await ask(gateway.url, 'chat', stream_options && { stream_options })).text();
    expect(got.includes('"prompt_tokens":10')).toBe(told);
    expect(JSON.parse(one.requests[0]!.body).stream_options).toEqual({ ...stream_options, include_usage: true });
    expect(gateway.attempts[0]).toMatchObject({ inputTokens: 10, outputTokens: 1 });
  });

  test('on a chunk with words in it stays where it is', async () => {
    const { gateway } = await start({
      script: (_, response) => {
        startSse(response);
        const usage = { prompt_tokens: 3, completion_tokens: 1 };
        response.end(
          `${chunk({ choices: [{ index: 0, delta: { content: 'all' }, finish_reason: 'stop' }], usage })}data: [DONE]\n\n`,
        );
      },
    });
    const got = await (await ask(gateway.url, 'chat')).text();
    expect(got).toContain('"content":"all"');
    expect(got).toMatch(ENDS.chat.proper);
  });
});

describe('a client that leaves', () => {
  const silentHost = () => {
    let closedAt = 0;
    const script: Script = (_, response) => {
      response.on('close', () => {
        closedAt = performance.now();
      });
    };
    return { script, closedAt: () => closedAt };
  };
  const CASES: [string, boolean, (response: Parameters<Script>[1]) => void, object][] = [
    ['while a whole answer is waited for', false, () => {}, {}],
    [
      'in the middle of a whole answer',
      false,
      (r) => void r.writeHead(200, { 'content-type': 'application/json' }).write('{"choices":'),
      {},
    ],
    ['before the first word of a stream', true, () => {}, {}],
    [
      'after the head of a stream',
      true,
      (r) => void r.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders(),
      {},
    ],
    [
      'in the middle of a stream',
      true,
      (r) => void r.writeHead(200, { 'content-type': 'text/event-stream' }).write(word('one')),
      {},
    ],
    ['after pings have gone out', true, () => {}, { pingMs: 20 }],
    ['while two are asked at once', true, () => {}, { retry: { hedgeAfterMs: 20, retries: 0 } }],
  ];
  // Other work of the machine may come in between: what counts is that it can be done in time.
  test.each(CASES)('%s ends the call upstream within 100 ms', { retry: 10 }, async (_, stream, begin, config) => {
    const hosts = [silentHost(), silentHost()];
    const [one, two] = hosts.map(
      ({ script }): Host => ({
        script: (request, response, body) => {
          void script(request, response, body);
          begin(response);
        },
      }),
    );
    const { gateway, ...asked } = await start(one!, two!, config);
    const leaving = new AbortController();
    const answer = ask(gateway.url, 'chat', { stream }, { signal: leaving.signal }).then((response) => response.text());
    answer.catch(() => {});
    const hedged = 'retry' in config;
    await until(() => asked.one.requests.length === 1 && (!hedged || asked.two.requests.length === 1));
    await sleep(80);
    const leftAt = performance.now();
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await until(() => hosts[0]!.closedAt() > 0 && (!hedged || hosts[1]!.closedAt() > 0));
    expect(Math.max(...hosts.map(({ closedAt }) => closedAt())) - leftAt).toBeLessThan(100);
    await until(() => gateway.attempts.length === (hedged ? 2 : 1));
    expect(gateway.attempts.map(({ status }) => status)).toEqual(gateway.attempts.map(() => 'cancelled'));
    await until(() => gateway.gateway.lives.size === 0);
  });

  test('while its request is being decided on is noticed, and nobody is called for long', async () => {
    let closed = 0;
    let decide = () => {};
    const silent: Script = (_, response) => void response.on('close', () => closed++);
    const { gateway, one } = await start({ script: silent });
    const { current } = gateway.gateway.holder;
    const route: typeof current.route = async (request, options) => {
      await new Promise<void>((resolve) => {
        decide = resolve;
      });
      return current.route(request, options);
    };
    gateway.gateway.holder.current = { ...current, route };
    const leaving = new AbortController();
    const answer = ask(gateway.url, 'chat', {}, { signal: leaving.signal });
    answer.catch(() => {});
    await sleep(100);
    leaving.abort();
    await sleep(100);
    decide();
    await until(() => gateway.decisions.length === 1 && gateway.gateway.lives.size === 0);
    await until(() => one.requests.length === closed);
    expect(gateway.attempts.every(({ status }) => status === 'cancelled')).toBe(true);
  });

  test('during a pause between two tries is not tried for again', async () => {
    const { gateway, one } = await start(
      {
        script: (_, response) => {
          response.writeHead(429, { 'retry-after': '1', 'content-type': 'application/json' });
          response.end('{"error":{"message":"busy"}}');
        },
      },
      { script: fine },
      { retry: { retries: 3 } },
    );
    const leaving = new AbortController();
    const answer = ask(gateway.url, 'chat', { model: 'one/a' }, { signal: leaving.signal });
    answer.catch(() => {});
    await until(() => gateway.attempts.length === 1);
    leaving.abort();
    await until(() => gateway.gateway.lives.size === 0);
    await sleep(1200);
    expect(one.requests).toHaveLength(1);
  });
});

describe('a client that does not read', () => {
  const MB = 1024 * 1024;
  const frame = word('x'.repeat(64 * 1024));

  /** As much as it is let, up to so many bytes; waits for whoever reads. */
  const flood = (total: number) => {
    let sent = 0;
    const script: Script = async (_, response) => {
      startSse(response);
      while (sent < total && !response.destroyed) {
        sent += frame.length;
        if (response.write(frame)) continue;
        await new Promise<void>((resolve) => {
          const goOn = () => {
            response.off('drain', goOn).off('close', goOn);
            resolve();
          };
          response.once('drain', goOn).once('close', goOn);
        });
      }
      response.end(`${word('', 'stop')}data: [DONE]\n\n`);
    };
    return { script, sent: () => sent };
  };

  test.each(['chat', 'messages'] as const)(
    'holds its provider up: of 200 MB no more than 16 MB are taken in (%s)',
    async (surface) => {
      const host = flood(200 * MB);
      const { gateway } = await start({ script: host.script });
      const before = process.memoryUsage();
      const path = BODIES[surface][0];
      const request = httpRequest(gateway.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      });
      request.on('error', () => {});
      const response = await new Promise<IncomingMessage>((resolve) => {
        request.on('response', resolve);
        request.end(JSON.stringify({ model: 'auto', stream: true, ...BODIES[surface][1] }));
      });
      response.pause();
      response.on('error', () => {});
      // Until nothing moves any more.
      let seen = -1;
      while (host.sent() !== seen) {
        seen = host.sent();
        await sleep(300);
      }
      expect(seen).toBeGreaterThan(0);
      expect(seen).toBeLessThan(16 * MB);
      const after = process.memoryUsage();
      expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(64 * MB);
      request.destroy();
      await until(() => gateway.attempts.length === 1);
      expect(gateway.attempts[0]).toMatchObject({ status: 'cancelled' });
    },
  );

  test('for longer than a provider may be silent gets its whole stream all the same', async () => {
    const host = flood(24 * MB);
    const { gateway } = await start({ script: host.script }, { script: fine }, { timeouts: { idleMs: 1500 } });
    const { response } = await slowClient(gateway.url, {});
    let seen = -1;
    while (host.sent() !== seen) {
      seen = host.sent();
      await sleep(250);
    }
    expect(seen).toBeLessThan(24 * MB);
    await sleep(2000);
    let text = '';
    let size = 0;
    response.setEncoding('latin1');
    response.on('data', (piece: string) => {
      size += piece.length;
      text = (text + piece).slice(-200);
    });
    response.resume();
    await new Promise((resolve) => response.on('end', resolve));
    expect(text).toMatch(ENDS.chat.proper);
    expect(size).toBeGreaterThan(24 * MB);
    expect(gateway.attempts[0]).toMatchObject({ status: 'ok' });
  });

  test('does not hold its request open by not taking the last frame, which repeats the whole answer', async () => {
    const output = [
      {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'x'.repeat(8 * MB), annotations: [] }],
      },
    ];
    const completed = {
      type: 'response.completed',
      sequence_number: 3,
      response: { id: 'resp_1', object: 'response', status: 'completed', model: 'm', output },
    };
    const { gateway } = await start({
      kind: openai,
      script: (_, response) => {
        startSse(response);
        response.end(`${responsesBegin}event: response.completed\ndata: ${JSON.stringify(completed)}\n\n`);
      },
    });
    const request = httpRequest(`${gateway.url}/v1/responses`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    request.on('error', () => {});
    request.on('response', (response) => {
      response.pause();
      response.on('error', () => {});
    });
    request.end(JSON.stringify({ model: 'auto', stream: true, input: 'Hi' }));
    await until(() => gateway.attempts.length === 1);
    expect(gateway.attempts[0]).toMatchObject({ status: 'ok' });
    await until(() => gateway.gateway.lives.size === 0);
    request.destroy();
  });

  test('is let go when the request’s time is up', async () => {
    const host = flood(200 * MB);
    const { gateway } = await start({ script: host.script }, { script: fine }, { timeouts: { totalMs: 2000 } });
    const { request } = await slowClient(gateway.url, {});
    await until(() => gateway.attempts.length === 1);
    expect(gateway.attempts[0]).toMatchObject({ status: 'partial', errorCode: 'UPSTREAM_TIMEOUT' });
    await until(() => gateway.gateway.lives.size === 0);
    request.destroy();
  });
});
