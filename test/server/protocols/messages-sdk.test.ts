/** The official client as judge of what we write for it. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Anthropic from '@anthropic-ai/sdk';
import { afterEach, expect, test } from 'vitest';
import type { Answer, AnswerEvent } from '../../../server/protocols/conversation.ts';
import { messagesSurface } from '../../../server/protocols/messages/index.ts';

const HEAD = { id: '1'.repeat(32), modelId: 'openai/gpt', createdAt: new Date(0), request: {} };
const ASK = { model: 'auto', max_tokens: 100, messages: [{ role: 'user' as const, content: 'Hi' }] };

let server: Server | undefined;
afterEach(() => server?.close());

async function clientFor(status: number, type: string, body: string): Promise<Anthropic> {
  server = createServer((_, reply) => {
    reply.writeHead(status, { 'content-type': type });
    reply.end(body);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server!.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return new Anthropic({ apiKey: 'k', baseURL: `http://127.0.0.1:${port}`, maxRetries: 0 });
}

const EVENTS: AnswerEvent[] = [
  { type: 'start', id: 'chatcmpl' },
  { type: 'thinking', text: 'Two files.' },
  { type: 'sealed', sealed: { by: 'openai', data: 'enc', id: 'rs_1' } },
  { type: 'text', text: 'I read ' },
  { type: 'text', text: 'both.' },
  { type: 'tool_call', index: 0, id: 'call_a', name: 'read' },
  { type: 'tool_call', index: 1, id: 'call_b', name: 'list' },
  { type: 'tool_arguments', index: 0, json: '{"path":' },
  { type: 'tool_arguments', index: 1, json: '{}' },
  { type: 'tool_arguments', index: 0, json: '"a.ts"}' },
  { type: 'finish', reason: 'tool_calls' },
  {
    type: 'usage',
    usage: { inputTokens: 50, cachedInputTokens: 20, cacheWriteTokens: 0, outputTokens: 12, reasoningTokens: 5 },
  },
];

test('the official client reads a stream: thinking, text, interleaved calls, usage', async () => {
  const writer = messagesSurface.writer(HEAD, { modelId: HEAD.modelId, wantsUsage: false });
  let body = '';
  for (const event of EVENTS) body += writer.write([event]) + messagesSurface.ping;
  const client = await clientFor(200, 'text/event-stream', body + writer.end());
  const stream = client.messages.stream(ASK);
  let text = '';
  stream.on('text', (piece) => {
    text += piece;
  });
  const message = await stream.finalMessage();
  expect(text).toBe('I read both.');
  expect(message).toMatchObject({
    id: `msg_${HEAD.id}`,
    model: 'openai/gpt',
    stop_reason: 'tool_use',
    role: 'assistant',
  });
  expect(message.usage).toMatchObject({ input_tokens: 30, cache_read_input_tokens: 20, output_tokens: 12 });
  expect(message.content).toMatchObject([
    { type: 'thinking', thinking: 'Two files.', signature: expect.stringMatching(/^pm1\.openai\./) },
    { type: 'text', text: 'I read both.' },
    { type: 'tool_use', id: 'call_a', name: 'read', input: { path: 'a.ts' } },
    { type: 'tool_use', id: 'call_b', name: 'list', input: {} },
  ]);
  // What the client holds now comes back with the next turn as what it was.
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: JSON.parse(JSON.stringify(message.content)) },
  ];
  const { turns } = messagesSurface.readRequest({ ...ASK, messages });
  expect(turns[1]!.blocks[0]).toEqual({
    type: 'thinking',
    text: 'Two files.',
    sealed: { by: 'openai', data: 'enc', id: 'rs_1' },
  });
});

test('the official client reads a stream that says nothing', async () => {
  const writer = messagesSurface.writer(HEAD, { modelId: HEAD.modelId, wantsUsage: false });
  const body =
    writer.write([
      { type: 'start', id: null },
      { type: 'finish', reason: 'length' },
    ]) + writer.end();
  const client = await clientFor(200, 'text/event-stream', body);
  expect(await client.messages.stream(ASK).finalMessage()).toMatchObject({ content: [], stop_reason: 'max_tokens' });
});

test('the official client reads a whole answer', async () => {
  const answer: Answer = {
    id: 'x',
    blocks: [
      { type: 'text', text: 'Stop here' },
      { type: 'tool_call', id: 'c', name: 'f', arguments: '{"a":[1,2]}' },
    ],
    finish: 'stop_sequence',
    stopSequence: '###',
    usage: null,
  };
  const client = await clientFor(200, 'application/json', JSON.stringify(messagesSurface.writeAnswer(answer, HEAD)));
  expect(await client.messages.create(ASK)).toMatchObject({
    content: [
      { type: 'text', text: 'Stop here' },
      { type: 'tool_use', input: { a: [1, 2] } },
    ],
    stop_reason: 'stop_sequence',
    stop_sequence: '###',
    usage: { input_tokens: 0, output_tokens: 0 },
  });
});

test('the official client throws our errors as its own, before a stream and in the middle of one', async () => {
  const told = { message: 'slow down', type: 'rate_limit_error', code: null, param: null };
  const body = JSON.stringify(messagesSurface.writeError(told, 429, HEAD.id));
  const client = await clientFor(429, 'application/json', body);
  const failure = client.messages.create(ASK);
  await expect(failure).rejects.toBeInstanceOf(Anthropic.RateLimitError);
  await expect(failure).rejects.toMatchObject({ status: 429, type: 'rate_limit_error' });
  server!.close();

  const writer = messagesSurface.writer(HEAD, { modelId: HEAD.modelId, wantsUsage: false });
  const broken = writer.write([{ type: 'text', text: 'Half' }]) + messagesSurface.errorFrame(told, 502, HEAD.id);
  const streaming = await clientFor(200, 'text/event-stream', broken);
  await expect(streaming.messages.stream(ASK).finalMessage()).rejects.toMatchObject({ type: 'rate_limit_error' });
});
