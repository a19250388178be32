/** Audio, images and moderations by the official client; what goes up and what comes back is the same bytes. */
import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { httpProvider } from '../../server/providers/http-provider.ts';
import { openAiCompatibleKind } from '../../server/providers/openai-compatible.ts';
import { Transport } from '../../server/providers/transport.ts';
import { candidate, gatewayOver, provider, type TestGateway, until } from './fakes.ts';
import { type Host, openAiHost } from './passthrough-upstream.ts';

const ears = candidate('one/ears', 1);

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(setup: Parameters<typeof gatewayOver>[1] = {}) {
  const host = await openAiHost();
  cleanUps.push(host.close);
  const gateway = await gatewayOver([ears], { upstreams: { one: host.url }, ...setup });
  cleanUps.push(gateway.close);
  return { host, gateway, client: clientOf(gateway) };
}

const clientOf = ({ url }: TestGateway, apiKey = 'unused') =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });

const sound = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7) % 256));

const answers = (host: Host, type: string, body: string | Buffer, status = 200) => {
  host.script = (_, response) => {
    response.writeHead(status, { 'content-type': type });
    response.end(body);
    return true;
  };
};

describe('audio in', () => {
  test('a form reaches the host with the model’s name there, and every other byte as it was', async () => {
    const { host, gateway, client } = await start();
    const usage = { type: 'tokens', input_tokens: 14, output_tokens: 45, total_tokens: 59 };
    answers(host, 'application/json', JSON.stringify({ text: 'hello', usage }));
    const file = await toFile(sound, 'hello.wav', { type: 'audio/wav' });
    const told = await client.audio.transcriptions.create({ file, model: 'one/ears', language: 'en' });
    expect(told.text).toBe('hello');
    const [sent] = host.seen;
    expect(sent!.url).toBe('/v1/audio/transcriptions');
    expect(sent!.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(sent!.body.includes(sound)).toBe(true);
    const text = sent!.body.toString('latin1');
    expect(text).toContain('name="model"\r\n\r\nears\r\n');
    expect(text).toContain('name="language"\r\n\r\nen\r\n');
    expect(gateway.decisions).toMatchObject([
      { surface: 'audio', routed: false, reason: 'requested', requestedModel: 'one/ears', executedModel: 'one/ears' },
    ]);
    // 14 × 1 + 45 × 2 USD per million.
    expect(gateway.attempts).toMatchObject([
      { provider: 'one', deployment: 'one/ears', status: 'ok', httpStatus: 200, inputTokens: 14, outputTokens: 45 },
    ]);
    expect(gateway.attempts[0]!.costUsd).toBeCloseTo(104e-6, 12);
  });

  test('usage is read from a stream, whose events come as they are sent', async () => {
    const { host, gateway, client } = await start();
    const done = {
      type: 'transcript.text.done',
      text: 'hello',
      usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 },
    };
    answers(
      host,
      'text/event-stream',
      `data: {"type":"transcript.text.delta","delta":"hel"}\n\ndata: ${JSON.stringify(done)}\n\n`,
    );
    const file = await toFile(sound, 'hello.wav');
    const stream = await client.audio.transcriptions.create({ file, model: 'one/ears', stream: true });
    const types: string[] = [];
    for await (const { type } of stream) types.push(type);
    expect(types).toEqual(['transcript.text.delta', 'transcript.text.done']);
    expect(gateway.attempts).toMatchObject([{ status: 'ok', inputTokens: 3, outputTokens: 4 }]);
  });

  test('an answer that tells no usage has no cost on record', async () => {
    const { host, gateway, client } = await start();
    answers(host, 'text/plain', 'hello');
    const file = await toFile(sound, 'hello.wav');
    await client.audio.translations.create({ file, model: 'one/ears', response_format: 'text' });
    expect(gateway.attempts).toMatchObject([{ status: 'ok', inputTokens: null, costUsd: null }]);
  });

  const form = (body: string, type = 'multipart/form-data; boundary=b') => ({
    method: 'POST' as const,
    url: '/v1/audio/transcriptions',
    headers: { 'content-type': type },
    payload: body,
  });
  const field = (name: string, value: string) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;

  test.each([
    ['no model', form(`${field('language', 'en')}--b--\r\n`), 400, 'model'],
    ['two models', form(`${field('model', 'one/ears')}${field('model', 'one/other')}--b--\r\n`), 400, 'model'],
    ['auto', form(`${field('model', 'auto')}--b--\r\n`), 400, 'model'],
    ['a model nobody has', form(`${field('model', 'one-more')}--b--\r\n`), 404, 'model'],
    ['a form that breaks off', form(field('model', 'one/ears').slice(0, -4)), 400, null],
    ['no boundary', form('x', 'multipart/form-data'), 400, null],
    ['JSON', form('{"model":"one/ears"}', 'application/json'), 400, 'body'],
    ['no body', { ...form(''), headers: {} }, 400, 'body'],
  ])('%s is refused', async (_, request, status, param) => {
    const { host, gateway } = await start();
    const reply = await gateway.app.inject(request as never);
    expect(reply.statusCode).toBe(status);
    expect(reply.json().error).toMatchObject({ type: 'invalid_request_error', param });
    expect(host.seen).toHaveLength(0);
  });

  test('on record is when it arrived, not when all of it was there', async () => {
    const { host, gateway } = await start();
    answers(host, 'application/json', '{"text":"hello"}');
    const body = ['model', 'file']
      .map((name) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\none/ears\r\n`)
      .join('');
    const request = httpRequest(`${gateway.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=b', expect: '100-continue' },
    });
    const status = new Promise<number | undefined>((resolve, reject) => {
      request.once('error', reject);
      request.once('response', (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode));
      });
    });
    request.flushHeaders();
    // The gateway has the head and none of the body.
    await new Promise((resolve) => request.once('continue', resolve));
    await sleep(100);
    const sentAt = Date.now();
    request.end(`${body}--b--\r\n`);
    expect(await status).toBe(200);
    expect(gateway.decisions[0]!.createdAt.getTime()).toBeLessThanOrEqual(sentAt);
    expect(gateway.attempts[0]!.startedAt.getTime()).toBeGreaterThanOrEqual(sentAt);
  });

  test('a form beyond the limit is refused', async () => {
    const { gateway } = await start({ config: { bodyLimitMb: 0.001 } });
    const reply = await gateway.app.inject(form(`${field('model', 'one/ears'.padEnd(3000))}--b--\r\n`));
    expect(reply.statusCode).toBe(413);
  });

  test('a client key’s models hold here, too', async () => {
    const keys = [{ name: 'a', key: 'a-key-of-16-letters', models: ['two/*'] }];
    const { host, gateway } = await start({ config: { keys } });
    const client = clientOf(gateway, 'a-key-of-16-letters');
    const file = await toFile(sound, 'hello.wav');
    await expect(client.audio.transcriptions.create({ file, model: 'one/ears' })).rejects.toMatchObject({
      status: 403,
    });
    expect(host.seen).toHaveLength(0);
  });
});

describe('audio out', () => {
  const ask = { model: 'one/ears', input: 'hello', voice: 'alloy' } as const;

  test('bytes come back with their type, from the text that was sent but for the model', async () => {
    const { host, client } = await start();
    answers(host, 'audio/mpeg', sound);
    const reply = await client.audio.speech.create(ask);
    expect(reply.headers.get('content-type')).toBe('audio/mpeg');
    expect(reply.headers.get('x-pointsman-model')).toBe('one/ears');
    expect(Buffer.from(await reply.arrayBuffer()).equals(sound)).toBe(true);
    expect(host.seen[0]!.body.toString()).toBe('{"model":"ears","input":"hello","voice":"alloy"}');
  });

  test('the first bytes are there before the last are made', async () => {
    const { host, gateway, client } = await start();
    let finish = () => {};
    host.script = (_, response) => {
      response.writeHead(200, { 'content-type': 'audio/mpeg' });
      response.write('first');
      finish = () => response.end('last');
      return true;
    };
    const reply = await client.audio.speech.create(ask);
    const reader = reply.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('first');
    expect(gateway.attempts).toHaveLength(0);
    finish();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('last');
    expect((await reader.read()).done).toBe(true);
    expect(gateway.attempts).toMatchObject([{ status: 'ok' }]);
  });

  test('the record is saved before the last byte, also where the length was told beforehand', async () => {
    const { host, gateway, client } = await start();
    host.script = (_, response) => {
      response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': '9' });
      response.end('all of it');
      return true;
    };
    const order: string[] = [];
    gateway.gateway.store.saved = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push('saved');
    };
    const reply = await client.audio.speech.create(ask);
    expect(await reply.text()).toBe('all of it');
    order.push('read');
    expect(order).toEqual(['saved', 'read']);
  });

  test('one that breaks off breaks off for the client, and is on record as partial', async () => {
    const { host, gateway, client } = await start();
    host.script = (_, response) => {
      response.writeHead(200, { 'content-type': 'audio/mpeg' });
      response.write('half', () => response.destroy());
      return true;
    };
    const reply = await client.audio.speech.create(ask);
    await expect(reply.arrayBuffer()).rejects.toThrow();
    await until(() => gateway.attempts.length > 0);
    expect(gateway.attempts).toMatchObject([{ status: 'partial', httpStatus: 200, errorCode: 'UPSTREAM_CLOSED' }]);
    expect(gateway.decisions).toHaveLength(1);
  });

  test('a client that hangs up ends the call', async () => {
    const { host, gateway, client } = await start();
    let closed = false;
    host.script = (_, response) => {
      response.on('close', () => {
        closed = true;
      });
      response.writeHead(200, { 'content-type': 'audio/mpeg' });
      response.write('first');
      return true;
    };
    const abort = new AbortController();
    const reply = await client.audio.speech.create(ask, { signal: abort.signal });
    await reply.body!.getReader().read();
    abort.abort();
    await until(() => closed && gateway.attempts.length > 0);
    expect(gateway.attempts).toMatchObject([{ status: 'cancelled' }]);
  });

  test('a slow client slows the host down instead of filling memory', async () => {
    const { host, gateway } = await start();
    const piece = Buffer.alloc(256 * 1024, 1);
    const total = 64 * 1024 * 1024;
    let written = 0;
    host.script = async (_, response) => {
      response.writeHead(200, { 'content-type': 'audio/mpeg' });
      while (written < total && !response.destroyed) {
        written += piece.length;
        if (!response.write(piece)) {
          await new Promise<void>((resolve) => {
            const on = () => {
              response.off('drain', on).off('close', on);
              resolve();
            };
            response.once('drain', on).once('close', on);
          });
        }
      }
      response.end();
      return true;
    };
    const payload = JSON.stringify(ask);
    const headers = { 'content-type': 'application/json', 'content-length': payload.length };
    const reply = await new Promise<import('node:http').IncomingMessage>((resolve) => {
      httpRequest(`${gateway.url}/v1/audio/speech`, { method: 'POST', headers }, resolve).end(payload);
    });
    reply.pause();
    await new Promise((resolve) => setTimeout(resolve, 500));
    // Kernel buffers of three sockets and a few chunks, no more.
    expect(written).toBeLessThan(24 * 1024 * 1024);
    let read = 0;
    for await (const bytes of reply) read += (bytes as Buffer).length;
    expect(read).toBe(total);
  });
});

describe('failures', () => {
  test('an error of the host comes back in its own words', async () => {
    const { host, gateway, client } = await start();
    const error = { message: 'Too loud', type: 'invalid_request_error', code: 'too_loud', param: 'input' };
    answers(host, 'application/json', JSON.stringify({ error }), 422);
    await expect(client.moderations.create({ model: 'one/ears', input: 'x' })).rejects.toMatchObject({
      status: 422,
      code: 'too_loud',
      param: 'input',
    });
    expect(gateway.attempts).toMatchObject([{ status: 'error', httpStatus: 422, costUsd: 0 }]);
    expect(gateway.decisions).toMatchObject([{ surface: 'moderations', executedModel: null }]);
  });

  test('a redirect is not followed', async () => {
    const { host, client } = await start();
    host.script = (_, response) => {
      response.writeHead(302, { location: `${host.url}/elsewhere` });
      response.end();
      return true;
    };
    await expect(client.images.generate({ model: 'one/ears', prompt: 'x' })).rejects.toMatchObject({
      status: 502,
      code: 'UPSTREAM_INVALID',
    });
    expect(host.seen).toHaveLength(1);
  });

  test('a host that answers nothing is given up', async () => {
    const { host, client, gateway } = await start({ config: { timeouts: { answerMs: 100 } } });
    host.script = () => true;
    await expect(client.images.generate({ model: 'one/ears', prompt: 'x' })).rejects.toMatchObject({ status: 504 });
    expect(gateway.attempts).toMatchObject([{ status: 'error', errorCode: 'UPSTREAM_TIMEOUT' }]);
  });

  test('a host that falls silent in mid-answer is given up', async () => {
    const { host, client, gateway } = await start({ config: { timeouts: { idleMs: 100 } } });
    host.script = (_, response) => {
      response.writeHead(200, { 'content-type': 'audio/mpeg' });
      response.write('half');
      return true;
    };
    const reply = await client.audio.speech.create({ model: 'one/ears', input: 'x', voice: 'alloy' });
    await expect(reply.arrayBuffer()).rejects.toThrow();
    await until(() => gateway.attempts.length > 0);
    expect(gateway.attempts).toMatchObject([{ status: 'partial', errorCode: 'UPSTREAM_TIMEOUT' }]);
  });

  test('another deployment of the model answers where one is busy or refuses its key', async () => {
    const busy = await openAiHost('busy');
    const well = await openAiHost('well');
    cleanUps.push(busy.close, well.close);
    answers(busy, 'application/json', '{"error":{"message":"slow down","type":"rate_limit_error"}}', 429);
    answers(well, 'application/json', '{"id":"modr-1","results":[]}');
    const gateway = await gatewayOver([ears], {
      providers: new Map([
        ['one', provider('one', busy.url)],
        ['two', provider('two', well.url)],
      ]),
      config: {
        models: {
          'one/ears': [
            { provider: 'one', weight: 1e9 },
            { provider: 'two', model: 'ohren' },
          ],
        },
      },
    });
    cleanUps.push(gateway.close);
    const reply = await clientOf(gateway).moderations.create({ model: 'one/ears', input: 'x' });
    expect(reply.id).toBe('modr-1');
    expect(JSON.parse(well.seen[0]!.body.toString())).toEqual({ model: 'ohren', input: 'x' });
    expect(gateway.attempts).toMatchObject([
      { deployment: 'one/ears', status: 'error', httpStatus: 429, ordinal: 0 },
      { deployment: 'two/ohren', status: 'ok', ordinal: 1 },
    ]);
  });

  test('a provider without such an API says so', async () => {
    const silent = httpProvider(
      { ...openAiCompatibleKind('one'), raw: false },
      { baseUrl: 'http://127.0.0.1:1/v1', keys: [{ id: '', weight: 1, key: 'k' }], transport: new Transport() },
    );
    const { client } = await start({ providers: new Map([['one', silent]]) });
    await expect(client.moderations.create({ model: 'one/ears', input: 'x' })).rejects.toMatchObject({
      status: 400,
      param: 'model',
    });
  });
});
