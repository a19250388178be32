/** The official client reads what the writer wrote: its own idea of the protocol is the measure. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createOpenAI } from '@ai-sdk/openai';
import { jsonSchema, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { eventsOf } from '../../../server/protocols/collect.ts';
import type { Answer, AnswerEvent, Conversation } from '../../../server/protocols/conversation.ts';
import type { AnswerHead } from '../../../server/protocols/protocol.ts';
import { responsesSurface } from '../../../server/protocols/responses/index.ts';

let answer: Answer;
let streamed: AnswerEvent[] | undefined;
let breaks = false;
let asked: Conversation;
let server: Server;
let client: OpenAI;

beforeAll(async () => {
  server = createServer(async (request, reply) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const json = JSON.parse(Buffer.concat(pieces).toString()) as Record<string, unknown>;
    asked = responsesSurface.readRequest(json);
    const head: AnswerHead = { id: 'c'.repeat(32), modelId: 'm/x', createdAt: new Date(0), request: json };
    if (json.stream !== true) {
      reply.writeHead(200, { 'content-type': 'application/json' });
      reply.end(JSON.stringify(responsesSurface.writeAnswer(answer, head)));
      return;
    }
    reply.writeHead(200, { 'content-type': 'text/event-stream' });
    const writer = responsesSurface.writer(head, { modelId: 'm/x', wantsUsage: false });
    for (const event of streamed ?? eventsOf(answer)) reply.write(writer.write([event]) + responsesSurface.ping);
    const error = { message: 'the host hung up', type: 'server_error', code: 'UPSTREAM_CLOSED', param: null };
    reply.end(breaks ? responsesSurface.errorFrame(error, 502, 'c'.repeat(32)) : writer.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  client = new OpenAI({ apiKey: 'k', baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 });
});
afterAll(() => void server.close());

const usage = { inputTokens: 9, cachedInputTokens: 4, cacheWriteTokens: 1, outputTokens: 5, reasoningTokens: 3 };
const Weather = z.object({ place: z.string(), degrees: z.number() });
const weather = zodResponsesFunction({ name: 'weather', parameters: z.object({ place: z.string() }) });

test('a whole answer: text, call, reasoning and usage', async () => {
  answer = {
    id: null,
    blocks: [
      { type: 'thinking', text: 'hm', sealed: { by: 'google', data: 'AA' } },
      { type: 'text', text: 'I look ' },
      { type: 'tool_call', id: 'call_1', name: 'weather', arguments: '{"place":"Bern"}' },
    ],
    finish: 'tool_calls',
    usage,
  };
  const response = await client.responses.parse({ model: 'auto', input: 'Weather?', tools: [weather] });
  expect(asked.tools[0]).toMatchObject({ name: 'weather', strict: true });
  expect(response.output_text).toBe('I look ');
  expect(response.output[0]).toMatchObject({ type: 'reasoning', summary: [{ text: 'hm' }] });
  expect(response.output[2]).toMatchObject({ type: 'function_call', parsed_arguments: { place: 'Bern' } });
  expect(response.usage).toMatchObject({ input_tokens: 9, total_tokens: 14 });
});

test('a stream adds up to the same response', async () => {
  const stream = client.responses.stream({ model: 'auto', input: 'Weather?', tools: [weather] });
  const deltas: string[] = [];
  stream.on('response.output_text.delta', ({ delta }) => deltas.push(delta));
  const response = await stream.finalResponse();
  expect(deltas).toEqual(['I look ']);
  expect(response.output_text).toBe('I look ');
  expect(response.output[2]).toMatchObject({ type: 'function_call', parsed_arguments: { place: 'Bern' } });
  expect(response).toMatchObject({
    id: `resp_${'c'.repeat(32)}`,
    model: 'm/x',
    status: 'completed',
    usage: { output_tokens: 5 },
  });
});

test('calls whose pieces come mixed are told apart', async () => {
  streamed = [
    { type: 'start', id: null },
    { type: 'tool_call', index: 0, id: 'call_a', name: 'weather' },
    { type: 'tool_call', index: 1, id: 'call_b', name: 'weather' },
    { type: 'tool_arguments', index: 1, json: '{"place":' },
    { type: 'tool_arguments', index: 0, json: '{"place":"Ur' },
    { type: 'tool_arguments', index: 1, json: '"Biel"}' },
    { type: 'tool_arguments', index: 0, json: 'i"}' },
    { type: 'text', text: 'Both.' },
    { type: 'finish', reason: 'tool_calls' },
  ];
  const response = await client.responses.stream({ model: 'auto', input: 'x', tools: [weather] }).finalResponse();
  streamed = undefined;
  expect(response.output).toMatchObject([
    { call_id: 'call_a', parsed_arguments: { place: 'Uri' } },
    { call_id: 'call_b', parsed_arguments: { place: 'Biel' } },
    { type: 'message' },
  ]);
});

test('structured output is parsed, and its schema was read', async () => {
  answer = { id: null, blocks: [{ type: 'text', text: '{"place":"Bern","degrees":4}' }], finish: 'stop', usage };
  const request = { model: 'auto', input: 'x', text: { format: zodTextFormat(Weather, 'weather') } };
  const whole = await client.responses.parse(request);
  expect(whole.output_parsed).toEqual({ place: 'Bern', degrees: 4 });
  expect(asked.responseFormat).toMatchObject({ type: 'json_schema', name: 'weather', strict: true });
  const streamedResponse = await client.responses.stream(request).finalResponse();
  expect(streamedResponse.output_parsed).toEqual({ place: 'Bern', degrees: 4 });
});

test('a stream that breaks makes the client throw', async () => {
  breaks = true;
  const stream = await client.responses.create({ model: 'auto', input: 'x', stream: true });
  const seen: string[] = [];
  const drain = async () => {
    for await (const event of stream) seen.push(event.type);
  };
  await expect(drain()).rejects.toThrow('the host hung up');
  expect(seen).toContain('response.output_text.delta');
  expect(seen).not.toContain('response.completed');
  await expect(client.responses.stream({ model: 'auto', input: 'x' }).finalResponse()).rejects.toThrow(
    'the host hung up',
  );
  breaks = false;
});

test('the AI SDK reads the stream too: reasoning, text, call and usage', async () => {
  answer = {
    id: null,
    blocks: [
      { type: 'thinking', text: 'hm', sealed: { by: 'anthropic', data: 'AA' } },
      { type: 'text', text: 'I look ' },
      { type: 'tool_call', id: 'call_1', name: 'weather', arguments: '{"place":"Bern"}' },
    ],
    finish: 'tool_calls',
    usage,
  };
  const openai = createOpenAI({ apiKey: 'k', baseURL: client.baseURL });
  const inputSchema = jsonSchema<{ place: string }>({ type: 'object', properties: { place: { type: 'string' } } });
  const result = streamText({
    model: openai.responses('auto'),
    prompt: 'Weather?',
    tools: { weather: tool({ inputSchema }) },
    maxRetries: 0,
  });
  expect(await result.text).toBe('I look ');
  expect(await result.reasoningText).toBe('hm');
  expect(await result.toolCalls).toMatchObject([
    { toolCallId: 'call_1', toolName: 'weather', input: { place: 'Bern' } },
  ]);
  expect(await result.finishReason).toBe('tool-calls');
  expect(await result.usage).toMatchObject({ inputTokens: 9, outputTokens: 5 });
});
