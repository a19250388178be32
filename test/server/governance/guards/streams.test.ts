/** A gateway under guardrails: what its clients get, what its providers get, and what is written down. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TextRecord } from '../../../../server/db/records.ts';
import { httpProvider } from '../../../../server/providers/http-provider.ts';
import { KINDS } from '../../../../server/providers/index.ts';
import { Transport } from '../../../../server/providers/transport.ts';
import { openAi } from '../../compat/clients.ts';
import {
  candidate,
  chat,
  chunk,
  completion,
  gatewayOver,
  hello,
  jsonOf,
  memoryStore,
  provider,
  type Script,
  sendJson,
  startSse,
  type TestGateway,
  type Upstream,
  until,
  upstream,
  usageChunk,
  word,
} from '../../fakes.ts';
import { putUnder } from './governed.ts';

let script: Script;
let host: Upstream;
let gateway: TestGateway;
const texts: TextRecord[] = [];

beforeAll(async () => {
  host = await upstream((...told) => script(...told));
  const kind = (name: string) =>
    httpProvider(KINDS.get(name)!, {
      baseUrl: host.url,
      keys: [{ id: '', weight: 1, key: 'k' }],
      transport: new Transport(),
    });
  const store = memoryStore();
  const { record } = store;
  store.record = (entry) => {
    if (entry.text) texts.push(entry.text);
    record(entry);
  };
  gateway = await gatewayOver(
    ['host/a', 'openai/gpt-5.1', 'anthropic/claude-sonnet-4-5'].map((id) => candidate(id)),
    {
      store,
      providers: new Map([
        ['host', provider('host', host.url)],
        ['openai', kind('openai')],
        ['anthropic', kind('anthropic')],
      ]),
      config: { retry: { retries: 0 }, pingMs: 100, privacy: { mode: 'text' } },
    },
  );
});
afterAll(async () => {
  await gateway.close();
  await host.close();
});
beforeEach(() => {
  for (const list of [gateway.decisions, gateway.attempts, host.requests, texts]) list.length = 0;
});

const anthropic = () => new Anthropic({ baseURL: gateway.url, apiKey: 'k', maxRetries: 0 });
const sse = (type: string, fields: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
const finish = (reason = 'stop') => chunk({ choices: [{ index: 0, delta: {}, finish_reason: reason }] });

/** Streams of the three protocols that say these pieces. */
const CHAT = (pieces: readonly string[]) => [
  chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] }),
  ...pieces.map((piece) => word(piece)),
  finish(),
  usageChunk(10, 5),
  'data: [DONE]\n\n',
];

function RESPONSES(pieces: readonly string[]) {
  const text = pieces.join('');
  let sequence_number = 0;
  const emit = (type: string, fields: object) => sse(type, { sequence_number: sequence_number++, ...fields });
  const head = (status: string, output: object[]) => ({
    response: { id: 'resp_1', object: 'response', model: 'gpt-5.1', status, output, usage: null, metadata: {} },
  });
  const at = { item_id: 'msg_1', output_index: 0, content_index: 0 };
  const part = (said: string) => ({ type: 'output_text', annotations: [], logprobs: [], text: said });
  const item = (status: string, ...content: object[]) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    status,
    content,
  });
  return [
    emit('response.created', head('in_progress', [])),
    emit('response.output_item.added', { output_index: 0, item: item('in_progress') }),
    emit('response.content_part.added', { ...at, part: part('') }),
    ...pieces.map((delta) => emit('response.output_text.delta', { ...at, delta, logprobs: [] })),
    emit('response.output_text.done', { ...at, text, logprobs: [] }),
    emit('response.content_part.done', { ...at, part: part(text) }),
    emit('response.output_item.done', { output_index: 0, item: item('completed', part(text)) }),
    emit('response.completed', head('completed', [item('completed', part(text))])),
  ];
}

const MESSAGES = (pieces: readonly string[]) => [
  sse('message_start', {
    message: {
      ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null },
      ...{ stop_sequence: null, usage: { input_tokens: 10, output_tokens: 1 } },
    },
  }),
  sse('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
  ...pieces.map((text) => sse('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })),
  sse('content_block_stop', { index: 0 }),
  sse('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 5 } }),
  sse('message_stop', {}),
];

const says =
  (frames: readonly string[]): Script =>
  (_, response) => {
    startSse(response);
    for (const frame of frames) response.write(frame);
    response.end();
  };

/** Says these, and hangs on until it is hung up on. */
function saysAndHangs(frames: readonly string[]): { readonly script: Script; isClosed: () => boolean } {
  let closed = false;
  return {
    script: (_, response) => {
      response.on('close', () => {
        closed = !response.writableEnded;
      });
      startSse(response);
      for (const frame of frames) response.write(frame);
    },
    isClosed: () => closed,
  };
}

const PIECES = ['Write to jo', 'e@exa', 'mple.com', ' to', 'day, pl', 'ease.'];
const MASKED = 'Write to [EMAIL] today, please.';
const PII = { name: 'pii', kind: 'pii', on: 'answer' };
const PING = /(: ping|event: ping\ndata: \{"type":"ping"\})\n\n/g;

interface Protocol {
  readonly name: 'chat' | 'responses' | 'messages';
  readonly model: string;
  readonly frames: (pieces: readonly string[]) => string[];
  readonly path: string;
  readonly body: object;
  /** What its official client reads of a stream; what it got before it threw is `heard`. */
  read(heard: string[]): Promise<{ readonly text: string; readonly id: string; readonly finish: string | null }>;
}

const PROTOCOLS: readonly Protocol[] = [
  {
    name: 'chat',
    model: 'host/a',
    frames: CHAT,
    path: '/v1/chat/completions',
    body: hello('host/a'),
    async read(heard) {
      const stream = openAi(gateway).chat.completions.stream({
        model: 'host/a',
        messages: [{ role: 'user', content: 'x' }],
      });
      stream.on('content', (delta) => heard.push(delta));
      const { id, choices } = await stream.finalChatCompletion();
      return { text: choices[0]!.message.content!, id, finish: choices[0]!.finish_reason };
    },
  },
  {
    name: 'responses',
    model: 'openai/gpt-5.1',
    frames: RESPONSES,
    path: '/v1/responses',
    body: { model: 'openai/gpt-5.1', input: 'hello' },
    async read(heard) {
      const stream = openAi(gateway).responses.stream({ model: 'openai/gpt-5.1', input: 'x', store: false });
      const numbers: number[] = [];
      stream.on('event', (event) => numbers.push(event.sequence_number));
      stream.on('response.output_text.delta', ({ delta }) => heard.push(delta));
      const { id, output_text: text, status } = await stream.finalResponse();
      expect(numbers).toEqual(numbers.map((_, i) => i));
      return { text, id, finish: status ?? null };
    },
  },
  {
    name: 'messages',
    model: 'anthropic/claude-sonnet-4-5',
    frames: MESSAGES,
    path: '/v1/messages',
    body: { model: 'anthropic/claude-sonnet-4-5', max_tokens: 9, messages: [{ role: 'user', content: 'hello' }] },
    async read(heard) {
      const asked = { model: this.model, max_tokens: 9, messages: [{ role: 'user' as const, content: 'x' }] };
      const stream = anthropic().messages.stream(asked);
      stream.on('text', (delta) => heard.push(delta));
      const { id, content, stop_reason: finish } = await stream.finalMessage();
      return { text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''), id, finish };
    },
  },
];

const post = (path: string, body: object) =>
  fetch(gateway.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe.each(PROTOCOLS)('a stream of $name', (protocol) => {
  const { frames, path, body, model } = protocol;

  test('is masked where a match comes in pieces; all else is as the provider said it', async () => {
    putUnder(gateway, PII);
    script = says(frames(PIECES));
    const heard: string[] = [];
    const { text, id, finish: end } = await protocol.read(heard);
    expect(text).toBe(MASKED);
    expect(heard.join('')).toBe(MASKED);
    expect(heard.length).toBeGreaterThan(1);
    expect(id).toMatch(/^(chatcmpl-1|resp_1|msg_1)$/);
    expect(['stop', 'completed', 'end_turn']).toContain(end);
    expect(gateway.decisions.map(({ guards }) => guards)).toEqual([
      [{ guard: 'pii', found: 'email', where: 'answer', action: 'masked', count: 1 }],
    ]);
    expect(gateway.attempts).toMatchObject([{ status: 'ok' }]);
  });

  test('passes byte for byte where its guardrails only watch', async () => {
    script = says(frames(PIECES));
    putUnder(gateway);
    // A busy machine may be silent long enough for a ping.
    const said = async () => (await (await post(path, { ...body, stream: true })).text()).replaceAll(PING, '');
    const plain = await said();
    putUnder(
      gateway,
      { ...PII, dryRun: true },
      { name: 'short', kind: 'length', on: 'answer', maxChars: 3, action: 'notice' },
    );
    expect(await said()).toBe(plain);
    expect(gateway.decisions.map(({ guards }) => guards)).toEqual([
      null,
      [
        { guard: 'pii', found: 'email', where: 'answer', action: 'noticed', count: 1 },
        { guard: 'short', found: 'too_long', where: 'answer', action: 'noticed', count: 1 },
      ],
    ]);
  });

  test('is broken off before the first character of what must not pass', async () => {
    putUnder(gateway, { ...PII, action: 'block' });
    const host = saysAndHangs(frames(PIECES).slice(0, -4));
    script = host.script;
    const heard: string[] = [];
    const error = await protocol.read(heard).catch((thrown) => thrown);
    expect(heard.join('')).toBe('Write to ');
    expect(error).toBeInstanceOf(Error);
    expect(String(error.message)).toContain('“pii” does not let this answer pass');
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('example.com');
    await until(host.isClosed);
    expect(gateway.attempts).toMatchObject([{ status: 'partial', errorCode: 'GUARDRAIL_BLOCKED', httpStatus: 200 }]);
    expect(gateway.attempts[0]!.costUsd).toBeGreaterThan(0);
    expect(gateway.decisions).toMatchObject([
      {
        reason: 'requested',
        executedModel: model,
        guards: [{ guard: 'pii', found: 'email', where: 'answer', action: 'blocked', count: 1 }],
      },
    ]);
    // It is no fault of the provider's.
    expect(gateway.gateway.breaker.isQuiet).toBe(true);
  });

  test('ends with an error of its protocol, and with no end of an answer', async () => {
    putUnder(gateway, { ...PII, action: 'block' });
    script = says(frames(PIECES));
    const told = await (await post(path, { ...body, stream: true })).text();
    expect(told).toContain('“pii” does not let this answer pass');
    expect(told).not.toMatch(/\[DONE\]|message_stop|response\.completed|"finish_reason":"stop"/);
    if (protocol.name !== 'messages') expect(told).toContain('GUARDRAIL_BLOCKED');
    expect(told).toContain('invalid_request_error');
    expect(told).not.toContain('UPSTREAM');
  });

  test('waits for its end where the whole is judged', async () => {
    const rule = { name: 'shape', kind: 'schema', schema: { type: 'object', required: ['a'] } };
    putUnder(gateway, rule, PII);
    script = says(frames(['{"a":', '"joe@exam', 'ple.com"}']));
    const heard: string[] = [];
    expect((await protocol.read(heard)).text).toBe('{"a":"[EMAIL]"}');
    script = says(frames(['{"b":', '1}']));
    heard.length = 0;
    const error = await protocol.read(heard).catch((thrown) => thrown);
    expect(error.message).toContain('“shape”');
    expect(heard).toEqual([]);
    expect(gateway.decisions.at(-1)!.guards).toMatchObject([
      { guard: 'shape', found: 'other_schema', action: 'blocked' },
    ]);
  });

  test('stops when it is longer than it may be', async () => {
    putUnder(gateway, { name: 'short', kind: 'length', on: 'answer', maxChars: 20 });
    const host = saysAndHangs(frames(PIECES).slice(0, -4));
    script = host.script;
    const error = await protocol.read([]).catch((thrown) => thrown);
    expect(error.message).toContain('“short”');
    await until(host.isClosed);
  });

  test('a prompt that is blocked goes nowhere, and is written down', async () => {
    putUnder(gateway, { name: 'no-falcon', kind: 'deny', words: ['hello'] });
    const asked = protocol.name === 'chat' ? { ...body, messages: [{ role: 'user', content: 'hello' }] } : body;
    for (const stream of [false, true]) {
      const reply = await post(path, { ...asked, stream });
      expect(reply.status).toBe(400);
      const { error } = await jsonOf(reply);
      expect(error.type).toBe('invalid_request_error');
      if (protocol.name !== 'messages') expect(error.code).toBe('GUARDRAIL_BLOCKED');
      expect(error.message).toBe('the guardrail “no-falcon” does not let this prompt pass (found: word)');
    }
    expect(host.requests).toEqual([]);
    expect(gateway.attempts).toEqual([]);
    const hit = { guard: 'no-falcon', found: 'word', where: 'prompt', action: 'blocked', count: 1 };
    const row = { reason: 'blocked', surface: protocol.name, executedModel: null, routed: false, guards: [hit] };
    expect(gateway.decisions).toMatchObject([row, row]);
  });

  test('a whole answer that is blocked is paid for, and told as an error', async () => {
    putUnder(gateway, { name: 'shape', kind: 'schema', schema: { type: 'object' } });
    const last = (
      JSON.parse(
        frames(['no'])
          .at(-1)!
          .match(/data: (\{.*)/)?.[1] ?? '{}',
      ) as { response?: object }
    ).response;
    const message = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [{ type: 'text', text: 'no' }],
    };
    const whole = {
      chat: completion('no'),
      responses: last,
      messages: { ...message, stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 1 } },
    };
    script = (_, response) => sendJson(response, whole[protocol.name]);
    const reply = await post(path, body);
    expect(reply.status).toBe(400);
    expect((await jsonOf(reply)).error.message).toContain('does not let this answer pass (found: not_json)');
    expect(gateway.attempts).toMatchObject([{ status: 'ok' }]);
    expect(gateway.decisions).toMatchObject([{ executedModel: model, guards: [{ guard: 'shape' }] }]);
  });
});

describe('a chat stream', () => {
  const lines = async (body: object) =>
    (await (await chat(gateway.url, { ...hello('host/a'), stream: true, ...body })).text())
      .split('\n\n')
      .filter((line) => line.startsWith('data: {'))
      .map((line) => JSON.parse(line.slice(6)));
  const textOf = (
    frames: readonly { choices: { index: number; delta: Record<string, unknown> }[] }[],
    index: number,
    field: string,
  ) =>
    frames
      .flatMap(({ choices }) => choices)
      .filter((choice) => choice.index === index)
      .map(({ delta }) => delta[field] ?? '')
      .join('');

  test('of several choices is masked in each on its own', async () => {
    putUnder(gateway, PII);
    const at = (index: number, content: string) =>
      chunk({ choices: [{ index, delta: { content }, finish_reason: null }] });
    const end = (index: number) => chunk({ choices: [{ index, delta: {}, finish_reason: 'stop' }] });
    script = says([
      ...[
        at(0, 'ann@'),
        at(1, 'bob@'),
        at(0, 'x.org or'),
        at(1, 'y.org'),
        end(1),
        at(0, ' c@x.or'),
        at(0, 'g'),
        end(0),
      ],
      'data: [DONE]\n\n',
    ]);
    const frames = await lines({ n: 2 });
    expect(textOf(frames, 0, 'content')).toBe('[EMAIL] or [EMAIL]');
    expect(textOf(frames, 1, 'content')).toBe('[EMAIL]');
    expect(
      frames.flatMap(({ choices }) => choices).filter((c: { finish_reason: unknown }) => c.finish_reason),
    ).toHaveLength(2);
  });

  test('masks what is thought and what is said apart, and tells no tokens', async () => {
    putUnder(gateway, PII);
    const delta = (fields: object) =>
      chunk({ choices: [{ index: 0, delta: fields, logprobs: { content: [{ token: 'joe' }] }, finish_reason: null }] });
    script = says([
      delta({ reasoning_content: 'I know joe@' }),
      delta({ reasoning_content: 'x.org' }),
      delta({ content: 'He' }),
      delta({ content: 'llo' }),
      finish(),
      'data: [DONE]\n\n',
    ]);
    const frames = await lines({});
    expect(textOf(frames, 0, 'reasoning_content')).toBe('I know [EMAIL]');
    expect(textOf(frames, 0, 'content')).toBe('Hello');
    expect(JSON.stringify(frames)).not.toContain('joe');
    // What was thought is over before anything is said.
    const order = frames.flatMap(({ choices }) => Object.keys(choices[0]?.delta ?? {}));
    expect(order.lastIndexOf('reasoning_content')).toBeLessThan(order.indexOf('content'));
  });

  test('keeps a call’s arguments JSON when something in them is masked', async () => {
    putUnder(gateway, PII);
    const call = (fields: object) =>
      chunk({ choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...fields }] }, finish_reason: null }] });
    script = says([
      chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: null }, finish_reason: null }] }),
      call({ id: 'call_1', type: 'function', function: { name: 'mail', arguments: '' } }),
      ...['{"to":"jo', 'e\\u0040x.org","line":"a\\nbob@', 'x.org","card":41111111', '11111111}'].map((args) =>
        call({ function: { arguments: args } }),
      ),
      finish('tool_calls'),
      'data: [DONE]\n\n',
    ]);
    const stream = openAi(gateway).chat.completions.stream({
      model: 'host/a',
      messages: [{ role: 'user', content: 'x' }],
    });
    const { choices } = await stream.finalChatCompletion();
    const [made] = choices[0]!.message.tool_calls!;
    expect(made).toMatchObject({ id: 'call_1', function: { name: 'mail' } });
    expect(JSON.parse((made as OpenAI.ChatCompletionMessageFunctionToolCall).function.arguments)).toEqual({
      to: '[EMAIL]',
      line: 'a\n[EMAIL]',
      card: '[CARD]',
    });
    expect(choices[0]!.finish_reason).toBe('tool_calls');
  });

  test('is looked at in members that its host has added', async () => {
    putUnder(gateway, PII);
    const delta = { content: 'Hello ', annotations: [{ type: 'note', note: 'by joe@x.org', url: 'https://x.org' }] };
    script = says([chunk({ choices: [{ index: 0, delta, finish_reason: null }] }), finish(), 'data: [DONE]\n\n']);
    const [first] = await lines({});
    const annotations = [{ type: 'note', note: 'by [EMAIL]', url: 'https://x.org' }];
    expect(first.choices[0].delta).toEqual({ content: 'Hello ', annotations });
  });

  test('that was asked for as JSON stays JSON', async () => {
    putUnder(gateway, PII);
    script = says(CHAT(['{"card": 4111', '111111111111, "to": "a\\njoe@x', '.org"}']));
    const frames = await lines({ response_format: { type: 'json_object' } });
    expect(JSON.parse(textOf(frames, 0, 'content'))).toEqual({ card: '[CARD]', to: 'a\n[EMAIL]' });
  });

  test('shows signs of life while a text is held back', async () => {
    putUnder(gateway, { ...PII, action: 'block' });
    script = async (_, response) => {
      startSse(response);
      response.write(word('joe@'));
      await new Promise((resolve) => setTimeout(resolve, 450));
      response.end([word('home'), finish(), 'data: [DONE]\n\n'].join(''));
    };
    const told = await (await chat(gateway.url, hello('host/a', { stream: true }))).text();
    expect(told.startsWith(':')).toBe(true);
    expect(told).toContain('joe@home');
    expect(told).toContain('[DONE]');
  });

  test('that breaks tells nothing of what was held back', async () => {
    putUnder(gateway, PII);
    script = (_, response) => {
      startSse(response);
      response.write(word('Hello joe@x.or'), () => response.destroy());
    };
    const told = await (await chat(gateway.url, hello('host/a', { stream: true }))).text();
    expect(told).toContain('Hello ');
    expect(told).not.toContain('joe@');
    expect(told).toContain('UPSTREAM_CLOSED');
    expect(gateway.attempts).toMatchObject([{ status: 'partial' }]);
    expect(gateway.decisions).toHaveLength(1);
  });
});

test.each([false, true])('what is masked is sent nowhere, and kept nowhere (streamed: %s)', async (stream) => {
  putUnder(gateway, { name: 'pii', kind: 'pii' });
  script = stream ? says(CHAT(PIECES)) : (_, response) => sendJson(response, completion(PIECES.join('')));
  const asked = { model: 'auto', stream, messages: [{ role: 'user', content: 'I am ann@x.org' }] };
  const told = await (await chat(gateway.url, asked)).text();
  expect(told).not.toContain('example.com');
  expect(host.requests[0]!.body).toContain('I am [EMAIL]');
  await until(() => texts.length > 0);
  expect(texts).toMatchObject([{ prompt: 'I am [EMAIL]', answer: MASKED }]);
  expect(JSON.stringify([gateway.decisions, gateway.attempts])).not.toMatch(/ann@|example\.com/);
  expect(gateway.decisions).toHaveLength(1);
  expect(gateway.decisions[0]!.guards!.map(({ where }) => where)).toEqual(['prompt', 'answer']);
});

test('a text of embeddings is masked before it is sent', async () => {
  putUnder(gateway, { name: 'pii', kind: 'pii' });
  script = (_, response) =>
    sendJson(response, {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
      model: 'm',
      usage: { prompt_tokens: 1, total_tokens: 1 },
    });
  const reply = await post('/v1/embeddings', { model: 'host/a', input: ['ann@x.org'] });
  expect(reply.status).toBe(200);
  expect(JSON.parse(host.requests[0]!.body).input).toEqual(['[EMAIL]']);
});

test('a text that is handed on as it is, to be spoken or counted, is masked as well', async () => {
  putUnder(gateway, { name: 'pii', kind: 'pii', on: 'prompt' });
  script = (_, response) => sendJson(response, { input_tokens: 7 });
  await post('/v1/audio/speech', { model: 'openai/tts-1', voice: 'v', input: 'Call ann@x.org' });
  await post('/v1/images/generations', { model: 'openai/gpt-image-1', prompt: 'A card for ann@x.org' });
  await post('/v1/messages/count_tokens', {
    model: 'anthropic/claude-sonnet-4-5',
    messages: [{ role: 'user', content: 'I am ann@x.org' }],
  });
  expect(host.requests.map(({ body }) => JSON.parse(body))).toMatchObject([
    { input: 'Call [EMAIL]' },
    { prompt: 'A card for [EMAIL]' },
    { messages: [{ content: 'I am [EMAIL]' }] },
  ]);
  putUnder(gateway, { name: 'pii', kind: 'pii', on: 'prompt', action: 'block' });
  const reply = await post('/v1/moderations', { model: 'openai/omni', input: 'ann@x.org' });
  expect((await jsonOf(reply)).error.code).toBe('GUARDRAIL_BLOCKED');
  expect(host.requests).toHaveLength(3);
});

test('a stored answer is told later as it was told first', async () => {
  const part = { type: 'output_text', annotations: [], text: PIECES.join('') };
  const item = { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [part] };
  const stored = { id: 'resp_kept', object: 'response', status: 'completed', model: 'gpt-5.1', output: [item] };
  const server = createServer((request, response) => {
    request.resume();
    sendJson(response, stored);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const keys = [{ id: '', weight: 1, key: 'k' }];
  const openai = httpProvider(KINDS.get('openai')!, { baseUrl: url, keys, transport: new Transport() });
  const own = await gatewayOver([candidate('openai/gpt-5.1')], { providers: new Map([['openai', openai]]) });
  try {
    putUnder(own, PII);
    const client = openAi(own);
    const first = await client.responses.create({ model: 'openai/gpt-5.1', input: 'hello' });
    expect(first.output_text).toBe(MASKED);
    expect((await client.responses.retrieve('resp_kept')).output_text).toBe(MASKED);
    const streamed = await client.responses.retrieve('resp_kept', { stream: true }).catch((thrown) => thrown);
    expect(streamed).toMatchObject({ status: 400, param: 'stream' });
  } finally {
    await own.close();
    server.close();
  }
});
